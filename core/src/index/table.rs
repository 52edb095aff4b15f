//! A persistent ordered map from keys to bodies, both of them bytes, in blocks.

use alloc::vec::Vec;
use core::hint::black_box;
use core::iter::Peekable;
use core::marker::PhantomData;
use core::ops::{Bound, Range};

use super::block::{
    BLOCK_BYTES, Block, Bodies, Entries, Entry, Place, Plain, Summary, find, halves, separator,
};
use super::map::{BlockMap, Lower};
use crate::keys::KeyBounds;

/// Bytes of memory that a processor fetches at once, or half of them.
const LINE_BYTES: usize = 64;
/// A block that has become shorter than this is joined with the next one.
const SHORT_BLOCK_BYTES: usize = BLOCK_BYTES / 4;
/// Two blocks are joined if they are not longer together, so that the next write does not cut them again.
const JOINED_BLOCK_BYTES: usize = BLOCK_BYTES / 4 * 3;

/// A map from keys to bodies. A clone is O(1) and never changes.
///
/// Invariants, verified by [`Table::check`]:
/// - The keys strictly grow, within a block and from block to block.
/// - A block of more than [`BLOCK_BYTES`] has one entry only.
/// - A block's summary counts its live keys, and no step of it is newer than the summary says.
/// - `len` is the number of entries.
#[derive(Clone, Debug, Default)]
pub(super) struct Table<B = Plain> {
    blocks: BlockMap,
    len: usize,
    scratch: Scratch,
    bodies: PhantomData<B>,
}

/// Buffers that are used again by the next write; they have no content between two of them, and a clone gets none.
#[derive(Debug, Default)]
struct Scratch {
    body: Vec<u8>,
    entry: Vec<u8>,
}

impl Clone for Scratch {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<B: Bodies> Table<B> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[cfg(test)]
    pub(super) fn block_count(&self) -> usize {
        self.blocks.range(ALL).count()
    }

