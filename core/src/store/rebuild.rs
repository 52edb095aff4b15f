//! Filling a new store with records that have their revisions already.

use alloc::vec::Vec;

use super::kept::Kept;
use super::open::{RootState, random_id};
use super::{Options, Store};
use crate::error::{Error, Result};
use crate::lease::Kept as KeptLease;
use crate::limits::MAX_UNWRITTEN_LEAVES;
use crate::pager::{NewStore, Pager, Progress, Unproven};
use crate::pin::Kept as KeptPin;
use crate::records::{Body, PutNumbers, Record, Records, Room};
use crate::revision::{Position, Revision};
use crate::storage::Storage;
use crate::times::Kept as KeptTime;

/// A record for a new store, wherever its bytes are now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change<'a> {
    /// A value, with its version, the revision that created the key, and the lease that the key is attached to, 0 for none.
    Put { key: &'a [u8], value: &'a [u8], version: u64, created: u64, lease: u64 },
    /// The key was deleted.
    Tombstone { key: &'a [u8] },
}

/// What a store that was filled is besides its records.
#[derive(Debug)]
pub(crate) struct Ending {
    /// The newest revision.
    pub(crate) revision: u64,
    /// What is compacted, though what compaction removes may still be there.
    pub(crate) compacted: Option<u64>,
    pub(crate) leases: Vec<KeptLease>,
    pub(crate) pins: Vec<KeptPin>,
    pub(crate) times: Vec<KeptTime>,
}

/// A store that is being filled. It is none until [`Rebuild::finish`]: what a crash leaves before that can't be opened, and can be filled again.
pub(crate) struct Rebuild<S> {
    pager: Pager<S>,
    records: Records,
}

impl<S: Storage> Rebuild<S> {
    /// Creates a store without records on a storage that must hold nothing, or what was left of another one that did not get finished.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if it holds something or the options are invalid, with the storage unchanged;
    /// [`Error::Storage`].
    pub(crate) fn begin(into: S, options: &Options) -> Result<Self> {
        options.validate()?;
        let store_id = options.store_id.unwrap_or_else(random_id);
        let new = NewStore { store_id, page_bytes: options.page_bytes };
        let Some(mut pager) = Pager::create_concealed(into, new, options.cache_bytes)? else {
            let reason = "the new store's storage is not empty".into();
            return Err(Error::InvalidOption { option: "into", reason });
        };
        pager.end_of_log(Unproven::default())?;
        let records = Records::new(pager.page_bytes(), Position::new(Revision::FIRST.get(), 0));
        Ok(Self { pager, records })
    }

    /// The position that the next record must be after.
    pub(crate) fn last(&self) -> Position {
        self.records.last()
    }

    /// Adds a record, which must be after all others. Its numbers must be such that opening takes them.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails or has no room.
    pub(crate) fn append(&mut self, position: Position, change: Change<'_>) -> Result<()> {
        let (key, value) = match change {
            Change::Put { key, value, .. } => (key, value),
            Change::Tombstone { key } => (key, &[][..]),
        };
        let room = Records::make_room(&mut self.pager, key, value)?;
        let body = match (change, room) {
            (Change::Put { version, created, lease, .. }, room) => {
                let age = position.main.saturating_sub(created);
                Body::put((key, value), PutNumbers { age, version, lease }, room)
            }
            (Change::Tombstone { .. }, Room::Inline) => Body::Tombstone { key },
            (Change::Tombstone { .. }, Room::LongValue(chain) | Room::LongKey(chain)) => {
                Body::LongTombstone { chain }
            }
        };
        self.records.append(&Record { position, body });
        if self.records.unwritten_leaves() >= MAX_UNWRITTEN_LEAVES {
            self.records.commit(&mut self.pager)?;
        }
        Ok(())
    }

    /// Gives up: the storage holds nothing, if it still does what it is told, and no store in any case.
    #[cfg(feature = "exchange")]
    pub(crate) fn abandon(self) {
        // There is somebody already to whom something else is told that went wrong.
        let _emptied = self.pager.vacate();
    }

    /// Makes it a store, durably, and opens it. Nothing is removed yet of what a compaction removes.
    ///
    /// # Errors
    /// [`Error::Storage`]; [`Error::Corrupt`] if the records are no history, or a key is attached to a lease that is not there.
    pub(crate) fn finish(mut self, ending: Ending, options: Options) -> Result<Store<S>> {
        let Ending { revision, compacted, leases, pins, times } = ending;
        self.records.commit(&mut self.pager)?;
        let kept = Kept { leases, pins, times }.store(&mut self.pager)?;
        self.pager.sync()?;
        let mut nodes = self.records.freeze(&mut self.pager)?;
        let mut checkpoint = self.pager.begin_checkpoint()?;
        while nodes.write_node(&mut self.pager)? == Progress::More {}
        while self.pager.write_freelist_page(&mut checkpoint)? == Progress::More {}
        let root =
            RootState { records: Some(nodes.root()), revision, scheduled: compacted, finished: None, kept };
        self.pager.finish_checkpoint(checkpoint, root.encode())?;
        self.pager.sync()?;
        drop(nodes);
        match self.pager.into_storage() {
            Some(storage) => Store::open(storage, options),
            None => unreachable!("nobody else reads from a store that is being filled"),
        }
    }
}
