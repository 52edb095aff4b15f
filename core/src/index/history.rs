//! How the history of a key is packed into bytes, newest position first.
//!
//! Positions are stored as their distance from the next newer one, so that a revision takes two to four bytes. The
//! newest positions of a key are in its [`Head`], the entry that the key is found by; older ones, once the head has
//! grown too long, in [`Chunk`]s. So whoever writes to a key or reads it copies or decodes a few hundred bytes,
//! however long its history is.

use alloc::vec::Vec;

use super::varint;
use crate::revision::Position;

/// The older positions in a head take at most this many bytes: 64 positions of three bytes.
pub(super) const HEAD_BYTES: usize = 192;
/// The older positions in a chunk take at most this many bytes.
///
/// Larger chunks make dropping a long history quicker (it is dropped chunk by chunk), smaller ones reading in it.
pub(super) const CHUNK_BYTES: usize = 512;

const _: () = assert!(HEAD_BYTES <= CHUNK_BYTES, "what a head spills fits into one chunk");

/// What happened to a key at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It got a value.
    Put,
    /// It was deleted.
    Tombstone,
}

/// One element of a key's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) position: Position,
    pub(crate) change: Change,
}

impl Step {
    pub(super) const fn new(position: Position, change: Change) -> Self {
        Self { position, change }
    }

    pub(crate) fn is_tombstone(self) -> bool {
        self.change == Change::Tombstone
    }

    /// The position, unless the key is deleted there.
    pub(super) fn live(self) -> Option<Position> {
        (self.change == Change::Put).then_some(self.position)
    }
}

/// The generation that a key is in: how often it was put in it, and the revision that began it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation {
    pub(super) version: u64,
    pub(super) created: u64,
}

/// Appends a step that lies `distance` revisions from its neighbour.
///
/// A put with sub 0, as most are, is one integer; any other step has its sub and kind of change in a second one.
#[inline]
pub(super) fn push_step(bytes: &mut Vec<u8>, distance: u64, step: Step) {
    if step.position.sub == 0 && step.change == Change::Put {
        varint::push(bytes, distance << 1);
    } else {
        varint::push(bytes, distance << 1 | 1);
        push_sub(bytes, step);
    }
}

/// Takes a step off the front of `bytes`: its distance, sub and kind of change.
#[inline]
pub(super) fn take_step(bytes: &mut &[u8]) -> Option<(u64, u32, Change)> {
    let packed = varint::take(bytes)?;
    let (sub, change) = if packed & 1 == 0 { (0, Change::Put) } else { take_sub(bytes)? };
    Some((packed >> 1, sub, change))
}

fn push_sub(bytes: &mut Vec<u8>, step: Step) {
    varint::push(bytes, u64::from(step.position.sub) << 1 | u64::from(step.change == Change::Tombstone));
}

#[inline]
fn take_sub(bytes: &mut &[u8]) -> Option<(u32, Change)> {
    let packed = varint::take(bytes)?;
    let change = if packed & 1 == 0 { Change::Put } else { Change::Tombstone };
    Some((u32::try_from(packed >> 1).ok()?, change))
}

/// Decodes steps from the newest to the oldest.
#[derive(Clone, Debug)]
pub(super) struct Older<'a> {
    newer_main: u64,
    rest: &'a [u8],
}

impl<'a> Older<'a> {
    pub(super) const fn new(newer_main: u64, bytes: &'a [u8]) -> Self {
        Self { newer_main, rest: bytes }
    }

    /// The bytes of the steps that are still to come; in the end, those that are no step.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl Iterator for Older<'_> {
    type Item = Step;

    #[inline]
    fn next(&mut self) -> Option<Step> {
        let mut rest = self.rest;
        let (distance, sub, change) = take_step(&mut rest)?;
        self.newer_main = self.newer_main.checked_sub(distance)?;
        self.rest = rest;
        Some(Step::new(Position::new(self.newer_main, sub), change))
    }
}

/// Steps, newest first: one in the open and the older ones packed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps<'a> {
    pub(super) newest: Step,
    pub(super) older: &'a [u8],
}

