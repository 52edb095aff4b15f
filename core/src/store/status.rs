//! The store in numbers.

use crate::revision::Revision;

/// The store in numbers. See [`Store::status`](crate::Store::status).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The newest revision.
    pub revision: Revision,
    /// Everything up to this revision survives a crash.
    pub durable_revision: Revision,
    /// The oldest revision that can be read; `None` before the first compaction.
    pub compacted: Option<Revision>,
    /// The newest revision a compaction was asked for.
    pub scheduled: Option<Revision>,
    /// The newest revision a compaction has finished for.
    pub finished: Option<Revision>,
    /// Keys that exist at the newest revision.
    pub live_keys: u64,
    /// Keys in the index: live ones, and deleted ones whose history is still kept.
    pub keys: u64,
    /// Records stored: versions and tombstones.
    pub records: u64,
    /// Records that a newer one has replaced and that are not yet removed, those that pins hold among them, and those not that a rule keeps for
    /// their number.
    pub dead_records: u64,
    /// Bytes in a page.
    pub page_bytes: usize,
    /// The storage's length in bytes.
    pub file_bytes: u64,
    /// Bytes of pages that are in use: reachable now, or pending.
    pub used_bytes: u64,
    /// How many bytes may be in use, if that is bounded.
    pub quota_bytes: Option<u64>,
    /// The last write that was refused for the quota would still be. One that an empty store would have no room for does not count.
    pub is_out_of_space: bool,
    /// The storage is being made shorter, or is to be.
    pub is_shrinking: bool,
    /// Rules of retention.
    pub retention_rules: u64,
    /// Background work has dead records to remove: for a compaction, or because what held them is gone.
    pub is_compacting: bool,
    /// Leases that have not ended.
    pub leases: u64,
    /// Pins; [`Store::pins`](crate::Store::pins) tells what each holds.
    pub pins: u64,
    /// Watchers that were not cancelled.
    pub watchers: u64,
    /// Pages that the next write may use.
    pub free_pages: u64,
    /// Pages freed that a checkpoint or a snapshot still holds.
    pub pending_pages: u64,
    /// Snapshots that are open.
    pub snapshots: u64,
    /// Checkpoints made since the store was created.
    pub checkpoints: u64,
    /// Bytes of pages held in memory by the cache.
    pub cache_bytes: u64,
    /// The longest call of [`Store::run`](crate::Store::run) so far, in microseconds of the host's clock.
    pub longest_step_micros: u64,
}

/// How far a compaction is. See [`Store::compaction`](crate::Store::compaction).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactionProgress {
    /// The revision compacted to.
    pub revision: Revision,
    /// Records removed so far by this compaction.
    pub removed: u64,
    /// Records there are to remove, and were: fewer than at the beginning if some are held.
    pub total: u64,
    /// Pages that it has freed so far, less those it has filled anew.
    pub pages_freed: u64,
    /// Dead records that it leaves at present, because a watcher that holds was not told of everything before them. [`Store::run`] removes them
    /// once that is so; they are not among the others.
    ///
    /// [`Store::run`]: crate::Store::run
    pub held: u64,
    /// Whether everything that nothing holds is removed, and that is durable. It does not wait for what is `held`.
    pub is_finished: bool,
}

/// What [`Store::check`](crate::Store::check) has seen, all of it sound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// Keys in the index.
    pub keys: u64,
    /// Records read.
    pub records: u64,
    /// Pages that something reaches.
    pub reachable_pages: u64,
    /// Pages waiting for a checkpoint or a snapshot.
    pub pending_pages: u64,
    /// Free pages.
    pub free_pages: u64,
}

/// How long the calls of [`Store::run`](crate::Store::run) took, in microseconds of the host's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StepTimes {
    pub(super) longest_micros: u64,
}

impl StepTimes {
    pub(super) fn note(&mut self, took: core::time::Duration) {
        self.longest_micros = self.longest_micros.max(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }
}
