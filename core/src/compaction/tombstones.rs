//! Tombstones that stay because an older record of their key does.
//!
//! Were such a tombstone removed, the older record would be the key's newest the next time the store is opened, and the key would live
//! again. So it stays until the older ones are gone, or until a newer record of the key ends their time instead: one that compaction has
//! reached, with no pinned revision between the two at which the key must be found deleted.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use crate::pin::pin_between;
use crate::revision::Position;

/// So many are looked at in one call at most.
const MOST_AT_ONCE: usize = 4096;

/// What a tombstone waits for, unless the older records of its key go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stay {
    /// For compaction to the revision of its key's next record.
    Until(u64),
    /// For a pin to go. The key's next record is of the other revision.
    Pinned { pin: u64, next: u64 },
    /// For a next record of its key.
    Newest,
}

impl Stay {
    /// What a tombstone of revision `main` waits for that an older record needs, where the key's next record is of revision `next` and
    /// compaction has reached `revision`; `None` if for nothing.
    pub(crate) fn of(main: u64, next: Option<u64>, (revision, pins): (u64, &[u64])) -> Option<Self> {
        match next {
            None => Some(Self::Newest),
            Some(next) if next > revision => Some(Self::Until(next)),
            Some(next) => pin_between(pins, main, next).map(|pin| Self::Pinned { pin, next }),
        }
    }
}

/// The tombstones that stay, and what each waits for.
///
/// Invariant, verified by [`Tombstones::check`]: both sides have the same.
#[derive(Debug, Default)]
pub(crate) struct Tombstones {
    stays: BTreeMap<Position, Stay>,
    by_stay: BTreeSet<(Stay, Position)>,
    /// Pins that are gone: what waits for them does so no longer. It is filed anew a few thousand at a time, when they are looked at.
    released: Vec<u64>,
}

const FIRST: Position = Position::new(0, 0);
const LAST: Position = Position::new(u64::MAX, u32::MAX);

impl Tombstones {
    pub(crate) fn len(&self) -> usize {
        self.stays.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stays.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Position, Stay)> + '_ {
        self.stays.iter().map(|(position, stay)| (*position, *stay))
    }

    /// How many wait for this pin to go.
    pub(crate) fn count_of(&self, pin: u64) -> usize {
        self.of_pin(pin).count()
    }

    fn of_pin(&self, pin: u64) -> impl Iterator<Item = (Stay, Position)> + '_ {
        let bound = |next, position| (Stay::Pinned { pin, next }, position);
        self.by_stay.range(bound(0, FIRST)..=bound(u64::MAX, LAST)).copied()
    }

    /// Whether any waits for this pin to go.
    pub(crate) fn has_of(&self, pin: u64) -> bool {
        self.of_pin(pin).next().is_some()
    }

    /// Whether this pin is gone, and what waits for it not looked at yet.
    pub(crate) fn is_released(&self, pin: u64) -> bool {
        self.released.contains(&pin)
    }

    pub(crate) fn insert(&mut self, tombstone: Position, stay: Stay) {
        if let Some(before) = self.stays.insert(tombstone, stay) {
            self.by_stay.remove(&(before, tombstone));
        }
        self.by_stay.insert((stay, tombstone));
    }

    /// Takes a tombstone out. Answers whether it was there.
    pub(crate) fn remove(&mut self, tombstone: Position) -> bool {
        let found = self.stays.remove(&tombstone);
        found.map(|stay| self.by_stay.remove(&(stay, tombstone))).is_some()
    }

    /// Notes that the key of a tombstone has a newer record, of revision `next`.
    pub(crate) fn note_next(&mut self, tombstone: Position, next: u64) {
        if self.stays.get(&tombstone) == Some(&Stay::Newest) {
            self.insert(tombstone, Stay::Until(next));
        }
    }

    /// Notes that a revision is no longer pinned. O(1), but for a search.
    pub(crate) fn release(&mut self, pin: u64) {
        if self.has_of(pin) {
            self.released.push(pin);
        }
    }

    /// Whether any waits no longer, once compaction has reached `revision`.
    pub(crate) fn is_due(&self, revision: u64) -> bool {
        let is_reached = |first: &(Stay, Position)| matches!(first.0, Stay::Until(next) if next <= revision);
        !self.released.is_empty() || self.by_stay.first().is_some_and(is_reached)
    }

    /// Some of those that wait no longer.
    fn next_due(&mut self, revision: u64) -> Vec<(Stay, Position)> {
        let Some(pin) = self.released.last().copied() else {
            let last = (Stay::Until(revision), LAST);
            return self.by_stay.range(..=last).take(MOST_AT_ONCE).copied().collect();
        };
        let due: Vec<_> = self.of_pin(pin).take(MOST_AT_ONCE).collect();
        if due.len() < MOST_AT_ONCE {
            self.released.pop();
        }
        due
    }

    /// Takes some out that wait no longer, in order; those among them that a pin needs, or that compaction has not reached, wait for that from
    /// now on. The pins must not be among those that were let go of.
    pub(crate) fn take_due(&mut self, revision: u64, pins: &[u64]) -> Vec<Position> {
        let mut taken = Vec::new();
        for (stay, tombstone) in self.next_due(revision) {
            let (Stay::Until(next) | Stay::Pinned { next, .. }) = stay else { continue };
            match Stay::of(tombstone.main, Some(next), (revision, pins)) {
                Some(stay) => self.insert(tombstone, stay),
                None => {
                    self.remove(tombstone);
                    taken.push(tombstone);
                }
            }
        }
        taken.sort_unstable();
        taken
    }

    /// # Errors
    /// Says what does not hold.
    pub(crate) fn check(&self) -> Result<(), String> {
        let is_mutual = self.stays.iter().all(|(position, stay)| self.by_stay.contains(&(*stay, *position)));
        if is_mutual && self.stays.len() == self.by_stay.len() {
            return Ok(());
        }
        Err("a tombstone that stays is filed twice or not at all".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pin_lets_go_of_is_looked_at_in_parts() {
        let mut tombstones = Tombstones::default();
        let count = 2 * MOST_AT_ONCE as u64 + 10;
        for main in 0..count {
            // Every other one is seen by another pin, too.
            let main = 100 + main * 2;
            tombstones.insert(Position::new(main, 0), Stay::Pinned { pin: 50, next: count * 4 });
        }
        let pins = [100 + count];
        let mut taken = Vec::new();
        tombstones.release(50);
        while tombstones.is_due(count * 4) {
            let left = tombstones.count_of(50);
            taken.extend(tombstones.take_due(count * 4, &pins));
            let seen = left - tombstones.count_of(50);
            assert!((1..=MOST_AT_ONCE).contains(&seen), "{seen} at once");
            tombstones.check().unwrap();
        }
        assert!(taken.is_sorted() && taken.len() as u64 == count / 2 - 1, "{} are taken", taken.len());
        assert_eq!(tombstones.count_of(pins[0]) as u64, count / 2 + 1);
    }
}
