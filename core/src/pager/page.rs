//! A page: a fixed number of bytes with a header, a checksum, and a number that is its place in the storage.
//!
//! The layout of the header is described in `FORMAT.md`, section "Page header", and only there.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec;

use crate::checksum::checksum;
use crate::error::{Error, PageKind, Result};
use crate::sabotage::sabotaged;

/// The number of a page: its offset in the storage divided by the page size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PageId(u32);

impl PageId {
    pub(crate) const fn new(number: u32) -> Self {
        Self(number)
    }

    pub(crate) const fn get(self) -> u32 {
        self.0
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A page's bytes, shared and never copied to be read.
pub(crate) type Page = Arc<[u8]>;

/// Where a page stands and what its checksum must be: what a parent holds of its child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct PageRef {
    pub(crate) page: u32,
    pub(crate) checksum: u64,
}

/// Bytes in the header of every page but meta and overflow pages.
pub(crate) const HEADER_BYTES: usize = 48;

/// The commit ends with this page.
pub(crate) const FLAG_END: u8 = 1;
/// The page is a longer version of the leaf that the log's page before it holds.
pub(crate) const FLAG_REWRITE: u8 = 2;

const CHECKSUM: usize = 0;
const KIND: usize = 8;
const FLAGS: usize = 9;
const COUNT: usize = 10;
const NEXT: usize = 12;
const COMMIT: usize = 16;
const PREVIOUS: usize = 24;
const BASE: usize = 32;
const USED: usize = 40;
const LEVEL: usize = 42;
const UNSYNCED: usize = 43;
const FILE_PAGES: usize = 44;

/// The kinds a header can name, as stored.
fn code(kind: PageKind) -> u8 {
    match kind {
        PageKind::Meta => 0,
        PageKind::Branch => 1,
        PageKind::Leaf => 2,
        PageKind::Overflow => 3,
        PageKind::Freelist => 4,
    }
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|part| part.try_into().ok()).map_or(0, u16::from_le_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|part| part.try_into().ok()).map_or(0, u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|part| part.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// Writes `part` at `at`. What would not fit is not written: page sizes and offsets are checked where they arise.
pub(crate) fn put_at(bytes: &mut [u8], at: usize, part: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + part.len()) {
        place.copy_from_slice(part);
    }
}

/// The header's fields that a page's owner reads and writes. Fields that a kind does not use are zero.
#[derive(Clone, Copy)]
pub(crate) struct Header<'a>(&'a [u8]);

impl<'a> Header<'a> {
    pub(crate) fn of(page: &'a [u8]) -> Self {
        Self(page)
    }

    pub(crate) fn checksum(self) -> u64 {
        u64_at(self.0, CHECKSUM)
    }

    pub(crate) fn flags(self) -> u8 {
        self.0.get(FLAGS).copied().unwrap_or(0)
    }

    /// How many entries the page holds.
    pub(crate) fn count(self) -> usize {
        usize::from(u16_at(self.0, COUNT))
    }

    /// The page of the log after this one.
    pub(crate) fn next(self) -> PageId {
        PageId(u32_at(self.0, NEXT))
    }

    pub(crate) fn commit(self) -> u64 {
        u64_at(self.0, COMMIT)
    }

    /// The checksum of the log's page before this one.
    pub(crate) fn previous(self) -> u64 {
        u64_at(self.0, PREVIOUS)
    }

    /// The number that the page's entries are relative to.
    pub(crate) fn base(self) -> u64 {
        u64_at(self.0, BASE)
    }

    /// Bytes of entries.
    pub(crate) fn used(self) -> usize {
        usize::from(u16_at(self.0, USED))
    }

    /// The height above the lowest pages of its tree.
    pub(crate) fn level(self) -> u8 {
        self.0.get(LEVEL).copied().unwrap_or(0)
    }

    /// How many of the commits before this page's were not durable for certain when it was written; `None` for more than can be told.
    pub(crate) fn unsynced(self) -> Option<u8> {
        self.0.get(UNSYNCED).copied().filter(|unsynced| *unsynced < MANY_UNSYNCED)
    }

    /// The storage's length in pages that this page's commit made durable.
    pub(crate) fn file_pages(self) -> u32 {
        u32_at(self.0, FILE_PAGES)
    }
}

pub(crate) fn set_count(page: &mut [u8], count: usize) {
    put_at(page, COUNT, &u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes());
}

pub(crate) fn set_base(page: &mut [u8], base: u64) {
    put_at(page, BASE, &base.to_le_bytes());
}

pub(crate) fn set_used(page: &mut [u8], used: usize) {
    put_at(page, USED, &u16::try_from(used).unwrap_or(u16::MAX).to_le_bytes());
}

pub(crate) fn set_level(page: &mut [u8], level: u8) {
    put_at(page, LEVEL, &[level]);
}

/// Stands for any number of commits from this one on.
const MANY_UNSYNCED: u8 = u8::MAX;

/// What the log stamps on a page before it writes it.
pub(crate) struct LogStamp {
    pub(crate) flags: u8,
    pub(crate) next: PageId,
    pub(crate) commit: u64,
    pub(crate) previous: u64,
    pub(crate) file_pages: u32,
    /// Commits before this one that were not synced.
    pub(crate) unsynced: u64,
}

impl LogStamp {
    pub(crate) fn apply(&self, page: &mut [u8]) {
        put_at(page, FLAGS, &[self.flags]);
        put_at(page, NEXT, &self.next.0.to_le_bytes());
        put_at(page, COMMIT, &self.commit.to_le_bytes());
        put_at(page, PREVIOUS, &self.previous.to_le_bytes());
        put_at(page, FILE_PAGES, &self.file_pages.to_le_bytes());
        put_at(page, UNSYNCED, &[u8::try_from(self.unsynced).unwrap_or(MANY_UNSYNCED)]);
    }
}

/// A zeroed page of a kind.
pub(crate) fn blank(page_bytes: usize, kind: PageKind) -> Page {
    let mut page: Page = vec![0; page_bytes].into();
    put_at(page_mut(&mut page), KIND, &[code(kind)]);
    page
}

/// The page's bytes to write to; copies them first if a snapshot or the cache shares them.
pub(crate) fn page_mut(page: &mut Page) -> &mut [u8] {
    Arc::make_mut(page)
}

/// Computes and stores the checksum of a finished page, and answers with it.
pub(crate) fn seal(page: &mut Page, store_id: u64, place: PageId) -> u64 {
    let bytes = page_mut(page);
    let sum = checksum(store_id, place.0, bytes.get(KIND..).unwrap_or(&[]));
    put_at(bytes, CHECKSUM, &sum.to_le_bytes());
    sum
}

/// Whether the page's content has the checksum that its header says.
pub(crate) fn is_sealed(page: &[u8], store_id: u64, place: PageId) -> bool {
    sabotaged!(ChecksumUnchecked)
        || checksum(store_id, place.0, page.get(KIND..).unwrap_or(&[])) == Header::of(page).checksum()
}

/// Checks the kind and that the header's counts lie within the page.
///
/// # Errors
/// [`Error::Corrupt`] names what was wrong.
pub(crate) fn check_kind(page: &[u8], place: PageId, kind: PageKind) -> Result<()> {
    let found = page.get(KIND).copied().unwrap_or(0);
    if found != code(kind) {
        return Err(Error::corrupt(place.0, kind, format!("the page's kind is {found}")));
    }
    Ok(())
}
