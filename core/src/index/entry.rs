//! A key and what is known of it in one allocation.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::cmp::Ordering;

use super::varint;

/// The bytes `[key length][key][body]`, shared between all versions of the index that have them.
///
/// An element of the index' sets takes 16 bytes there and one allocation here, whatever its history: with a map of keys
/// to histories both would double. It is ordered, compared and borrowed by its key alone, so that a set of entries is
/// looked up by key. The body means nothing here; it is a [`Head`](super::history::Head) or a
/// [`Chunk`](super::history::Chunk).
///
/// Invariant: the bytes begin with a key that lies wholly within them.
#[derive(Clone, Debug)]
pub(crate) struct Entry(Arc<[u8]>);

impl Entry {
    /// Starts the bytes of an entry; what is appended to them is its body.
    pub(super) fn start(bytes: &mut Vec<u8>, key: &[u8]) {
        bytes.clear();
        varint::push(bytes, key.len() as u64);
        bytes.extend_from_slice(key);
    }

    /// The entry of bytes that [`Entry::start`] started.
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(Arc::from(bytes))
    }

    /// The key that the entry is found by.
    #[inline]
    pub(super) fn key(&self) -> &[u8] {
        self.parts().0
    }

    /// What follows the key.
    #[inline]
    pub(super) fn body(&self) -> &[u8] {
        self.parts().1
    }

    #[inline]
    fn parts(&self) -> (&[u8], &[u8]) {
        let mut rest = &*self.0;
        varint::take(&mut rest)
            .and_then(|length| rest.split_at_checked(usize::try_from(length).ok()?))
            .expect("an entry begins with its key")
    }
}

impl Borrow<[u8]> for Entry {
    #[inline]
    fn borrow(&self) -> &[u8] {
        self.key()
    }
}

impl Ord for Entry {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(other.key())
    }
}

impl PartialOrd for Entry {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}
