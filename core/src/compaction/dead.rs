//! The dead: records that were superseded and are not yet removed.

use alloc::boxed::Box;
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
/// - A bucket has 1 to [`BUCKET_ENTRIES`] entries, from its start up to the next bucket's start.
/// - `by_death` has exactly one element for each bucket: its first death and its start.
/// - `deaths` counts the entries.
///
/// An entry takes 5 to 8 bytes of memory.
#[derive(Debug, Default)]
pub(crate) struct DeadList {
    buckets: BTreeMap<Position, Bucket>,
    by_death: BTreeSet<(u64, Position)>,
    deaths: Deaths,
}

/// Sorts by position, each as one number. All lists of dead records are sorted here: what the standard library makes of each call is a lot of
/// code.
fn in_order(entries: &mut [Dead]) {
    entries.sort_unstable_by_key(|Dead { position: Position { main, sub }, .. }| {
        u128::from(*main) << 32 | u128::from(*sub)
    });
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
        self.deaths.add(death);
        let Some((&start, bucket)) = self.buckets.range_mut(..=position).next_back() else {
            self.add_bucket(Position::new(0, 0), Bucket::of(&[entry]));
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
        self.deaths.count
    }

    /// How many of them compaction to `revision` removes. Some 10 us for a million revisions.
    pub(crate) fn count_dead_by(&self, revision: u64) -> usize {
        self.deaths.count_until(revision)
    }

    /// Whether compaction to `revision` removes anything. O(1).
    pub(crate) fn has_dead_by(&self, revision: u64) -> bool {
        self.by_death.first().is_some_and(|(death, _)| *death <= revision)
    }

    /// Takes the records out that died at or before `revision`, those of the lowest bucket that has any, in order of their
    /// positions; `None` if there are none.
    ///
    /// Costs the decoding of one bucket, and looking at the deaths of those buckets that have something dead.
    pub(crate) fn take_bucket(&mut self, revision: u64) -> Option<Vec<Dead>> {
        let last = (revision, Position::new(u64::MAX, u32::MAX));
        let start = self.by_death.range(..=last).map(|&(_, start)| start).min()?;
        let bucket = self.buckets.remove(&start)?;
        self.by_death.remove(&(bucket.first_death, start));
        let (mut taken, mut left) = (Vec::with_capacity(bucket.count), Vec::new());
        for entry in bucket.iter() {
            if entry.death <= revision {
                taken.push(entry);
                self.deaths.remove(entry.death);
            } else {
                left.push(entry);
            }
        }
        in_order(&mut taken);
        if !left.is_empty() {
            self.add_bucket(start, Bucket::of(&left));
        }
        Some(taken)
    }

    /// Of the first bucket at `start` or behind it that has any, the records that died after `after` and by `until`, in order of their positions;
    /// and where the next bucket begins.
    pub(crate) fn next_dead(
        &self,
        start: Position,
        (after, until): (u64, u64),
    ) -> Option<(Vec<Dead>, Option<Position>)> {
        let mut buckets = self.buckets.range(start..);
        let (_, bucket) = buckets.find(|(_, bucket)| bucket.first_death <= until)?;
        let is_asked_for = |entry: &Dead| entry.death > after && entry.death <= until;
        let mut found: Vec<Dead> = bucket.iter().filter(is_asked_for).collect();
        in_order(&mut found);
        Some((found, buckets.next().map(|(start, _)| *start)))
    }

    /// All entries, bucket by bucket, in no order within one.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Dead> {
        self.buckets.values().flat_map(Bucket::iter)
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
        in_order(&mut entries);
        let (lower, upper) = entries.split_at(entries.len() / 2);
        let middle = upper.first().map_or(start, |entry| entry.position);
        self.add_bucket(start, Bucket::of(lower));
        self.add_bucket(middle, Bucket::of(upper));
    }

    /// Verifies every invariant of the list.
    ///
    /// # Errors
    /// The first violation found, in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut deaths = Deaths::default();
        let mut highest: Option<Position> = None;
        for (&start, bucket) in &self.buckets {
            bucket.check().map_err(|what| format!("the bucket of the dead from {start}: {what}"))?;
            if !self.by_death.contains(&(bucket.first_death, start)) {
                return Err(format!("the bucket of the dead from {start} is not filed by its first death"));
            }
            let lowest = bucket.iter().map(|entry| entry.position).min();
            if Some(start) > lowest || highest.is_some_and(|highest| highest >= start) {
                return Err(format!("the bucket of the dead from {start} has entries of another"));
            }
            highest = bucket.iter().map(|entry| entry.position).max();
            bucket.iter().for_each(|entry| deaths.add(entry.death));
        }
        if self.by_death.len() != self.buckets.len() {
            return Err("a bucket of the dead is filed twice".to_string());
        }
        if deaths != self.deaths {
            return Err(format!(
                "{} dead counted, {} found, or of other deaths",
                self.deaths.count, deaths.count
            ));
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
}

/// The most bytes of a packed entry: three integers of 64 bits.
const MAX_ENTRY_BYTES: usize = 30;

