//! The persistent ordered map under the index. The only file that knows which library it is.
//!
//! With `std` it is `imbl`'s B+ tree, without it `rpds`' red-black tree, which needs only `alloc`. Both clone in O(1) and
//! copy the path to what they change where a clone still shares it. Under test both are compiled, and the same tests
//! run over both.

pub(super) use super::lower::Lower;

#[cfg(any(test, not(feature = "std")))]
pub(super) mod alloc_only {
    use core::ops::Bound;

    use super::Lower;
    use crate::index::block::Block;
    use crate::keys::KeyBounds;

    /// Blocks by their lower keys.
    #[derive(Clone, Debug)]
    pub(in crate::index) struct BlockMap(rpds::RedBlackTreeMapSync<Lower, Block>);

    impl Default for BlockMap {
        fn default() -> Self {
            Self(rpds::RedBlackTreeMapSync::new_sync())
        }
    }

    impl BlockMap {
        /// The last block with the lower key `key` or one before it.
        pub(in crate::index) fn last_until(&self, key: &[u8]) -> Option<(&Lower, &Block)> {
            self.0.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back()
        }

        /// Adds the block, in place of the one with the same lower key.
        pub(in crate::index) fn insert(&mut self, lower: Lower, block: Block) {
            self.0.insert_mut(lower, block);
        }

        pub(in crate::index) fn get_mut(&mut self, lower: &Lower) -> Option<&mut Block> {
            self.0.get_mut(lower)
        }

        pub(in crate::index) fn remove(&mut self, lower: &[u8]) {
            self.0.remove_mut(lower);
        }

        /// The blocks with lower keys between the bounds, in order.
        pub(in crate::index) fn range<'a, 'b>(
            &'a self,
            bounds: KeyBounds<'b>,
        ) -> impl DoubleEndedIterator<Item = (&'a Lower, &'a Block)> + use<'a, 'b> {
            self.0.range::<[u8], _>(bounds)
        }

        /// The map of blocks that come in order.
        pub(in crate::index) fn from_sorted(blocks: &[(Lower, Block)]) -> Self {
            let mut map = Self::default();
            blocks.iter().for_each(|(lower, block)| map.insert(lower.clone(), block.clone()));
            map
        }
    }
}

#[cfg(feature = "std")]
pub(super) mod with_std {
    use core::cmp::Ordering;

    use equivalent::{Comparable, Equivalent};

    use super::Lower;
    use crate::index::block::Block;
    use crate::index::order::compare;
    use crate::keys::KeyBounds;

    /// A key that a block is looked for by, with our way to compare.
    struct Sought<'a>(&'a [u8]);

    impl Equivalent<Lower> for Sought<'_> {
        #[inline]
        fn equivalent(&self, lower: &Lower) -> bool {
            self.0 == &**lower
        }
    }

    impl Comparable<Lower> for Sought<'_> {
        #[inline]
        fn compare(&self, lower: &Lower) -> Ordering {
            compare(self.0, lower)
        }
    }

    /// Blocks by their lower keys.
    #[derive(Clone, Debug, Default)]
    pub(in crate::index) struct BlockMap(im::OrdMap<Lower, Block>);

    impl BlockMap {
        /// The last block with the lower key `key` or one before it.
        #[inline]
        pub(in crate::index) fn last_until(&self, key: &[u8]) -> Option<(&Lower, &Block)> {
            self.0.get_prev(&Sought(key))
        }

        /// Adds the block, in place of the one with the same lower key.
        pub(in crate::index) fn insert(&mut self, lower: Lower, block: Block) {
            self.0.insert(lower, block);
        }

        #[inline]
        pub(in crate::index) fn get_mut(&mut self, lower: &Lower) -> Option<&mut Block> {
            self.0.get_mut(lower)
        }

        pub(in crate::index) fn remove(&mut self, lower: &[u8]) {
            self.0.remove(lower);
        }

        /// The blocks with lower keys between the bounds, in order.
        pub(in crate::index) fn range<'a, 'b>(
            &'a self,
            bounds: KeyBounds<'b>,
        ) -> impl DoubleEndedIterator<Item = (&'a Lower, &'a Block)> + use<'a, 'b> {
            self.0.range::<_, [u8]>(bounds)
        }

        /// The map of blocks that come in order.
        ///
        /// A full leaf of the tree is cut in halves, so that adding in order would leave all leaves half full. Adding
        /// every second block does that too, and the others then fill each leaf to the brim.
        pub(in crate::index) fn from_sorted(blocks: &[(Lower, Block)]) -> Self {
            let even = blocks.iter().step_by(2);
            let odd = blocks.iter().skip(1).step_by(2);
            Self(even.chain(odd).cloned().collect())
        }
    }
}

#[cfg(not(feature = "std"))]
pub(super) use alloc_only::BlockMap;
#[cfg(feature = "std")]
pub(super) use with_std::BlockMap;
