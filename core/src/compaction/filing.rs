//! Where the dead are filed, so that each is looked at only when it may be time for it to go.
//!
//! Most wait in one list for a compaction that reaches their death. What a compaction finds that a pin sees is filed under that pin, and
//! looked at again when the pin is gone: then a later pin may see it, or it is removed.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::dead::{Dead, DeadList};
use super::retention::{RuleId, Rules};
use super::tombstones::{Stay, Tombstones};
use crate::pin::pin_between;
use crate::revision::Position;
use crate::sabotage::sabotaged;
use crate::scheduler::WallTime;
use crate::times::Times;

/// All dead records that are neither removed nor in the hands of the running job.
///
/// Invariants, verified by [`Filing::check`] and by the store's own check:
/// - each is in exactly one of the lists;
/// - a record is filed under the earliest pinned revision from its own on and before its death;
/// - of the revisions that are gone there is something filed under each, or the running job may file something there.
#[derive(Debug, Default)]
pub(crate) struct Filing {
    /// Those that wait for a compaction to their deaths.
    waiting: DeadList,
    /// Those of keys that a rule of retention is about, by the rule.
    ruled: Vec<DeadList>,
    rules: Arc<Rules>,
    /// Those that a compaction has left because this revision is pinned.
    pinned: BTreeMap<u64, DeadList>,
    /// Revisions that are no longer pinned: the next job looks at what they held. One that is running goes by the pins there were when it
    /// began, so that what it drops from the index and what it finds there are the same throughout.
    gone: BTreeSet<u64>,
    /// What is pinned for the running job.
    at_work: Option<Arc<[u64]>>,
    /// What is looked at of what they held, each list as far as compaction may reach.
    released: Vec<DeadList>,
    tombstones: Tombstones,
    /// How often all of it was filed anew.
    generation: u64,
}

/// Where a dead record is filed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// With its death, for a compaction.
    Waiting(u64),
    /// With its death, under a pinned revision.
    Pinned { pin: u64, death: u64 },
    /// With its death, for a look after a pin has gone.
    Released(u64),
    /// As a tombstone that an older record needs.
    Stays(Stay),
}

impl Filing {
    /// Nothing is filed, and these rules are what keys have.
    pub(crate) fn new(rules: Arc<Rules>) -> Self {
        Self { ruled: rules.ids().map(|_| DeadList::default()).collect(), rules, ..Self::default() }
    }

    /// The one that takes the place of another.
    pub(crate) fn following(self, other: &Self) -> Self {
        Self { generation: other.generation + 1, ..self }
    }

    /// Another number whenever what [`Filing::next_dead`] has answered says nothing any more of where to go on.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// What keys have of rules.
    pub(crate) fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// Finds out what is old enough for the rules now.
    pub(crate) fn look_at_times(&mut self, times: &Times, now: WallTime) {
        Arc::make_mut(&mut self.rules).look_at_times(times, now);
    }

