//! The dead: records that were superseded and are not yet removed.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::index::varint;
use crate::revision::Position;

/// Entries in one bucket at most: bounds the work of one call.
const BUCKET_ENTRIES: usize = 4096;

/// A record and the revision it died at: no read at that revision or later sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Dead {
    pub(crate) position: Position,
    pub(crate) death: u64,
}

/// All dead records, by where they lie.
///
/// Compaction to a revision removes the records whose death is not later than it. Records that are neighbours in the
/// store share pages, so the list is cut into buckets of neighbours, and [`DeadList::take_bucket`] hands out one bucket's
/// worth at a time.
///
/// It goes from low positions to high ones, whatever the deaths, and the caller must remove in that order too: **an
/// older record of a key leaves before a newer one**. Were a tombstone removed before the put under it, a crash in
/// between would bring the put back to life.
///
/// Invariants, verified by [`DeadList::check`]:
/// - A bucket has 1 to [`BUCKET_ENTRIES`] entries, from its start up to the next bucket's start; the first bucket also has
///   those before its start.
/// - `by_death` has exactly one element for each bucket: its first death and its start.
/// - `count` is the number of entries.
///
/// An entry takes 5 to 8 bytes of memory.
#[derive(Debug, Default)]
pub(crate) struct DeadList {
    buckets: BTreeMap<Position, Bucket>,
    by_death: BTreeSet<(u64, Position)>,
    count: usize,
}

impl DeadList {
    /// Adds a record that died at revision `death`. Some 100 ns.
    ///
    /// # Panics
    /// If the record is later than its death.
    pub(crate) fn push(&mut self, position: Position, death: u64) {
        assert!(
            death >= position.main,
            "the record at {position} can't have died at {death}, before it was written"
        );
        let entry = Dead { position, death };
        self.count += 1;
        let before = self.buckets.range(..=position).next_back();
        let bucket = before.or_else(|| self.buckets.first_key_value()).map(|(&start, _)| start);
        let Some((start, bucket)) = bucket.and_then(|start| Some((start, self.buckets.get_mut(&start)?)))
        else {
            self.add_bucket(position, Bucket::of(&[entry]));
            return;
        };
        if death < bucket.first_death {
            self.by_death.remove(&(bucket.first_death, start));
            self.by_death.insert((death, start));
        }
        bucket.push(entry);
        if bucket.count > BUCKET_ENTRIES {
            self.split(start);
        }
    }

    /// How many records are dead and not yet removed.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// How many of them compaction to `revision` removes.
    ///
    /// Buckets that are dead as a whole or not at all are only counted; the entries of others are looked at, at a few
    /// nanoseconds each.
    pub(crate) fn count_dead_by(&self, revision: u64) -> usize {
        let count_in = |bucket: &Bucket| match bucket.last_death <= revision {
            true => bucket.count,
            false => bucket.iter().filter(|entry| entry.death <= revision).count(),
        };
        self.dead_by(revision).filter_map(|start| self.buckets.get(&start)).map(count_in).sum()
    }

    /// Takes the records out that died at or before `revision`, those of the lowest bucket that has any, in order of their
    /// positions; `None` if there are none.
    ///
    /// Costs the decoding of one bucket, and looking at the deaths of those buckets that have something dead.
    pub(crate) fn take_bucket(&mut self, revision: u64) -> Option<Vec<Position>> {
        let start = self.dead_by(revision).min()?;
        let bucket = self.buckets.remove(&start)?;
        self.by_death.remove(&(bucket.first_death, start));
        let (mut taken, mut left) = (Vec::with_capacity(bucket.count), Vec::new());
        for entry in bucket.iter() {
            if entry.death <= revision { taken.push(entry.position) } else { left.push(entry) }
        }
        taken.sort_unstable();
        self.count -= taken.len();
        if !left.is_empty() {
            self.add_bucket(start, Bucket::of(&left));
        }
        Some(taken)
    }

