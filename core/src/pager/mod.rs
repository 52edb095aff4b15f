//! Fixed-size pages in an arena: allocation, copy-on-write, the cache, the log, checkpoints, two meta slots and the freelist.
//!
//! What it is not: it knows no record and no key. The layers above put bytes into the pages, name a root for
//! the next checkpoint to remember, and find both again when the store is opened.
//!
//! [`Pages`] is the part that snapshots on other threads share: reading, and verifying every page that is read. [`Pager`]
//! is the writer's: everything that changes what is where.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

mod bitmap;
mod cache;
mod checkpoint;
mod create;
mod freelist;
mod log;
mod meta;
mod page;
mod space;

use cache::Cache;
use freelist::Freelist;
use log::Log;
use meta::Identity;
use space::Space;

pub(crate) use checkpoint::{Checkpoint, Progress};
pub(crate) use create::NewStore;
pub(crate) use log::{LogEntry, Replayed};
pub(crate) use meta::{MAX_ROOT_BYTES, META_PAGES};
pub(crate) use page::{
    HEADER_BYTES, Header, Page, PageId, PageRef, blank, page_mut, put_at, seal, set_base, set_count,
    set_level, set_used, u16_at, u32_at, u64_at,
};
pub(crate) use space::Hold;

use crate::checksum::checksum;
use crate::error::{Error, PageKind, Result};
use crate::storage::Storage;

/// Pages to add at once when the storage must grow: a thirty-second of what is there, within these bounds. Growing ahead
/// lets commits overwrite instead of append, and lets a cut-off file be told from an unfinished commit.
const MIN_GROWTH: u32 = 16;
const MAX_GROWTH: u32 = 4096;

/// Reading: the storage with the cache before it. Every page is verified whenever it is loaded from the storage.
#[derive(Debug)]
pub(crate) struct Pages<S> {
    storage: S,
    cache: Cache,
    identity: Identity,
    /// The storage's length in pages, so that no read needs to ask for it.
    len: AtomicU32,
}

impl<S: Storage> Pages<S> {
    fn new(storage: S, identity: Identity, cache_bytes: usize) -> Result<Self> {
        let len = u32::try_from(storage.len()? / identity.page_bytes as u64).unwrap_or(u32::MAX);
        Ok(Self { storage, cache: Cache::new(cache_bytes), identity, len: AtomicU32::new(len) })
    }

    /// The storage's length in whole pages.
    fn len(&self) -> u32 {
        self.len.load(Ordering::Acquire)
    }

    pub(crate) fn page_bytes(&self) -> usize {
        self.identity.page_bytes
    }

    pub(crate) fn store_id(&self) -> u64 {
        self.identity.store_id
    }

    pub(crate) fn cached_bytes(&self) -> usize {
        self.cache.bytes()
    }

    fn offset(&self, page: PageId) -> u64 {
        u64::from(page.get()) * self.identity.page_bytes as u64
    }

    /// The page that its parent says stands at a place.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is not that page, [`Error::Storage`] if it can't be read.
    pub(crate) fn load(&self, place: PageRef, kind: PageKind) -> Result<Page> {
        let id = PageId::new(place.page);
        if let Some(page) = self.cache.get(id)
            && Header::of(&page).checksum() == place.checksum
        {
            page::check_kind(&page, id, kind)?;
            return Ok(page);
        }
        let corrupt = |what: &str| Error::corrupt(place.page, kind, what);
        let Some(page) = self.load_unverified(id)? else {
            return Err(corrupt("it lies beyond the end of the storage"));
        };
        if !page::is_sealed(&page, self.store_id(), id) {
            return Err(corrupt("the checksum does not match its content"));
        }
        if Header::of(&page).checksum() != place.checksum {
            return Err(corrupt("it is another version than the page above it names"));
        }
        page::check_kind(&page, id, kind)?;
        self.cache.insert(id, Arc::clone(&page));
        Ok(page)
    }

    /// Those of the pages that are in memory, as their parents name them.
    pub(crate) fn cached(&self, places: impl Iterator<Item = Option<PageRef>>) -> Vec<Option<Page>> {
        let mut found = self
            .cache
            .get_many(places.map(|place| place.map(|place| (PageId::new(place.page), place.checksum))));
        for (page, checksum) in &mut found {
            page.take_if(|page| Header::of(page).checksum() != *checksum);
        }
        found.into_iter().map(|(page, _)| page).collect()
    }

    /// A page as it is, `None` if it lies beyond the end.
    fn load_unverified(&self, id: PageId) -> Result<Option<Page>> {
        if id.get() >= self.len() {
            return Ok(None);
        }
        let mut page: Page = vec![0; self.page_bytes()].into();
        self.storage.read(self.offset(id), page_mut(&mut page))?;
        Ok(Some(page))
    }