    /// The lists of the rules, and up to which revision a compaction to `revision` empties them.
    fn reached(&self, revision: u64) -> impl Iterator<Item = (&DeadList, u64)> + '_ {
        let reach = move |rule| self.rules.reach(Some(rule), revision);
        self.ruled.iter().zip(self.rules.ids().map(reach))
    }

    /// Files a record that died at revision `death`, of a key that the rule is about. Some 100 ns.
    pub(crate) fn push(&mut self, position: Position, death: u64, rule: Option<RuleId>) {
        match rule.and_then(|RuleId(place)| self.ruled.get_mut(place)) {
            Some(list) => list.push(position, death),
            None => self.waiting.push(position, death),
        }
    }

    /// Files a tombstone that an older record of its key needs.
    pub(crate) fn push_tombstone(&mut self, tombstone: Position, stay: Stay) {
        self.tombstones.insert(tombstone, stay);
    }

    /// How many records are dead and not removed.
    pub(crate) fn len(&self) -> usize {
        let pinned: usize = self.pinned.values().map(DeadList::len).sum();
        let released: usize = self.released.iter().map(DeadList::len).sum();
        let ruled: usize = self.ruled.iter().map(DeadList::len).sum();
        self.waiting.len() + ruled + pinned + released + self.tombstones.len()
    }

    /// How many are there because this revision is pinned.
    pub(crate) fn count_of(&self, pin: u64) -> usize {
        self.pinned.get(&pin).map_or(0, DeadList::len) + self.tombstones.count_of(pin)
    }

    /// Whether all wait for a compaction.
    pub(crate) fn is_plain(&self) -> bool {
        self.ruled.is_empty()
            && self.pinned.is_empty()
            && self.gone.is_empty()
            && self.released.is_empty()
            && self.tombstones.is_empty()
    }

    /// Whether any tombstone stays because an older record needs it.
    pub(crate) fn has_tombstones(&self) -> bool {
        !self.tombstones.is_empty()
    }

    /// How many a compaction to `revision` will look at. Some 10 us for a million revisions.
    pub(crate) fn count_due(&self, revision: u64) -> usize {
        let ruled = self.reached(revision).map(|(list, reach)| list.count_dead_by(reach));
        self.waiting.count_dead_by(revision) + ruled.sum::<usize>()
    }

    /// Whether there is any to be looked at, once compaction has reached `revision`.
    pub(crate) fn is_due(&self, revision: u64) -> bool {
        let is_left = !self.gone.is_empty() || self.released.iter().any(|list| list.has_dead_by(revision));
        let is_ruled = self.reached(revision).any(|(list, reach)| list.has_dead_by(reach));
        self.waiting.has_dead_by(revision) || is_ruled || is_left || self.tombstones.is_due(revision)
    }

    /// Of those that wait for a compaction, the next few that died after a revision and by another: see [`DeadList::next_dead`]. They are in
    /// several lists: answers from which of them on and where to go on, `None` at the end.
    pub(crate) fn next_dead(
        &self,
        (list, start): (usize, Position),
        (after, until): (u64, u64),
    ) -> Option<(Vec<Dead>, (usize, Position))> {
        let all = self.reached(until).chain([(&self.waiting, until)]);
        let (place, (found, next)) = all
            .enumerate()
            .skip(list)
            .map(|(place, (of_it, reach))| {
                let start = if place == list { start } else { Position::new(0, 0) };
                (place, of_it.next_dead(start, (after, reach)))
            })
            .find_map(|(place, found)| Some((place, found?)))?;
        Some((found, next.map_or((place + 1, Position::new(0, 0)), |next| (place, next))))
    }

    /// The tombstones that stay because an older record needs them, and would not once compaction has reached `revision`.
    pub(crate) fn tombstones_ending(&self, revision: u64) -> Vec<Dead> {
        let ending =
            self.tombstones.iter().filter(|(_, stay)| matches!(stay, Stay::Until(next) if *next <= revision));
        ending.map(|(position, _)| Dead { position, death: position.main + 1 }).collect()
    }

    /// How many a compaction to the second revision will look at, and one to the first does not. Some 10 us for a million revisions.
    pub(crate) fn count_due_between(&self, (after, until): (u64, u64)) -> usize {
        self.count_due(until).saturating_sub(self.count_due(after))
    }

    /// Those that were held by pins that are gone, and are not looked at again yet.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = Dead> + '_ {
        let gone = self.gone.iter().filter_map(|pin| self.pinned.get(pin));
        gone.chain(&self.released).flat_map(DeadList::iter)
    }

    /// Takes some out that are to go, neighbours in the order of their positions, and files those among them that are pinned; `None` if no
    /// more are to be looked at.
    pub(crate) fn take(&mut self, revision: u64, pins: &[u64]) -> Option<Vec<Position>> {
        if self.tombstones.is_due(revision) {
            return Some(self.tombstones.take_due(revision, pins));
        }
        // Where versions are counted, a death is later than when the record was replaced, and which pins see it is found out when its key is at hand.
        let (mut taken, counts_versions) = match self.take_released(revision) {
            Some(taken) => (taken, false),
            None => {
                self.take_ruled(revision).or_else(|| Some((self.waiting.take_bucket(revision)?, false)))?
            }
        };
        if !pins.is_empty() && !counts_versions {
            taken.retain(|dead| !self.push_if_pinned(*dead, pins));
        }
        Some(taken.into_iter().map(|dead| dead.position).collect())
    }

    /// Some of a rule, and whether it counts versions.
    fn take_ruled(&mut self, revision: u64) -> Option<(Vec<Dead>, bool)> {
        let rules = &self.rules;
        let mut ruled = self.ruled.iter_mut().zip(rules.ids());
        ruled.find_map(|(list, rule)| {
            let taken = list.take_bucket(rules.reach(Some(rule), revision))?;
            Some((taken, rules.versions(Some(rule)) > 1))
        })
    }

    /// Some of what pins have held that are gone. What died later than this a watcher still needs, and it stays there.
    fn take_released(&mut self, revision: u64) -> Option<Vec<Dead>> {
        self.released.retain(|list| list.len() > 0);
        self.released.iter_mut().find_map(|list| list.take_bucket(revision))
    }

    /// Files a record that a compaction has reached under the first pin that sees it. Answers whether one does.
    pub(crate) fn push_if_pinned(&mut self, dead: Dead, pins: &[u64]) -> bool {
        let end = if sabotaged!(PinEndsEarly) { dead.death.saturating_sub(1) } else { dead.death };
        let Some(pin) = pin_between(pins, dead.position.main, end) else { return false };
        self.pinned.entry(pin).or_default().push(dead.position, dead.death);
        true
    }

    /// Has all be looked at again that is there for a revision that is no longer pinned.
    pub(crate) fn release(&mut self, pin: u64) {
        if sabotaged!(UnpinnedForgotten) {
            return;
        }
        let is_at_work = self.at_work.as_ref().is_some_and(|pins| pins.binary_search(&pin).is_ok());
        if is_at_work || self.has_filed(pin) {
            self.gone.insert(pin);
        }
    }

    /// Whether anything is there because this revision is pinned, or was.
    fn has_filed(&self, pin: u64) -> bool {
        self.pinned.contains_key(&pin) || self.tombstones.has_of(pin)
    }

    /// A job begins while these revisions are pinned: it looks at what is there for others.
    pub(crate) fn begin_job(&mut self, pins: &Arc<[u64]>) {
        self.at_work = Some(Arc::clone(pins));
        for pin in core::mem::take(&mut self.gone) {
            if pins.binary_search(&pin).is_err() {
                self.released.extend(self.pinned.remove(&pin));
                self.tombstones.release(pin);
            }
        }
    }

    /// The job that was begun is done. What it has not filed under a pin that went meanwhile need not be looked for.
    pub(crate) fn end_job(&mut self) {
        self.at_work = None;
        let mut gone = core::mem::take(&mut self.gone);
        gone.retain(|pin| self.has_filed(*pin));
        self.gone = gone;
    }

    /// Notes that the key of a tombstone has a newer record, of revision `next`.
    pub(crate) fn note_next(&mut self, tombstone: Position, next: u64) {
        if !self.tombstones.is_empty() {
            self.tombstones.note_next(tombstone, next);
        }
    }

    /// Notes that no record of its key is before a tombstone any more.
    pub(crate) fn note_first(&mut self, tombstone: Position) {
        if self.tombstones.remove(tombstone) {
            self.waiting.push(tombstone, tombstone.main + 1);
        }
    }

    /// Everything that is filed, and where.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Position, Place)> + '_ {
        let waiting = self.waiting.iter().map(|dead| (dead.position, Place::Waiting(dead.death)));
        let of_pin = |(pin, list): (&u64, &'_ DeadList)| {
            let pin = *pin;
            list.iter().map(move |dead| (dead.position, Place::Pinned { pin, death: dead.death })).collect()
        };
        let ruled = self.ruled.iter().flat_map(DeadList::iter);
        let ruled = ruled.map(|dead| (dead.position, Place::Waiting(dead.death)));
        let pinned = self.pinned.iter().flat_map(move |filed| -> Vec<_> { of_pin(filed) });
        let released = self.released.iter().flat_map(DeadList::iter);
        let released = released.map(|dead| (dead.position, Place::Released(dead.death)));
        let tombstones = self.tombstones.iter().map(|(position, stay)| (position, Place::Stays(stay)));
        waiting.chain(ruled).chain(pinned).chain(released).chain(tombstones)
    }

    /// Whether a revision is pinned, or what it held was not looked at yet.
    pub(crate) fn is_pin(&self, pin: u64, pins: &[u64]) -> bool {
        pins.binary_search(&pin).is_ok() || self.gone.contains(&pin) || self.tombstones.is_released(pin)
    }

    /// Verifies the invariants that need no look at the store.
    ///
    /// # Errors
    /// The first violation found, in words.
    pub(crate) fn check(&self, pins: &[u64]) -> Result<(), String> {
        self.waiting.check()?;
        self.ruled.iter().try_for_each(DeadList::check)?;
        for (pin, list) in &self.pinned {
            list.check()?;
            let is_first = |dead: Dead| pin_between(pins, dead.position.main, dead.death) == Some(*pin);
            let is_gone = self.gone.contains(pin);
            if let Some(dead) = list.iter().find(|dead| !is_gone && !is_first(*dead)) {
                return Err(format!("record {} is filed under the pin of {pin}", dead.position));
            }
        }
        let is_at_work =
            |pin: &u64| self.at_work.as_ref().is_some_and(|pins| pins.binary_search(pin).is_ok());
        if let Some(pin) = self.gone.iter().find(|pin| !is_at_work(pin) && !self.has_filed(**pin)) {
            return Err(format!("revision {pin} is to be looked at, and nothing is filed under it"));
        }
        if let Some(pin) = pins.iter().find(|pin| self.tombstones.is_released(**pin)) {
            return Err(format!("the tombstones of revision {pin} are let go, and it is pinned"));
        }
        self.released.iter().try_for_each(DeadList::check)?;
        self.tombstones.check()
    }
}
