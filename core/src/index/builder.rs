//! The index of a store that is being opened, from its records in the order of their positions.

use alloc::vec::Vec;
use core::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::history::{CHUNK_BYTES, Generation, HEAD_BYTES, push_step, take_step};
use super::table::TableBuilder;
use super::{Change, Chunk, Entry, Head, Index, Step, Steps};
use crate::revision::{Position, Revision};

/// What a record says of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loaded {
    /// The key got a value.
    Put {
        /// Puts in its generation, this one included.
        version: u64,
        /// The revision that began its generation.
        created: u64,
    },
    /// The key was deleted.
    Tombstone,
}

/// Collects the records of a store and makes the index of them.
///
/// Records of any origin may be pushed: what can't be a history is answered with an error. What compaction has left of
/// a history can: its first record may be of any version, and records may be missing between two others.
///
/// Keys are found by hash and put in order once, at the end. Until then a history is packed oldest first, each
/// position as its distance from the one before.
#[derive(Debug, Default)]
pub(crate) struct IndexBuilder {
    hasher: DefaultHashBuilder,
    /// Indices of `keys`, by the hash of the key's bytes.
    by_hash: HashTable<u32>,
    keys: Vec<Collected>,
    /// The bytes of all keys.
    key_bytes: Vec<u8>,
    newest: Option<Position>,
    positions: u64,
}

#[derive(Debug)]
struct Collected {
    start: usize,
    end: usize,
    newest: Position,
    /// `None` exactly if the newest step is a tombstone.
    generation: Option<Generation>,
    /// The steps before the newest, oldest first.
    earlier: Vec<u8>,
    /// The main of the last step in `earlier`.
    packed_main: u64,
}

impl Collected {
    fn key<'a>(&self, key_bytes: &'a [u8]) -> &'a [u8] {
        key_bytes.get(self.start..self.end).unwrap_or_default()
    }

    fn newest_step(&self) -> Step {
        let change = if self.generation.is_some() { Change::Put } else { Change::Tombstone };
        Step::new(self.newest, change)
    }

    /// Makes the newest step an earlier one.
    fn pack_newest(&mut self) {
        let step = self.newest_step();
        push_step(&mut self.earlier, self.newest.main - self.packed_main, step);
        self.packed_main = self.newest.main;
    }

    /// Appends all steps, oldest first.
    fn unpack(&self, steps: &mut Vec<Step>) {
        let (mut rest, mut main) = (&*self.earlier, 0);
        while let Some((distance, sub, change)) = take_step(&mut rest) {
            main += distance;
            steps.push(Step::new(Position::new(main, sub), change));
        }
        steps.push(self.newest_step());
    }
}

impl IndexBuilder {
    /// Takes up the next record, and gives the live record of the same key that died by it, as the write did that made
    /// it.
    ///
    /// # Errors
    /// What is wrong, in words, if this record can't follow those before it. The builder is of no use after that.
    pub(crate) fn push(
        &mut self,
        key: &[u8],
        position: Position,
        loaded: Loaded,
    ) -> Result<Option<Position>, &'static str> {
        let generation = generation_of(position, loaded)?;
        if self.newest.is_some_and(|newest| newest >= position) {
            return Err("a record is not later than the one before it");
        }
        self.newest = Some(position);
        self.positions += 1;
        let hash = self.hasher.hash_one(key);
        let (keys, key_bytes) = (&self.keys, &self.key_bytes);
        let key_at = |index: u32| keys.get(index as usize).map(|collected| collected.key(key_bytes));
        let found = self.by_hash.find(hash, |&index| key_at(index) == Some(key)).copied();
        if let Some(collected) = found.and_then(|index| self.keys.get_mut(index as usize)) {
            return collected.add(position, generation);
        }
        let index = u32::try_from(self.keys.len()).map_err(|_| "there are more keys than 2^32")?;
        let start = self.key_bytes.len();
        self.key_bytes.extend_from_slice(key);
        let end = self.key_bytes.len();
        self.keys.push(Collected {
            start,
            end,
            newest: position,
            generation,
            earlier: Vec::new(),
            packed_main: 0,
        });
        let (keys, key_bytes, hasher) = (&self.keys, &self.key_bytes, &self.hasher);
        let key_at = |index: u32| keys.get(index as usize).map(|collected| collected.key(key_bytes));
        self.by_hash.insert_unique(hash, index, |&index| hasher.hash_one(key_at(index).unwrap_or_default()));
        Ok(None)
    }

    /// The index of all records that were pushed.
    pub(crate) fn finish(self) -> Index {
        let Self { mut keys, key_bytes, positions, .. } = self;
        keys.sort_unstable_by(|a, b| a.key(&key_bytes).cmp(b.key(&key_bytes)));
        let live = keys.iter().filter(|collected| collected.generation.is_some()).count() as u64;
        let (mut heads, mut chunks) = (TableBuilder::default(), Vec::new());
        let mut buffers = Buffers::default();
        for collected in &keys {
            let body = buffers.pack(collected, &key_bytes, &mut chunks);
            heads.push(Entry { key: collected.key(&key_bytes), body });
        }
        chunks.sort_unstable();
        let mut chunk_table = TableBuilder::default();
        chunks.iter().for_each(|(key, body)| chunk_table.push(Entry { key, body }));
        Index { heads: heads.finish(), chunks: chunk_table.finish(), live, positions }
    }
}

