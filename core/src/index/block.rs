//! Neighbouring keys in one allocation.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::varint;

/// A block is cut once it is longer than this and has two entries.
///
/// Every write to a key copies its block, and every search ends with a scan through one; the smaller the blocks, the
/// more of them are in the tree above, and the more memory is touched on the way down.
pub(super) const BLOCK_BYTES: usize = 1024;

/// A key and what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) key: &'a [u8],
    pub(super) body: &'a [u8],
}

impl Entry<'_> {
    /// Appends the entry: the lengths of its key and body, then both.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        varint::push(bytes, self.key.len() as u64);
        varint::push(bytes, self.body.len() as u64);
        bytes.extend_from_slice(self.key);
        bytes.extend_from_slice(self.body);
    }
}

/// Entries one behind the other.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Entries<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes of the entries that are still to come.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        let mut rest = self.rest;
        let key_length = usize::try_from(varint::take(&mut rest)?).ok()?;
        let body_length = usize::try_from(varint::take(&mut rest)?).ok()?;
        let (key, rest) = rest.split_at_checked(key_length)?;
        let (body, rest) = rest.split_at_checked(body_length)?;
        self.rest = rest;
        Some(Entry { key, body })
    }
}

/// Where a key is in a block, or would be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// The bytes of all entries with lower keys.
    pub(super) before: &'a [u8],
    pub(super) found: Option<Entry<'a>>,
    /// The bytes of all entries with higher keys.
    pub(super) after: &'a [u8],
}

/// The entries of some keys with no other key between them, in key order, as [`Entry::write`] wrote them.
///
/// A key in a block costs two bytes more than its own and its body's, and reading on from one key to the next stays
/// within a few lines of cache. A tree with an allocation for each key costs 40 bytes more and has a miss of the cache
/// at nearly every comparison once there are 100,000 keys.
///
/// Invariant: there is at least one entry, and the entries are whole.
pub(super) type Block = Arc<[u8]>;

/// Finds a key in the bytes of a block.
#[inline]
pub(super) fn find<'a>(block: &'a [u8], key: &[u8]) -> Place<'a> {
    let mut entries = Entries::new(block);
    loop {
        let here = entries.rest();
        let passed = |found, after| {
            let before = block.get(..block.len() - here.len()).unwrap_or_default();
            Place { before, found, after }
        };
        let Some(entry) = entries.next() else { return passed(None, here) };
        match entry.key.cmp(key) {
            Ordering::Less => {}
            Ordering::Equal => return passed(Some(entry), entries.rest()),
            Ordering::Greater => return passed(None, here),
        }
    }
}

/// The bytes of some entries in two halves and a key that separates them, unless they are few enough for one block.
///
/// The key is the shortest that is above all keys of the lower half and not above those of the upper half.
pub(super) fn halves(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    if bytes.len() <= BLOCK_BYTES {
        return None;
    }
    let mut entries = Entries::new(bytes);
    let mut last = entries.next()?;
    let mut upper = entries;
    // The cut lies behind the first entry at least, and before the one that crosses the middle.
    while let Some(entry) = entries.next() {
        if entries.rest().len() < bytes.len() / 2 {
            let (lower, _) = bytes.split_at_checked(bytes.len() - upper.rest().len())?;
            return Some((lower, separator(last.key, entry.key), upper.rest()));
        }
        (last, upper) = (entry, entries);
    }
    None
}

/// The shortest key that is above `lower` and not above `upper`.
pub(super) fn separator<'a>(lower: &[u8], upper: &'a [u8]) -> &'a [u8] {
    let common = lower.iter().zip(upper).take_while(|(a, b)| a == b).count();
    upper.get(..=common).unwrap_or(upper)
}
