//! Who is interested in a key: single keys and prefixes by hash, other intervals by an interval tree.

use alloc::vec::Vec;
use core::ops::Bound;

use hashbrown::HashMap;

use super::intervals::{End, Interval, Intervals};
use crate::keys::Keys;

/// Numbers by bytes.
type Ids = HashMap<Vec<u8>, Vec<u64>>;

/// So many lengths of prefixes are found by hash, each for the price of a lookup; prefixes of other lengths are intervals like all others.
const MOST_LENGTHS: usize = 4;

/// Numbers by the keys that they are interested in.
///
/// Invariant: no map is empty but that of single keys, and no list of numbers.
#[derive(Debug, Default)]
pub(super) struct Interest {
    single: Ids,
    /// By length. Most who watch an interval watch a prefix, and prefixes that do not lie within each other are found in one step.
    prefixes: Vec<(usize, Ids)>,
    intervals: Intervals,
}

fn add_to(ids: &mut Ids, bytes: &[u8], id: u64) {
    ids.entry_ref(bytes).or_default().push(id);
}

/// Takes a number away. Answers whether it was there.
fn remove_from(ids: &mut Ids, bytes: &[u8], id: u64) -> bool {
    let Some(list) = ids.get_mut(bytes) else { return false };
    let before = list.len();
    list.retain(|other| *other != id);
    let is_removed = list.len() < before;
    if list.is_empty() {
        ids.remove(bytes);
    }
    is_removed
}

fn count(ids: &Ids) -> usize {
    ids.values().map(Vec::len).sum()
}

/// The prefix that all of an interval's keys have and no others; `None` if there is none.
fn prefix(keys: &Keys) -> Option<&[u8]> {
    let (Bound::Included(start), _) = keys.bounds()? else { return None };
    (*keys == Keys::prefix(start)).then_some(start)
}

/// The interval of keys that are not one key; `None` for one that holds none.
fn interval(keys: &Keys) -> Option<Interval> {
    let (start, end) = keys.bounds()?;
    let start = match start {
        Bound::Included(key) | Bound::Excluded(key) => key.into(),
        Bound::Unbounded => [].into(),
    };
    let end = match end {
        Bound::Included(key) | Bound::Excluded(key) => End::Before(key.into()),
        Bound::Unbounded => End::AfterAll,
    };
    Some(Interval { start, end })
}

impl Interest {
    pub(super) fn len(&self) -> usize {
        let in_prefixes: usize = self.prefixes.iter().map(|(_, ids)| count(ids)).sum();
        count(&self.single) + in_prefixes + self.intervals.len()
    }

    pub(super) fn add(&mut self, keys: &Keys, id: u64) {
        if let Some(key) = keys.single() {
            return add_to(&mut self.single, key, id);
        }
        if let Some(prefix) = prefix(keys) {
            if let Some((_, ids)) = self.prefixes.iter_mut().find(|(length, _)| *length == prefix.len()) {
                return add_to(ids, prefix, id);
            }
            if self.prefixes.len() < MOST_LENGTHS {
                let mut ids = Ids::default();
                add_to(&mut ids, prefix, id);
                return self.prefixes.push((prefix.len(), ids));
            }
        }
        if let Some(interval) = interval(keys) {
            self.intervals.add(interval, id);
        }
    }

    pub(super) fn remove(&mut self, keys: &Keys, id: u64) {
        if let Some(key) = keys.single() {
            remove_from(&mut self.single, key, id);
            return;
        }
        if let Some(prefix) = prefix(keys)
            && let Some(at) = self.prefixes.iter().position(|(length, _)| *length == prefix.len())
            && let Some((_, ids)) = self.prefixes.get_mut(at)
            && remove_from(ids, prefix, id)
        {
            if ids.is_empty() {
                self.prefixes.remove(at);
            }
            return;
        }
        // A prefix too, if it came when there were enough lengths.
        if let Some(interval) = interval(keys) {
            self.intervals.remove(&interval, id);
        }
    }

