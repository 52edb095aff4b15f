//! Asking for a compaction.

use super::{CompactionProgress, Store};
use crate::compaction::{Auto, AutoCompaction};
use crate::error::{Error, Result};
use crate::pager::Purpose;
use crate::records::SystemRecord;
use crate::revision::Revision;
use crate::storage::Storage;

/// A compaction that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compaction {
    /// The revision compacted to: the oldest that can be read from now on.
    pub revision: Revision,
}

impl<S: Storage> Store<S> {
    /// Gives up the history before a revision. Returns at once: from now on nothing below `revision` can be read, also after
    /// a crash, and [`Store::run`] removes what no longer matters, in chunks.
    ///
    /// Kept are, for each key, everything after `revision` and the newest version at or before it, unless that is a
    /// delete before it. The newest value of a key is never removed. What pins and rules keep stays, too, and so does what a watcher holds,
    /// until it has been told of it: the compaction does not wait for that, and [`Store::compaction`] tells how much it is.
    ///
    /// # Errors
    /// [`Error::Compacted`] if the store is already compacted to `revision` or later, [`Error::FutureRevision`], both with
    /// nothing changed; [`Error::Storage`] if the storage fails, after which the store refuses to write.
    pub fn compact(&mut self, revision: impl Into<Revision>) -> Result<Compaction> {
        let revision = revision.into();
        self.check_compactable(revision)?;
        self.writable()?;
        self.pager.work_for(Purpose::Work);
        self.append_system(SystemRecord::CompactionScheduled(revision.get()))?;
        self.compacted = Some(revision.get());
        self.times.compact(revision.get(), self.filing.rules().longest());
        self.flush()?;
        self.queue.push_back(revision.get());
        self.tell_of_next();
        Ok(Compaction { revision })
    }

    /// Notes how the compaction stands that is next, unless one before it is not yet durably finished.
    fn tell_of_next(&mut self) {
        let Some(next) = self.queue.front().filter(|_| self.background.told().all(|told| told.is_finished))
        else {
            return;
        };
        let (revision, reached) = (Revision::new(*next), (*next).min(self.watchers.held_revision()));
        let total = self.filing.count_due(reached) as u64;
        let (removed, pages_freed, held) = (0, 0, 0);
        self.background.note(CompactionProgress {
            revision,
            removed,
            total,
            pages_freed,
            held,
            is_finished: false,
        });
    }

    /// # Errors
    /// [`Error::Compacted`], [`Error::FutureRevision`].
    pub(super) fn check_compactable(&self, revision: Revision) -> Result<()> {
        if let Some(compacted) = self.compacted
            && revision.get() <= compacted
        {
            return Err(Error::Compacted { requested: revision, compacted: Revision::new(compacted) });
        }
        if revision.get() > self.revision {
            return Err(Error::FutureRevision { requested: revision, current: self.revision() });
        }
        Ok(())
    }

    /// Changes which history the store gives up by itself, from now on. What was sampled for the policy before is forgotten; a period is
    /// counted from the first time of a revision that is known.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use palimpsest_kv::{AutoCompaction, Options, Store, storage::MemoryStorage};
    /// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
    /// store.set_auto_compaction(AutoCompaction::Periodic(Duration::from_hours(10)));
    /// store.set_auto_compaction(AutoCompaction::Off);
    /// # Ok::<(), palimpsest_kv::Error>(())
    /// ```
    pub fn set_auto_compaction(&mut self, policy: AutoCompaction) {
        self.options.auto_compaction = policy;
        self.background.auto = Auto::new(policy);
    }

    /// How far the compaction is that is done next or now, or that ran last since the store was opened. Costs some 10 us for a million revisions.
    #[must_use]
    pub fn compaction(&self) -> Option<CompactionProgress> {
        self.background.told().next_back().map(|told| self.with_held(told))
    }

    /// How far the compaction to a revision is, or was when it ended: of the newest 256 since the store was opened, and once those before it
    /// have ended. Costs as [`Store::compaction`].
    ///
    /// ```
    /// # use palimpsest_kv::{Options, Store, storage::MemoryStorage};
    /// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
    /// for value in ["1", "2", "3"] {
    ///     store.put("key", value)?;
    /// }
    /// store.compact(3)?;
    /// store.compact(4)?;
    /// assert!(store.compaction_to(3).is_some_and(|first| !first.is_finished));
    /// assert!(store.compaction_to(4).is_none(), "its turn has not come");
    /// # Ok::<(), palimpsest_kv::Error>(())
    /// ```
    #[must_use]
    pub fn compaction_to(&self, revision: impl Into<Revision>) -> Option<CompactionProgress> {
        let revision = revision.into();
        self.background.told().find(|told| told.revision == revision).map(|told| self.with_held(told))
    }

    fn with_held(&self, told: CompactionProgress) -> CompactionProgress {
        let between = (self.watchers.held_revision(), told.revision.get());
        CompactionProgress { held: self.filing.count_due_between(between) as u64, ..told }
    }
}
