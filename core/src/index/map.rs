//! The persistent ordered set under the index. The only file that knows which library it is.
//!
//! With `std` it is `imbl`'s B+ tree, without it `rpds`' red-black tree, which needs only `alloc`. Both clone in O(1) and
//! copy the path to what they change where a clone still shares it. Under test both are compiled, and the same tests
//! run over both.

#[cfg(any(test, not(feature = "std")))]
pub(super) mod alloc_only {
    use core::ops::Bound;

    use crate::index::entry::Entry;

    /// A set of entries, one for each key, in key order.
    #[derive(Clone, Debug)]
    pub(crate) struct EntrySet(rpds::RedBlackTreeSetSync<Entry>);

    impl Default for EntrySet {
        fn default() -> Self {
            Self(rpds::RedBlackTreeSetSync::new_sync())
        }
    }

    impl EntrySet {
        pub(crate) fn get(&self, key: &[u8]) -> Option<&Entry> {
            self.0.get(key)
        }

        /// Adds the entry, in place of the one that has its key.
        pub(crate) fn insert(&mut self, entry: Entry) {
            self.0.insert_mut(entry);
        }

        pub(crate) fn remove(&mut self, key: &[u8]) {
            self.0.remove_mut(key);
        }

        /// The entries with keys between the bounds, in order from either end.
        pub(crate) fn range<'a, 'b>(
            &'a self,
            bounds: (Bound<&'b [u8]>, Bound<&'b [u8]>),
        ) -> impl DoubleEndedIterator<Item = &'a Entry> + use<'a, 'b> {
            self.0.range::<[u8], _>(bounds)
        }

        pub(crate) fn len(&self) -> usize {
            self.0.size()
        }

        /// The set of entries that come in key order, no key twice.
        pub(crate) fn from_sorted(entries: &[Entry]) -> Self {
            let mut set = Self::default();
            entries.iter().for_each(|entry| set.insert(entry.clone()));
            set
        }
    }
}

#[cfg(feature = "std")]
pub(super) mod with_std {
    use core::ops::Bound;

    use crate::index::entry::Entry;

    /// A set of entries, one for each key, in key order.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct EntrySet(im::OrdSet<Entry>);

    impl EntrySet {
        #[inline]
        pub(crate) fn get(&self, key: &[u8]) -> Option<&Entry> {
            self.0.get(key)
        }

        /// Adds the entry, in place of the one that has its key.
        ///
        /// Inner nodes hold clones of some entries as separators and keep them when the entry itself is replaced: only
        /// their keys are ever looked at.
        #[inline]
        pub(crate) fn insert(&mut self, entry: Entry) {
            self.0.insert(entry);
        }

        pub(crate) fn remove(&mut self, key: &[u8]) {
            self.0.remove(key);
        }

        /// The entries with keys between the bounds, in order from either end.
        pub(crate) fn range<'a, 'b>(
            &'a self,
            bounds: (Bound<&'b [u8]>, Bound<&'b [u8]>),
        ) -> impl DoubleEndedIterator<Item = &'a Entry> + use<'a, 'b> {
            self.0.range::<_, [u8]>(bounds)
        }

        pub(crate) fn len(&self) -> usize {
            self.0.len()
        }

        /// The set of entries that come in key order, no key twice.
        ///
        /// A full leaf is split in halves, so that adding in order would leave all leaves half full. Adding every
        /// second entry does that too, and the others then fill each leaf to the brim.
        pub(crate) fn from_sorted(entries: &[Entry]) -> Self {
            let even = entries.iter().step_by(2);
            let odd = entries.iter().skip(1).step_by(2);
            Self(even.chain(odd).cloned().collect())
        }
    }
}

#[cfg(not(feature = "std"))]
pub(super) use alloc_only::EntrySet;
#[cfg(feature = "std")]
pub(super) use with_std::EntrySet;