    /// Reads a run of overflow pages, which have no header: their checksum is with whoever names them. The caller has
    /// made sure that they lie within the storage.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the checksum does not match, [`Error::Storage`] if the run can't be read.
    pub(crate) fn load_run(&self, start: PageRef, buffer: &mut [u8]) -> Result<()> {
        self.storage.read(self.offset(PageId::new(start.page)), buffer)?;
        if checksum(self.store_id(), start.page, buffer) != start.checksum {
            let what = "the checksum does not match its content";
            return Err(Error::corrupt(start.page, PageKind::Overflow, what));
        }
        Ok(())
    }

    /// Whether so many pages from `start` on lie within the storage.
    pub(crate) fn has_run(&self, start: PageId, pages: u32) -> bool {
        start.get().checked_add(pages).is_some_and(|end| end <= self.len())
    }

    /// More pages than this there can't be.
    pub(crate) fn most_pages(&self) -> u32 {
        self.len()
    }

    pub(crate) fn storage_bytes(&self) -> Result<u64> {
        self.storage.len()
    }

    #[cfg(test)]
    pub(crate) fn storage(&self) -> &S {
        &self.storage
    }

    /// Empties the cache.
    #[cfg(test)]
    pub(crate) fn forget_all(&self) {
        (0..self.len()).for_each(|page| self.cache.remove(PageId::new(page)));
    }

    fn write_raw(&self, start: PageId, bytes: &[u8]) -> Result<()> {
        self.storage.write(self.offset(start), bytes)
    }

    fn remember(&self, place: PageId, page: &Page) {
        self.cache.insert(place, Arc::clone(page));
    }

    fn sync(&self) -> Result<()> {
        self.storage.sync()
    }
}

/// Writing: which page is what, and what the storage is told.
///
/// Invariant: what a durable checkpoint or a commit since then reaches is never overwritten.
#[derive(Debug)]
pub(crate) struct Pager<S> {
    pages: Arc<Pages<S>>,
    space: Space,
    log: Log,
    freelist: Freelist,
    /// The number of the last checkpoint.
    checkpoint: u64,
    /// The meta slot (0 or 1) that holds it for certain.
    trusted_slot: u32,
    /// The storage's length in pages at the last sync.
    durable_pages: u32,
}

impl<S: Storage> Pager<S> {
    pub(crate) fn pages(&self) -> &Arc<Pages<S>> {
        &self.pages
    }

    /// The storage, unless a snapshot still reads from it.
    pub(crate) fn into_storage(self) -> Option<S> {
        Arc::into_inner(self.pages).map(|pages| pages.storage)
    }

    pub(crate) fn page_bytes(&self) -> usize {
        self.pages.page_bytes()
    }

    /// A page for the caller to fill, lowest numbers first.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage can't grow.
    pub(crate) fn allocate(&mut self) -> Result<PageId> {
        if let Some(page) = self.space.allocate() {
            return Ok(page);
        }
        self.release();
        if let Some(page) = self.space.allocate() {
            return Ok(page);
        }
        self.grow()?;
        self.space.allocate().ok_or_else(|| Error::Storage {
            operation: "grow",
            reason: format!("all of {} pages are in use", self.space.pages()),
        })
    }

    /// The page after `page` if it is free, else the lowest free one.
    fn allocate_near(&mut self, page: PageId) -> Result<PageId> {
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

    fn grow(&mut self) -> Result<()> {
        let pages = self.space.pages();
        let grown = pages.saturating_add((pages / 32).clamp(MIN_GROWTH, MAX_GROWTH));
        self.pages.storage.set_len(u64::from(grown) * self.page_bytes() as u64)?;
        self.space.grow(grown);
        self.pages.len.store(grown, Ordering::Release);
        Ok(())
    }

    /// Lets go of a page that the newest state no longer reaches.
    pub(crate) fn free(&mut self, page: PageId) {
        self.space.free(page);
    }

    /// Gives back a page that was allocated and then not needed.
    pub(crate) fn give_back(&mut self, page: PageId) {
        self.pages.cache.remove(page);
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
        self.pages.remember(place, page);
        Ok(PageRef { page: place.get(), checksum })
    }

    /// Writes a run of overflow pages; `bytes` must fill them.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails.
    pub(crate) fn write_run(&mut self, start: PageId, bytes: &[u8]) -> Result<PageRef> {
        self.pages.write_raw(start, bytes)?;
        Ok(PageRef { page: start.get(), checksum: checksum(self.pages.store_id(), start.get(), bytes) })
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
        self.pages.sync()?;
        self.durable_pages = self.space.pages();
        Ok(())
    }

    /// A hold on all pages that are reachable now, for a snapshot.
    pub(crate) fn hold(&self) -> Hold {
        self.space.hold()
    }

    /// Frees what neither a checkpoint nor a snapshot holds any more.
    pub(crate) fn release(&mut self) {
        for page in self.space.release() {
            self.pages.cache.remove(page);
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

    /// Checks that the storage is as long as it was when something was made durable.
    fn check_length(&self, pages: u32, page: u32) -> Result<()> {
        let there = self.pages.storage.len()?;
        if u64::from(pages) * self.page_bytes() as u64 > there {
            let what =
                format!("the storage was {pages} pages long and has {there} bytes now: it was cut off");
            return Err(Error::corrupt(page, PageKind::Meta, what));
        }
        Ok(())
    }
}
