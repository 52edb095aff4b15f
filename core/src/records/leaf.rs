//! A leaf: records in the order of their positions, and a directory of where each begins.
//!
//! The layout is described in `FORMAT.md`, section "Leaf page". The directory grows from the header on, the records from
//! the page's end down, so that a lookup touches the page's first bytes and one record.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::record::Record;
use crate::error::{Error, PageKind, Result};
use crate::pager::{
    HEADER_BYTES, Header, Page, blank, page_mut, put_at, set_base, set_count, set_used, u16_at,
};
use crate::revision::Position;

/// Bytes of one directory entry: where the record begins.
const SLOT_BYTES: usize = 2;

/// Bytes of records and directory that fit in a page.
pub(crate) fn capacity(page_bytes: usize) -> usize {
    page_bytes - HEADER_BYTES
}

/// The longest encoded record that is kept in the leaf itself: a quarter of a page, so that little is lost at its end.
pub(crate) fn max_inline(page_bytes: usize) -> usize {
    capacity(page_bytes) / 4 - SLOT_BYTES
}

/// Reading a leaf. Cheap to make; checks each offset as it is used.
#[derive(Clone, Copy)]
pub(crate) struct Leaf<'a>(&'a [u8]);

impl<'a> Leaf<'a> {
    pub(crate) fn of(page: &'a [u8]) -> Self {
        Self(page)
    }

    /// How many records it says that it holds, as far as a directory of so many can be. If it says more, none can be read.
    pub(crate) fn len(self) -> usize {
        Header::of(self.0).count().min(self.0.len().saturating_sub(HEADER_BYTES) / SLOT_BYTES)
    }

    /// Bytes of records and directory.
    pub(crate) fn used(self) -> usize {
        Header::of(self.0).used() + self.len() * SLOT_BYTES
    }

    fn base(self) -> u64 {
        Header::of(self.0).base()
    }

    /// Where the record with this number begins in the page.
    fn offset(self, at: usize) -> usize {
        usize::from(u16_at(self.0, HEADER_BYTES + at * SLOT_BYTES))
    }

    /// Looks at the first byte of the record that is probably at a position, for it to be fetched from memory.
    pub(crate) fn touch(self, position: Position) -> u8 {
        let offset = usize::try_from(position.main.saturating_sub(self.base())).unwrap_or(usize::MAX);
        let guess = offset.min(self.len().saturating_sub(1));
        self.0.get(self.offset(guess)).copied().unwrap_or(0)
    }

    fn position(self, at: usize) -> Option<Position> {
        Record::decode_position(self.base(), self.0.get(self.offset(at)..)?)
    }

    /// The record with this number, and where it begins.
    ///
    /// # Errors
    /// Says in words what is damaged.
    pub(crate) fn record(self, at: usize) -> core::result::Result<Record<'a>, String> {
        let offset = self.offset(at);
        if at >= self.len() || offset < HEADER_BYTES + self.len() * SLOT_BYTES {
            return Err(format!("record {at} begins at byte {offset}, among the directory"));
        }
        Record::decode(self.base(), self.0.get(offset..).unwrap_or(&[]))
    }

    /// All records.
    ///
    /// # Errors
    /// Says in words what is damaged.
    pub(crate) fn records(self) -> impl Iterator<Item = core::result::Result<Record<'a>, String>> {
        (0..self.len()).map(move |at| self.record(at))
    }

    /// The number of the first record at a position or after it; that of the first record that can't be read, if that is before.
    pub(crate) fn first_from(self, position: Position) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.position(middle) {
                Some(found) if found < position => low = middle + 1,
                Some(_) | None => high = middle,
            }
        }
        low
    }

    /// The number of the record at a position. Guesses its place from the revisions at hand, since a leaf mostly holds
    /// neighbouring ones, and halves what is left after each guess, so that it takes at most logarithmic time.
    pub(crate) fn find(self, position: Position) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        let offset = usize::try_from(position.main.checked_sub(self.base())?).unwrap_or(usize::MAX);
        let mut guess = offset.min(high.checked_sub(1)?);
        while low < high {
            let found = self.position(guess)?;
            match found.cmp(&position) {
                core::cmp::Ordering::Equal => return Some(guess),
                core::cmp::Ordering::Less => low = guess + 1,
                core::cmp::Ordering::Greater => high = guess,
            }
            guess = low + (high - low) / 2;
        }
        None
    }
}

