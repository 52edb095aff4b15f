//! Rules of retention, and the time that they count.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::Store;
use super::refile::Refiling;
use crate::compaction::{Filing, RetentionRule, Rules};
use crate::error::Result;
use crate::pager::Progress;
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
    /// What is dead is filed anew by such rules.
    refiling: Option<Refiling>,
    next: Option<Time>,
}

impl Retaining {
    /// Where what dies of a key is filed besides.
    #[inline]
    pub(super) fn filing_of(&mut self, key: &[u8]) -> Option<&mut Filing> {
        self.refiling.as_mut().and_then(|refiling| refiling.filing_of(key))
    }

    /// Notes that a revision is no longer pinned.
    pub(super) fn release(&mut self, pin: u64) {
        self.refiling.iter_mut().for_each(|refiling| refiling.release(pin));
    }

    /// # Errors
    /// The first violation of an invariant found, in words.
    pub(super) fn check(&self, pins: &[u64]) -> core::result::Result<(), String> {
        self.refiling.as_ref().map_or(Ok(()), |refiling| refiling.check(pins))
    }
}

impl<S: Storage> Store<S> {
    /// Changes which versions stay whatever is compacted, from now on, or from when the compaction that is under way has finished. What is gone
    /// does not come back; what is still there is kept or given up as the new rules say. Costs looking at all positions in the index: at once, or
    /// in the steps of [`Store::run`] where a compaction is under way.
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
        self.background.retaining.refiling = None;
        if self.background.job.is_none() {
            while self.take_up_rules() == Progress::More {}
        }
        Ok(())
    }

    /// Whether rules wait for a compaction to end, or are being taken up.
    pub(super) fn has_next_rules(&self) -> bool {
        self.background.retaining.next_rules.is_some() || self.background.retaining.refiling.is_some()
    }

    /// Takes up new rules, if there are any, a few keys at a time; answers whether that goes on. No compaction may be under way until it is done:
    /// while one is, the index may lack what it is about to remove.
    pub(super) fn take_up_rules(&mut self) -> Progress {
        let retaining = &mut self.background.retaining;
        if let Some(rules) = retaining.next_rules.take() {
            // What a watcher has yet to be told of waits for it as for a compaction, pinned or not.
            let reached = self.compacted.unwrap_or(0).min(self.watchers.held_revision());
            retaining.refiling = Some(Refiling::begin(rules, (reached, self.pins.revisions())));
        }
        let Some(mut refiling) = retaining.refiling.take() else { return Progress::Done };
        if refiling.next_keys(&self.index) == Progress::More {
            retaining.refiling = Some(refiling);
            return Progress::More;
        }
        self.filing = refiling.finish().following(&self.filing);
        retaining.next = None;
        Progress::Done
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
