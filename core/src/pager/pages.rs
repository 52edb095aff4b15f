//! Reading: the storage with the cache before it, shared with snapshots on other threads.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::cache::Cache;
use super::meta::Identity;
use super::page::{self, Header, Page, PageId, PageRef, page_mut};
use crate::checksum::checksum;
use crate::error::{Error, PageKind, Result};
use crate::sabotage::sabotaged;
use crate::storage::Storage;

/// The storage with the cache before it. Every page is verified whenever it is loaded from the storage.
#[derive(Debug)]
pub(crate) struct Pages<S> {
    storage: S,
    cache: Cache,
    pub(super) identity: Identity,
    /// The storage's length in pages, so that no read needs to ask for it.
    len: AtomicU32,
    /// A call that changes the storage has begun and has not come back.
    is_changing: AtomicBool,
}

impl<S: Storage> Pages<S> {
    pub(super) fn new(storage: S, identity: Identity, cache_bytes: usize) -> Result<Self> {
        let len = u32::try_from(storage.len()? / identity.page_bytes as u64).unwrap_or(u32::MAX);
        let (len, is_changing) = (AtomicU32::new(len), AtomicBool::new(false));
        Ok(Self { storage, cache: Cache::new(cache_bytes), identity, len, is_changing })
    }

    /// The storage's length in whole pages.
    pub(super) fn len(&self) -> u32 {
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
        let offset = u64::from(page.get()) * self.identity.page_bytes as u64;
        if sabotaged!(OffsetIn32Bits) { offset & u64::from(u32::MAX) } else { offset }
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
    pub(super) fn load_unverified(&self, id: PageId) -> Result<Option<Page>> {
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
        if checksum(self.store_id(), start.page, buffer) != start.checksum && !sabotaged!(OverflowUnverified)
        {
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

    /// Checks that the storage is as long as it was when something was made durable.
    pub(super) fn check_length(&self, pages: u32, page: u32) -> Result<()> {
        let there = self.storage_bytes()?;
        if u64::from(pages) * self.page_bytes() as u64 > there && !sabotaged!(LengthUnchecked) {
            let what =
                format!("the storage was {pages} pages long and has {there} bytes now: it was cut off");
            return Err(Error::corrupt(page, PageKind::Meta, what));
        }
        Ok(())
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

    /// Bytes from a page's beginning on, as they are.
    pub(super) fn read_raw(&self, start: PageId, buffer: &mut [u8]) -> Result<()> {
        self.storage.read(self.offset(start), buffer)
    }

    pub(super) fn write_raw(&self, start: PageId, bytes: &[u8]) -> Result<()> {
        self.change(|storage| storage.write(self.offset(start), bytes))
    }

    pub(super) fn remember(&self, place: PageId, page: &Page) {
        self.cache.insert(place, Arc::clone(page));
    }

    pub(super) fn set_len(&self, pages: u32) -> Result<()> {
        self.change(|storage| storage.set_len(u64::from(pages) * self.page_bytes() as u64))?;
        self.len.store(pages, Ordering::Release);
        Ok(())
    }

    pub(super) fn forget(&self, place: PageId) {
        self.cache.remove(place);
    }

    pub(super) fn into_storage(self) -> S {
        self.storage
    }

    pub(super) fn sync(&self) -> Result<()> {
        self.change(S::sync)
    }

    /// Makes one call that changes the storage. There is one at a time, so that one which has begun before has panicked: what the storage
    /// has of it is unknown, and no other may follow.
    fn change(&self, call: impl FnOnce(&S) -> Result<()>) -> Result<()> {
        if self.is_changing.swap(true, Ordering::AcqRel) && !sabotaged!(PanicForgotten) {
            let reason = "an earlier call has panicked, and nothing tells what it has done".into();
            return Err(Error::Storage { operation: "write", reason });
        }
        let changed = call(&self.storage);
        self.is_changing.store(false, Ordering::Release);
        changed
    }
}