    #[inline]
    pub(super) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let (_, block) = self.blocks.last_until(key)?;
        find(block.entries(), key).body
    }

    /// Touches every line of the blocks that some keys are in, or would be. None of these loads waits for another.
    pub(super) fn fetch(&self, keys: &[Vec<u8>]) {
        let found = keys.iter().filter_map(|key| self.blocks.last_until(key));
        let blocks: Vec<&Block> = found.map(|(_, block)| block).collect();
        let lines = blocks.iter().flat_map(|block| block.allocation().iter().step_by(LINE_BYTES));
        black_box(lines.fold(0, |sum, byte| sum ^ byte));
    }

    /// The last entry with `key` or a lower one.
    pub(super) fn last_until(&self, key: &[u8]) -> Option<Entry<'_>> {
        let (lower, block) = self.blocks.last_until(key)?;
        // The keys of a block may all be above its lower key.
        last_in(block, key).or_else(|| {
            let (_, before) = self.blocks.range((Bound::Unbounded, Bound::Excluded(lower))).next_back()?;
            last_in(before, key)
        })
    }

    /// The entries with keys between the bounds, in order.
    pub(super) fn range<'a: 'b, 'b>(
        &'a self,
        bounds: KeyBounds<'b>,
    ) -> impl Iterator<Item = Entry<'a>> + use<'a, 'b, B> {
        self.read(bounds, None)
    }

    /// The same without blocks in which nothing is later than `since`.
    pub(super) fn range_since<'a: 'b, 'b>(
        &'a self,
        bounds: KeyBounds<'b>,
        since: u64,
    ) -> impl Iterator<Item = Entry<'a>> + use<'a, 'b, B> {
        self.read(bounds, Some(since))
    }

    /// How many of the entries between the bounds live at revision `at`; `lives` tells of one entry.
    ///
    /// Of a block that lies between the bounds as a whole and has nothing later than `at` only its summary is looked at. So that costs
    /// some nanoseconds a block at the newest revision, and as many an entry in the past.
    pub(super) fn count(&self, bounds: KeyBounds<'_>, at: u64, lives: impl Fn(Entry<'_>) -> bool) -> u64 {
        let mut reader = self.read(bounds, None);
        let mut count = 0;
        loop {
            count += match reader.whole {
                Some(summary) if summary.newest <= at => u64::from(summary.live),
                Some(_) => reader.entries.filter(|entry| lives(*entry)).count() as u64,
                None => reader.rest_of_block().filter(|entry| lives(*entry)).count() as u64,
            };
            if reader.next_block().is_none() {
                return count;
            }
        }
    }

    fn read<'a: 'b, 'b>(
        &'a self,
        bounds: KeyBounds<'b>,
        since: Option<u64>,
    ) -> Reader<'a, 'b, impl Iterator<Item = (&'a Lower, &'a Block)> + use<'a, 'b, B>> {
        let (lower, upper) = in_order(bounds);
        let first = match lower {
            Bound::Included(key) | Bound::Excluded(key) => self.blocks.last_until(key),
            Bound::Unbounded => None,
        };
        let from = first.map_or(Bound::Unbounded, |(lower, _)| Bound::Included(&**lower));
        let mut range = Reader {
            blocks: self.blocks.range((from, upper)).peekable(),
            entries: Entries::default(),
            since,
            whole: None,
            upper,
            upper_matters: false,
        };
        range.skip_until(lower);
        range
    }

    /// Writes the body of a key anew: `write` gets the one it has and appends the one it shall have.
    ///
    /// Changes nothing if `write` answers `None`. Costs two searches, a scan of one block, and moving what is behind the
    /// key in it or copying it.
    #[inline]
    pub(super) fn update<R>(
        &mut self,
        key: &[u8],
        write: impl FnOnce(Option<&[u8]>, &mut Vec<u8>) -> Option<R>,
    ) -> Option<R> {
        let found = self.blocks.last_until(key);
        let old = found.map_or(&[][..], |(_, block)| block.entries());
        let Place { body, range } = find(old, key);
        self.scratch.body.clear();
        let result = write(body, &mut self.scratch.body)?;
        self.len += usize::from(body.is_none());
        let (before, after) = (body.and_then(B::newest), B::newest(&self.scratch.body));
        let entry = &mut self.scratch.entry;
        entry.clear();
        Entry { key, body: &self.scratch.body }.write(entry);
        let (length, new_length) = (old.len(), old.len() - range.len() + entry.len());
        // What comes before all blocks goes into one with the lowest of all lower keys.
        let lower = found.map_or_else(|| Lower::from(&[][..]), |(lower, _)| lower.clone());
        let fits = new_length <= BLOCK_BYTES && new_length >= length.min(SHORT_BLOCK_BYTES);
        match self.blocks.get_mut(&lower).filter(|_| fits) {
            Some(block) => {
                block.splice(range, entry);
                block.summary.remove(before);
                block.summary.add(after);
            }
            None => self.store_resized(lower, range),
        }
        Some(result)
    }

    pub(super) fn insert(&mut self, key: &[u8], body: &[u8]) {
        self.update(key, |_, bytes| {
            bytes.extend_from_slice(body);
            Some(())
        });
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        let Some((lower, block)) = self.blocks.last_until(key) else { return };
        let Place { body: Some(_), range } = find(block.entries(), key) else { return };
        let lower = lower.clone();
        self.len -= 1;
        self.scratch.entry.clear();
        self.store_resized(lower, range);
    }

    /// Puts the entry in the scratch buffer in place of the bytes in `old` of a block, which may be none yet. Makes several
    /// blocks of it if it is too long for one, and joins it with the next one if it is short.
    #[cold]
    fn store_resized(&mut self, lower: Lower, old: Range<usize>) {
        let mut bytes = self.blocks.get_mut(&lower).map_or_else(Vec::new, |block| block.entries().to_vec());
        bytes.splice(old, self.scratch.entry.iter().copied());
        if bytes.is_empty() {
            self.blocks.remove(&lower);
            return;
        }
        if bytes.len() < SHORT_BLOCK_BYTES {
            self.take_next(&lower, &mut bytes);
        }
        let mut parts = alloc::vec![(lower, &*bytes)];
        while let Some((lower, part)) = parts.pop() {
            match halves(part) {
                Some((below, separator, above)) => {
                    parts.push((lower, below));
                    parts.push((Lower::from(separator), above));
                }
                None => self.blocks.insert(lower, Self::block(part)),
            }
        }
    }

    /// The block of these entries, summed up.
    fn block(entries: &[u8]) -> Block {
        let mut block = Block::new(entries);
        Entries::new(entries).for_each(|entry| block.summary.add(B::newest(entry.body)));
        block
    }

    /// Moves the entries of the block behind `lower` behind those in `bytes`, if both fit into one.
    fn take_next(&mut self, lower: &[u8], bytes: &mut Vec<u8>) {
        let mut behind = self.blocks.range((Bound::Excluded(lower), Bound::Unbounded));
        let Some((next, block)) = behind.next() else { return };
        if bytes.len() + block.entries().len() <= JOINED_BLOCK_BYTES {
            bytes.extend_from_slice(block.entries());
            let next = next.clone();
            drop(behind);
            self.blocks.remove(&next);
        }
    }

    /// Verifies every invariant of the table.
    ///
    /// # Errors
    /// The first violation found, in words.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let mut len = 0;
        let mut last: Option<&[u8]> = None;
        for (lower, block) in self.blocks.range(ALL) {
            let mut entries = Entries::new(block.entries());
            let (mut count, mut summary) = (0, Summary::default());
            if last.is_some_and(|last| last >= &**lower) {
                return Err("a block's lower key is not above the block before");
            }
            for entry in &mut entries {
                if last.is_some_and(|last| last >= entry.key) {
                    return Err("the keys do not strictly grow");
                }
                if entry.key < &**lower {
                    return Err("a key is below its block's lower key");
                }
                last = Some(entry.key);
                count += 1;
                summary.add(B::newest(entry.body));
            }
            if summary.live != block.summary.live || summary.newest > block.summary.newest {
                return Err("a block is not what its summary says");
            }
            if count == 0 || !entries.rest().is_empty() {
                return Err("a block has no entry or a broken one");
            }
            if count > 1 && block.entries().len() > BLOCK_BYTES {
                return Err("a block with several entries is too long");
            }
            len += count;
        }
        if len == self.len { Ok(()) } else { Err("the number of entries is wrong") }
    }
}