    /// All entries, bucket by bucket, in no order within one.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Dead> {
        self.buckets.values().flat_map(Bucket::iter)
    }

    /// The starts of the buckets that have something dead by `revision`.
    fn dead_by(&self, revision: u64) -> impl Iterator<Item = Position> {
        let last = (revision, Position::new(u64::MAX, u32::MAX));
        self.by_death.range(..=last).map(|&(_, start)| start)
    }

    fn add_bucket(&mut self, start: Position, bucket: Bucket) {
        self.by_death.insert((bucket.first_death, start));
        self.buckets.insert(start, bucket);
    }

    /// Makes two buckets of one that is too full.
    #[cold]
    fn split(&mut self, start: Position) {
        let Some(bucket) = self.buckets.remove(&start) else { return };
        self.by_death.remove(&(bucket.first_death, start));
        let mut entries: Vec<Dead> = bucket.iter().collect();
        entries.sort_unstable();
        let (lower, upper) = entries.split_at(entries.len() / 2);
        let middle = upper.first().expect("a bucket that is too full has an upper half").position;
        self.add_bucket(start.min(lower.first().map_or(start, |entry| entry.position)), Bucket::of(lower));
        self.add_bucket(middle, Bucket::of(upper));
    }

    /// Verifies every invariant of the list.
    ///
    /// # Errors
    /// The first violation found, in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut count = 0;
        let mut highest: Option<Position> = None;
        for (&start, bucket) in &self.buckets {
            bucket.check().map_err(|what| format!("the bucket of the dead from {start}: {what}"))?;
            if !self.by_death.contains(&(bucket.first_death, start)) {
                return Err(format!("the bucket of the dead from {start} is not filed by its first death"));
            }
            let lowest = bucket.iter().map(|entry| entry.position).min();
            if highest
                .is_some_and(|highest| Some(highest) >= lowest || Some(start) > lowest || highest >= start)
            {
                return Err(format!("the bucket of the dead from {start} has entries of another"));
            }
            highest = bucket.iter().map(|entry| entry.position).max();
            count += bucket.count;
        }
        if self.by_death.len() != self.buckets.len() {
            return Err("a bucket of the dead is filed twice".to_string());
        }
        if count != self.count {
            return Err(format!("{} dead claimed, {count} found", self.count));
        }
        Ok(())
    }
}

/// Entries of neighbouring records, packed in the order they came in.
///
/// An entry's bytes: the distance of its main from `base`, of either sign, and whether there is a sub, in one integer;
/// how much later it died; the sub unless it is 0.
#[derive(Debug)]
struct Bucket {
    base: u64,
    packed: Vec<u8>,
    count: usize,
    first_death: u64,
    last_death: u64,
}

/// The most bytes of a packed entry: three integers of 64 bits.
const MAX_ENTRY_BYTES: usize = 30;

impl Bucket {
    /// A bucket of at least one entry, in memory of exactly the size.
    fn of(entries: &[Dead]) -> Self {
        let base = entries.get(entries.len() / 2).map_or(0, |entry| entry.position.main);
        let mut bucket = Self { base, packed: Vec::new(), count: 0, first_death: u64::MAX, last_death: 0 };
        bucket.packed.reserve(entries.len() * 8);
        entries.iter().for_each(|&entry| bucket.push(entry));
        bucket.packed.shrink_to_fit();
        bucket
    }

    fn push(&mut self, entry: Dead) {
        let Dead { position: Position { main, sub }, death } = entry;
        if self.packed.capacity() - self.packed.len() < MAX_ENTRY_BYTES {
            // Doubling would leave a quarter of the memory of all buckets unused.
            self.packed.reserve_exact(MAX_ENTRY_BYTES + self.packed.len() / 4);
        }
        let distance = varint::zigzag(main.wrapping_sub(self.base).cast_signed());
        varint::push(&mut self.packed, distance << 1 | u64::from(sub != 0));
        varint::push(&mut self.packed, death - main);
        if sub != 0 {
            varint::push(&mut self.packed, sub.into());
        }
        self.count += 1;
        self.first_death = self.first_death.min(death);
        self.last_death = self.last_death.max(death);
    }

    fn iter(&self) -> Unpacked<'_> {
        Unpacked { base: self.base, rest: &self.packed }
    }

    fn check(&self) -> Result<(), String> {
        let (mut count, mut first, mut last) = (0, u64::MAX, 0);
        let mut entries = self.iter();
        for entry in &mut entries {
            count += 1;
            first = first.min(entry.death);
            last = last.max(entry.death);
        }
        if count == 0 || count > BUCKET_ENTRIES || count != self.count || !entries.rest.is_empty() {
            return Err(format!(
                "{} entries claimed, {count} found, {} bytes left",
                self.count,
                entries.rest.len()
            ));
        }
        if (first, last) != (self.first_death, self.last_death) {
            return Err(format!("deaths {first} to {last}, not {} to {}", self.first_death, self.last_death));
        }
        Ok(())
    }
}

/// Decodes the entries of a bucket.
struct Unpacked<'a> {
    base: u64,
    rest: &'a [u8],
}

impl Iterator for Unpacked<'_> {
    type Item = Dead;

    #[inline]
    fn next(&mut self) -> Option<Dead> {
        let packed = varint::take(&mut self.rest)?;
        let main = self.base.wrapping_add(varint::unzigzag(packed >> 1).cast_unsigned());
        let death = main + varint::take(&mut self.rest)?;
        let sub = if packed & 1 == 0 { 0 } else { u32::try_from(varint::take(&mut self.rest)?).ok()? };
        Some(Dead { position: Position::new(main, sub), death })
    }
}
