//! The index of a store that is being opened, from its records in the order of their positions.

use alloc::vec::Vec;
use core::hash::BuildHasher;
use core::num::NonZeroU64;

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
/// Keys are found by hash and put in order once, at the end. Until then a history is packed oldest first, each position
/// with its distance from the next newer one.
#[derive(Debug, Default)]
pub(crate) struct IndexBuilder {
    hasher: DefaultHashBuilder,
    /// Indices of `keys`, by the hash of the key's bytes.
    by_hash: HashTable<u32>,
    keys: Vec<Collected>,
    /// The bytes of the keys that are not kept inline.
    long_keys: Vec<u8>,
    /// The next step, packed; of use only while a record is pushed.
    packed: Vec<u8>,
    newest: Option<Position>,
    positions: u64,
}

/// What is known of one key.
///
/// It takes two lines of cache, and all that most records need lies in them: each record is of another key, and a look
/// at memory that is not in the cache costs more than all the rest.
#[derive(Debug)]
#[repr(align(128))]
struct Collected {
    key: CollectedKey,
    newest_main: u64,
    newest_sub: u32,
    /// `None` exactly if the newest step is a tombstone.
    version: Option<NonZeroU64>,
    created: u64,
    /// The steps before the newest, oldest first; the last ones of them are in `recent`.
    earlier: Vec<u8>,
    recent: [u8; RECENT_BYTES],
    recent_length: u8,
}

const _: () = assert!(size_of::<Collected>() == 128);

/// Steps are collected in so many bytes before they are moved to memory of their own.
const RECENT_BYTES: usize = 31;
/// Keys up to this length need no memory of their own.
const INLINE_KEY_BYTES: usize = 38;

#[derive(Debug)]
enum CollectedKey {
    Inline {
        length: u8,
        bytes: [u8; INLINE_KEY_BYTES],
    },
    /// A part of the bytes of all long keys.
    Long {
        start: usize,
        end: usize,
    },
}

impl CollectedKey {
    /// Keeps a key, at the end of `long_keys` if it is long.
    fn new(key: &[u8], long_keys: &mut Vec<u8>) -> Self {
        let mut bytes = [0; INLINE_KEY_BYTES];
        if let (Some(inline), Ok(length)) = (bytes.get_mut(..key.len()), u8::try_from(key.len())) {
            inline.copy_from_slice(key);
            return Self::Inline { length, bytes };
        }
        let start = long_keys.len();
        long_keys.extend_from_slice(key);
        Self::Long { start, end: long_keys.len() }
    }

    fn get<'a>(&'a self, long_keys: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Inline { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Long { start, end } => long_keys.get(*start..*end).unwrap_or_default(),
        }
    }
}

impl Collected {
    fn new(key: CollectedKey, position: Position, generation: Option<Generation>) -> Self {
        let mut first = Self {
            key,
            newest_main: 0,
            newest_sub: 0,
            version: None,
            created: 0,
            earlier: Vec::new(),
            recent: [0; RECENT_BYTES],
            recent_length: 0,
        };
        first.set_newest(position, generation);
        first
    }

    fn key<'a>(&'a self, long_keys: &'a [u8]) -> &'a [u8] {
        self.key.get(long_keys)
    }

    fn generation(&self) -> Option<Generation> {
        self.version.map(|version| Generation { version: version.get(), created: self.created })
    }

    fn newest(&self) -> Step {
        let change = if self.version.is_some() { Change::Put } else { Change::Tombstone };
        Step::new(Position::new(self.newest_main, self.newest_sub), change)
    }

    fn set_newest(&mut self, position: Position, generation: Option<Generation>) {
        Position { main: self.newest_main, sub: self.newest_sub } = position;
        self.version = generation.and_then(|generation| NonZeroU64::new(generation.version));
        self.created = generation.map_or(0, |generation| generation.created);
    }

    /// Appends all steps, oldest first.
    fn unpack(&self, steps: &mut Vec<Step>) {
        let recent = self.recent.get(..usize::from(self.recent_length)).unwrap_or_default();
        let packed = || {
            [&*self.earlier, recent]
                .into_iter()
                .flat_map(|mut rest| core::iter::from_fn(move || take_step(&mut rest)))
        };
        let mut main = self.newest_main - packed().map(|(distance, ..)| distance).sum::<u64>();
        for (distance, sub, change) in packed() {
            steps.push(Step::new(Position::new(main, sub), change));
            main += distance;
        }
        steps.push(self.newest());
    }

