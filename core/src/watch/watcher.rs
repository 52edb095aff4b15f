//! One watcher: what it wants, and how far it is.

use alloc::collections::VecDeque;
use core::time::Duration;

use super::EventKind;
use super::holding::{Hold, Overrun};
use crate::keys::Keys;
use crate::limits::MAX_WATCH_LIST;
use crate::revision::Position;
use crate::sabotage::sabotaged;
use crate::scheduler::Time;

/// What a watcher wants to be told, besides which keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wants {
    /// The first revision that it wants to hear of.
    pub(crate) first: u64,
    /// The only kind of change that it wants to hear of, if it does not want both.
    pub(crate) only: Option<EventKind>,
    /// Whether neither kind is wanted.
    pub(crate) is_deaf: bool,
    pub(crate) previous: bool,
    /// Bytes after which a batch may end within a revision.
    pub(crate) fragment_bytes: Option<usize>,
    /// How long it wants to hear nothing before it is told how far the store is.
    pub(crate) progress: Option<Duration>,
    /// How far it may be behind while compaction waits for it; `None` if it does not wait.
    pub(crate) hold: Option<Hold>,
    /// What was compacted when it began, if compaction waits for it.
    pub(crate) floor: u64,
}

impl Wants {
    pub(crate) fn wants(&self, kind: EventKind) -> bool {
        !self.is_deaf && self.only.is_none_or(|only| only == kind)
    }
}

/// How far a watcher is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It has been told of everything but these changes, the oldest first.
    Listed(VecDeque<Position>),
    /// It is told of what the records hold from this position on.
    Behind(Position),
    /// Compaction has removed what it was not yet told of, which began with this revision.
    Lost(u64),
    /// Compaction has waited for it long enough.
    Overrun(Overrun),
}

/// What a watcher has been told now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// So many changes from the front of its list.
    First(usize),
    /// Everything before this.
    UpTo(State),
}

/// One watcher.
///
/// Invariant: the list is not longer than it may be, its positions grow, and none is before the first revision wanted.
#[derive(Clone, Debug)]
pub(crate) struct Watcher {
    pub(crate) keys: Keys,
    pub(crate) wants: Wants,
    pub(crate) state: State,
    /// When that is, once the clock has been looked at.
    pub(super) progress_at: Option<Time>,
    /// It is time to tell it how far the store is.
    pub(crate) owes_progress: bool,
    /// What was written by all when it began, if compaction waits for it.
    pub(super) written: u64,
}

impl Watcher {
    pub(super) fn new(keys: Keys, wants: Wants, state: State) -> Self {
        Self { keys, wants, state, progress_at: None, owes_progress: false, written: 0 }
    }

    /// Whether there is something to tell it, or may be.
    pub(crate) fn has_more(&self) -> bool {
        match &self.state {
            State::Listed(positions) => !positions.is_empty() || self.owes_progress,
            State::Behind(_) | State::Lost(_) | State::Overrun(_) => true,
        }
    }

    /// The revision up to which it needs nothing more than what is visible then; the largest number if it needs nothing at all.
    pub(super) fn held_revision(&self) -> u64 {
        let next = match &self.state {
            State::Listed(positions) => positions.front().copied(),
            State::Behind(position) => Some(*position),
            State::Lost(_) | State::Overrun(_) => None,
        };
        next.map_or(u64::MAX, |next| next.main.saturating_sub(1).max(self.wants.floor))
    }

    /// Notes a change of one of its keys. Answers whether that gives it something to be told.
    pub(super) fn note(&mut self, position: Position, kind: EventKind) -> bool {
        let is_early = position.main < self.wants.first && !sabotaged!(FutureWatcherToldOfThePast);
        if is_early || !self.wants.wants(kind) {
            return false;
        }
        if let State::Listed(positions) = &mut self.state {
            match positions.front().copied() {
                Some(_) if positions.len() >= MAX_WATCH_LIST && sabotaged!(WatchListForgetful) => {
                    positions.pop_front();
                    positions.push_back(position);
                }
                Some(first) if positions.len() >= MAX_WATCH_LIST => self.state = State::Behind(first),
                Some(_) | None => positions.push_back(position),
            }
        }
        true
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        let State::Listed(positions) = &self.state else { return Ok(()) };
        let is_sound = positions.len() <= MAX_WATCH_LIST
            && positions.iter().is_sorted_by(|a, b| a < b)
            && positions.front().is_none_or(|position| position.main >= self.wants.first);
        if is_sound { Ok(()) } else { Err("a watcher's list is too long or out of order") }
    }
}