/// Turns a reader's words into an error that names the page.
pub(crate) fn damaged(page: u32) -> impl Fn(String) -> Error {
    move |what| Error::corrupt(page, PageKind::Leaf, what)
}

/// A leaf that is being filled.
///
/// Invariants: positions grow; the base is the first record's main; every record was encoded by [`Record::encode`].
#[derive(Clone, Debug)]
pub(crate) struct LeafBuilder {
    page: Page,
    first: Option<Position>,
    last: Option<Position>,
    /// Kept to spare an allocation a record.
    scratch: Vec<u8>,
}

/// Whether a record found room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It is in the leaf now.
    Fits,
    /// The leaf is too full for it.
    Full,
}

impl LeafBuilder {
    pub(crate) fn new(page_bytes: usize) -> Self {
        Self { page: blank(page_bytes, PageKind::Leaf), first: None, last: None, scratch: Vec::new() }
    }

    /// An empty leaf in the place of this one, which is left in `self` to be closed.
    pub(crate) fn begin_next(&mut self) -> Self {
        let scratch = core::mem::take(&mut self.scratch);
        Self { scratch, ..Self::new(self.page.len()) }
    }

    /// Goes on filling a leaf that was read.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if its records can't be read.
    pub(crate) fn resume(page: Page, number: u32) -> Result<Self> {
        let leaf = Leaf::of(&page);
        let position = |at: usize| leaf.record(at).map(|record| record.position).map_err(damaged(number));
        // The next record goes below the last one, and must not lie on any.
        let lowest = leaf.len().checked_sub(1).map_or(page.len(), |last| leaf.offset(last));
        let used = Header::of(&page).used();
        if leaf.used() > capacity(page.len()) || page.len().checked_sub(used) != Some(lowest) {
            return Err(damaged(number)(format!("{} records take {used} bytes", leaf.len())));
        }
        let (first, last) = match leaf.len() {
            0 => (None, None),
            len => (Some(position(0)?), Some(position(len - 1)?)),
        };
        if first.is_some_and(|first| first.main != leaf.base()) {
            return Err(damaged(number)("its base is not the revision of its first record".into()));
        }
        Ok(Self { page, first, last, scratch: Vec::new() })
    }

    /// The position of the first record.
    pub(crate) fn first(&self) -> Option<Position> {
        self.first
    }

    /// The position of the last record.
    pub(crate) fn last(&self) -> Option<Position> {
        self.last
    }

