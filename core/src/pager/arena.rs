//! Writing: which page is what, and what the storage is told.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::freelist::Freelist;
use super::log::Log;
use super::meta::META_PAGES;
use super::page::{Page, PageId, PageRef, seal};
use super::pages::Pages;
use super::space::{Held, Hold, Note, Space};
use crate::checksum::checksum;
use crate::error::{Error, Result};
use crate::sabotage::sabotaged;
use crate::storage::Storage;

/// Pages to add at once when the storage must grow: a thirty-second of what is there, within these bounds, and a quarter while that is
/// little. Growing ahead lets commits overwrite instead of append, and lets a cut-off file be told from an unfinished commit.
pub(super) const MIN_GROWTH: u32 = 16;
const LITTLE_GROWTH: u32 = 64;
pub(super) const MAX_GROWTH: u32 = 1024;
/// Pages that puts leave free, so that a store on a full medium can still be compacted, and gets room again.
const RESERVED_PAGES: u32 = 16;

/// What pages are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// What makes the store larger: puts.
    Put,
    /// All else. It may use up what is there, and takes from the medium whatever there is.
    Work,
}

/// Writing: which page is what, and what the storage is told.
///
/// Invariant: what a durable checkpoint or a commit since then reaches is never overwritten.
#[derive(Debug)]
pub(crate) struct Pager<S> {
    pub(super) pages: Arc<Pages<S>>,
    pub(super) space: Space,
    pub(super) log: Log,
    pub(super) freelist: Freelist,
    /// The number of the last checkpoint.
    pub(super) checkpoint: u64,
    /// The meta slot (0 or 1) that holds it for certain.
    pub(super) trusted_slot: u32,
    /// The storage's length in pages at the last sync.
    pub(super) durable_pages: u32,
    /// Commits since the last sync.
    pub(super) unsynced: u64,
    /// Pages written since the last sync, those of commits left out.
    pub(super) unsynced_pages: usize,
    /// Pages that the storage does not grow beyond as long as it has others.
    pub(super) bound: Option<u32>,
    pub(super) purpose: Purpose,
    /// The meta slot to rely on, as it was found, until it was written once more and synced.
    pub(super) found_slot: Option<FoundSlot>,
}

/// A meta slot as it was found.
#[derive(Debug)]
pub(super) struct FoundSlot {
    pub(super) slot: u32,
    pub(super) sector: Vec<u8>,
    pub(super) proof: Proof,
}

/// Whether the checkpoint that a meta slot names is surely durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// Both slots name it. The second is only ever written after the first was synced; which of the two that was is
    /// not known.
    BothSlots,
    /// It may be that the sync which was to make it durable failed.
    None,
}

impl<S: Storage> Pager<S> {
    pub(crate) fn pages(&self) -> &Arc<Pages<S>> {
        &self.pages
    }

    /// The storage, unless a snapshot still reads from it.
    pub(crate) fn into_storage(self) -> Option<S> {
        Arc::into_inner(self.pages).map(Pages::into_storage)
    }

    pub(crate) fn page_bytes(&self) -> usize {
        self.pages.page_bytes()
    }

    /// A page for the caller to fill, lowest numbers first.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage can't grow.
    pub(crate) fn allocate(&mut self) -> Result<PageId> {
        if let Some(page) = self.allocate_unreserved() {
            return Ok(page);
        }
        self.release();
        if let Some(page) = self.allocate_unreserved() {
            return Ok(page);
        }
        // Who writes goes first: the end of the storage is emptied another time.
        self.space.set_ceiling(None);
        if let Some(page) = self.allocate_unreserved() {
            return Ok(page);
        }
        self.grow()?;
        self.space.allocate().ok_or_else(|| Error::Storage {
            operation: "grow",
            reason: format!("all of {} pages are in use", self.space.pages()),
        })
    }

    /// A page that the storage has already, if it is not reserved for something else. Whoever bounds the storage keeps a reserve of its own,
    /// but the medium may end before the bound: that the storage can grow no more is known only where it has reached it.
    fn allocate_unreserved(&mut self) -> Option<PageId> {
        let reserved = match self.purpose {
            Purpose::Put if !self.is_at_bound() && !sabotaged!(ReserveIgnored) => RESERVED_PAGES,
            Purpose::Put | Purpose::Work => 0,
        };
        if self.space.free_len() > reserved { self.space.allocate() } else { None }
    }

    /// Whether the bound leaves no room for the reserve to be added.
    fn is_at_bound(&self) -> bool {
        self.bound.is_some_and(|bound| bound < self.space.pages().saturating_add(RESERVED_PAGES))
    }

    /// The page after `page` if it is free, else the lowest free one.
    pub(super) fn allocate_near(&mut self, page: PageId) -> Result<PageId> {
        match self.space.allocate_after(page) {
            Some(page) => Ok(page),
            None => self.allocate(),
        }
    }

    /// Up to `most` neighbouring pages, from the lowest free one on. Answers with the first and how many.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage can't grow.
    pub(crate) fn allocate_run(&mut self, most: u32) -> Result<(PageId, u32)> {
        let first = self.allocate()?;
        let mut count = 1;
        let mut last = first;
        while count < most
            && let Some(page) = self.space.allocate_after(last)
        {
            last = page;
            count += 1;
        }
        Ok((first, count))
    }

    pub(super) fn grow(&mut self) -> Result<()> {
        let pages = self.space.pages();
        let growth = (pages / 4).clamp(MIN_GROWTH, LITTLE_GROWTH).max(pages / 32).min(MAX_GROWTH);
        // Room for one commit's page at least: who bounds the storage sees to it that no more than that is asked for.
        let bound = self.bound.map_or(u32::MAX, |bound| bound.max(pages.saturating_add(1)));
        let grown = pages.saturating_add(growth).min(bound);
        // It may be longer than its pages are many, while its end is being cut off.
        let grown = if grown > self.pages.len() { self.lengthen(grown)? } else { grown };
        self.space.grow(grown);
        Ok(())
    }

