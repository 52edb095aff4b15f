//! Pins: revisions that stay readable, whatever is compacted around them.
//!
//! This is the table of them in memory: their names, which revisions they pin, and when they end. It knows nothing of records and pages;
//! the store writes down what must be durable, and compaction asks which pin sees a record.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;

use serde::{Deserialize, Serialize};

use crate::limits::MAX_PIN_NAME_BYTES;
use crate::revision::Revision;
use crate::scheduler::WallTime;

/// What a checkpoint remembers of a pin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) name: String,
    pub(crate) revision: u64,
    /// Milliseconds since the beginning of 1970.
    pub(crate) expires: Option<u64>,
}

/// Which revision a name pins, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pinned {
    pub(crate) revision: u64,
    pub(crate) expires: Option<WallTime>,
}

/// All pins.
///
/// Invariants, verified by [`Pins::check`]:
/// - `revisions` has every pinned revision once, in order, and `names` how many names pin it;
/// - `ends` has exactly the names that end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pins {
    pins: BTreeMap<Arc<str>, Pinned>,
    names: BTreeMap<u64, usize>,
    /// Shared with the snapshots that were taken since it last changed.
    revisions: Arc<[u64]>,
    ends: BTreeSet<(WallTime, Arc<str>)>,
    has_changed: bool,
}

impl Pins {
    pub(crate) fn len(&self) -> usize {
        self.pins.len()
    }

    pub(crate) fn get(&self, name: &str) -> Option<Pinned> {
        self.pins.get(name).copied()
    }

    /// All pins in the order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Pinned)> {
        self.pins.iter().map(|(name, pinned)| (&**name, *pinned))
    }

    /// Those whose names begin in a way.
    pub(crate) fn beginning_with<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, Pinned)> + use<'a> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let pins = self.pins.range::<str, _>(from).take_while(move |(name, _)| name.starts_with(prefix));
        pins.map(|(name, pinned)| (&**name, *pinned))
    }

    /// The pinned revisions, ascending, each once.
    pub(crate) fn revisions(&self) -> &Arc<[u64]> {
        &self.revisions
    }

    /// Pins a revision under a name, in place of the one that the name has pinned. Answers that one if nobody pins it any more. Costs
    /// copying O(pins) numbers if other revisions are pinned then.
    pub(crate) fn set(&mut self, name: &str, pinned: Pinned) -> Option<u64> {
        let is_new = !self.names.contains_key(&pinned.revision);
        let gone = self.add(name, pinned);
        self.change((is_new.then_some(pinned.revision), gone));
        gone
    }

    /// Takes a pin away. Answers its revision if nobody pins it any more. Costs as much.
    pub(crate) fn remove(&mut self, name: &str) -> Option<u64> {
        let gone = self.take(name);
        self.change((None, gone));
        gone
    }

    /// As [`Pins::set`], but for `revisions`.
    fn add(&mut self, name: &str, pinned: Pinned) -> Option<u64> {
        *self.names.entry(pinned.revision).or_insert(0) += 1;
        let gone = self.take(name);
        let name: Arc<str> = name.into();
        if let Some(end) = pinned.expires {
            self.ends.insert((end, Arc::clone(&name)));
        }
        self.pins.insert(name, pinned);
        gone
    }

    fn take(&mut self, name: &str) -> Option<u64> {
        let (name, pinned) = self.pins.remove_entry(name)?;
        if let Some(end) = pinned.expires {
            self.ends.remove(&(end, name));
        }
        let names = self.names.get_mut(&pinned.revision)?;
        *names -= 1;
        if *names > 0 {
            return None;
        }
        self.names.remove(&pinned.revision);
        Some(pinned.revision)
    }

    /// Takes note of a revision that was not pinned before, and of one that is not any more.
    fn change(&mut self, (new, gone): (Option<u64>, Option<u64>)) {
        self.has_changed = true;
        if let Some(new) = new {
            let (before, after) = self.revisions.split_at(self.place(new));
            self.revisions = [before, &[new], after].concat().into();
        }
        if let Some(gone) = gone {
            let (before, after) = self.revisions.split_at(self.place(gone));
            self.revisions = [before, after.get(1..).unwrap_or_default()].concat().into();
        }
    }

    /// How many pinned revisions are before one.
    fn place(&self, revision: u64) -> usize {
        self.revisions.partition_point(|pinned| *pinned < revision)
    }

    /// The pin that ends next, and when.
    pub(crate) fn next(&self) -> Option<(WallTime, Arc<str>)> {
        self.ends.first().cloned()
    }

    /// Whether anything differs from what the last checkpoint remembers.
    pub(crate) fn has_changed(&self) -> bool {
        self.has_changed
    }

    /// What a checkpoint remembers of all pins.
    pub(crate) fn keep(&mut self) -> Vec<Kept> {
        self.has_changed = false;
        self.listed()
    }

    /// The same, for something else than a checkpoint.
    pub(crate) fn listed(&self) -> Vec<Kept> {
        let kept = self.pins.iter().map(|(name, pinned)| Kept {
            name: (&**name).into(),
            revision: pinned.revision,
            expires: pinned.expires.map(WallTime::as_millis),
        });
        kept.collect()
    }

    /// Takes up what a checkpoint remembers.
    ///
    /// # Errors
    /// Says in words what can't be.
    pub(crate) fn restore(kept: Vec<Kept>) -> Result<Self, &'static str> {
        let mut pins = Self::default();
        for Kept { name, revision, expires } in kept {
            if pins.get(&name).is_some() {
                return Err("a pin is there twice");
            }
            pins.add(&name, possible(&name, revision, expires)?);
        }
        pins.revisions = pins.names.keys().copied().collect();
        Ok(pins)
    }

    /// Takes up a pin that was written down.
    ///
    /// # Errors
    /// Says in words what can't be.
    pub(crate) fn take_up(
        &mut self,
        name: &str,
        revision: u64,
        expires: Option<u64>,
    ) -> Result<(), &'static str> {
        self.set(name, possible(name, revision, expires)?);
        Ok(())
    }

    /// Checks the invariants.
    ///
    /// # Errors
    /// Says which does not hold.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let mut names: BTreeMap<u64, usize> = BTreeMap::new();
        self.pins.values().for_each(|pinned| *names.entry(pinned.revision).or_insert(0) += 1);
        if names != self.names || !names.keys().eq(self.revisions.iter()) {
            return Err("the pinned revisions are not those of the pins");
        }
        let ending = |(name, pinned): (&Arc<str>, &Pinned)| Some((pinned.expires?, Arc::clone(name)));
        let ending: Vec<_> = self.pins.iter().filter_map(ending).collect();
        if ending.len() != self.ends.len() || !ending.iter().all(|end| self.ends.contains(end)) {
            return Err("the pins that end are not those that say so");
        }
        Ok(())
    }
}

