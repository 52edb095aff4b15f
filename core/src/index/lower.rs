//! The keys that blocks are found by.

use alloc::sync::Arc;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::ops::Deref;

use super::order::compare;

/// So many bytes take as much room as an allocation's address and what says which of both it is, in half a line of cache.
const INLINE_BYTES: usize = 30;

/// A key that a block is found by: not above any key in it, and above all keys in the blocks before.
///
/// A short one, as most are, lies in the node of the tree itself: a search compares with some dozen of them, and each that it had to follow an
/// address to would be a miss of the cache in a large store.
#[derive(Clone)]
pub(super) enum Lower {
    /// The first so many of the bytes.
    Inline(u8, [u8; INLINE_BYTES]),
    Shared(Arc<[u8]>),
}

impl Lower {
    #[inline]
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Inline(length, bytes) => bytes.get(..usize::from(*length)).unwrap_or(bytes),
            Self::Shared(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for Lower {
    fn from(key: &[u8]) -> Self {
        let mut bytes = [0; INLINE_BYTES];
        match (bytes.get_mut(..key.len()), u8::try_from(key.len())) {
            (Some(inline), Ok(length)) => {
                inline.copy_from_slice(key);
                Self::Inline(length, bytes)
            }
            _ => Self::Shared(Arc::from(key)),
        }
    }
}

impl Deref for Lower {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.bytes()
    }
}

impl Borrow<[u8]> for Lower {
    #[inline]
    fn borrow(&self) -> &[u8] {
        self.bytes()
    }
}

impl PartialEq for Lower {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Lower {}

impl PartialOrd for Lower {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Lower {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        compare(self.bytes(), other.bytes())
    }
}

impl fmt::Debug for Lower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_all_lengths_are_what_they_were_and_in_their_order() {
        let key = |length: usize, last: u8| {
            let mut key = alloc::vec![b'k'; length];
            key.push(last);
            Lower::from(&*key)
        };
        assert_eq!(&*Lower::from(&[][..]), b"");
        let lengths = [0, 1, INLINE_BYTES - 2, INLINE_BYTES - 1, INLINE_BYTES, 500];
        for length in lengths {
            let is_inline = matches!(key(length, 0), Lower::Inline(..));
            assert_eq!(is_inline, length < INLINE_BYTES);
            assert_eq!(key(length, 9).len(), length + 1);
            for (other, last) in lengths.into_iter().flat_map(|other| [(other, 0), (other, b'z')]) {
                let (one, another) = (key(length, b'k'), key(other, last));
                assert_eq!(one.cmp(&another), one.to_vec().cmp(&another.to_vec()));
            }
        }
        assert_eq!(size_of::<Lower>(), 32);
    }
}