impl Collected {
    fn add(
        &mut self,
        position: Position,
        generation: Option<Generation>,
    ) -> Result<Option<Position>, &'static str> {
        let replaced = self.newest_step().live();
        match (self.generation, generation) {
            (Some(old), Some(new)) if new.created == old.created && new.version <= old.version => {
                return Err("the versions of a key do not grow");
            }
            (Some(old), Some(new)) if new.created != old.created && new.created < self.newest.main => {
                return Err("a key was created anew while it lived");
            }
            (None, Some(new)) if new.created < self.newest.main => {
                return Err("a key was created before it was deleted");
            }
            _ => {}
        }
        self.pack_newest();
        (self.newest, self.generation) = (position, generation);
        Ok(replaced)
    }
}

/// The generation of a put, if it makes sense by itself.
fn generation_of(position: Position, loaded: Loaded) -> Result<Option<Generation>, &'static str> {
    if position.main > Revision::LAST.get() {
        return Err("a record's revision is beyond the last one");
    }
    let Loaded::Put { version, created } = loaded else { return Ok(None) };
    if version == 0 || version > Revision::LAST.get() {
        return Err("a record's version is out of range");
    }
    if created > position.main {
        return Err("a record is earlier than the creation of its key");
    }
    if version == 1 && created != position.main {
        return Err("the first version of a key is not the one that created it");
    }
    Ok(Some(Generation { version, created }))
}

/// Space that is used again from key to key.
#[derive(Debug, Default)]
struct Buffers {
    steps: Vec<Step>,
    packed: Vec<u8>,
    head: Vec<u8>,
}

impl Buffers {
    /// Makes the body of a key's head, and chunks of what does not fit into it.
    fn pack(
        &mut self,
        collected: &Collected,
        key_bytes: &[u8],
        chunks: &mut Vec<(Vec<u8>, Vec<u8>)>,
    ) -> &[u8] {
        self.steps.clear();
        collected.unpack(&mut self.steps);
        let mut rest = pack_from_end(&mut self.packed, &self.steps, HEAD_BYTES);
        let steps = Steps { newest: collected.newest_step(), older: &self.packed };
        self.head.clear();
        Head { steps, generation: collected.generation, has_chunks: !rest.is_empty() }.write(&mut self.head);
        while let Some(&newest) = rest.last() {
            let behind = pack_from_end(&mut self.packed, rest, CHUNK_BYTES);
            let count = (rest.len() - behind.len()) as u64;
            let chunk = Chunk { count, steps: Steps { newest, older: &self.packed } };
            let mut body = Vec::new();
            chunk.write(&mut body);
            chunks.push((Chunk::key(collected.key(key_bytes), chunk.oldest()), body));
            rest = behind;
        }
        &self.head
    }
}

/// Packs all but the last of `steps`, which are oldest first, beginning at the end, into at most `limit` bytes. Gives those
/// that are left.
fn pack_from_end<'a>(packed: &mut Vec<u8>, steps: &'a [Step], limit: usize) -> &'a [Step] {
    packed.clear();
    let Some((mut newer, mut rest)) = steps.split_last() else { return steps };
    while let Some((step, before)) = rest.split_last() {
        let fitting = packed.len();
        push_step(packed, newer.position.main - step.position.main, *step);
        if packed.len() > limit {
            packed.truncate(fitting);
            break;
        }
        (newer, rest) = (step, before);
    }
    rest
}
