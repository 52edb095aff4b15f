//! Reading records, from the newest state or from a snapshot's view.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::{ControlFlow, Range};

use super::leaf::{Leaf, damaged};
use super::overflow;
use super::record::{Body, Record};
use super::{FullLeaf, LeafRef, Records, Tree};
use crate::error::{Error, PageKind, Result};
use crate::pager::{Page, Pages};
use crate::revision::Position;
use crate::storage::Storage;

/// A part of some shared bytes. Invariant: the range lies within the bytes.
#[derive(Clone)]
pub(crate) struct Bytes {
    whole: Arc<[u8]>,
    range: Range<u32>,
}

impl Bytes {
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.whole.get(self.range.start as usize..self.range.end as usize).unwrap_or(&[])
    }

    /// Makes them none, and lets go of nothing: the whole stays in memory as long as these do.
    pub(crate) fn clear(&mut self) {
        self.range = 0..0;
    }

    fn part(whole: &Arc<[u8]>, range: Range<usize>) -> Self {
        let narrow = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { whole: Arc::clone(whole), range: narrow(range.start)..narrow(range.end) }
    }

    /// The bytes of `part`, which is a slice of `whole`.
    fn slice_of(whole: &Arc<[u8]>, part: &[u8]) -> Self {
        let start = part.as_ptr().addr().saturating_sub(whole.as_ptr().addr());
        Self::part(whole, start..start + part.len())
    }
}

/// Which parts of a record are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parts {
    KeyAndValue,
    Key,
}

/// One version of a key, as it is stored.
pub(crate) struct Stored {
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
    /// The main of the key's creation; 0 for a tombstone.
    pub(crate) created: u64,
    /// 0 for a tombstone.
    pub(crate) version: u64,
    /// The lease that the key is attached to, 0 for none.
    pub(crate) lease: u64,
}

/// The records as they were at one moment. A clone costs O(1); nothing that happens later changes it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    tree: Tree,
    full: Arc<Vec<FullLeaf>>,
    open: Option<(Position, Page)>,
}

/// What both the newest state and a view read from.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    tree: &'a Tree,
    full: &'a [FullLeaf],
    open: Option<(Position, &'a Page)>,
}

impl Records {
    pub(crate) fn view(&self) -> View {
        let open = self.open.first().map(|first| (first, Arc::clone(self.open.page())));
        View { tree: self.tree.clone(), full: Arc::clone(&self.full), open }
    }

    pub(crate) fn source(&self) -> Source<'_> {
        let open = self.open.first().map(|first| (first, self.open.page()));
        Source { tree: &self.tree, full: &self.full, open }
    }
}

impl View {
    pub(crate) fn source(&self) -> Source<'_> {
        Source {
            tree: &self.tree,
            full: &self.full,
            open: self.open.as_ref().map(|(first, page)| (*first, page)),
        }
    }
}

/// A position with the leaf that it may be in, and the leaf's number for error messages.
pub(crate) struct Located {
    position: Position,
    page: Page,
    number: u32,
}

impl<'a> Source<'a> {
    /// The leaf in memory that is not in the tree and holds a position, if any does.
    fn outside_tree(&self, position: Position) -> Option<Located> {
        let waiting = |page: &Page| Located { position, page: Arc::clone(page), number: 0 };
        match self.open {
            Some((first, page)) if first <= position => Some(waiting(page)),
            Some(_) | None => {
                let at = self.full.partition_point(|leaf| leaf.first <= position).checked_sub(1)?;
                self.full.get(at).map(|leaf| waiting(&leaf.page))
            }
        }
    }

    /// The leaf that a position which the index names must be in.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if a page is damaged or there is no such leaf.
    pub(crate) fn locate<S: Storage>(&self, pages: &Pages<S>, position: Position) -> Result<Located> {
        self.locate_if_there(pages, position)?.ok_or_else(|| missing(position, 0))
    }

    /// The leaf that a position must be in, if it is there at all.
    fn locate_if_there<S: Storage>(&self, pages: &Pages<S>, position: Position) -> Result<Option<Located>> {
        if let Some(located) = self.outside_tree(position) {
            return Ok(Some(located));
        }
        let Some(leaf) = self.tree.find(position) else { return Ok(None) };
        let page = pages.load(leaf.place, PageKind::Leaf)?;
        Ok(Some(Located { position, page, number: leaf.place.page }))
    }