/// What was written down of a pin, if it can be.
fn possible(name: &str, revision: u64, expires: Option<u64>) -> Result<Pinned, &'static str> {
    let is_named = (1..=MAX_PIN_NAME_BYTES).contains(&name.len());
    if !is_named || revision == 0 || revision > Revision::LAST.get() {
        return Err("a pin has an impossible name or revision");
    }
    Ok(Pinned { revision, expires: expires.map(WallTime::from_millis) })
}

/// The first pinned revision from `first` on and before `end`.
#[inline]
pub(crate) fn pin_between(revisions: &[u64], first: u64, end: u64) -> Option<u64> {
    let place = revisions.partition_point(|revision| *revision < first);
    revisions.get(place).copied().filter(|revision| *revision < end)
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use std::time::{Duration, Instant};

    use super::*;

    fn pin(number: u64) -> (String, Pinned) {
        // Names are in another order than revisions.
        let revision = 1 + number * 7_919 % 50_000;
        (format!("pin {number}"), Pinned { revision, expires: None })
    }

    /// With work for all pins at each of them it takes a thousand times as long as it should.
    #[test]
    fn many_pins_are_taken_up_at_once() {
        let kept = (0..50_000).map(pin).map(|(name, Pinned { revision, .. })| Kept {
            name,
            revision,
            expires: Some(revision),
        });
        let kept: Vec<Kept> = kept.collect();
        let began = Instant::now();
        let pins = Pins::restore(kept).unwrap();
        assert!(began.elapsed() < Duration::from_secs(3), "it took {:?}", began.elapsed());
        pins.check().unwrap();
        assert_eq!((pins.len(), pins.revisions().len()), (50_000, 50_000));
    }

    #[test]
    fn each_change_keeps_the_revisions_in_order_and_tells_which_is_not_pinned_any_more() {
        let mut pins = Pins::default();
        let mut set = |name: &str, revision: u64| {
            let gone = pins.set(name, Pinned { revision, expires: None });
            pins.check().unwrap();
            gone
        };
        let gone =
            [set("a", 5), set("b", 3), set("c", 5), set("a", 4), set("c", 9), set("c", 9), set("b", 1)];
        assert_eq!(gone, [None, None, None, None, Some(5), None, Some(3)]);
        assert_eq!(**pins.revisions(), [1, 4, 9]);
        assert_eq!((pins.remove("a"), pins.remove("a"), pins.remove("b")), (Some(4), None, Some(1)));
        pins.check().unwrap();
        assert_eq!(**pins.revisions(), [9]);
    }
}
