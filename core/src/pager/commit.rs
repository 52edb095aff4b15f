//! Writing commits to the log, and following it when a store is opened.

use alloc::format;
use alloc::vec::Vec;

use super::arena::{MAX_GROWTH, Pager};
use super::log::{Log, LogEntry, LogPage, Replayed};
use super::page::{
    FLAG_END, FLAG_REWRITE, Header, LogStamp, Page, PageId, PageRef, check_kind, is_sealed, page_mut, seal,
};
use super::pages::Pages;
use crate::error::{Error, PageKind, Result};
use crate::storage::Storage;

/// Reads the commit that follows the end of a log, if it is there whole.
///
/// # Errors
/// [`Error::Storage`] if the storage fails to read what it holds.
pub(super) fn read_commit<S: Storage>(pages: &Pages<S>, log: &Log) -> Result<Option<Vec<Replayed>>> {
    let mut found: Vec<Replayed> = Vec::new();
    let mut at = log.next;
    let mut previous = log.previous;
    // A commit has at most as many pages as there are; more would be a circle.
    for _ in 0..pages.len().saturating_add(1) {
        let Some(page) = pages.load_unverified(at)? else { return Ok(None) };
        let is_leaf = is_sealed(&page, pages.store_id(), at) && check_kind(&page, at, PageKind::Leaf).is_ok();
        let header = LogPage::of(at, &page);
        let is_next = Some(header.commit) == log.commit.checked_add(1) && header.previous == previous;
        if !is_leaf || !is_next {
            return Ok(None);
        }
        previous = header.place.checksum;
        at = header.next;
        found.push(Replayed { entry: header.entry, place: header.place, page });
        if header.is_end {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

impl<S: Storage> Pager<S> {
    /// Writes the pages as one commit, without a sync: stamps and seals them, and answers with their places.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails or has no room; the log has not moved then.
    pub(crate) fn append_commit(&mut self, pages: &mut [(LogEntry, Page)]) -> Result<Vec<PageRef>> {
        let mut places = alloc::vec![self.log.next];
        for _ in 0..pages.len() {
            let last = places.last().copied().unwrap_or(self.log.next);
            places.push(self.allocate_near(last)?);
        }
        let commit = self.log.commit + 1;
        let mut previous = self.log.previous;
        let mut refs = Vec::with_capacity(pages.len());
        let count = pages.len();
        let steps = places.iter().zip(places.iter().skip(1)).enumerate();
        for ((at, (&place, &next)), (entry, page)) in steps.zip(pages.iter_mut()) {
            let end = if at + 1 == count { FLAG_END } else { 0 };
            let rewrite = if *entry == LogEntry::Rewrite { FLAG_REWRITE } else { 0 };
            let (file_pages, unsynced) = (self.durable_pages, self.unsynced);
            LogStamp { flags: end | rewrite, next, commit, previous, file_pages, unsynced }
                .apply(page_mut(page));
            previous = seal(page, self.pages.store_id(), place);
            refs.push(PageRef { page: place.get(), checksum: previous });
        }
        if let Err(error) = self.write_pages(&places, pages) {
            for place in places.into_iter().skip(1) {
                self.space.give_back(place);
            }
            return Err(error);
        }
        let next = places.last().copied().unwrap_or(self.log.next);
        let superseded =
            self.log.superseded + pages.iter().filter(|(entry, _)| *entry == LogEntry::Rewrite).count();
        self.log = Log { next, previous, commit, pages: self.log.pages + count, superseded };
        self.unsynced += 1;
        Ok(refs)
    }

    /// Writes pages to their places, neighbours with one call.
    fn write_pages(&mut self, places: &[PageId], pages: &[(LogEntry, Page)]) -> Result<()> {
        let mut run: Vec<u8> = Vec::new();
        let mut start = None;
        let mut expected = None;
        for (&place, (_, page)) in places.iter().zip(pages) {
            if expected != Some(place) {
                self.write_log_run(start, &run)?;
                run.clear();
                start = Some(place);
            }
            run.extend_from_slice(page);
            expected = Some(place.next());
        }
        self.write_log_run(start, &run)
    }

    fn write_log_run(&mut self, start: Option<PageId>, run: &[u8]) -> Result<()> {
        match start {
            Some(place) => self.pages.write_raw(place, run),
            None => Ok(()),
        }
    }

    /// Reads the commit that follows the log's end, if it is there whole. It becomes part of the log by [`Pager::accept`].
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails to read what it holds.
    pub(crate) fn next_commit(&self) -> Result<Option<Vec<Replayed>>> {
        read_commit(&self.pages, &self.log)
    }

    /// Makes a commit found by [`Pager::next_commit`] part of the log.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the storage is shorter than it was when the commit was written.
    pub(crate) fn accept(&mut self, commit: &[Replayed]) -> Result<()> {
        for replayed in commit {
            self.space.claim(PageId::new(replayed.place.page));
        }
        let Some(last) = commit.last() else { return Ok(()) };
        let header = Header::of(&last.page);
        self.pages.check_length(header.file_pages(), last.place.page)?;
        self.log = self.log.after(commit);
        Ok(())
    }

    /// Ends the following of the log: claims the place of the next commit, and makes durable what was found, since the
    /// next commit relies on it.
    ///
    /// # Errors
    /// [`Error::Storage`] if the sync fails, [`Error::Corrupt`] if the log names an impossible place.
    pub(crate) fn end_of_log(&mut self) -> Result<()> {
        let next = self.log.next;
        if next.get() >= self.space.pages().saturating_add(MAX_GROWTH) {
            let what =
                format!("the log goes on at page {}, and there are {}", next.get(), self.space.pages());
            return Err(Error::corrupt(next.get(), PageKind::Leaf, what));
        }
        // A crash can undo the storage's growth and leave the commit that was written after it.
        while next.get() >= self.space.pages() {
            self.grow()?;
        }
        self.space.claim(next);
        if self.log.pages > 0 { self.sync() } else { Ok(()) }
    }
}
