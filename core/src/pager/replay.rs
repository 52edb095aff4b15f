//! Following the log when a store is opened: which commits are there whole, and which of them are surely durable.
//!
//! What is read may be in the operating system's memory only: a process that was killed left writes that were never
//! synced, and after a sync that failed the system may show bytes that the medium does not have, and says they are clean. So what
//! nothing vouches for is written once more, the same bytes to the same places, and synced.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;

use super::arena::{MAX_GROWTH, Pager, Proof};
use super::log::{Log, LogPage, Replayed};
use super::page::{Header, Page, PageId, check_kind, is_sealed, page_mut};
use super::pages::Pages;
use crate::error::{Error, PageKind, Result};
use crate::sabotage::sabotaged;
use crate::storage::Storage;

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
        let is_next = Some(header.commit) == log.commit.checked_add(1)
            && (header.previous == previous || sabotaged!(PredecessorUnchecked));
        if !is_leaf || !is_next {
            return Ok(None);
        }
        previous = header.place.checksum;
        at = header.next;
        found.push(Replayed { entry: header.entry, place: header.place, page });
        if header.is_end || sabotaged!(CommitEndIgnored) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

impl<S: Storage> Pager<S> {
    /// Reads the commit that follows the log's end, if it is there whole. It becomes part of the log by [`Pager::accept`].
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails to read what it holds.
    pub(crate) fn next_commit(&self) -> Result<Option<Vec<Replayed>>> {
        read_commit(&self.pages, &self.log)
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
        self.pages.check_length(header.file_pages(), last.place.page)?;
        self.log = self.log.after(commit);
        let durable = LogPage::of(PageId::new(last.place.page), &last.page).durable;
        while unproven.commits.pop_front_if(|commit| Some(commit.number) <= durable).is_some() {}
        let log = commit.iter().map(|page| (PageId::new(page.place.page), Page::clone(&page.page))).collect();
        unproven.commits.push_back(Commit { number: header.commit(), log, overflow });
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