    /// Adds the next step of the key and gives the live record that it replaces.
    fn add(
        &mut self,
        position: Position,
        generation: Option<Generation>,
        packed: &mut Vec<u8>,
    ) -> Result<Option<Position>, &'static str> {
        match (self.generation(), generation) {
            (Some(old), Some(new)) if new.created == old.created && new.version <= old.version => {
                return Err("the versions of a key do not grow");
            }
            (Some(old), Some(new)) if new.created != old.created && new.created < self.newest_main => {
                return Err("a key was created anew while it lived");
            }
            (None, Some(new)) if new.created < self.newest_main => {
                return Err("a key was created before it was deleted");
            }
            _ => {}
        }
        let replaced = self.newest();
        packed.clear();
        push_step(packed, position.main - self.newest_main, replaced);
        self.add_earlier(packed);
        self.set_newest(position, generation);
        Ok(replaced.live())
    }

    fn add_earlier(&mut self, packed: &[u8]) {
        let length = usize::from(self.recent_length);
        if length + packed.len() > RECENT_BYTES {
            self.earlier.extend_from_slice(self.recent.get(..length).unwrap_or_default());
            self.recent_length = 0;
        }
        let start = usize::from(self.recent_length);
        if let Some(free) = self.recent.get_mut(start..start + packed.len()) {
            free.copy_from_slice(packed);
            self.recent_length += packed.len() as u8;
        }
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
        let (keys, long_keys) = (&self.keys, &self.long_keys);
        let key_at = |index: u32| keys.get(index as usize).map(|collected| collected.key(long_keys));
        let found = self.by_hash.find(hash, |&index| key_at(index) == Some(key)).copied();
        if let Some(collected) = found.and_then(|index| self.keys.get_mut(index as usize)) {
            return collected.add(position, generation, &mut self.packed);
        }
        let index = u32::try_from(self.keys.len()).map_err(|_| "there are more keys than 2^32")?;
        let key = CollectedKey::new(key, &mut self.long_keys);
        self.keys.push(Collected::new(key, position, generation));
        let (keys, long_keys, hasher) = (&self.keys, &self.long_keys, &self.hasher);
        let key_at = |index: u32| keys.get(index as usize).map(|collected| collected.key(long_keys));
        self.by_hash.insert_unique(hash, index, |&index| hasher.hash_one(key_at(index).unwrap_or_default()));
        Ok(None)
    }

    /// The index of all records that were pushed.
    pub(crate) fn finish(self) -> Index {
        let (mut heads, mut chunks) = (TableBuilder::default(), Vec::new());
        let mut buffers = Buffers::default();
        let mut live = 0;
        for collected in self.in_key_order() {
            live += u64::from(collected.version.is_some());
            let key = collected.key(&self.long_keys);
            let body = buffers.pack(collected, key, &mut chunks);
            heads.push(Entry { key, body });
        }
        chunks.sort_unstable();
        let mut chunk_table = TableBuilder::default();
        chunks.iter().for_each(|(key, body)| chunk_table.push(Entry { key, body }));
        Index { heads: heads.finish(), chunks: chunk_table.finish(), live, positions: self.positions }
    }

    /// All keys, sorted by what follows the bytes that they have in common: sixteen bytes of that are compared as a
    /// number, without a look at the key.
    fn in_key_order(&self) -> impl Iterator<Item = &Collected> {
        let long_keys = &*self.long_keys;
        let first = self.keys.first().map_or(&[][..], |first| first.key(long_keys));
        let common = self.keys.iter().fold(first, |common, collected| {
            let equal = common.iter().zip(collected.key(long_keys)).take_while(|(a, b)| a == b).count();
            common.get(..equal).unwrap_or_default()
        });
        let prefix = |collected: &Collected| {
            let mut bytes = [0; 16];
            let tail = collected.key(long_keys).iter().skip(common.len());
            bytes.iter_mut().zip(tail).for_each(|(to, from)| *to = *from);
            u128::from_be_bytes(bytes)
        };
        let mut order: Vec<(u128, &Collected)> = self.keys.iter().map(|each| (prefix(each), each)).collect();
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.key(long_keys).cmp(b.1.key(long_keys))));
        order.into_iter().map(|(_, collected)| collected)
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
    fn pack(&mut self, collected: &Collected, key: &[u8], chunks: &mut Vec<(Vec<u8>, Vec<u8>)>) -> &[u8] {
        self.steps.clear();
        collected.unpack(&mut self.steps);
        let mut rest = pack_from_end(&mut self.packed, &self.steps, HEAD_BYTES);
        let steps = Steps { newest: collected.newest(), older: &self.packed };
        self.head.clear();
        Head { steps, generation: collected.generation(), has_chunks: !rest.is_empty() }
            .write(&mut self.head);
        while let Some(&newest) = rest.last() {
            let behind = pack_from_end(&mut self.packed, rest, CHUNK_BYTES);
            let count = (rest.len() - behind.len()) as u64;
            let chunk = Chunk { count, steps: Steps { newest, older: &self.packed } };
            let mut body = Vec::new();
            chunk.write(&mut body);
            chunks.push((Chunk::key(key, chunk.oldest()), body));
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