/// What is left of some steps when those that died at or before a revision are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// None of these steps.
    Nothing,
    /// The newest one and this many bytes of the older ones.
    Bytes(usize),
}

impl<'a> Steps<'a> {
    pub(super) fn iter(&self) -> impl Iterator<Item = Step> + use<'a> {
        core::iter::once(self.newest).chain(self.packed())
    }

    pub(super) fn packed(&self) -> Older<'a> {
        Older::new(self.newest.position.main, self.older)
    }

    /// The newest step at `main` or before it.
    #[inline]
    pub(super) fn at(&self, main: u64) -> Option<Step> {
        if self.newest.position.main <= main {
            return Some(self.newest);
        }
        self.packed().find(|step| step.position.main <= main)
    }

    /// What must be kept so that the history can be read at `revision` and later, and the step at `revision`.
    ///
    /// `None` if all steps are later than `revision`. The newest step not later than it stays, unless it is a
    /// tombstone of an earlier revision: then nothing can be seen of it any more.
    pub(super) fn kept(&self, revision: u64) -> Option<Kept> {
        let dead = |step: Step| step.change == Change::Tombstone && step.position.main < revision;
        if self.newest.position.main <= revision {
            return Some(if dead(self.newest) { Kept::Nothing } else { Kept::Bytes(0) });
        }
        let mut packed = self.packed();
        let mut before = 0;
        while let Some(step) = packed.next() {
            let after = self.older.len() - packed.rest().len();
            if step.position.main <= revision {
                return Some(Kept::Bytes(if dead(step) { before } else { after }));
            }
            before = after;
        }
        None
    }

    /// The first steps, their older ones in at most `bytes` bytes, and the steps behind them.
    pub(super) fn split(&self, bytes: usize) -> (Self, Option<Self>) {
        let mut packed = self.packed();
        let mut before = 0;
        while let Some(step) = packed.next() {
            let after = self.older.len() - packed.rest().len();
            if after > bytes {
                return (self.keeping(before), Some(Self { newest: step, older: packed.rest() }));
            }
            before = after;
        }
        (*self, None)
    }

    /// These steps without the older ones behind the first `bytes`.
    pub(super) fn keeping(&self, bytes: usize) -> Self {
        let older = self.older.get(..bytes).expect("a cut lies between two steps");
        Self { newest: self.newest, older }
    }
}

/// The body of the entry that a key is found by.
///
/// Its bytes: the newest main; the newest sub, whether there are chunks and whether the newest step is a tombstone in one
/// integer; if it is none, the version and the distance to the revision of creation; then the older steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) steps: Steps<'a>,
    /// The generation that the key lives in; `None` exactly if the newest step is a tombstone.
    pub(super) generation: Option<Generation>,
    /// Whether chunks continue this history.
    pub(super) has_chunks: bool,
}

impl<'a> Head<'a> {
    #[inline]
    pub(super) fn parse(mut body: &'a [u8]) -> Option<Self> {
        let main = varint::take(&mut body)?;
        let packed = varint::take(&mut body)?;
        let (change, generation) = if packed & 1 == 0 {
            let version = varint::take(&mut body)?;
            let created = main.checked_sub(varint::take(&mut body)?)?;
            (Change::Put, Some(Generation { version, created }))
        } else {
            (Change::Tombstone, None)
        };
        let newest = Step::new(Position::new(main, u32::try_from(packed >> 2).ok()?), change);
        Some(Self { steps: Steps { newest, older: body }, generation, has_chunks: packed & 2 != 0 })
    }

    /// The newest step only, which is often all that is asked for.
    #[inline]
    pub(super) fn parse_newest(mut body: &'a [u8]) -> Option<Step> {
        let main = varint::take(&mut body)?;
        let packed = varint::take(&mut body)?;
        let change = if packed & 1 == 0 { Change::Put } else { Change::Tombstone };
        Some(Step::new(Position::new(main, u32::try_from(packed >> 2).ok()?), change))
    }

