//! Thinning history out as it gets older: pins that the store sets itself, and compactions behind them.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::Store;
use crate::compaction::{MARK, Thinning};
use crate::error::{Error, Result};
use crate::pin::Pinned;
use crate::scheduler::{Clock, Deadline, Next, Time, WallTime};
use crate::storage::Storage;

/// A calendar that is set right soon after a machine has started is not to cost anything.
const PATIENCE: Duration = Duration::from_mins(10);

/// Thinning at work.
#[derive(Debug, Default)]
pub(super) struct Thinner {
    next: Option<Time>,
    /// Since when there are pins that end too late by the calendar.
    doubted: Option<Time>,
}

impl<S: Storage> Store<S> {
    /// Changes how history gets thinner with age, from now on; `None` ends it. Pins that were set for it stay until they end, or are
    /// removed like any other; but one that would last more than twice as long as any that is set now gets as long as those.
    ///
    /// ```
    /// # use palimpsest_kv::{Options, Store, Thinning, storage::MemoryStorage};
    /// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
    /// store.set_thinning(Some(Thinning::default()))?;
    /// # Ok::<(), palimpsest_kv::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidOption`], with nothing changed.
    pub fn set_thinning(&mut self, thinning: Option<Thinning>) -> Result<()> {
        thinning.as_ref().map_or(Ok(()), Thinning::validate)?;
        self.options.thinning = thinning;
        self.background.thinner = Thinner::default();
        Ok(())
    }

    /// Pins what is to be kept of the present intervals, and compacts to what was the newest revision when all that is kept began.
    pub(super) fn thinning_step<C: Clock>(&mut self, deadline: &Deadline<'_, C>) -> Result<Next> {
        let (Some(thinning), Some(wall)) = (self.options.thinning.clone(), deadline.wall()) else {
            return Ok(Next::Idle);
        };
        let now = deadline.now();
        if let Some(next) = self.background.thinner.next.filter(|next| now < *next) {
            return Ok(Next::At(next));
        }
        let next = now.after(thinning.interval());
        for mark in thinning.marks(wall) {
            if self.pins.get(&mark.name).is_none() {
                let pinned = Pinned { revision: self.revision, expires: Some(mark.expires) };
                self.set_pin(&mark.name, pinned)?;
            }
        }
        self.shorten((&thinning, wall), now)?;
        let due = self.times.revision_at(wall.before(thinning.all_for()));
        if let Some(revision) = due.filter(|revision| Some(*revision) > self.compacted && *revision > 1) {
            match self.compact(revision) {
                // What somebody else has compacted already is as good.
                Ok(_) | Err(Error::Compacted { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.background.thinner.next = Some(next);
        Ok(Next::At(next))
    }

    /// Has pins end that a calendar which was ahead has set, or another thinning. The present calendar may be the wrong one, for a while: so
    /// they get as long as any that is set now, and that only if it has been doubted for some time, by who knows no later one.
    fn shorten(&mut self, (thinning, wall): (&Thinning, WallTime), now: Time) -> Result<()> {
        let longest = thinning.longest();
        let is_too_late = |pinned: &Pinned| pinned.expires > Some(wall.after(longest).after(longest));
        let is_believed = self.times.last().is_some_and(|last| last.millis <= wall.as_millis());
        let pins = self.pins.beginning_with(MARK).filter(|(_, pinned)| is_believed && is_too_late(pinned));
        let pins: Vec<(String, Pinned)> = pins.map(|(name, pinned)| (name.into(), pinned)).collect();
        if pins.is_empty() {
            self.background.thinner.doubted = None;
            return Ok(());
        }
        let since = *self.background.thinner.doubted.get_or_insert(now);
        if now.since(since) < PATIENCE {
            return Ok(());
        }
        for (name, pinned) in pins {
            self.set_pin(&name, Pinned { expires: Some(wall.after(longest)), ..pinned })?;
        }
        Ok(())
    }
}
