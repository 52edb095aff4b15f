//! Thinning history out as it gets older: pins that the store sets itself, and compactions behind them.

use super::Store;
use crate::compaction::Thinning;
use crate::error::{Error, Result};
use crate::pin::Pinned;
use crate::scheduler::{Clock, Deadline, Next, Time};
use crate::storage::Storage;

/// Thinning at work.
#[derive(Debug, Default)]
pub(super) struct Thinner {
    next: Option<Time>,
}

impl<S: Storage> Store<S> {
    /// Changes how history gets thinner with age, from now on; `None` ends it. Pins that were set for it stay until they end.
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
}