    /// Makes the storage so many pages long, or, where that is not for a put, as long as it can be. Answers how long it is.
    fn lengthen(&mut self, pages: u32) -> Result<u32> {
        let mut growth = pages - self.pages.len();
        loop {
            let longer = self.pages.len() + growth;
            match self.pages.set_len(longer) {
                Ok(()) => return Ok(longer),
                Err(error) if self.purpose == Purpose::Put || growth < 2 => return Err(error),
                Err(_) => growth /= 2,
            }
        }
    }

    /// What pages are taken for from now on.
    pub(crate) fn work_for(&mut self, purpose: Purpose) {
        self.purpose = purpose;
    }

    /// Has the storage not grow ahead beyond so many pages; beyond them it grows by what is needed.
    pub(crate) fn bound_growth(&mut self, pages: Option<u32>) {
        self.bound = pages;
    }

    /// Lets go of a page that the newest state no longer reaches.
    pub(crate) fn free(&mut self, page: PageId) {
        self.space.free(page);
    }

    /// Gives back a page that was allocated and then not needed.
    pub(crate) fn give_back(&mut self, page: PageId) {
        self.pages.forget(page);
        self.space.give_back(page);
    }

    /// Marks a page found in use while a store is opened; answers whether it was free before.
    pub(crate) fn claim(&mut self, page: PageId) -> bool {
        self.space.claim(page)
    }

    /// Seals a page, writes it to its place, and answers with what its parent must know.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails.
    pub(crate) fn write(&mut self, place: PageId, page: &mut Page) -> Result<PageRef> {
        let checksum = seal(page, self.pages.store_id(), place);
        self.pages.write_raw(place, page)?;
        self.unsynced_pages += 1;
        self.pages.remember(place, page);
        Ok(PageRef { page: place.get(), checksum })
    }

    /// Writes a run of overflow pages; `bytes` must fill them.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails.
    pub(crate) fn write_run(&mut self, start: PageId, bytes: &[u8]) -> Result<PageRef> {
        self.pages.write_raw(start, bytes)?;
        self.unsynced_pages += bytes.len() / self.page_bytes();
        Ok(self.run_at(start, bytes))
    }

    /// What is to name a run of overflow pages that holds these bytes.
    pub(crate) fn run_at(&self, start: PageId, bytes: &[u8]) -> PageRef {
        PageRef { page: start.get(), checksum: checksum(self.pages.store_id(), start.get(), bytes) }
    }

    /// Keeps a page that stands at its place in memory, as far as there is room.
    pub(crate) fn remember(&self, place: PageId, page: &Page) {
        self.pages.remember(place, page);
    }

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// [`Error::Storage`] if that is not certain.
    pub(crate) fn sync(&mut self) -> Result<()> {
        if !sabotaged!(SyncSkipped) {
            self.pages.sync()?;
        }
        self.durable_pages = self.space.pages();
        self.unsynced = 0;
        self.unsynced_pages = 0;
        Ok(())
    }

    /// Pages written since the last sync, those of commits left out.
    pub(crate) fn unsynced_pages(&self) -> usize {
        self.unsynced_pages
    }

    /// A hold on all pages that are reachable now, for a snapshot.
    pub(crate) fn hold(&self, note: Note) -> Hold {
        self.space.hold(note)
    }

    /// The snapshots that are open, oldest first, and what each holds.
    pub(crate) fn held(&self) -> Vec<Held> {
        self.space.held()
    }

    /// Frees what neither a checkpoint nor a snapshot holds any more.
    pub(crate) fn release(&mut self) {
        for page in self.space.release() {
            self.pages.forget(page);
        }
    }

    pub(crate) fn file_pages(&self) -> u32 {
        self.space.pages()
    }

    pub(crate) fn free_pages(&self) -> u32 {
        self.space.free_len()
    }

    pub(crate) fn pending_pages(&self) -> usize {
        self.space.pending_len()
    }

    /// Pending pages that a checkpoint made now would free.
    pub(crate) fn releasable_pages(&self) -> usize {
        self.space.releasable_len()
    }

    pub(crate) fn snapshots(&self) -> usize {
        self.space.readers().len()
    }

    pub(crate) fn checkpoints(&self) -> u64 {
        self.checkpoint
    }

    /// Pages of the log since the last checkpoint, and how many of them are superseded.
    pub(crate) fn log_pages(&self) -> (usize, usize) {
        (self.log.pages, self.log.superseded)
    }

    /// The pages that the pager itself reaches: meta slots, the freelist, the place of the next commit.
    pub(crate) fn own_pages(&self) -> impl Iterator<Item = PageId> + '_ {
        (0..META_PAGES).map(PageId::new).chain(self.freelist.pages()).chain([self.log.next])
    }

    /// Where the log goes on.
    pub(crate) fn log_next(&self) -> PageId {
        self.log.next
    }

    /// Whether a page is marked as used.
    pub(crate) fn is_used(&self, page: PageId) -> bool {
        self.space.is_used(page)
    }

    /// The pages that are marked as used, ascending.
    pub(crate) fn used_pages(&self) -> impl Iterator<Item = PageId> + '_ {
        self.space.used()
    }

    /// The pages that are pending.
    pub(crate) fn pending(&self) -> impl Iterator<Item = PageId> + '_ {
        self.space.pending()
    }
}
