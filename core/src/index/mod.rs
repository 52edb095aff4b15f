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
//! So a history is at any time a suffix of all that ever happened to the key, unless a pin or another rule has compaction leave older
//! positions of it; then single ones between them are gone. Generations need no marks of their own.
//! The version (puts in its generation so far) and the revision of creation are kept for the newest put only; older
//! records carry their own.
//!
//! # Where a history is
//!
//! The newest positions of a key are its *head*, in a table of all keys. When the head gets long, the older half of it
//! moves to *chunks* in a second table. Both are persistent: a clone of the index is O(1), shares all it can and never
//! changes. A table keeps neighbouring keys together in *blocks*, and these in a tree.

mod block;
mod builder;
mod check;
mod forget;
mod history;
mod lower;
mod map;
mod order;
mod past;
mod step;
mod table;
#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod tests;
pub(crate) mod varint;

use alloc::vec::Vec;
use core::ops::Bound;

use block::Entry;
pub(crate) use builder::{IndexBuilder, Loaded};
use history::{CHUNK_BYTES, Chunk, Generation, HEAD_BYTES, Head, Heads, Kept, Steps};
pub(crate) use past::Past;
pub(crate) use step::{Change, Step};
use table::{ALL, Table};

use crate::keys::KeyBounds;
use crate::revision::Position;

/// The newest version of a key that lives.
#[cfg(test)]
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
    /// The tombstone that this put follows, if the key did not live and has a history.
    pub(crate) follows: Option<Position>,
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
    heads: Table<Heads>,
    chunks: Table,
    /// Keys whose newest step is a put.
    live: u64,
    /// Steps of all keys.
    positions: u64,
}

fn head_of(body: &[u8]) -> Head<'_> {
    Head::parse(body).expect("the index wrote this head")
}

fn chunk_of(body: &[u8]) -> Chunk<'_> {
    Chunk::parse(body).expect("the index wrote this chunk")
}

/// Reading. All of it costs O(log n) and the decoding of one head or chunk, for each key.
impl Index {
    /// The newest version of the key, if it lives.
    #[cfg(test)]
    pub(crate) fn latest(&self, key: &[u8]) -> Option<Latest> {
        let head = head_of(self.heads.get(key)?);
        let Generation { version, created } = head.generation?;
        Some(Latest { position: head.steps.newest.position, version, created })
    }

    /// Where the value is that the key had at revision `at`.
    pub(crate) fn get(&self, key: &[u8], at: u64) -> Option<Position> {
        self.position_at(Entry { key, body: self.heads.get(key)? }, at)
    }

    /// The keys between the bounds that existed at revision `at`, in order, and where their values are.
    pub(crate) fn range<'a: 'b, 'b>(
        &'a self,
        bounds: KeyBounds<'b>,
        at: u64,
    ) -> impl Iterator<Item = (&'a [u8], Position)> + use<'a, 'b> {
        self.heads.range(bounds).filter_map(move |entry| Some((entry.key, self.position_at(entry, at)?)))
    }

    /// How many keys [`Index::range`] would give. O(blocks between the bounds), besides O(keys) for those in which a key has changed after
    /// `at`.
    pub(crate) fn count(&self, bounds: KeyBounds<'_>, at: u64) -> u64 {
        self.heads.count(bounds, at, |entry: Entry<'_>| match Head::lives_at(entry.body, at) {
            Some(lives) => lives,
            None => self.position_at(entry, at).is_some(),
        })
    }

    /// All steps of the key, oldest first; empty if it is not in the index.
    #[cfg(test)]
    pub(crate) fn history(&self, key: &[u8]) -> Vec<Step> {
        self.heads.get(key).map_or_else(Vec::new, |body| self.history_of(Entry { key, body }))
    }

    /// All keys in order with their steps, oldest first.
    pub(crate) fn iter_entries(&self) -> impl Iterator<Item = (&[u8], Vec<Step>)> {
        self.heads.range(ALL).map(|entry| (entry.key, self.history_of(entry)))
    }

    /// The same behind a key, or from the first on.
    pub(crate) fn entries_after<'a>(
        &'a self,
        last: Option<&'a [u8]>,
    ) -> impl Iterator<Item = (&'a [u8], Vec<Step>)> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        self.heads.range((from, Bound::Unbounded)).map(|entry| (entry.key, self.history_of(entry)))
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
    #[cfg(test)]
    pub(crate) fn positions(&self) -> u64 {
        self.positions
    }

    #[inline]
    fn position_at(&self, entry: Entry<'_>, at: u64) -> Option<Position> {
        let newest = Head::parse_newest(entry.body).expect("the index wrote this head");
        if newest.position.main <= at {
            return newest.live();
        }
        let head = head_of(entry.body);
        match head.steps.at(at) {
            Some(step) => step.live(),
            None if head.has_chunks => self.chunk_at(entry.key, at)?.steps.at(at)?.live(),
            None => None,
        }
    }

    /// The chunk with the newest step of the key at `main` or before it.
    fn chunk_at(&self, key: &[u8], main: u64) -> Option<Chunk<'_>> {
        let last = Chunk::key(key, Position::new(main, u32::MAX));
        let entry = self.chunks.last_until(&last)?;
        Chunk::same_owner(entry.key, &last).then(|| chunk_of(entry.body))
    }

    /// The chunks of the key whose oldest position is before `end`, oldest first.
    fn chunks_before(&self, key: &[u8], end: Position) -> Vec<Entry<'_>> {
        let (lower, upper) = (Chunk::key(key, Position::new(0, 0)), Chunk::key(key, end));
        self.chunks.range((Bound::Included(&lower), Bound::Excluded(&upper))).collect()
    }

    fn history_of(&self, entry: Entry<'_>) -> Vec<Step> {
        let head = head_of(entry.body);
        let mut steps: Vec<Step> = head.steps.iter().collect();
        if head.has_chunks {
            let chunks = self.chunks_before(entry.key, head.steps.newest.position);
            steps.extend(chunks.iter().rev().flat_map(|chunk| chunk_of(chunk.body).steps.iter()));
        }
        steps.reverse();
        steps
    }
}

