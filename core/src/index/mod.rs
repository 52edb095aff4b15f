//! Which positions of the store belong to which key: the history of every key, in key order, in memory.
//!
//! # A key's history
//!
//! A history is a list of positions, each a put or a tombstone. A *generation* begins with the first put after a tombstone
//! (or with the key's first put ever) and ends with a tombstone. Put at 1, put at 2, delete at 3, put at 4, delete at 5:
//!
//! ```text
//! {1, 2, 3t} {4, 5t}
//! ```
//!
//! A read at revision `r` sees the newest position not later than `r`, and nothing if that is a tombstone: at 2 the
//! value of 2, at 3 nothing, at 4 the value of 4, from 5 on nothing.
//!
//! A position *dies* at the revision of the next one: from then on no read sees it. A tombstone dies one revision
//! after its own, though nothing may follow it: whoever reads on from exactly that revision must still learn of the delete.
//! Compaction to `r` drops what died at or before `r`:
//!
//! ```text
//! compacted to 1: {1, 2, 3t} {4, 5t}    nothing has died yet
//!              2: {2, 3t} {4, 5t}       1 died at 2
//!              3: {3t} {4, 5t}          2 died at 3; the tombstone at exactly 3 stays
//!              4: {4, 5t}               3t died at 4
//!              5: {5t}                  4 died at 5
//!              6:                       5t died at 6, and the key leaves the index
//! ```
//!
//! So a history is at any time a suffix of all that ever happened to the key, and generations need no marks of their own.
//! The version (puts in its generation so far) and the revision of creation are kept for the newest put only; older
//! records carry their own.
//!
//! # Where a history is
//!
//! Every key has one [`Entry`] with the newest positions, its *head*. When the head gets long, the older half of it
//! moves to *chunks* in a second set. Both sets are persistent: a clone of the index is O(1), shares all it can
//! and never changes.

mod builder;
mod check;
mod entry;
mod history;
mod map;
#[cfg(test)]
mod tests;
pub(crate) mod varint;

use alloc::vec::Vec;
use core::ops::Bound;

pub(crate) use builder::{IndexBuilder, Loaded};
use entry::Entry;
use history::{CHUNK_BYTES, Chunk, Generation, HEAD_BYTES, Head, Kept, Steps};
pub(crate) use history::{Change, Step};
use map::EntrySet;

use crate::revision::Position;

/// Bounds of an interval of keys.
pub(crate) type KeyBounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// The newest version of a key that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Latest {
    pub(crate) position: Position,
    /// Puts in its generation, this one included.
    pub(crate) version: u64,
    /// The revision that began its generation.
    pub(crate) created: u64,
}

/// What a put did to the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PutEffect {
    /// Puts in its generation, this one included.
    pub(crate) version: u64,
    /// The revision that began its generation.
    pub(crate) created: u64,
    /// The record that died by this put; `None` if the key did not live.
    pub(crate) replaced: Option<Position>,
}

/// The histories of all keys.
///
/// Invariants, verified by [`Index::check`]:
/// - The positions of a key strictly decrease from its head's newest through its chunks.
/// - A key has chunks exactly if its head says so, and there are no other chunks.
/// - A head has a generation exactly if its newest step is a put.
/// - The counters are what counting would find.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    heads: EntrySet,
    chunks: EntrySet,
    /// Keys whose newest step is a put.
    live: u64,
    /// Steps of all keys.
    positions: u64,
    scratch: Scratch,
}

/// A buffer that is used again by the next write; it has no content between two of them, and a clone gets none.
#[derive(Debug, Default)]
struct Scratch(Vec<u8>);

impl Clone for Scratch {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Scratch {
    /// Takes the buffer to write the entry of `key` into it; whoever takes it puts it back.
    fn start(&mut self, key: &[u8]) -> Vec<u8> {
        let mut bytes = core::mem::take(&mut self.0);
        Entry::start(&mut bytes, key);
        bytes
    }
}

fn head_of(entry: &Entry) -> Head<'_> {
    Head::parse(entry.body()).expect("the index wrote this head")
}

