//! Watchers: who wants to be told of which keys, and of which changes they have not been told yet.
//!
//! A watcher holds no values. A change that it matches leaves its position in the watcher's list, which is short; a watcher that does
//! not keep up loses its list and reads on from the records instead, as does one that begins in the past. So the memory of a
//! watcher is bounded however slow it is, and a write costs as much as there are watchers that it matches. This module knows
//! nothing of records and pages.

mod interest;
mod intervals;
mod watcher;

pub(crate) use watcher::{State, Told, Wants, Watcher};

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::keys::Keys;
use crate::revision::Position;
use crate::scheduler::Time;
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
        let watcher = Watcher::new(keys, wants, state);
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
            (Told::First(_), State::Behind(_) | State::Lost(_)) => {}
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
        if !self.watchers.iter().all(|(id, watcher)| !watcher.has_more() || self.ready.contains(id)) {
            return Err("there is something to tell to a watcher that is not ready");
        }
        self.watchers.values().try_for_each(Watcher::check)
    }
}