    /// The same for many positions, in their order: `None` where it has to be asked for alone, because the page is not in
    /// memory. Nothing in these loops waits for what it looks at, so that the processor fetches many pages from memory side by side;
    /// one after the other, a range of cold records takes twice as long.
    pub(crate) fn locate_cached<S: Storage>(
        &self,
        pages: &Pages<S>,
        positions: &[Position],
    ) -> Vec<Option<Located>> {
        let leaves: Vec<Option<&LeafRef>> = positions
            .iter()
            .map(|position| match self.outside_tree(*position) {
                Some(_) => None,
                None => self.tree.find(*position),
            })
            .collect();
        let found = pages.cached(leaves.iter().map(|leaf| leaf.map(|leaf| leaf.place)));
        let located: Vec<Option<Located>> = found
            .into_iter()
            .zip(leaves)
            .zip(positions)
            .map(|((page, leaf), position)| {
                Some(Located { position: *position, page: page?, number: leaf?.place.page })
            })
            .collect();
        let touched = located
            .iter()
            .flatten()
            .fold(0, |sum: u8, located| sum.wrapping_add(Leaf::of(&located.page).touch(located.position)));
        core::hint::black_box(touched);
        located
    }

    /// The version stored at a position.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if a page is damaged or the record is not there.
    pub(crate) fn read<S: Storage>(
        &self,
        pages: &Pages<S>,
        located: &Located,
        parts: Parts,
    ) -> Result<Stored> {
        let Located { position, page, number } = located;
        let leaf = Leaf::of(page);
        let at = leaf.find(*position).ok_or_else(|| missing(*position, *number))?;
        let record = leaf.record(at).map_err(damaged(*number))?;
        if record.body.generation(position.main).is_none() {
            return Err(damaged(*number)(format!("record {position} holds no value")));
        }
        stored(pages, (page, &record), parts)
    }