    /// Appends the body without its older steps.
    fn write_front(&self, bytes: &mut Vec<u8>) {
        let Position { main, sub } = self.steps.newest.position;
        let tombstone = u64::from(self.generation.is_none());
        varint::push(bytes, main);
        varint::push(bytes, u64::from(sub) << 2 | u64::from(self.has_chunks) << 1 | tombstone);
        if let Some(Generation { version, created }) = self.generation {
            varint::push(bytes, version);
            varint::push(bytes, main - created);
        }
    }

    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        self.write_front(bytes);
        bytes.extend_from_slice(self.steps.older);
    }

    /// Appends the body of this history with one more position.
    ///
    /// Its older steps may then be longer than [`HEAD_BYTES`]; the answer is how long they are.
    pub(super) fn write_next(
        &self,
        bytes: &mut Vec<u8>,
        next: Position,
        generation: Option<Generation>,
    ) -> usize {
        let newest = Step::new(next, if generation.is_some() { Change::Put } else { Change::Tombstone });
        Head { steps: Steps { newest, older: &[] }, generation, has_chunks: self.has_chunks }
            .write_front(bytes);
        let front = bytes.len();
        push_step(bytes, next.main - self.steps.newest.position.main, self.steps.newest);
        bytes.extend_from_slice(self.steps.older);
        bytes.len() - front
    }
}

/// The body of an entry with older steps of a key, all of them between the oldest of the head or of the chunk before it
/// and the newest of the chunk behind it.
///
/// Its bytes: how many steps there are; the newest main; the newest sub and kind of change; then the older steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk<'a> {
    pub(super) count: u64,
    pub(super) steps: Steps<'a>,
}

impl<'a> Chunk<'a> {
    pub(super) fn parse(mut body: &'a [u8]) -> Option<Self> {
        let count = varint::take(&mut body)?;
        let main = varint::take(&mut body)?;
        let (sub, change) = take_sub(&mut body)?;
        let newest = Step::new(Position::new(main, sub), change);
        Some(Self { count, steps: Steps { newest, older: body } })
    }

    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        self.write_front(bytes, self.count);
        bytes.extend_from_slice(self.steps.older);
    }

    fn write_front(&self, bytes: &mut Vec<u8>, count: u64) {
        varint::push(bytes, count);
        varint::push(bytes, self.steps.newest.position.main);
        push_sub(bytes, self.steps.newest);
    }

    /// Appends one body with the steps of this chunk, the oldest of which is at `oldest`, and those of `behind`.
    pub(super) fn write_joined(&self, bytes: &mut Vec<u8>, oldest: Position, behind: &Chunk<'_>) {
        self.write_front(bytes, self.count + behind.count);
        bytes.extend_from_slice(self.steps.older);
        push_step(bytes, oldest.main - behind.steps.newest.position.main, behind.steps.newest);
        bytes.extend_from_slice(behind.steps.older);
    }

    /// The position of the last step.
    pub(super) fn oldest(&self) -> Position {
        self.steps.packed().last().unwrap_or(self.steps.newest).position
    }

    /// The key that a chunk is found by: chunks of a key lie together, in the order of their oldest positions.
    ///
    /// The length comes first, in a fixed number of bytes, so that the chunks of two keys never mix, even if one key
    /// begins with the other.
    pub(super) fn key(key: &[u8], oldest: Position) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(key.len() + 8 + POSITION_BYTES);
        bytes.extend_from_slice(&(key.len() as u64).to_be_bytes());
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(&oldest.main.to_be_bytes());
        bytes.extend_from_slice(&oldest.sub.to_be_bytes());
        bytes
    }

    /// Whether two keys made by [`Chunk::key`] are of chunks of the same key.
    pub(super) fn same_owner(a: &[u8], b: &[u8]) -> bool {
        let (a, b) = (a.split_last_chunk::<POSITION_BYTES>(), b.split_last_chunk::<POSITION_BYTES>());
        a.zip(b).is_some_and(|((a, _), (b, _))| a == b)
    }
}

/// A main and a sub in a chunk's key.
const POSITION_BYTES: usize = 12;
