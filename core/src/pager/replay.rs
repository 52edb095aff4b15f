//! Following the log when a store is opened: which commits are there whole, and which of them are surely durable.
//!
//! What is read may be in the operating system's memory only: a process that was killed left writes that were never
//! synced, and after a sync that failed the system may show bytes that the medium does not have, and says they are clean. So what
//! nothing vouches for is written once more, the same bytes to the same places, and synced.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;

use super::arena::{MAX_GROWTH, Pager, Proof};
use super::log::{Log, LogEntry, Replayed};
use super::page::{FLAG_END, FLAG_REWRITE, Header, Page, PageId, PageRef, check_kind, is_sealed, page_mut};
use crate::error::{Error, PageKind, Result};
use crate::sabotage::sabotaged;
use crate::storage::Storage;

/// Pages after a missing one that are looked at for a commit that must have come later.
const NEIGHBOURS: u32 = 64;

/// What follows the end of the log.
pub(crate) enum NextCommit {
    /// A commit that is there whole.
    Whole(Vec<Replayed>),
    /// None: this is the first of its pages that is not there.
    Missing(PageId),
}

/// Commits found in the log of which nothing says that they were synced. Invariant: ascending, without gaps, and the last one
/// is the log's newest.
#[derive(Debug, Default)]
pub(crate) struct Unproven {
    commits: VecDeque<Commit>,
}

#[derive(Debug)]
struct Commit {
    number: u64,
    log: Vec<(PageId, Page)>,
    overflow: Vec<PageId>,
}

impl<S: Storage> Pager<S> {
    /// Reads the commit that follows the log's end. It becomes part of the log by [`Pager::accept`].
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails to read what it holds.
    pub(crate) fn next_commit(&self) -> Result<NextCommit> {
        let mut found: Vec<Replayed> = Vec::new();
        let mut at = self.log.next;
        let mut previous = self.log.previous;
        // A commit has at most as many pages as there are; more would be a circle.
        for _ in 0..self.space.pages().saturating_add(1) {
            let Some(page) = self.pages.load_unverified(at)? else { break };
            let header = Header::of(&page);
            let is_next = self.is_log_page(&page, at)
                && header.commit() == self.log.commit + 1
                && (header.previous() == previous || sabotaged!(PredecessorUnchecked));
            if !is_next {
                break;
            }
            previous = header.checksum();
            let entry = if header.flags() & FLAG_REWRITE == 0 { LogEntry::Leaf } else { LogEntry::Rewrite };
            let is_end = header.flags() & FLAG_END != 0 || sabotaged!(CommitEndIgnored);
            let place = PageRef { page: at.get(), checksum: previous };
            at = header.next();
            found.push(Replayed { entry, place, page });
            if is_end {
                return Ok(NextCommit::Whole(found));
            }
        }
        Ok(NextCommit::Missing(at))
    }

    fn is_log_page(&self, page: &Page, at: PageId) -> bool {
        is_sealed(page, self.pages.store_id(), at) && check_kind(page, at, PageKind::Leaf).is_ok()
    }

    /// Makes a commit found by [`Pager::next_commit`] part of the log, with the overflow pages that its records use.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the storage is shorter than it was when the commit was written.
    pub(crate) fn accept(
        &mut self,
        commit: &[Replayed],
        overflow: Vec<PageId>,
        unproven: &mut Unproven,
    ) -> Result<()> {
        for replayed in commit {
            self.space.claim(PageId::new(replayed.place.page));
        }
        overflow.iter().for_each(|page| {
            self.space.claim(*page);
        });
        let Some(last) = commit.last() else { return Ok(()) };
        let header = Header::of(&last.page);
        self.check_length(header.file_pages(), last.place.page)?;
        let superseded =
            self.log.superseded + commit.iter().filter(|page| page.entry == LogEntry::Rewrite).count();
        let pages = self.log.pages + commit.len();
        self.log = Log {
            next: header.next(),
            previous: header.checksum(),
            commit: header.commit(),
            pages,
            superseded,
        };
        while unproven.commits.pop_front_if(|commit| Some(commit.number) <= header.proven_commit()).is_some()
        {
        }
        let log = commit.iter().map(|page| (PageId::new(page.place.page), Page::clone(&page.page))).collect();
        unproven.commits.push_back(Commit { number: header.commit(), log, overflow });
        Ok(())
    }

    /// Checks that the commit after the log's end, of which the page `missing` is not there, may be what a crash left: that no
    /// later commit vouches for it. Looked at are the pages where the next commit most likely is.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it was durable once; [`Error::Storage`] if the storage fails to read.
    pub(crate) fn check_end_of_log(&self, missing: PageId) -> Result<()> {
        let lost = self.log.commit + 1;
        let next = self.pages.load_unverified(missing)?.map(|page| Header::of(&page).next());
        let near = (0..=NEIGHBOURS).map(|distance| PageId::new(missing.get().saturating_add(distance)));
        for place in next.into_iter().chain(near) {
            let Some(page) = self.pages.load_unverified(place)? else { continue };
            let is_proven = self.is_log_page(&page, place) && Header::of(&page).proven_commit() >= Some(lost);
            if is_proven && !sabotaged!(LostCommitIgnored) {
                let what =
                    format!("commit {lost} is not there whole, and page {} says it was durable", place.get());
                return Err(Error::corrupt(missing.get(), PageKind::Leaf, what));
            }
        }
        Ok(())
    }

    /// Ends the following of the log: claims the place of the next commit, and makes durable what was found, since the
    /// next commit relies on it.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails, [`Error::Corrupt`] if the log names an impossible place.
    pub(crate) fn end_of_log(&mut self, unproven: Unproven) -> Result<()> {
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
        let is_slot_proven = self.found_slot.as_ref().is_none_or(|found| found.proof == Proof::BothSlots);
        if (unproven.commits.is_empty() && is_slot_proven) || sabotaged!(RecoveredLogNotSynced) {
            return Ok(());
        }
        if sabotaged!(RecoveredLogNotRewritten) {
            return self.sync();
        }
        for commit in unproven.commits {
            commit.log.iter().try_for_each(|(place, page)| self.pages.write_raw(*place, page))?;
            commit.overflow.iter().try_for_each(|place| self.write_again(*place))?;
        }
        self.write_found_slot()?;
        self.sync()
    }

    /// Writes the meta slot that is relied on once more, for the next sync to make it durable for certain.
    pub(super) fn write_found_slot(&mut self) -> Result<()> {
        match self.found_slot.take() {
            Some(found) => self.pages.write_raw(PageId::new(found.slot), &found.sector),
            None => Ok(()),
        }
    }

    fn write_again(&self, place: PageId) -> Result<()> {
        match self.pages.load_unverified(place)? {
            Some(mut page) => self.pages.write_raw(place, page_mut(&mut page)),
            None => Ok(()),
        }
    }
}