    pub(crate) fn leaf(&self) -> Leaf<'_> {
        Leaf::of(&self.page)
    }

    pub(crate) fn page(&self) -> &Page {
        &self.page
    }

    pub(crate) fn into_page(self) -> Page {
        self.page
    }

    /// Replaces the page by the same page with the log's stamp on it.
    pub(crate) fn set_page(&mut self, page: Page) {
        self.page = page;
    }

    /// Adds a record behind all others, if there is room.
    pub(crate) fn append(&mut self, record: &Record<'_>) -> Fit {
        assert!(self.last < Some(record.position), "records are appended in order");
        let base = self.first.map_or(record.position.main, |first| first.main);
        let mut scratch = core::mem::take(&mut self.scratch);
        scratch.resize(self.page.len(), 0);
        let encoded = record.encode(base, &mut scratch).and_then(|len| scratch.get(..len));
        let fit = encoded.map_or(Fit::Full, |encoded| self.place(encoded, record.position, base));
        self.scratch = scratch;
        fit
    }

    fn place(&mut self, encoded: &[u8], position: Position, base: u64) -> Fit {
        let leaf = self.leaf();
        let (count, used) = (leaf.len(), Header::of(&self.page).used());
        if leaf.used() + encoded.len() + SLOT_BYTES > capacity(self.page.len()) {
            return Fit::Full;
        }
        let used = used + encoded.len();
        let offset = self.page.len() - used;
        let slot = u16::try_from(offset).unwrap_or(0);
        let bytes = page_mut(&mut self.page);
        put_at(bytes, offset, encoded);
        put_at(bytes, HEADER_BYTES + count * SLOT_BYTES, &slot.to_le_bytes());
        set_count(bytes, count + 1);
        set_used(bytes, used);
        if self.first.is_none() {
            set_base(bytes, base);
            self.first = Some(position);
        }
        self.last = Some(position);
        Fit::Fits
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Body;
    use super::*;

    fn filled(page_bytes: usize, positions: &[(u64, u32)]) -> LeafBuilder {
        let mut leaf = LeafBuilder::new(page_bytes);
        for &(main, sub) in positions {
            let body = Body::Put { key: b"k", age: 0, version: 1, lease: 0, value: b"v" };
            assert_eq!(leaf.append(&Record { position: Position::new(main, sub), body }), Fit::Fits);
        }
        leaf
    }

    #[track_caller]
    fn check_find(positions: &[(u64, u32)]) {
        let leaf = filled(4096, positions);
        for (at, &(main, sub)) in positions.iter().enumerate() {
            assert_eq!(leaf.leaf().find(Position::new(main, sub)), Some(at), "{main}.{sub}");
            for absent in [(main + 1, sub), (main, sub + 1), (main.saturating_sub(1), sub)] {
                let expected = positions.iter().position(|position| *position == absent);
                assert_eq!(leaf.leaf().find(Position::new(absent.0, absent.1)), expected, "{absent:?}");
            }
        }
    }

    #[test]
    fn records_are_found_whether_neighbours_or_far_apart() {
        check_find(&[]);
        check_find(&[(5, 0)]);
        check_find(&[(5, 0), (6, 0), (7, 0), (8, 0)]);
        check_find(&[(5, 0), (5, 1), (5, 2), (9, 0), (1 << 40, 3), (1 << 40, 4)]);
    }

    #[test]
    fn a_leaf_whose_header_lies_is_not_filled_any_further() {
        let page = || filled(512, &[(5, 0), (6, 0)]).into_page();
        assert_eq!(LeafBuilder::resume(page(), 7).unwrap().last(), Some(Position::new(6, 0)));
        let used = Header::of(&page()).used();
        let lies: [fn(&mut [u8], usize); 6] = [
            // The first record then says that it is one revision behind the base.
            |page, _| put_at(page, usize::from(u16_at(page, HEADER_BYTES)), &[1]),
            |page, used| set_used(page, used - 1),
            |page, used| set_used(page, used + 1),
            |page, _| set_used(page, 0xFFFF),
            |page, _| set_count(page, 3),
            |page, _| set_count(page, 0xFFFF),
        ];
        for lie in lies {
            let mut page = page();
            lie(page_mut(&mut page), used);
            assert!(matches!(LeafBuilder::resume(page, 7), Err(Error::Corrupt { page: 7, .. })));
        }
    }

    #[test]
    fn a_leaf_says_when_it_is_full_and_keeps_what_it_has() {
        for page_bytes in [512, 4096, 65536] {
            let mut leaf = LeafBuilder::new(page_bytes);
            let mut main = 1;
            let body = |main| Body::Put { key: b"key", age: main, version: main, lease: 0, value: &[7; 40] };
            while leaf.append(&Record { position: Position::new(main, 0), body: body(main) }) == Fit::Fits {
                main += 1;
            }
            assert!(leaf.leaf().used() <= capacity(page_bytes));
            assert!(leaf.leaf().used() + 60 > capacity(page_bytes), "{page_bytes}: it is filled");
            let all: Vec<_> = leaf.leaf().records().map(|record| record.unwrap().position.main).collect();
            assert!(all.iter().copied().eq(1..main));
        }
    }
}
