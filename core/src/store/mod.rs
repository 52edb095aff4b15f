//! The public face: a store, its snapshots and transactions.

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use core::fmt;

mod background;
mod check;
mod check_dead;
mod compact;
mod diff;
mod dry_run;
mod entry;
#[cfg(feature = "exchange")]
mod exported;
mod hash;
mod history;
mod holders;
mod intervals;
mod kept;
mod leases;
mod open;
mod options;
mod page_map;
mod pins;
mod put;
mod quota;
mod read;
mod reader;
mod rebuild;
mod refile;
mod remembered;
mod retention;
mod shrink;
mod snapshot;
mod status;
#[cfg(test)]
mod tests;
mod thinning;
mod times;
mod txn;
mod txn_types;
mod watch;
mod write;
mod writer;

pub use compact::Compaction;
pub use diff::{DiffIter, DiffRequest, Difference, Differences};
pub use dry_run::{DryRun, DryRunReport, Freed};
pub use entry::{Entry, RangeResult};
pub use hash::HashKv;
pub use history::{HistoryIter, HistoryRequest, Version, Versions};
pub use holders::Holder;
pub use leases::{Lease, Revoked};
pub use options::{Durability, Options};
pub use page_map::PageUse;
pub use pins::Pin;
pub use put::{Delete, Put};
pub use read::{Order, Read, SortBy};
pub use reader::{RangeIter, RangeRequest};
pub use snapshot::Snapshot;
pub use status::{CheckReport, CompactionProgress, Status};
pub use txn::Txn;
pub use txn_types::{Compare, CompareNumber, CompareValue, Op, OpOutcome, Transaction, TxnOutcome};
pub use watch::{Event, Previous, WatchBatch, WatchRequest, Watched, Watcher};
pub use write::{Deleted, Written};
pub use writer::Writer;

pub(crate) use open::RootState;
pub(crate) use rebuild::{Change, Ending, Rebuild};
pub(crate) use remembered::Remembered;

use background::Background;

use crate::compaction::Filing;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::keys::Keys;
use crate::lease::Leases;
use crate::pager::Pager;
use crate::pin::Pins;
use crate::records::{Chain, Records};
use crate::revision::Revision;
use crate::sabotage::sabotaged;
use crate::scheduler::WallTime;
use crate::storage::Storage;
use crate::times::Times;
use crate::watch::Watchers;
use reader::Reader;

/// A multi-version key-value store.
///
/// It belongs to one owner and has no thread and no clock: the host calls [`Store::run`] from its loop to let background work
/// happen.
///
/// ```
/// use palimpsest_kv::{Budget, Options, Store, SystemClock, storage::MemoryStorage};
///
/// let mut store = Store::open(MemoryStorage::new(), Options::default())?;
/// let first = store.put("users/1", "Ada")?.revision;
/// store.put("users/1", "Ada Lovelace")?;
///
/// assert_eq!(store.get("users/1")?.unwrap().value(), b"Ada Lovelace");
/// assert_eq!(store.read_at(first)?.get("users/1")?.unwrap().value(), b"Ada");
///
/// store.compact(store.revision())?;
/// let clock = SystemClock::new();
/// while store.run(&clock, Budget::millis(2))?.is_ready() {}
/// assert!(store.read_at(first).is_err(), "its history is gone");
/// # Ok::<(), palimpsest_kv::Error>(())
/// ```
///
/// Invariants, all of them checked by [`Store::check`]:
/// - the index names exactly the records that are there, but for dead ones that are to be removed, and they are where it says;
/// - what is filed as dead and the running compaction's batch are exactly the records that have died and are not removed;
/// - what is filed under a pin is what it sees;
/// - the keys attached to leases are those whose newest records say so;
/// - every page is exactly one of reachable, pending and free.
pub struct Store<S: Storage> {
    options: Options,
    pager: Pager<S>,
    records: Records,
    index: Index,
    filing: Filing,
    /// The newest revision.
    revision: u64,
    /// Everything up to this revision is durable.
    durable_revision: u64,
    /// What compaction was last asked for; nothing below can be read.
    compacted: Option<u64>,
    /// The last compaction that is done.
    finished: Option<u64>,
    /// Records stored, dead ones included.
    record_count: u64,
    /// Compactions that are asked for and not finished, oldest first; the first may be under way.
    queue: VecDeque<u64>,
    background: Background,
    leases: Leases,
    /// When revisions were written.
    times: Times,
    pins: Pins,
    /// Where the last checkpoint has written what it remembers besides the records; `None` if that was nothing.
    system: Option<Chain>,
    /// What is remembered is to be written to other pages by the next checkpoint.
    write_kept_anew: bool,
    /// A record of the engine's own, which takes no revision, may not be durable yet.
    has_unsynced_system: bool,
    watchers: Watchers,
    /// What the write needed that the quota last did not allow.
    refused_bytes: Option<u64>,
    /// Why the store refuses to write: what the storage said.
    failed: Option<String>,
}

impl<S: Storage> fmt::Debug for Store<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("revision", &self.revision)
            .field("compacted", &self.compacted)
            .field("keys", &self.index.len())
            .finish_non_exhaustive()
    }
}

