//! Watchers: who wants to be told of which keys, and of which changes they have not been told yet.
//!
//! A watcher holds no values. A change that it matches leaves its position in the watcher's list, which is short; a watcher that does
//! not keep up loses its list and reads on from the records instead, as does one that begins in the past. So the memory of a
//! watcher is bounded however slow it is, and a write costs as much as there are watchers that it matches. This module knows
//! nothing of records and pages.

mod holding;
mod interest;
mod intervals;
mod watcher;

pub use holding::Hold;
pub(crate) use holding::Overrun;
pub(crate) use watcher::{State, Told, Wants, Watcher};

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::keys::Keys;
use crate::revision::Position;
use crate::sabotage::sabotaged;
use crate::scheduler::Time;
use holding::Holders;
use interest::Interest;

/// What a change did to its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A value was put.
    Put,
    /// The key was deleted.
    Delete,
}

/// All watchers of a store.
///
/// Invariants, verified by [`Watchers::check`]: `interest` has exactly the keys of the watchers; `ready` has every
/// watcher that there is something to tell.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    watchers: HashMap<u64, Watcher>,
    interest: Interest,
    ready: BTreeSet<u64>,
    /// When watchers that are to be told how far the store is are told next.
    progress: BTreeSet<(Time, u64)>,
    /// Those whose time for that begins when the clock is next looked at.
    unseen: BTreeSet<u64>,
    last_id: u64,
    holders: Holders,
    /// Kept to spare an allocation a change.
    matching: Vec<u64>,
}

impl Watchers {
    pub(crate) fn len(&self) -> usize {
        self.watchers.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    /// Adds a watcher, and answers with its number.
    pub(crate) fn add(&mut self, keys: Keys, wants: Wants, state: State) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        self.interest.add(&keys, id);
        let mut watcher = Watcher::new(keys, wants, state);
        if watcher.wants.hold.is_some() {
            self.holders.ids.insert(id);
            watcher.written = self.holders.written;
        }
        if watcher.has_more() {
            self.ready.insert(id);
        }
        if watcher.wants.progress.is_some() {
            self.unseen.insert(id);
        }
        self.watchers.insert(id, watcher);
        id
    }