/// Writing. A write costs two searches and the copying of one block.
impl Index {
    /// Adds a put at `position`.
    ///
    /// # Panics
    /// If the key has a position that is not earlier.
    pub(crate) fn put(&mut self, key: &[u8], position: Position) -> PutEffect {
        let write = |body: Option<&[u8]>, bytes: &mut Vec<u8>| {
            let head = body.map(head_of);
            let generation = match head.and_then(|head| head.generation) {
                Some(old) => Generation { version: old.version + 1, ..old },
                None => Generation { version: 1, created: position.main },
            };
            let replaced = head.and_then(|head| head.steps.newest.live());
            let newest = head.map(|head| head.steps.newest);
            let follows = newest.filter(|step| step.is_tombstone()).map(|step| step.position);
            let Generation { version, created } = generation;
            let packed = write_next(bytes, head, position, Some(generation));
            Some((PutEffect { version, created, replaced, follows }, packed))
        };
        let (effect, packed) = self.heads.update(key, write).expect("a put always writes");
        self.live += u64::from(effect.replaced.is_none());
        self.note_next(key, packed);
        effect
    }

    /// Adds a tombstone at `position` if the key lives, and gives the record that died by it.
    ///
    /// # Panics
    /// If the key has a position that is not earlier.
    pub(crate) fn delete(&mut self, key: &[u8], position: Position) -> Option<Position> {
        let (replaced, packed) = self.heads.update(key, |body, bytes| {
            let head = head_of(body?);
            let replaced = head.steps.newest.live()?;
            Some((replaced, write_next(bytes, Some(head), position, None)))
        })?;
        self.live -= 1;
        self.note_next(key, packed);
        Some(replaced)
    }

    /// Has the processor fetch what is known of some keys that are about to be changed: side by side, while each change would wait for its own.
    pub(crate) fn fetch(&self, keys: &[Vec<u8>]) {
        self.heads.fetch(keys);
    }

    /// Drops the positions of the key that died at or before `revision`; without any left the key leaves the index.
    ///
    /// Finding that there are none costs a search, so that this may be called for each dead record. Dropping a long
    /// history takes time in proportion to its chunks: some 1.5 ms for a million positions.
    pub(crate) fn compact_key(&mut self, key: &[u8], revision: u64) {
        let mut is_long = false;
        // One search for what most keys need: their heads made shorter.
        let dropped = self.heads.update(key, |body, bytes| {
            let head = head_of(body?);
            match head.steps.kept(revision) {
                Some(Kept::Bytes(kept)) if !head.has_chunks => {
                    let steps = head.steps.keeping(kept);
                    let dropped = head.steps.iter().count() - steps.iter().count();
                    Head { steps, ..head }.write(bytes);
                    Some(dropped as u64).filter(|dropped| *dropped > 0)
                }
                None if !head.has_chunks => None,
                Some(_) | None => {
                    is_long = true;
                    None
                }
            }
        });
        self.positions -= dropped.unwrap_or(0);
        if is_long {
            self.compact_long(key, revision);
        }
    }