fn chunk_of(entry: &Entry) -> Chunk<'_> {
    Chunk::parse(entry.body()).expect("the index wrote this chunk")
}

/// The bounds as they are, or some that hold nothing if the lower is above the upper: the sets demand an order.
fn in_order(bounds: KeyBounds<'_>) -> KeyBounds<'_> {
    const NOTHING: KeyBounds<'static> = (Bound::Included(&[]), Bound::Excluded(&[]));
    match bounds {
        (Bound::Included(lower), Bound::Included(upper)) if lower > upper => NOTHING,
        (Bound::Included(lower), Bound::Excluded(upper))
        | (Bound::Excluded(lower), Bound::Included(upper) | Bound::Excluded(upper))
            if lower >= upper =>
        {
            NOTHING
        }
        bounds => bounds,
    }
}

/// Reading. All of it costs O(log n) and the decoding of one head or chunk, for each key.
impl Index {
    /// The newest version of the key, if it lives.
    pub(crate) fn latest(&self, key: &[u8]) -> Option<Latest> {
        let head = head_of(self.heads.get(key)?);
        let Generation { version, created } = head.generation?;
        Some(Latest { position: head.steps.newest.position, version, created })
    }

    /// Where the value is that the key had at revision `at`.
    pub(crate) fn get(&self, key: &[u8], at: u64) -> Option<Position> {
        self.position_at(self.heads.get(key)?, at)
    }

    /// The keys between the bounds that existed at revision `at`, in order, and where their values are.
    pub(crate) fn range<'a, 'b>(
        &'a self,
        bounds: KeyBounds<'b>,
        at: u64,
    ) -> impl Iterator<Item = (&'a [u8], Position)> + use<'a, 'b> {
        self.heads
            .range(in_order(bounds))
            .filter_map(move |entry| Some((entry.key(), self.position_at(entry, at)?)))
    }

    /// How many keys [`Index::range`] would give. O(keys between the bounds).
    pub(crate) fn count(&self, bounds: KeyBounds<'_>, at: u64) -> u64 {
        self.heads.range(in_order(bounds)).map(|entry| u64::from(self.position_at(entry, at).is_some())).sum()
    }

    /// All steps of the key, oldest first; empty if it is not in the index.
    pub(crate) fn history(&self, key: &[u8]) -> Vec<Step> {
        let Some(entry) = self.heads.get(key) else { return Vec::new() };
        self.history_of(entry)
    }

    /// All keys in order with their steps, oldest first.
    pub(crate) fn iter_entries(&self) -> impl Iterator<Item = (&[u8], Vec<Step>)> {
        self.heads
            .range((Bound::Unbounded, Bound::Unbounded))
            .map(|entry| (entry.key(), self.history_of(entry)))
    }

    /// Keys with a history, deleted ones too.
    pub(crate) fn len(&self) -> usize {
        self.heads.len()
    }

    /// Keys that live.
    pub(crate) fn live_len(&self) -> u64 {
        self.live
    }

    /// Positions of all keys, tombstones too.
    pub(crate) fn positions(&self) -> u64 {
        self.positions
    }

    #[inline]
    fn position_at(&self, entry: &Entry, at: u64) -> Option<Position> {
        let head = head_of(entry);
        match head.steps.at(at) {
            Some(step) => step.live(),
            None if head.has_chunks => {
                chunk_of(self.chunk_at(entry.key(), at)?).steps.at(at).and_then(Step::live)
            }
            None => None,
        }
    }

    /// The chunk with the newest step of the key at `main` or before it.
    fn chunk_at(&self, key: &[u8], main: u64) -> Option<&Entry> {
        let lower = Chunk::key(key, Position::new(0, 0));
        let upper = Chunk::key(key, Position::new(main, u32::MAX));
        self.chunks.range((Bound::Included(&lower), Bound::Included(&upper))).next_back()
    }

    /// The chunks of the key whose oldest position is before `end`, oldest first.
    fn chunks_before(&self, key: &[u8], end: Position) -> Vec<Entry> {
        let lower = Chunk::key(key, Position::new(0, 0));
        let upper = Chunk::key(key, end);
        self.chunks.range(in_order((Bound::Included(&lower), Bound::Excluded(&upper)))).cloned().collect()
    }

    fn history_of(&self, entry: &Entry) -> Vec<Step> {
        let head = head_of(entry);
        let mut steps: Vec<Step> = head.steps.iter().collect();
        if head.has_chunks {
            let chunks = self.chunks_before(entry.key(), head.steps.newest.position);
            steps.extend(chunks.iter().rev().flat_map(|chunk| chunk_of(chunk).steps.iter()));
        }
        steps.reverse();
        steps
    }
}

/// Writing. A write costs a lookup, an insert and the copying of one head.
impl Index {
    /// Adds a put at `position`.
    ///
    /// # Panics
    /// If the key has a position that is not earlier.
    pub(crate) fn put(&mut self, key: &[u8], position: Position) -> PutEffect {
        let mut bytes = self.scratch.start(key);
        let head = self.heads.get(key).map(head_of);
        let replaced = head.and_then(|head| head.steps.newest.live());
        let generation = match head.and_then(|head| head.generation) {
            Some(old) => Generation { version: old.version + 1, ..old },
            None => Generation { version: 1, created: position.main },
        };
        let packed = write_next(&mut bytes, head, position, Some(generation));
        self.store_next(key, bytes, packed);
        self.live += u64::from(replaced.is_none());
        PutEffect { version: generation.version, created: generation.created, replaced }
    }

    /// Adds a tombstone at `position` if the key lives, and gives the record that died by it.
    ///
    /// # Panics
    /// If the key has a position that is not earlier.
    pub(crate) fn delete(&mut self, key: &[u8], position: Position) -> Option<Position> {
        let head = head_of(self.heads.get(key)?);
        let replaced = head.steps.newest.live()?;
        let mut bytes = self.scratch.start(key);
        let packed = write_next(&mut bytes, Some(head), position, None);
        self.store_next(key, bytes, packed);
        self.live -= 1;
        Some(replaced)
    }

    /// Drops the positions of the key that died at or before `revision`; without any left the key leaves the index.
    ///
    /// Finding that there are none costs a lookup, so that this may be called for each dead record. Dropping a long
    /// history costs about 100 ns for every 200 positions.
    pub(crate) fn compact_key(&mut self, key: &[u8], revision: u64) {
        let Some(entry) = self.heads.get(key) else { return };
        let head = head_of(entry);
        match head.steps.kept(revision) {
            None if head.has_chunks => self.compact_chunks(key, revision),
            None => {}
            Some(Kept::Bytes(bytes)) if bytes == head.steps.older.len() && !head.has_chunks => {}
            Some(kept) => self.compact_head(&entry.clone(), kept),
        }
    }

    fn compact_head(&mut self, entry: &Entry, kept: Kept) {
        let (key, head) = (entry.key(), head_of(entry));
        if head.has_chunks {
            self.drop_chunks(&self.chunks_before(key, head.steps.newest.position));
        }
        let before = head.steps.iter().count() as u64;
        match kept {
            Kept::Nothing => {
                self.heads.remove(key);
                self.positions -= before;
            }
            Kept::Bytes(bytes) => {
                let steps = head.steps.keeping(bytes);
                self.positions -= before - steps.iter().count() as u64;
                self.store_head(key, &Head { steps, has_chunks: false, ..head });
            }
        }
    }

    /// Compacts a key whose head is all later than `revision`.
    fn compact_chunks(&mut self, key: &[u8], revision: u64) {
        let Some(entry) = self.chunk_at(key, revision).cloned() else { return };
        let chunk = chunk_of(&entry);
        let oldest = chunk.oldest();
        let kept = chunk.steps.kept(revision).expect("the oldest step of this chunk is not later");
        self.drop_chunks(&self.chunks_before(key, oldest));
        match kept {
            Kept::Bytes(bytes) if bytes == chunk.steps.older.len() => {}
            Kept::Bytes(bytes) => {
                let steps = chunk.steps.keeping(bytes);
                let count = steps.iter().count() as u64;
                self.drop_chunks(&[entry.clone()]);
                self.store_chunk(key, &Chunk { count, steps });
                self.positions += count;
            }
            Kept::Nothing => {
                self.drop_chunks(&[entry.clone()]);
                self.note_last_chunk(key);
            }
        }
    }

    /// Corrects the head of a key that has lost a chunk.
    fn note_last_chunk(&mut self, key: &[u8]) {
        let Some(entry) = self.heads.get(key).cloned() else { return };
        if self.chunk_at(key, u64::MAX).is_none() {
            self.store_head(key, &Head { has_chunks: false, ..head_of(&entry) });
        }
    }

    fn drop_chunks(&mut self, chunks: &[Entry]) {
        for chunk in chunks {
            self.positions -= chunk_of(chunk).count;
            self.chunks.remove(chunk.key());
        }
    }

    /// Stores the entry of a key that has one position more, whose older steps take `packed` bytes.
    fn store_next(&mut self, key: &[u8], bytes: Vec<u8>, packed: usize) {
        self.heads.insert(Entry::new(&bytes));
        self.scratch.0 = bytes;
        self.positions += 1;
        if packed > HEAD_BYTES {
            self.spill(key);
        }
    }

    fn store_head(&mut self, key: &[u8], head: &Head<'_>) {
        let mut bytes = self.scratch.start(key);
        head.write(&mut bytes);
        self.heads.insert(Entry::new(&bytes));
        self.scratch.0 = bytes;
    }

    fn store_chunk(&mut self, key: &[u8], chunk: &Chunk<'_>) {
        let mut bytes = Vec::new();
        Entry::start(&mut bytes, &Chunk::key(key, chunk.oldest()));
        chunk.write(&mut bytes);
        self.chunks.insert(Entry::new(&bytes));
    }

    /// Moves the older half of the key's head to a chunk: behind the newest one if there is room, else to a new one.
    #[cold]
    fn spill(&mut self, key: &[u8]) {
        let Some(entry) = self.heads.get(key).cloned() else { return };
        let head = head_of(&entry);
        let (steps, spilled) = head.steps.split(HEAD_BYTES / 2);
        let spilled = spilled.expect("more than half of the bytes are behind the middle");
        self.store_head(key, &Head { steps, has_chunks: true, ..head });
        let chunk = Chunk { count: spilled.iter().count() as u64, steps: spilled };
        let newest = if head.has_chunks { self.chunk_at(key, u64::MAX) } else { None };
        match newest.cloned() {
            Some(behind) if behind.body().len() + spilled.older.len() < CHUNK_BYTES => {
                let mut bytes = Vec::new();
                Entry::start(&mut bytes, behind.key());
                chunk.write_joined(&mut bytes, chunk.oldest(), &chunk_of(&behind));
                self.chunks.insert(Entry::new(&bytes));
            }
            _ => self.store_chunk(key, &chunk),
        }
    }
}

/// Appends the body of the head that follows `head`, or of a key's first, and gives the length of its older steps.
fn write_next(
    bytes: &mut Vec<u8>,
    head: Option<Head<'_>>,
    position: Position,
    generation: Option<Generation>,
) -> usize {
    if let Some(head) = head {
        let newest = head.steps.newest.position;
        assert!(
            position > newest,
            "position {position} of a write must be later than the key's newest, {newest}"
        );
        return head.write_next(bytes, position, generation);
    }
    let change = if generation.is_some() { Change::Put } else { Change::Tombstone };
    let steps = Steps { newest: Step::new(position, change), older: &[] };
    Head { steps, generation, has_chunks: false }.write(bytes);
    0
}