impl<S: Storage> Store<S> {
    fn reader(&self) -> Reader<'_, S> {
        Reader {
            pages: self.pager.pages(),
            source: self.records.source(),
            index: &self.index,
            current: self.revision,
            compacted: self.compacted,
            times: &self.times,
            pinned: self.pins.revisions(),
            rules: self.filing.rules(),
        }
    }

    /// The newest revision: 1 for a store that nothing was written to.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision::new(self.revision)
    }

    /// The newest revision that is there after a crash, with all before it.
    #[must_use]
    pub fn durable_revision(&self) -> Revision {
        Revision::new(self.durable_revision)
    }

    /// The oldest revision that can be read; `None` before the first compaction.
    #[must_use]
    pub fn compacted(&self) -> Option<Revision> {
        self.compacted.map(Revision::new)
    }

    /// The key's newest value, `None` if the key does not exist. Costs a lookup in the index and one page.
    ///
    /// # Errors
    /// [`Error::EmptyKey`], [`Error::Corrupt`], [`Error::Storage`].
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Entry>> {
        self.reader().get(key.as_ref(), self.revision)
    }

    /// Keys in order, with their newest values or those of an earlier revision; see [`RangeRequest`].
    pub fn range(&self, keys: impl Into<Keys>) -> RangeRequest<'_, S> {
        RangeRequest::new(self.reader(), Read::new(keys))
    }

    /// The same, described apart.
    ///
    /// # Errors
    /// [`Error::EmptyKey`], [`Error::Compacted`], [`Error::FutureRevision`], [`Error::Corrupt`], [`Error::Storage`].
    pub fn read(&self, read: &Read) -> Result<RangeResult> {
        RangeRequest::new(self.reader(), read.clone()).collect()
    }

    /// All versions of a key that still exist, deletes too; see [`HistoryRequest`].
    pub fn history(&self, key: impl AsRef<[u8]>) -> HistoryRequest<'_, S> {
        HistoryRequest::new(self.reader(), key.as_ref(), self.revision)
    }

    /// What is not the same at two revisions, 0 standing for the newest; see [`DiffRequest`].
    pub fn diff(&self, from: impl Into<Revision>, to: impl Into<Revision>) -> DiffRequest<'_, S> {
        DiffRequest::new(self.reader(), (from.into(), to.into()))
    }

    /// The store as it is now. Costs O(1).
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<S> {
        Snapshot::new(self, self.revision)
    }

    /// The store as it was at a revision; 0 stands for the newest. Costs O(1).
    ///
    /// # Errors
    /// [`Error::Compacted`], [`Error::FutureRevision`].
    pub fn read_at(&self, revision: impl Into<Revision>) -> Result<Snapshot<S>> {
        let revision = self.reader().check(Some(revision.into()))?;
        Ok(Snapshot::new(self, revision))
    }

    /// The store as it was at a time; see [`Store::revision_at`]. Costs a search.
    ///
    /// # Errors
    /// [`Error::TimeUnknown`], [`Error::Compacted`].
    pub fn read_at_time(&self, time: WallTime) -> Result<Snapshot<S>> {
        let revision = self.reader().check_time(time)?;
        Ok(Snapshot::new(self, revision))
    }

    /// The store in numbers. Costs O(1).
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage does not say how long it is.
    pub fn status(&self) -> Result<Status> {
        let page_bytes = self.pager.page_bytes();
        let free_pages = u64::from(self.pager.free_pages());
        let waiting = self.background.job_len();
        Ok(Status {
            revision: self.revision(),
            durable_revision: self.durable_revision(),
            compacted: self.compacted(),
            scheduled: self.compacted(),
            finished: self.finished.map(Revision::new),
            live_keys: self.index.live_len(),
            keys: self.index.len() as u64,
            records: self.record_count,
            dead_records: (self.filing.len() + waiting) as u64,
            page_bytes,
            file_bytes: self.pager.pages().storage_bytes()?,
            used_bytes: self.used_bytes(),
            quota_bytes: self.options.quota_bytes,
            is_out_of_space: self.is_out_of_space(),
            is_shrinking: self.is_shrinking(),
            leases: self.leases.len() as u64,
            pins: self.pins.len() as u64,
            retention_rules: self.filing.rules().len() as u64,
            is_compacting: self.is_compacting(),
            watchers: self.watchers.len() as u64,
            free_pages,
            pending_pages: self.pager.pending_pages() as u64,
            snapshots: self.pager.snapshots() as u64,
            checkpoints: self.pager.checkpoints(),
            cache_bytes: self.pager.pages().cached_bytes() as u64,
            longest_step_micros: self.background.steps.longest_micros,
        })
    }

    /// Makes everything durable, writes a checkpoint, and gives the storage back, `None` if a snapshot still reads from it.
    ///
    /// A store that is dropped instead loses nothing that was durable, and takes longer to open.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::WritesRefused`].
    pub fn close(mut self) -> Result<Option<S>> {
        if !sabotaged!(LeaseTimeForgotten) {
            self.leases.note_time();
        }
        self.checkpoint()?;
        Ok(self.pager.into_storage())
    }

    /// # Errors
    /// [`Error::WritesRefused`] after a failure that left it unknown what is durable.
    fn writable(&self) -> Result<()> {
        match &self.failed {
            Some(reason) => Err(Error::WritesRefused { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Remembers a failure of the storage, after which nothing is written any more.
    fn noting_failure<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(error @ (Error::Storage { .. } | Error::Corrupt { .. })) = &result
            && self.failed.is_none()
            && !sabotaged!(FailureForgotten)
        {
            self.failed = Some(error.to_string());
        }
        result
    }
}
