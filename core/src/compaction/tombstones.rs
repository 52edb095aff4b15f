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

    /// Notes that a revision is no longer pinned.
    pub(crate) fn release(&mut self, pin: u64) {
        let released: Vec<_> = self.of_pin(pin).collect();
        for (stay, tombstone) in released {
            if let Stay::Pinned { next, .. } = stay {
                self.insert(tombstone, Stay::Until(next));
            }
        }
    }

    /// Whether any waits no longer, once compaction has reached `revision`.
    pub(crate) fn is_due(&self, revision: u64) -> bool {
        matches!(self.by_stay.first(), Some((Stay::Until(next), _)) if *next <= revision)
    }

    /// Takes out those that wait no longer, in order; those among them that a pin needs wait for it from now on.
    pub(crate) fn take_due(&mut self, revision: u64, pins: &[u64]) -> Vec<Position> {
        let last = (Stay::Until(revision), LAST);
        let due: Vec<_> = self.by_stay.range(..=last).take(MOST_AT_ONCE).copied().collect();
        let mut taken = Vec::new();
        for (stay, tombstone) in due {
            let Stay::Until(next) = stay else { continue };
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
