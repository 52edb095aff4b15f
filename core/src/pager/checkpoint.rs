//! Checkpoints: from time to time the whole state is named by one meta slot, so that opening need not follow the log from
//! its beginning and freed pages can be used again.
//!
//! 1. The layers above freeze their state and allocate a place for each of their pages that changed.
//! 2. [`Pager::begin_checkpoint`] ends the epoch and plans the freelist; from here on writers go on as they like, and nothing
//!    they do is part of this checkpoint.
//! 3. The frozen pages and the freelist's are written, in any order and in as many steps as the host's time allows.
//! 4. [`Pager::finish_checkpoint`] syncs, writes one meta slot, syncs, and so makes the checkpoint durable; pages
//!    that only older checkpoints reach become free. Then the other slot gets the same content, so that no damage to
//!    one of them can lead back to an older state.

use alloc::vec::Vec;

use super::arena::Pager;
use super::freelist::Plan;
use super::meta::{LogStart, Meta};
use super::page::PageId;
use super::space::Epoch;
use crate::error::Result;
use crate::sabotage::sabotaged;
use crate::storage::Storage;

/// A checkpoint that has begun and is not yet durable.
pub(crate) struct Checkpoint {
    epoch: Epoch,
    log: LogStart,
    pages: u32,
    plan: Plan,
    written: usize,
}

impl<S: Storage> Pager<S> {
    /// Freezes the pager's part of a checkpoint. Everything that the checkpoint will name must have its place, and the log
    /// must have been synced.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage) if the storage has no room.
    pub(crate) fn begin_checkpoint(&mut self) -> Result<Checkpoint> {
        let plan = self.plan_freelist()?;
        let epoch = self.space.begin_checkpoint();
        let (log, pages) = (self.log.start(), self.space.pages());
        self.log.pages = 0;
        self.log.superseded = 0;
        self.freelist = plan.map.clone();
        Ok(Checkpoint { epoch, log, pages, plan, written: 0 })
    }

    /// Writes one page of the freelist; answers whether that was the last.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage) if the storage fails.
    pub(crate) fn write_freelist_page(&mut self, checkpoint: &mut Checkpoint) -> Result<Progress> {
        let Some((place, page)) = checkpoint.plan.writes.get(checkpoint.written) else {
            return Ok(Progress::Done);
        };
        self.pages.write_raw(*place, page)?;
        checkpoint.written += 1;
        Ok(Progress::More)
    }

    /// Makes the checkpoint durable, with `root` for the layers above to find again.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage) if the storage fails; which checkpoint is durable is then unknown.
    pub(crate) fn finish_checkpoint(&mut self, checkpoint: Checkpoint, root: Vec<u8>) -> Result<()> {
        let number = self.checkpoint + 1;
        let freelist = checkpoint.plan.root;
        let meta = Meta { checkpoint: number, pages: checkpoint.pages, freelist, log: checkpoint.log, root };
        self.write_found_slot()?;
        if !sabotaged!(MetaBeforeData) {
            self.sync()?;
        }
        let first =
            if sabotaged!(TrustedSlotOverwritten) { self.trusted_slot } else { 1 - self.trusted_slot };
        self.write_meta(&meta, first)?;
        self.sync()?;
        self.checkpoint = number;
        self.trusted_slot = first;
        self.space.checkpoint_is_durable(checkpoint.epoch);
        self.release();
        // The next sync makes the copy durable; until then the slot written first vouches for the checkpoint.
        self.write_meta(&meta, 1 - first)
    }

    pub(super) fn write_meta(&self, meta: &Meta, slot: u32) -> Result<()> {
        let sector = meta.encode(self.pages.identity, slot);
        self.pages.write_raw(PageId::new(slot), &sector)
    }
}

/// Whether a piece of work was the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There is more to do.
    More,
    /// Nothing is left to do.
    Done,
}