    /// The same for a key that has chunks, or that leaves the index.
    fn compact_long(&mut self, key: &[u8], revision: u64) {
        let Some(body) = self.heads.get(key).map(<[u8]>::to_vec) else { return };
        match head_of(&body).steps.kept(revision) {
            None => self.compact_chunks(key, revision),
            Some(kept) => self.compact_head(key, &body, kept),
        }
    }

    fn compact_head(&mut self, key: &[u8], body: &[u8], kept: Kept) {
        let head = head_of(body);
        if head.has_chunks {
            self.drop_chunks_before(key, head.steps.newest.position);
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
        let Some(chunk) = self.chunk_at(key, revision) else { return };
        let oldest = chunk.oldest();
        let kept = chunk.steps.kept(revision).expect("the oldest step of this chunk is not later");
        if let Kept::Bytes(bytes) = kept {
            if bytes < chunk.steps.older.len() {
                let (count, newest) = (chunk.count, chunk.steps.newest);
                let older = chunk.steps.keeping(bytes).older.to_vec();
                let steps = Steps { newest, older: &older };
                let left = Chunk { count: steps.iter().count() as u64, steps };
                self.chunks.remove(&Chunk::key(key, oldest));
                self.store_chunk(key, &left);
                self.positions -= count - left.count;
            }
        } else {
            self.positions -= chunk.count;
            self.chunks.remove(&Chunk::key(key, oldest));
        }
        self.drop_chunks_before(key, oldest);
        self.note_last_chunk(key);
    }

    /// Corrects the head of a key that may have lost its last chunk.
    fn note_last_chunk(&mut self, key: &[u8]) {
        if self.chunk_at(key, u64::MAX).is_some() {
            return;
        }
        let Some(body) = self.heads.get(key).map(<[u8]>::to_vec) else { return };
        self.store_head(key, &Head { has_chunks: false, ..head_of(&body) });
    }

    fn drop_chunks_before(&mut self, key: &[u8], end: Position) {
        let chunks = self.chunks_before(key, end);
        let dropped: u64 = chunks.iter().map(|chunk| chunk_of(chunk.body).count).sum();
        let keys: Vec<Vec<u8>> = chunks.iter().map(|chunk| chunk.key.to_vec()).collect();
        self.positions -= dropped;
        keys.iter().for_each(|key| self.chunks.remove(key));
    }

    /// Takes note that the key has one position more, and that its older steps take `packed` bytes.
    fn note_next(&mut self, key: &[u8], packed: usize) {
        self.positions += 1;
        if packed > HEAD_BYTES {
            self.spill(key);
        }
    }

    fn store_head(&mut self, key: &[u8], head: &Head<'_>) {
        let mut body = Vec::new();
        head.write(&mut body);
        self.heads.insert(key, &body);
    }

    fn store_chunk(&mut self, key: &[u8], chunk: &Chunk<'_>) {
        let mut body = Vec::new();
        chunk.write(&mut body);
        self.chunks.insert(&Chunk::key(key, chunk.oldest()), &body);
    }

    /// Moves the older half of the key's head to a chunk: to the newest one if there is room, else to a new one.
    #[cold]
    fn spill(&mut self, key: &[u8]) {
        let Some(body) = self.heads.get(key).map(<[u8]>::to_vec) else { return };
        let head = head_of(&body);
        let (steps, spilled) = head.steps.split(HEAD_BYTES / 2);
        let spilled = spilled.expect("more than half of the bytes are behind the middle");
        self.store_head(key, &Head { steps, has_chunks: true, ..head });
        let chunk = Chunk { count: spilled.iter().count() as u64, steps: spilled };
        let behind = if head.has_chunks { self.chunk_at(key, u64::MAX) } else { None };
        match behind {
            Some(behind) if behind.steps.older.len() + spilled.older.len() < CHUNK_BYTES => {
                let mut joined = Vec::new();
                chunk.write_joined(&mut joined, chunk.oldest(), &behind);
                let found_by = Chunk::key(key, behind.oldest());
                self.chunks.insert(&found_by, &joined);
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