    /// Calls `visit` for the record at a position, whatever it is, if it is there.
    ///
    /// # Errors
    /// Those of `visit`, and [`Error::Corrupt`] if a page is damaged.
    pub(crate) fn visit<S: Storage, T>(
        &self,
        pages: &Pages<S>,
        position: Position,
        visit: impl FnOnce(&Page, &Record<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let Some(Located { page, number, .. }) = self.locate_if_there(pages, position)? else {
            return Ok(None);
        };
        let leaf = Leaf::of(&page);
        let Some(at) = leaf.find(position) else { return Ok(None) };
        let record = leaf.record(at).map_err(damaged(number))?;
        visit(&page, &record).map(Some)
    }

    /// Calls `visit` for every record from a position on, in the order of positions, with the page it stands on, until that says
    /// to stop. Costs a search, and a page for every leaf that is visited.
    ///
    /// # Errors
    /// Those of `visit`, and [`Error::Corrupt`] if a page is damaged.
    pub(crate) fn for_each_from<S: Storage>(
        &self,
        pages: &Pages<S>,
        from: Position,
        mut visit: impl FnMut(&Page, &Record<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let mut visit_page = |page: &Page, number: u32| -> Result<ControlFlow<()>> {
            let leaf = Leaf::of(page);
            for at in leaf.first_from(from)..leaf.len() {
                let record = leaf.record(at).map_err(damaged(number))?;
                if visit(page, &record)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        };
        let mut next = self.tree.find(from).or_else(|| self.tree.after(from));
        while let Some(leaf) = next {
            if visit_page(&pages.load(leaf.place, PageKind::Leaf)?, leaf.place.page)?.is_break() {
                return Ok(());
            }
            next = self.tree.after(leaf.first);
        }
        let waiting = self.full.iter().map(|leaf| &leaf.page).chain(self.open.map(|(_, page)| page));
        for page in waiting {
            if visit_page(page, 0)?.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Calls `visit` for every record in the order of positions.
    ///
    /// # Errors
    /// Those of `visit`, and [`Error::Corrupt`] if a page is damaged.
    pub(crate) fn for_each<S: Storage>(
        &self,
        pages: &Pages<S>,
        mut visit: impl FnMut(&Record<'_>, u32) -> Result<()>,
    ) -> Result<()> {
        let mut visit_page = |page: &Page, number: u32| {
            Leaf::of(page).records().try_for_each(|record| visit(&record.map_err(damaged(number))?, number))
        };
        for leaf in self.tree.leaves() {
            let page = pages.load(leaf.place, PageKind::Leaf)?;
            if !leaf.describes(Leaf::of(&page)) {
                return Err(damaged(leaf.place.page)("it is not what the branch above says".into()));
            }
            visit_page(&page, leaf.place.page)?;
        }
        self.full.iter().try_for_each(|leaf| visit_page(&leaf.page, 0))?;
        self.open.map_or(Ok(()), |(_, page)| visit_page(page, 0))
    }
}

/// A record as it stands on a page, whatever it is.
///
/// # Errors
/// [`Error::Corrupt`] if its overflow pages are damaged.
pub(crate) fn stored<S: Storage>(
    pages: &Pages<S>,
    (page, record): (&Page, &Record<'_>),
    parts: Parts,
) -> Result<Stored> {
    let (version, created) = record.body.generation(record.position.main).unwrap_or((0, 0));
    let (key, value) = match (&record.body, parts) {
        (Body::LongValue { key, .. }, Parts::Key) => (Bytes::slice_of(page, key), Bytes::part(page, 0..0)),
        (body, _) => contents(pages, page, body)?,
    };
    let value = match parts {
        Parts::KeyAndValue => value,
        Parts::Key => Bytes::part(page, 0..0),
    };
    Ok(Stored { key, value, created, version, lease: record.body.lease() })
}

fn missing(position: Position, page: u32) -> Error {
    Error::corrupt(page, PageKind::Leaf, format!("record {position} is missing"))
}

/// A record's key and value.
fn contents<S: Storage>(pages: &Pages<S>, page: &Page, body: &Body<'_>) -> Result<(Bytes, Bytes)> {
    Ok(match body {
        Body::Put { key, value, .. } => (Bytes::slice_of(page, key), Bytes::slice_of(page, value)),
        Body::Tombstone { key } => (Bytes::slice_of(page, key), Bytes::part(page, 0..0)),
        Body::LongValue { key, chain, .. } => {
            let value = overflow::load(pages, chain)?;
            (Bytes::slice_of(page, key), Bytes::part(&value, 0..value.len()))
        }
        Body::LongKey { key_bytes, chain, .. } => {
            let both = overflow::load(pages, chain)?;
            let key_bytes = (*key_bytes as usize).min(both.len());
            (Bytes::part(&both, 0..key_bytes), Bytes::part(&both, key_bytes..both.len()))
        }
        Body::LongTombstone { chain } => {
            let key = overflow::load(pages, chain)?;
            (Bytes::part(&key, 0..key.len()), Bytes::part(&key, 0..0))
        }
        Body::System(_) => (Bytes::part(page, 0..0), Bytes::part(page, 0..0)),
    })
}

/// A record's key, borrowed where it stands in the leaf.
///
/// # Errors
/// [`Error::Corrupt`] if its overflow pages are damaged.
pub(crate) fn with_key<S: Storage, T>(
    pages: &Pages<S>,
    body: &Body<'_>,
    then: impl FnOnce(&[u8]) -> T,
) -> Result<T> {
    match body {
        Body::Put { key, .. } | Body::Tombstone { key } | Body::LongValue { key, .. } => Ok(then(key)),
        Body::LongKey { key_bytes, chain, .. } => {
            let both = overflow::load(pages, chain)?;
            Ok(then(both.get(..*key_bytes as usize).unwrap_or(&both)))
        }
        Body::LongTombstone { chain } => Ok(then(&overflow::load(pages, chain)?)),
        Body::System(_) => Ok(then(&[])),
    }
}

/// A record's key and value, borrowed where they stand in the leaf; no value for a tombstone.
///
/// # Errors
/// [`Error::Corrupt`] if its overflow pages are damaged.
pub(crate) fn with_contents<S: Storage, T>(
    pages: &Pages<S>,
    body: &Body<'_>,
    then: impl FnOnce(&[u8], &[u8]) -> T,
) -> Result<T> {
    match body {
        Body::Put { key, value, .. } => Ok(then(key, value)),
        Body::LongValue { key, chain, .. } => Ok(then(key, &overflow::load(pages, chain)?)),
        Body::LongKey { key_bytes, chain, .. } => {
            let both = overflow::load(pages, chain)?;
            let (key, value) = both.split_at((*key_bytes as usize).min(both.len()));
            Ok(then(key, value))
        }
        Body::Tombstone { .. } | Body::LongTombstone { .. } | Body::System(_) => {
            with_key(pages, body, |key| then(key, &[]))
        }
    }
}
