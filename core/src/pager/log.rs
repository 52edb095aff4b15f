//! The log: the pages of the newest commits, each naming the place of the next.
//!
//! A commit writes its pages to places that nothing durable uses, the first of them to the place that the commit before it named,
//! and one sync makes them durable. Nothing else is written: no branch, no map, no meta slot. Each page carries the number of
//! its commit, whether the commit ends with it, and the checksum of the log's page before it, so that opening can follow
//! the log from the last checkpoint, takes whole commits only, and never takes up pages of a future that a crash undid.

use super::meta::LogStart;
use super::page::{FLAG_END, FLAG_REWRITE, Header, Page, PageId, PageRef};

/// Whether a page of the log begins a leaf or continues one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogEntry {
    /// A leaf that comes after the one before it.
    Leaf,
    /// A longer version of the leaf that the page before it holds.
    Rewrite,
}

/// Where the log stands. Invariant: `next` is used and holds nothing that anything else reaches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    pub(super) next: PageId,
    pub(super) previous: u64,
    pub(super) commit: u64,
    /// Pages written since the last checkpoint.
    pub(super) pages: usize,
    /// How many of them a longer version has replaced.
    pub(super) superseded: usize,
}

impl Log {
    pub(super) fn new(start: LogStart) -> Self {
        let next = PageId::new(start.next);
        Self { next, previous: start.previous, commit: start.commit, pages: 0, superseded: 0 }
    }

    /// The number of the last commit.
    pub(crate) fn commit(self) -> u64 {
        self.commit
    }

    /// The checksum of the last page.
    pub(crate) fn previous(self) -> u64 {
        self.previous
    }

    /// Where the next commit goes.
    pub(crate) fn next(self) -> PageId {
        self.next
    }

    /// The log with one more commit, as it was read.
    pub(crate) fn after(self, commit: &[Replayed]) -> Self {
        let Some(last) = commit.last() else { return self };
        let header = Header::of(&last.page);
        let rewrites = commit.iter().filter(|page| page.entry == LogEntry::Rewrite).count();
        Self {
            next: header.next(),
            previous: header.checksum(),
            commit: header.commit(),
            pages: self.pages + commit.len(),
            superseded: self.superseded + rewrites,
        }
    }

    pub(super) fn start(&self) -> LogStart {
        LogStart { next: self.next.get(), previous: self.previous, commit: self.commit }
    }
}

/// What the header of a page of the log says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogPage {
    pub(crate) place: PageRef,
    pub(crate) entry: LogEntry,
    pub(crate) commit: u64,
    /// The checksum of the log's page before it.
    pub(crate) previous: u64,
    /// Where the log goes on.
    pub(crate) next: PageId,
    pub(crate) is_end: bool,
    /// The newest commit that was durable for certain when this one was written.
    pub(crate) durable: Option<u64>,
}

impl LogPage {
    /// The header of a leaf that verifies. A leaf that was never in the log has commit 0.
    pub(crate) fn of(place: PageId, page: &Page) -> Self {
        let header = Header::of(page);
        let is_rewrite = header.flags() & FLAG_REWRITE != 0;
        let before = |unsynced: u8| header.commit().checked_sub(1 + u64::from(unsynced));
        Self {
            place: PageRef { page: place.get(), checksum: header.checksum() },
            entry: if is_rewrite { LogEntry::Rewrite } else { LogEntry::Leaf },
            commit: header.commit(),
            previous: header.previous(),
            next: header.next(),
            is_end: header.flags() & FLAG_END != 0,
            durable: header.unsynced().and_then(before),
        }
    }

    /// Whether it shows that a commit was durable.
    pub(crate) fn vouches_for(&self, commit: u64) -> bool {
        self.durable.is_some_and(|durable| durable >= commit)
    }
}

/// A page of a commit found when a store is opened.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) entry: LogEntry,
    pub(crate) place: PageRef,
    pub(crate) page: Page,
}
