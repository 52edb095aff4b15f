//! Snapshots: the store as it was at one revision, for as long as one likes.

use alloc::sync::Arc;

use super::Store;
use super::diff::DiffRequest;
use super::entry::Entry;
use super::history::HistoryRequest;
use super::read::Read;
use super::reader::{RangeRequest, Reader};
use crate::compaction::Rules;
use crate::error::Result;
use crate::index::Index;
use crate::keys::Keys;
use crate::pager::{Hold, Note, Pages};
use crate::records::View;
use crate::revision::Revision;
use crate::scheduler::Time;
use crate::storage::Storage;
use crate::times::Times;

/// The store as it was at one revision. Taking one costs O(1); it reads the same whatever is written or compacted
/// meanwhile, on any thread, and waits for nobody. The pages that only it can reach are free again when it is dropped.
///
/// ```
/// # use palimpsest_kv::{Options, Store, storage::MemoryStorage};
/// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
/// store.put("a", "old")?;
/// let snapshot = store.snapshot();
/// store.put("a", "new")?;
/// assert_eq!(snapshot.get("a")?.unwrap().value(), b"old");
/// # Ok::<(), palimpsest_kv::Error>(())
/// ```
#[derive(Debug)]
pub struct Snapshot<S: Storage> {
    pub(super) pages: Arc<Pages<S>>,
    pub(super) view: View,
    pub(super) index: Index,
    /// The revision that is read unless another is asked for.
    revision: u64,
    /// The newest revision when the snapshot was taken.
    times: Times,
    pub(super) pinned: Arc<[u64]>,
    pub(super) rules: Arc<Rules>,
    pub(super) current: u64,
    pub(super) compacted: Option<u64>,
    hold: Hold,
}

impl<S: Storage> Clone for Snapshot<S> {
    fn clone(&self) -> Self {
        Self {
            pages: Arc::clone(&self.pages),
            view: self.view.clone(),
            index: self.index.clone(),
            times: self.times.clone(),
            pinned: Arc::clone(&self.pinned),
            rules: Arc::clone(&self.rules),
            hold: self.hold.clone(),
            ..*self
        }
    }
}

impl<S: Storage> Snapshot<S> {
    pub(super) fn new(store: &Store<S>, revision: u64) -> Self {
        Self {
            pages: Arc::clone(store.pager.pages()),
            view: store.records.view(),
            index: store.index.clone(),
            revision,
            current: store.revision,
            compacted: store.compacted,
            hold: store.pager.hold(Note { revision, taken: store.background.seen.map(Time::as_micros) }),
            times: store.times.clone(),
            pinned: Arc::clone(store.pins.revisions()),
            rules: Arc::clone(store.filing.rules()),
        }
    }

    pub(super) fn reader(&self) -> Reader<'_, S> {
        Reader {
            pages: &self.pages,
            source: self.view.source(),
            index: &self.index,
            current: self.current,
            compacted: self.compacted,
            times: &self.times,
            pinned: &self.pinned,
            rules: &self.rules,
        }
    }

    /// The revision that it reads.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision::new(self.revision)
    }

    /// The key's value, `None` if the key did not exist. Costs a lookup in the index and one page.
    ///
    /// # Errors
    /// [`Error::EmptyKey`](crate::Error::EmptyKey), [`Error::Corrupt`](crate::Error::Corrupt),
    /// [`Error::Storage`](crate::Error::Storage).
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Entry>> {
        self.reader().get(key.as_ref(), self.revision)
    }

    /// The keys that existed; see [`RangeRequest`].
    pub fn range(&self, keys: impl Into<Keys>) -> RangeRequest<'_, S> {
        RangeRequest::new(self.reader(), Read::new(keys).at(self.revision()))
    }

    /// The versions of a key that existed when the snapshot was taken, until its revision; see [`HistoryRequest`].
    pub fn history(&self, key: impl AsRef<[u8]>) -> HistoryRequest<'_, S> {
        HistoryRequest::new(self.reader(), key.as_ref(), self.revision)
    }

    /// What is not the same at two revisions that could be read when the snapshot was taken, 0 standing for the newest then; see
    /// [`DiffRequest`].
    pub fn diff(&self, from: impl Into<Revision>, to: impl Into<Revision>) -> DiffRequest<'_, S> {
        DiffRequest::new(self.reader(), (from.into(), to.into()))
    }
}
