//! Neighbouring keys in one allocation.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt::Debug;
use core::ops::Range;

use super::order::compare;
use super::step::Step;
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
        let (key_length, body_length, rest) = match *self.rest {
            // Both lengths are below 128, as nearly all are.
            [key, body, ref rest @ ..] if (key | body) < 0x80 => (key.into(), body.into(), rest),
            _ => take_lengths(self.rest)?,
        };
        let (key, rest) = rest.split_at_checked(key_length)?;
        let (body, rest) = rest.split_at_checked(body_length)?;
        self.rest = rest;
        Some(Entry { key, body })
    }
}

fn take_lengths(mut rest: &[u8]) -> Option<(usize, usize, &[u8])> {
    let key_length = usize::try_from(varint::take(&mut rest)?).ok()?;
    let body_length = usize::try_from(varint::take(&mut rest)?).ok()?;
    Some((key_length, body_length, rest))
}

/// Where a key is among some entries, or would be.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub(super) body: Option<&'a [u8]>,
    /// The bytes of its entry; empty and where it would begin if there is none.
    pub(super) range: Range<usize>,
}

/// Finds a key among entries in key order.
#[inline]
pub(super) fn find<'a>(entries: &'a [u8], key: &[u8]) -> Place<'a> {
    let mut rest = Entries::new(entries);
    loop {
        let start = entries.len() - rest.rest().len();
        let (body, end) = match rest.next().map(|entry| (compare(entry.key, key), entry.body)) {
            Some((Ordering::Less, _)) => continue,
            Some((Ordering::Equal, body)) => (Some(body), entries.len() - rest.rest().len()),
            Some((Ordering::Greater, _)) | None => (None, start),
        };
        return Place { body, range: start..end };
    }
}

/// The entries of some keys with no other key between them, in key order, as [`Entry::write`] wrote them.
///
/// A key in a block costs two bytes more than its own and its body's, and reading on from one key to the next stays
/// within a few lines of cache. A tree with an allocation for each key costs 40 bytes more and has a miss of the cache
/// at nearly every comparison once there are 100,000 keys.
///
/// The bytes are: the length of the entries in four bytes, the entries, and room for them to grow in place, as long as no
/// snapshot shares the block.
///
/// Invariant: there is at least one entry, and the entries are whole.
#[derive(Clone, Debug)]
pub(super) struct Block {
    bytes: Arc<[u8]>,
    /// What is known of the entries without looking at them. The table keeps it.
    pub(super) summary: Summary,
}

/// What the bodies of a table are.
pub(super) trait Bodies: Clone + Debug + Default {
    /// The newest step that a body tells of, where the table is to sum them up.
    fn newest(body: &[u8]) -> Option<Step>;
}

/// Bodies that are not summed up.
#[derive(Clone, Debug, Default)]
pub(super) struct Plain;

impl Bodies for Plain {
    #[inline]
    fn newest(_body: &[u8]) -> Option<Step> {
        None
    }
}

/// The newest steps of the keys in a block, summed up. So a count passes over most blocks without touching their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    /// No step in the block is at a later revision.
    pub(super) newest: u64,
    /// Keys whose newest step is a put.
    pub(super) live: u32,
}

impl Summary {
    /// Takes note of a key whose newest step is this one.
    pub(super) fn add(&mut self, step: Option<Step>) {
        let Some(step) = step else { return };
        self.newest = self.newest.max(step.position.main);
        self.live += u32::from(step.live().is_some());
    }

    /// Takes note that a key is gone whose newest step was this one.
    pub(super) fn remove(&mut self, step: Option<Step>) {
        self.live -= u32::from(step.and_then(Step::live).is_some());
    }
}

/// The room of a block that was written to: some 10 to 20 puts until it must be allocated again.
const ROOM: usize = 64;

impl Block {
    /// The block of these entries, without room to grow.
    ///
    /// # Panics
    /// If they are longer than 4 GiB. Entries are some hundred bytes longer than their keys, and keys have a limit.
    pub(super) fn new(entries: &[u8]) -> Self {
        Self::joined(&[entries], 0)
    }

    fn joined(parts: &[&[u8]], room: usize) -> Self {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let mut bytes = Vec::with_capacity(LENGTH_BYTES + length + room);
        let length = u32::try_from(length).expect("a block is shorter than 4 GiB");
        bytes.extend_from_slice(&length.to_le_bytes());
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        bytes.resize(bytes.len() + room, 0);
        Self { bytes: Arc::from(bytes), summary: Summary::default() }
    }

    /// All its bytes, to touch them.
    pub(super) fn allocation(&self) -> &[u8] {
        &self.bytes
    }

    #[inline]
    pub(super) fn entries(&self) -> &[u8] {
        let (length, rest) = self.bytes.split_first_chunk().expect("a block begins with its length");
        rest.get(..u32::from_le_bytes(*length) as usize).expect("a block has what its length says")
    }

    /// Puts `new` in place of the bytes in `old`: in place if it fits and no snapshot shares the block.
    pub(super) fn splice(&mut self, old: Range<usize>, new: &[u8]) {
        if self.splice_in_place(&old, new).is_none() {
            let (before, after) = (self.entries().get(..old.start), self.entries().get(old.end..));
            let joined = Self::joined(&[before.unwrap_or_default(), new, after.unwrap_or_default()], ROOM);
            self.bytes = joined.bytes;
        }
    }

    fn splice_in_place(&mut self, old: &Range<usize>, new: &[u8]) -> Option<()> {
        let length = self.entries().len();
        let spliced = length - old.len() + new.len();
        let (stored, bytes) = Arc::get_mut(&mut self.bytes)?.split_first_chunk_mut()?;
        let tail = old.end..length;
        bytes.get(..spliced)?;
        bytes.copy_within(tail, old.start + new.len());
        bytes.get_mut(old.start..old.start + new.len())?.copy_from_slice(new);
        *stored = u32::try_from(spliced).ok()?.to_le_bytes();
        Some(())
    }
}

const LENGTH_BYTES: usize = size_of::<u32>();

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
