//! Who is interested in a key: single keys by hash, intervals by an interval tree.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::{Bound, Range};

use hashbrown::HashMap;
use interavl::IntervalTree;

use crate::keys::Keys;

/// An end of an interval. The order of the variants is theirs: every key is before the end of all keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Edge {
    Key(Vec<u8>),
    AfterAll,
}

/// Numbers by the keys that they are interested in.
#[derive(Default)]
pub(super) struct Interest {
    single: HashMap<Vec<u8>, Vec<u64>>,
    intervals: IntervalTree<Edge, Vec<u64>>,
    /// How many numbers there are in intervals.
    in_intervals: usize,
}

impl core::fmt::Debug for Interest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Interest").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The interval of keys that are not one key; `None` for one that holds none.
fn interval(keys: &Keys) -> Option<Range<Edge>> {
    let (start, end) = keys.bounds()?;
    let start = match start {
        Bound::Included(key) | Bound::Excluded(key) => key.to_vec(),
        Bound::Unbounded => Vec::new(),
    };
    let end = match end {
        Bound::Included(key) | Bound::Excluded(key) => Edge::Key(key.to_vec()),
        Bound::Unbounded => Edge::AfterAll,
    };
    Some(Edge::Key(start)..end)
}

impl Interest {
    pub(super) fn len(&self) -> usize {
        self.single.values().map(Vec::len).sum::<usize>() + self.in_intervals
    }

    pub(super) fn add(&mut self, keys: &Keys, id: u64) {
        if let Some(key) = keys.single() {
            self.single.entry_ref(key).or_default().push(id);
            return;
        }
        let Some(range) = interval(keys) else { return };
        self.in_intervals += 1;
        match self.intervals.get_mut(&range) {
            Some(ids) => ids.push(id),
            None => {
                self.intervals.insert(range, vec![id]);
            }
        }
    }

    pub(super) fn remove(&mut self, keys: &Keys, id: u64) {
        if let Some(key) = keys.single() {
            let Some(ids) = self.single.get_mut(key) else { return };
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.single.remove(key);
            }
            return;
        }
        let Some(range) = interval(keys) else { return };
        let Some(ids) = self.intervals.get_mut(&range) else { return };
        let before = ids.len();
        ids.retain(|other| *other != id);
        self.in_intervals -= before - ids.len();
        if ids.is_empty() {
            self.intervals.remove(&range);
        }
    }

    /// Whether a number is interested in just these keys.
    pub(super) fn has(&self, keys: &Keys, id: u64) -> bool {
        let ids = match keys.single() {
            Some(key) => self.single.get(key),
            None => interval(keys).and_then(|range| self.intervals.get(&range)),
        };
        ids.is_some_and(|ids| ids.contains(&id))
    }

    /// Adds to `found` all numbers that are interested in a key. Costs a lookup, and one for each interval that has the key.
    pub(super) fn matching(&self, key: &[u8], found: &mut Vec<u64>) {
        if let Some(ids) = self.single.get(key) {
            found.extend_from_slice(ids);
        }
        if self.in_intervals == 0 {
            return;
        }
        // The smallest interval that holds the key and no other.
        let mut after = Vec::with_capacity(key.len() + 1);
        after.extend_from_slice(key);
        after.push(0);
        let point = Edge::Key(key.to_vec())..Edge::Key(after);
        for (_, ids) in self.intervals.iter_overlaps(&point) {
            found.extend_from_slice(ids);
        }
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
        for number in 0..500 {
            let key = word(number * 11);
            let asked = (0..).zip(&keys).filter(|(_, keys)| keys.contains(key.as_bytes()));
            check(&interest, &key, &asked.map(|(id, _)| id).collect::<Vec<u64>>());
        }
    }
}