impl Bucket {
    /// A bucket of at least one entry, in memory of exactly the size.
    fn of(entries: &[Dead]) -> Self {
        let base = entries.get(entries.len() / 2).map_or(0, |entry| entry.position.main);
        let mut bucket = Self { base, packed: Vec::new(), count: 0, first_death: u64::MAX };
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
    }

    fn iter(&self) -> Unpacked<'_> {
        Unpacked { base: self.base, rest: &self.packed }
    }

    fn check(&self) -> Result<(), String> {
        let (mut count, mut first_death) = (0, u64::MAX);
        let mut entries = self.iter();
        for entry in &mut entries {
            count += 1;
            first_death = first_death.min(entry.death);
        }
        if count == 0 || count > BUCKET_ENTRIES || count != self.count || !entries.rest.is_empty() {
            return Err(format!(
                "{} entries claimed, {count} found, {} bytes left",
                self.count,
                entries.rest.len()
            ));
        }
        if first_death != self.first_death {
            return Err(format!("the first death is {first_death}, not {}", self.first_death));
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
        let mut rest = self.rest;
        let packed = varint::take(&mut rest)?;
        let main = self.base.wrapping_add(varint::unzigzag(packed >> 1).cast_unsigned());
        let death = main + varint::take(&mut rest)?;
        let sub = if packed & 1 == 0 { 0 } else { u32::try_from(varint::take(&mut rest)?).ok()? };
        self.rest = rest;
        Some(Dead { position: Position::new(main, sub), death })
    }
}

/// How many entries died at each revision: a byte for most revisions, and none for long stretches without a death.
///
/// Invariant: no cell and no carry is zero as a whole.
#[derive(Debug, Default, PartialEq, Eq)]
struct Deaths {
    /// By the revision's number without its place in the cell.
    cells: BTreeMap<u64, Cell>,
    /// The entries of a revision that its byte does not hold, in units of 256.
    carries: BTreeMap<u64, usize>,
    count: usize,
}

#[derive(Debug, PartialEq, Eq)]
struct Cell {
    total: usize,
    /// The number for each revision, modulo 256.
    low: Box<[u8; CELL]>,
}

/// Revisions in a cell. So many that a million revisions make few cells, and finding one is quick.
const CELL: usize = 4096;

/// The number of a revision's cell and the place in it.
const fn cell_of(revision: u64) -> (u64, usize) {
    (revision / CELL as u64, (revision % CELL as u64) as usize)
}

impl Deaths {
    fn add(&mut self, death: u64) {
        let (number, place) = cell_of(death);
        let cell = self.cells.entry(number).or_insert_with(|| Cell { total: 0, low: Box::new([0; CELL]) });
        cell.total += 1;
        self.count += 1;
        let Some(byte) = cell.low.get_mut(place) else { return };
        *byte = byte.wrapping_add(1);
        if *byte == 0 {
            *self.carries.entry(death).or_insert(0) += 1;
        }
    }

    fn remove(&mut self, death: u64) {
        let (number, place) = cell_of(death);
        let cell = self.cells.get_mut(&number).expect("a death that was added");
        cell.total -= 1;
        self.count -= 1;
        let Some(byte) = cell.low.get_mut(place) else { return };
        *byte = byte.wrapping_sub(1);
        if *byte == u8::MAX {
            let carry = self.carries.get_mut(&death).expect("a death with a byte of 0 that was added");
            *carry -= 1;
            if *carry == 0 {
                self.carries.remove(&death);
            }
        }
        if cell.total == 0 {
            self.cells.remove(&number);
        }
    }