fn last_in<'a>(block: &'a Block, key: &[u8]) -> Option<Entry<'a>> {
    Entries::new(block.entries()).take_while(|entry| entry.key <= key).last()
}

pub(super) const ALL: KeyBounds<'static> = (Bound::Unbounded, Bound::Unbounded);

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

/// Reads from block to block.
struct Reader<'a, 'b, I: Iterator<Item = (&'a Lower, &'a Block)>> {
    /// The blocks still to come, all of which begin within the upper bound.
    blocks: Peekable<I>,
    entries: Entries<'a>,
    /// Blocks with nothing later than this are passed over.
    since: Option<u64>,
    /// The summary of the block that `entries` are of, if they are all of it and within the upper bound.
    whole: Option<Summary>,
    upper: Bound<&'b [u8]>,
    /// Whether `entries` may pass the upper bound. Only those of the last block can: the others end before a key within.
    upper_matters: bool,
}

impl<'a, I: Iterator<Item = (&'a Lower, &'a Block)>> Reader<'a, '_, I> {
    fn skip_until(&mut self, lower: Bound<&[u8]>) {
        self.next_block();
        let mut ahead = self.entries;
        while let Some(entry) = ahead.next() {
            let below = match lower {
                Bound::Included(key) => entry.key < key,
                Bound::Excluded(key) => entry.key <= key,
                Bound::Unbounded => false,
            };
            if !below {
                return;
            }
            self.entries = ahead;
            self.whole = None;
        }
    }

    fn next_block(&mut self) -> Option<()> {
        let block = loop {
            let (_, block) = self.blocks.next()?;
            if self.since.is_none_or(|since| block.summary.newest > since) {
                break block;
            }
        };
        self.entries = Entries::new(block.entries());
        self.upper_matters = self.upper != Bound::Unbounded && self.blocks.peek().is_none();
        self.whole = (!self.upper_matters).then_some(block.summary);
        Some(())
    }

    /// What is left of the block within the bounds.
    fn rest_of_block(&self) -> impl Iterator<Item = Entry<'a>> {
        self.entries.take_while(|entry| !self.upper_matters || self.is_within(entry.key))
    }

    fn is_within(&self, key: &[u8]) -> bool {
        match self.upper {
            Bound::Included(upper) => key <= upper,
            Bound::Excluded(upper) => key < upper,
            Bound::Unbounded => true,
        }
    }
}

impl<'a, I: Iterator<Item = (&'a Lower, &'a Block)>> Iterator for Reader<'a, '_, I> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            if let Some(entry) = self.entries.next() {
                if !self.upper_matters {
                    return Some(entry);
                }
                return self.is_within(entry.key).then_some(entry);
            }
            self.next_block()?;
        }
    }
}

/// Makes a table of entries that come in key order.
#[derive(Debug, Default)]
pub(super) struct TableBuilder<B = Plain> {
    blocks: Vec<(Lower, Block)>,
    /// The lower key of the block to come, its entries, and the last key of them.
    lower: Vec<u8>,
    bytes: Vec<u8>,
    last: Vec<u8>,
    len: usize,
    bodies: PhantomData<B>,
}

impl<B: Bodies> TableBuilder<B> {
    /// Adds an entry behind all others.
    pub(super) fn push(&mut self, entry: Entry<'_>) {
        let before = self.bytes.len();
        entry.write(&mut self.bytes);
        if before > 0 && self.bytes.len() > JOINED_BLOCK_BYTES {
            let rest = self.bytes.split_off(before);
            self.cut();
            self.bytes = rest;
            self.lower = separator(&self.last, entry.key).to_vec();
        }
        self.last.clear();
        self.last.extend_from_slice(entry.key);
        self.len += 1;
    }

    fn cut(&mut self) {
        self.blocks.push((Lower::from(&*self.lower), Table::<B>::block(&self.bytes)));
    }

    pub(super) fn finish(mut self) -> Table<B> {
        if !self.bytes.is_empty() {
            self.cut();
        }
        let blocks = BlockMap::from_sorted(&self.blocks);
        Table { blocks, len: self.len, scratch: Scratch::default(), bodies: PhantomData }
    }
}
