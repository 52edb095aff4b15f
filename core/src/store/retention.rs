//! Rules of retention, and the time that they count.

use alloc::vec::Vec;
use core::time::Duration;

use super::Store;
use super::refile::file_all;
use crate::compaction::{RetentionRule, Rules};
use crate::error::Result;
use crate::scheduler::{Clock, Deadline, Next, Time};
use crate::storage::Storage;

/// The revisions are sampled so often in the shortest time that a rule counts.
const SAMPLES: u32 = 20;
const LEAST_INTERVAL: Duration = Duration::from_millis(10);
const MOST_INTERVAL: Duration = Duration::from_mins(10);

/// Rules at work.
#[derive(Debug, Default)]
pub(super) struct Retaining {
    /// Rules that take the place of those that there are, when no compaction is under way.
    next_rules: Option<Rules>,
    next: Option<Time>,
}

impl<S: Storage> Store<S> {
    /// Changes which versions stay whatever is compacted, from now on, or from when the compaction that is under way has finished. What is gone
    /// does not come back; what is still there is kept or given up as the new rules say. Costs looking at all positions in the index.
    ///
    /// ```
    /// # use palimpsest_kv::{Options, RetentionRule, Store, storage::MemoryStorage};
    /// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
    /// store.set_retention(vec![RetentionRule::of("config/").newest(10)])?;
    /// # Ok::<(), palimpsest_kv::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidOption`](crate::Error::InvalidOption), with nothing changed.
    pub fn set_retention(&mut self, rules: Vec<RetentionRule>) -> Result<()> {
        Rules::validate(&rules)?;
        self.background.retaining.next_rules = Some(Rules::new(&rules, &self.times));
        self.options.retention = rules;
        self.take_up_rules();
        Ok(())
    }

    /// Whether rules wait for a compaction to end.
    pub(super) fn has_next_rules(&self) -> bool {
        self.background.retaining.next_rules.is_some()
    }

    /// Takes up new rules, unless a compaction is under way: while it is, the index may lack what it is about to remove.
    pub(super) fn take_up_rules(&mut self) {
        if self.background.job.is_some() {
            return;
        }
        if let Some(rules) = self.background.retaining.next_rules.take() {
            // What a watcher has yet to be told of waits for it as for a compaction, pinned or not.
            let reached = self.compacted.unwrap_or(0).min(self.watchers.held_revision());
            let filing = file_all(&self.index, rules, (reached, self.pins.revisions()));
            self.filing = filing.following(&self.filing);
            self.background.retaining.next = None;
        }
    }

    /// Finds out what is old enough for the rules that keep something for a while.
    pub(super) fn retention_step<C: Clock>(&mut self, deadline: &Deadline<'_, C>) -> Next {
        let Some(shortest) = self.filing.rules().times().min() else { return Next::Idle };
        let Some(wall) = deadline.wall() else { return Next::Idle };
        let now = deadline.now();
        if let Some(next) = self.background.retaining.next.filter(|next| now < *next) {
            return Next::At(next);
        }
        self.filing.look_at_times(&self.times, wall);
        let time = now.after((shortest / SAMPLES).clamp(LEAST_INTERVAL, MOST_INTERVAL));
        self.background.retaining.next = Some(time);
        Next::At(time)
    }
}