    fn count_until(&self, revision: u64) -> usize {
        let (number, place) = cell_of(revision);
        let whole: usize = self.cells.range(..number).map(|(_, cell)| cell.total).sum();
        let partly = self.cells.get(&number).map_or(0, |cell| {
            cell.low.iter().take(place + 1).map(|&count| usize::from(count)).sum::<usize>()
        });
        let first = revision - place as u64;
        let carried: usize = self.carries.range(first..=revision).map(|(_, carry)| carry * 256).sum();
        whole + partly + carried
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A generator of random numbers (xorshift64*) that is the same everywhere.
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: u64) -> u64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % end
        }
    }

    fn list_of(entries: &[(u64, u32, u64)]) -> DeadList {
        let mut list = DeadList::default();
        for &(main, sub, death) in entries {
            list.push(Position::new(main, sub), death);
            list.check().unwrap();
        }
        list
    }

    #[test]
    fn a_compaction_takes_what_died_by_its_revision() {
        let mut list = list_of(&[(2, 0, 5), (3, 1, 4), (3, 0, 9), (1 << 40, 7, 1 << 41), (4, 0, 6)]);
        let entry = |main, sub, death| Dead { position: Position::new(main, sub), death };
        let counts = [3, 4, 5, 6, 9, u64::MAX].map(|revision| list.count_dead_by(revision));
        assert_eq!(counts, [0, 1, 2, 3, 4, 5]);
        assert_eq!(list.take_bucket(3), None);
        assert_eq!(list.take_bucket(5), Some(alloc::vec![entry(2, 0, 5), entry(3, 1, 4)]));
        assert_eq!(list.take_bucket(5), None);
        list.check().unwrap();
        let left: Vec<Dead> = list.iter().collect();
        assert_eq!(left, [entry(3, 0, 9), entry(1 << 40, 7, 1 << 41), entry(4, 0, 6)]);
        assert_eq!(list.len(), 3);
    }

    #[test]
    #[should_panic(expected = "before it was written")]
    fn nothing_dies_before_it_is_written() {
        list_of(&[(5, 0, 4)]);
    }

    /// All that died by `revision`, in the order in which it is taken; every call is bounded.
    fn take_all(list: &mut DeadList, revision: u64) -> Vec<Position> {
        let mut all = Vec::new();
        while let Some(taken) = list.take_bucket(revision) {
            assert!(!taken.is_empty() && taken.len() <= BUCKET_ENTRIES, "{} taken at once", taken.len());
            list.check().unwrap();
            all.extend(taken.into_iter().map(|dead| dead.position));
        }
        all
    }

    /// Random histories: orders of arrival from the oldest first to the newest first, subs, whole revisions of dead.
    #[test]
    fn agrees_with_a_plain_list() {
        for seed in 1..=12_u64 {
            std::println!("seed {seed}");
            let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let (mut list, mut model) = (DeadList::default(), BTreeMap::new());
            let (mains, few) = (1 + random.below(30_000), random.below(3));
            let subs = 1 + few * random.below(300);
            for step in 0..20_000 {
                let main = match seed % 3 {
                    0 => 20_000 - step,
                    1 => step / 7,
                    _ => random.below(mains),
                };
                let position = Position::new(main, random.below(subs) as u32);
                if model.contains_key(&position) {
                    continue;
                }
                let longest = 1 + random.below(20_000);
                let death = main + random.below(longest);
                list.push(position, death);
                model.insert(position, death);
                if step % 3000 == 0 || step == 19_999 {
                    let revision = random.below(40_000);
                    let expected: Vec<Position> =
                        model.iter().filter(|(_, death)| **death <= revision).map(|(at, _)| *at).collect();
                    assert_eq!(list.count_dead_by(revision), expected.len());
                    assert_eq!(take_all(&mut list, revision), expected, "the lowest positions come first");
                    model.retain(|_, death| *death > revision);
                    let mut left: Vec<(Position, u64)> =
                        list.iter().map(|dead| (dead.position, dead.death)).collect();
                    left.sort_unstable();
                    assert!(left.into_iter().eq(model.clone()));
                    assert_eq!(list.len(), model.len());
                }
            }
            assert_eq!(take_all(&mut list, u64::MAX).len(), model.len());
            assert!(list.buckets.is_empty() && list.by_death.is_empty() && list.deaths == Deaths::default());
        }
    }

    /// A transaction that deletes very many keys: all die at one revision, and lie in one.
    #[test]
    fn a_revision_of_many_dead_is_taken_in_parts() {
        let mut list = DeadList::default();
        let subs = 3 * BUCKET_ENTRIES as u32 + 5;
        (0..subs).for_each(|sub| list.push(Position::new(7, sub), 8));
        list.check().unwrap();
        assert_eq!([7, 8, 9].map(|revision| list.count_dead_by(revision)), [0, subs as usize, subs as usize]);
        assert!(take_all(&mut list, 8).into_iter().eq((0..subs).map(|sub| Position::new(7, sub))));
    }

    #[test]
    fn an_entry_takes_few_bytes() {
        let mut list = DeadList::default();
        (0..100_000_u64).for_each(|main| list.push(Position::new(main * 7919 % 100_000, 0), 100_000 + main));
        let bytes: usize =
            list.buckets.values().map(|bucket| bucket.packed.capacity() + size_of::<Bucket>()).sum();
        assert!(bytes < 7 * 100_000, "{bytes} bytes for 100,000 entries");
    }

    #[test]
    fn check_finds_what_is_wrong() {
        let good = || list_of(&[(2, 0, 5), (3, 1, 4), (3, 0, 9)]);
        let start = Position::new(0, 0);
        let entry = Dead { position: Position::new(1, 0), death: 2 };
        type Damage = fn(&mut DeadList, Position, Dead);
        let damages: [(&str, Damage); 5] = [
            ("dead counted", |list, _, _| list.deaths.add(9)),
            ("is not filed", |list, start, _| _ = list.by_death.remove(&(4, start))),
            ("filed twice", |list, start, _| _ = list.by_death.insert((7, start))),
            ("bytes left", |list, start, _| list.buckets.get_mut(&start).unwrap().packed.push(0x80)),
            ("entries of another", |list, _, entry| {
                list.add_bucket(Position::new(9, 0), Bucket::of(&[entry]))
            }),
        ];
        for (what, damage) in damages {
            let mut list = good();
            damage(&mut list, start, entry);
            let found = list.check().expect_err(what);
            assert!(found.contains(what), "{found:?} does not say {what:?}");
        }
    }
}
