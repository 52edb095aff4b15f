//! Snapshots: the store as it was at one revision, for as long as one likes.

use alloc::sync::Arc;

use super::Store;
use super::entry::Entry;
use super::read::Read;
use super::reader::{RangeRequest, Reader};
use crate::error::Result;
use crate::index::Index;
use crate::keys::Keys;
use crate::pager::{Hold, Pages};
use crate::records::View;
use crate::revision::Revision;
use crate::storage::Storage;

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
    pages: Arc<Pages<S>>,
    view: View,
    index: Index,
    /// The revision that is read unless another is asked for.
    revision: u64,
    /// The newest revision when the snapshot was taken.
    current: u64,
    compacted: Option<u64>,
    pinned: Arc<[u64]>,
    hold: Hold,
}

impl<S: Storage> Clone for Snapshot<S> {
    fn clone(&self) -> Self {
        Self {
            pages: Arc::clone(&self.pages),
            view: self.view.clone(),
            index: self.index.clone(),
            pinned: Arc::clone(&self.pinned),
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
            pinned: Arc::clone(store.pins.revisions()),
            hold: store.pager.hold(),
        }
    }

    fn reader(&self) -> Reader<'_, S> {
        Reader {
            pages: &self.pages,
            source: self.view.source(),
            index: &self.index,
            current: self.current,
            compacted: self.compacted,
            pinned: &self.pinned,
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
}
