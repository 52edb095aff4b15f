//! Whether the log ends where it can't be followed any further, or is damaged there.
//!
//! A crash leaves commits behind that are not whole, and these are undone. But each page of the log tells which commits were
//! durable when it was written, and a later page that says so of the commit at hand shows that no crash has torn it.

use alloc::format;
use alloc::vec::Vec;

use super::arena::Pager;
use super::log::{Log, LogPage, Replayed};
use super::page::{Header, PageId, PageRef, check_kind, is_sealed};
use super::replay::read_commit;
use crate::error::{Error, PageKind, Result};
use crate::storage::Storage;

/// Free pages that are looked at for what came after a place, and as many from the first free one on. A commit is put next to the one
/// before it, or on the lowest free page, so that few are enough to find it.
const LOOKS: u32 = 32;

impl<S: Storage> Pager<S> {
    /// Makes sure that the next commit, which can't be followed, is not known to have been durable.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it was: the log is damaged, and to go on would undo what was durable. [`Error::Storage`] if the storage
    /// fails to read.
    pub(crate) fn check_end_of_log(&self) -> Result<()> {
        let (place, was_durable) = self.is_damaged_after(&self.log)?;
        if !was_durable {
            return Ok(());
        }
        let what = format!("commit {} of the log was durable and can't be read", self.log.commit + 1);
        Err(Error::corrupt(place.get(), PageKind::Leaf, what))
    }

    /// Whether a commit that can be followed, but whose overflow pages are damaged, was durable.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails to read.
    pub(crate) fn was_durable(&self, commit: &[Replayed]) -> Result<bool> {
        self.is_damaged_after(&self.log.after(commit)).map(|(_, was_durable)| was_durable)
    }

    /// Follows the log from some point on to where it breaks off, and looks for a later page that vouches for the commit
    /// after the present end.
    fn is_damaged_after(&self, from: &Log) -> Result<(PageId, bool)> {
        let Some(lost) = self.log.commit.checked_add(1) else { return Ok((from.next(), false)) };
        let mut log = *from;
        while let Some(commit) = read_commit(&self.pages, &log)? {
            let mut headers =
                commit.iter().map(|Replayed { page, place, .. }| LogPage::of(PageId::new(place.page), page));
            if headers.any(|header| header.vouches_for(lost)) {
                return Ok((from.next(), true));
            }
            log = log.after(&commit);
        }
        let broken = self.broken_place(&log)?;
        for place in self.places_after(broken)? {
            if self.log_page(place, |header| header.vouches_for(lost))?.is_some() {
                return Ok((broken, true));
            }
        }
        Ok((broken, false))
    }

    /// The first page of the next commit that is not what it must be.
    fn broken_place(&self, log: &Log) -> Result<PageId> {
        let (mut at, mut previous) = (log.next(), log.previous);
        for _ in 0..LOOKS {
            match self.log_page(at, |_| true)? {
                Some(header)
                    if header.previous == previous && Some(header.commit) == log.commit.checked_add(1) =>
                {
                    PageRef { checksum: previous, .. } = header.place;
                    at = header.next;
                }
                Some(_) | None => break,
            }
        }
        Ok(at)
    }

    /// Where what came after a broken page probably is: where its own bytes say, behind it, or on the lowest free pages.
    fn places_after(&self, broken: PageId) -> Result<Vec<PageId>> {
        let end = self.pages.len();
        let named = self.pages.load_unverified(broken)?.map(|page| Header::of(&page).next());
        let behind = (broken.get()..end).skip(1).take(LOOKS as usize).map(PageId::new);
        let lowest = self.space.vacant().filter(|page| page.get() < end).take(LOOKS as usize);
        Ok(named.into_iter().chain(behind).chain(lowest).collect())
    }

    /// The header of a page that verifies as a leaf, if it is one that is looked for. What it says is asked first, since verifying is
    /// what takes time, and hardly any page says what is looked for.
    fn log_page(&self, place: PageId, is_wanted: impl Fn(&LogPage) -> bool) -> Result<Option<LogPage>> {
        let Some(page) = self.pages.load_unverified(place)? else { return Ok(None) };
        let header = LogPage::of(place, &page);
        let is_leaf = is_wanted(&header)
            && check_kind(&page, place, PageKind::Leaf).is_ok()
            && is_sealed(&page, self.pages.store_id(), place);
        Ok(is_leaf.then_some(header))
    }
}
