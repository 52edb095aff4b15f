//! Writing commits to the log.

use alloc::vec::Vec;

use super::arena::Pager;
use super::log::{Log, LogEntry};
use super::page::{FLAG_END, FLAG_REWRITE, LogStamp, Page, PageId, PageRef, page_mut, seal};
use crate::error::Result;
use crate::storage::Storage;

impl<S: Storage> Pager<S> {
    /// Writes the pages as one commit, without a sync: stamps and seals them, and answers with their places.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage) if the storage fails or has no room; the log has not moved then.
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
}