    /// Whether a number is interested in just these keys.
    pub(super) fn has(&self, keys: &Keys, id: u64) -> bool {
        let lists = |ids: &Ids, bytes: &[u8]| ids.get(bytes).is_some_and(|list| list.contains(&id));
        match (keys.single(), prefix(keys)) {
            (Some(key), _) => lists(&self.single, key),
            (None, Some(prefix)) if self.prefixes.iter().any(|(_, ids)| lists(ids, prefix)) => true,
            (None, _) => interval(keys).is_some_and(|interval| self.intervals.has(&interval, id)),
        }
    }

    /// Adds to `found` all numbers that are interested in a key. Costs a few lookups, a search, and a search for each interval that has
    /// the key.
    pub(super) fn matching(&self, key: &[u8], found: &mut Vec<u64>) {
        if let Some(ids) = self.single.get(key) {
            found.extend_from_slice(ids);
        }
        for (length, ids) in &self.prefixes {
            if let Some(ids) = key.get(..*length).and_then(|prefix| ids.get(prefix)) {
                found.extend_from_slice(ids);
            }
        }
        self.intervals.holding(key, found);
    }

    /// Checks the invariants.
    ///
    /// # Errors
    /// Says which does not hold.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let is_empty = |ids: &Ids| ids.values().any(Vec::is_empty);
        if is_empty(&self.single) || self.prefixes.iter().any(|(_, ids)| ids.is_empty() || is_empty(ids)) {
            return Err("a list of those interested in a key is empty");
        }
        self.intervals.check()
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    #[track_caller]
    fn check(interest: &Interest, key: &str, expected: &[u64]) {
        let mut found = Vec::new();
        interest.matching(key.as_bytes(), &mut found);
        found.sort_unstable();
        assert_eq!(found, expected, "{key}");
    }

    #[test]
    fn a_key_finds_those_who_are_interested_in_it() {
        let mut interest = Interest::default();
        let all = [
            Keys::one("b"),
            Keys::one("b"),
            Keys::interval("a", "c"),
            Keys::interval("a", "c"),
            Keys::prefix("b"),
            Keys::at_least("b"),
            Keys::all(),
        ];
        (1..).zip(&all).for_each(|(id, keys)| interest.add(keys, id));
        assert_eq!(interest.len(), 7);
        check(&interest, "a", &[3, 4, 7]);
        check(&interest, "b", &[1, 2, 3, 4, 5, 6, 7]);
        check(&interest, "b1", &[3, 4, 5, 6, 7]);
        check(&interest, "c", &[6, 7]);
        check(&interest, "", &[7]);
        (1..).zip(&all).skip(1).step_by(2).for_each(|(id, keys)| interest.remove(keys, id));
        assert_eq!(interest.len(), 4);
        assert_eq!(interest.check(), Ok(()));
        check(&interest, "b", &[1, 3, 5, 7]);
        assert!(interest.has(&Keys::one("b"), 1) && !interest.has(&Keys::one("b"), 2));
    }

    #[test]
    fn it_agrees_with_asking_everybody() {
        let word = |number: u64| {
            (0..number % 4).map(|at| char::from(b'a' + (number >> (at * 3) & 3) as u8)).collect::<String>()
        };
        let mut interest = Interest::default();
        let keys: Vec<Keys> = (0..400)
            .map(|number: u64| match number % 3 {
                0 => Keys::interval(word(number * 7), word(number * 31)),
                1 => Keys::prefix(word(number * 13)),
                _ => Keys::at_least(word(number * 5)),
            })
            .filter(|keys| keys.bounds().is_some())
            .collect();
        (0..).zip(&keys).for_each(|(id, keys)| interest.add(keys, id));
        // Two thirds of them go, and a third comes back.
        for round in 0..3 {
            let is_in = |id: u64| match round {
                0 => true,
                1 => id.is_multiple_of(3),
                _ => id % 3 < 2,
            };
            for (id, keys) in (0..).zip(&keys) {
                interest.remove(keys, id);
                if is_in(id) {
                    interest.add(keys, id);
                }
            }
            assert_eq!(interest.check(), Ok(()));
            for number in 0..500 {
                let key = word(number * 11);
                let asked = (0..).zip(&keys).filter(|(id, keys)| is_in(*id) && keys.contains(key.as_bytes()));
                check(&interest, &key, &asked.map(|(id, _)| id).collect::<Vec<u64>>());
            }
        }
    }
}