    /// Takes a watcher away, if it is there.
    pub(crate) fn remove(&mut self, id: u64) {
        let Some(watcher) = self.watchers.remove(&id) else { return };
        self.interest.remove(&watcher.keys, id);
        self.ready.remove(&id);
        self.unseen.remove(&id);
        self.holders.ids.remove(&id);
        watcher.progress_at.map(|time| self.progress.remove(&(time, id)));
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Watcher> {
        self.watchers.get(&id)
    }

    /// Notes a change of a key, for those whom it concerns.
    pub(crate) fn note(&mut self, key: &[u8], position: Position, kind: EventKind) {
        let mut matching = core::mem::take(&mut self.matching);
        self.interest.matching(key, &mut matching);
        for id in matching.drain(..) {
            if let Some(watcher) = self.watchers.get_mut(&id)
                && watcher.note(position, kind)
            {
                self.ready.insert(id);
            }
        }
        self.matching = matching;
    }

    /// Notes that a watcher has been told of something, and how far it is now.
    pub(crate) fn told(&mut self, id: u64, told: Told) {
        let Some(watcher) = self.watchers.get_mut(&id) else { return };
        match (told, &mut watcher.state) {
            // The list keeps its memory: what it held so far it will probably hold again.
            (Told::First(count), State::Listed(positions)) => {
                drop(positions.drain(..count.min(positions.len())))
            }
            (Told::First(_), State::Behind(_) | State::Lost(_) | State::Overrun(_)) => {}
            (Told::UpTo(state), _) => watcher.state = state,
        }
        watcher.owes_progress = false;
        if !watcher.has_more() {
            self.ready.remove(&id);
        }
        if watcher.wants.progress.is_some() {
            watcher.progress_at.take().map(|time| self.progress.remove(&(time, id)));
            self.unseen.insert(id);
        }
    }

    /// Notes that something was written, of so many bytes.
    pub(crate) fn note_written(&mut self, bytes: usize) {
        self.holders.written += bytes as u64;
    }

    /// Ends the hold of those who are too far behind, now that the store is at this revision. Costs O(watchers that hold).
    pub(crate) fn check_holds(&mut self, revision: u64) {
        if self.holders.ids.is_empty() {
            return;
        }
        self.holders.sample(revision);
        let oldest = self.held_revision();
        self.holders.forget_before(oldest);
        let (holders, watchers, ready) = (&self.holders, &mut self.watchers, &mut self.ready);
        let mut passed = Vec::new();
        for id in &holders.ids {
            let Some(watcher) = watchers.get_mut(id) else { continue };
            let held = watcher.held_revision();
            let written = holders.written_until(held).max(watcher.written);
            let overrun = watcher.wants.hold.and_then(|hold| {
                hold.passed(revision.saturating_sub(held), holders.written.saturating_sub(written))
            });
            if let Some(overrun) = overrun.filter(|_| held < revision) {
                watcher.state = State::Overrun(overrun);
                ready.insert(*id);
                passed.push(*id);
            }
        }
        passed.iter().for_each(|id| {
            self.holders.ids.remove(id);
        });
    }

    /// The revision that compaction may reach: what is visible then and all that came later is still needed.
    pub(crate) fn held_revision(&self) -> u64 {
        if sabotaged!(HoldIgnored) {
            return u64::MAX;
        }
        let held = self.holders.ids.iter().filter_map(|id| self.watchers.get(id));
        held.map(Watcher::held_revision).min().unwrap_or(u64::MAX)
    }

    /// The watchers that compaction waits for: their numbers, the revisions that they have got to, and bytes written since, or a little less
    /// where that is not known exactly.
    pub(crate) fn holding(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        let watchers = self.holders.ids.iter().filter_map(|id| Some((*id, self.watchers.get(id)?)));
        watchers.map(|(id, watcher)| {
            let held = watcher.held_revision();
            let written = self.holders.written_until(held).max(watcher.written);
            (id, held, self.holders.written.saturating_sub(written))
        })
    }

    /// Watchers that there may be something to tell, in the order of their numbers.
    pub(crate) fn ready(&self) -> impl Iterator<Item = u64> + '_ {
        self.ready.iter().copied()
    }

    /// Looks at the clock: notes who is to be told how far the store is, and answers when the next one is.
    pub(crate) fn look(&mut self, now: Time) -> Option<Time> {
        for id in core::mem::take(&mut self.unseen) {
            let Some(watcher) = self.watchers.get_mut(&id) else { continue };
            if let Some(interval) = watcher.wants.progress {
                let time = now.after(interval);
                watcher.progress_at = Some(time);
                self.progress.insert((time, id));
            }
        }
        while let Some((time, id)) = self.progress.first().copied()
            && time <= now
        {
            self.progress.pop_first();
            if let Some(watcher) = self.watchers.get_mut(&id) {
                watcher.progress_at = None;
                watcher.owes_progress = true;
                self.ready.insert(id);
            }
        }
        self.progress.first().map(|(time, _)| *time)
    }

    /// Whether a watcher's time begins when the clock is looked at, or is over at some moment.
    pub(crate) fn has_times(&self) -> bool {
        !self.unseen.is_empty() || !self.progress.is_empty()
    }

    /// Checks the invariants.
    ///
    /// # Errors
    /// Says which does not hold.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if !self.watchers.iter().all(|(id, watcher)| self.interest.has(&watcher.keys, *id)) {
            return Err("a watcher is not among those that are asked");
        }
        self.interest.check()?;
        if self.interest.len() != self.watchers.len() {
            return Err("one is asked that is no watcher");
        }
        let holds = |(id, watcher): (&u64, &Watcher)| {
            let is_over = matches!(watcher.state, State::Overrun(_));
            self.holders.ids.contains(id) == (watcher.wants.hold.is_some() && !is_over)
        };
        if !self.watchers.iter().all(holds) || self.holders.ids.len() > self.watchers.len() {
            return Err("a watcher that holds is not among those that do");
        }
        if !self.watchers.iter().all(|(id, watcher)| !watcher.has_more() || self.ready.contains(id)) {
            return Err("there is something to tell to a watcher that is not ready");
        }
        self.holders.check()?;
        self.watchers.values().try_for_each(Watcher::check)
    }
}
