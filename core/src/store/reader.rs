//! Reading at a revision: what the newest state and snapshots have in common.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Bound;

use super::entry::{Entry, RangeResult};
use super::keys::Keys;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::pager::Pages;
use crate::records::{Located, Parts, Source};
use crate::revision::{Position, Revision};
use crate::sabotage::sabotaged;
use crate::storage::Storage;

/// Keys looked up in the index at once: the first time few, since most ranges are short, later many.
const FIRST_BATCH: usize = 16;
const LATER_BATCH: usize = 128;

/// Bounds of an interval of keys.
type OwnedBounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// A state to read from, and the revision to read it at.
pub(super) struct Reader<'a, S> {
    pub(super) pages: &'a Pages<S>,
    pub(super) source: Source<'a>,
    pub(super) index: &'a Index,
    /// The newest revision of this state.
    pub(super) current: u64,
    pub(super) compacted: Option<u64>,
}

impl<S> Clone for Reader<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Reader<'_, S> {}

impl<'a, S: Storage> Reader<'a, S> {
    /// The number of a revision that can be read; 0 stands for the newest, as in etcd.
    ///
    /// # Errors
    /// [`Error::Compacted`] or [`Error::FutureRevision`].
    pub(super) fn check(&self, revision: Option<Revision>) -> Result<u64> {
        let Some(requested) = revision.filter(|revision| revision.get() > 0) else { return Ok(self.current) };
        if requested.get() > self.current {
            return Err(Error::FutureRevision { requested, current: Revision::new(self.current) });
        }
        match self.compacted {
            Some(compacted) if requested.get() < compacted => {
                Err(Error::Compacted { requested, compacted: Revision::new(compacted) })
            }
            Some(_) | None => Ok(requested.get()),
        }
    }

    pub(super) fn get(&self, key: &[u8], at: u64) -> Result<Option<Entry>> {
        if key.is_empty() {
            return Err(Error::EmptyKey);
        }
        let Some(position) = self.index.get(key, at) else { return Ok(None) };
        self.entry(position, None, Parts::KeyAndValue).map(Some)
    }

    /// The entry at a position, whose leaf may have been located before.
    fn entry(&self, position: Position, located: Option<Located>, parts: Parts) -> Result<Entry> {
        let located = match located {
            Some(located) => located,
            None => self.source.locate(self.pages, position)?,
        };
        Ok(Entry::new(self.source.read(self.pages, &located, parts)?, position))
    }
}

/// A range that is still being described. Iterate over it, [`collect`](Self::collect) it, or [`count`](Self::count) it.
///
/// ```
/// # use palimpsest_kv::{Keys, Options, Store, storage::MemoryStorage};
/// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
/// store.put("users/1", "Ada")?;
/// store.put("users/2", "Grace")?;
/// for entry in store.range(Keys::prefix("users/")).limit(10) {
///     let entry = entry?;
///     assert!(entry.key().starts_with(b"users/"));
/// }
/// assert_eq!(store.range(Keys::all()).count()?, 2);
/// # Ok::<(), palimpsest_kv::Error>(())
/// ```
#[must_use = "a range does nothing until it is iterated, collected or counted"]
pub struct RangeRequest<'a, S: Storage> {
    reader: Reader<'a, S>,
    keys: Keys,
    revision: Option<Revision>,
    limit: Option<usize>,
    parts: Parts,
}

impl<'a, S: Storage> RangeRequest<'a, S> {
    pub(super) fn new(reader: Reader<'a, S>, keys: Keys, revision: Option<Revision>) -> Self {
        Self { reader, keys, revision, limit: None, parts: Parts::KeyAndValue }
    }

    /// Reads as of an earlier revision; 0 stands for the newest.
    pub fn at(mut self, revision: impl Into<Revision>) -> Self {
        self.revision = Some(revision.into());
        self
    }

    /// At most so many entries. Keys past them are not looked at.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Leaves the values out.
    pub fn keys_only(mut self) -> Self {
        self.parts = Parts::Key;
        self
    }

    /// How many keys there are, whatever the limit. Reads the index and no page.
    ///
    /// # Errors
    /// [`Error::EmptyKey`], [`Error::Compacted`], [`Error::FutureRevision`].
    pub fn count(self) -> Result<u64> {
        let at = self.check()?;
        Ok(self.keys.bounds().map_or(0, |bounds| self.reader.index.count(bounds, at)))
    }

    /// The entries, lazily, in key order.
    ///
    /// # Errors
    /// [`Error::EmptyKey`], [`Error::Compacted`], [`Error::FutureRevision`].
    pub fn iter(self) -> Result<RangeIter<'a, S>> {
        let at = self.check()?;
        Ok(self.into_iter_at(at))
    }

    /// The entries, at once.
    ///
    /// # Errors
    /// [`Error::EmptyKey`], [`Error::Compacted`], [`Error::FutureRevision`], [`Error::Corrupt`], [`Error::Storage`].
    pub fn collect(self) -> Result<RangeResult> {
        let (limit, revision) = (self.limit, Revision::new(self.reader.current));
        let mut iter = Self { limit: limit.map(|limit| limit.saturating_add(1)), ..self }.iter()?;
        let mut entries = Vec::new();
        while limit.is_none_or(|limit| entries.len() < limit)
            && let Some(entry) = iter.next()
        {
            entries.push(entry?);
        }
        let more = limit.is_some() && iter.skip_one();
        Ok(RangeResult { entries, more, revision })
    }

    /// The number of the revision to read at.
    fn check(&self) -> Result<u64> {
        match self.keys.single() {
            Some([]) => Err(Error::EmptyKey),
            Some(_) | None => self.reader.check(self.revision),
        }
    }

    fn into_iter_at(self, at: u64) -> RangeIter<'a, S> {
        let bounds =
            self.keys.bounds().map(|(start, end)| (start.map(<[u8]>::to_vec), end.map(<[u8]>::to_vec)));
        RangeIter {
            reader: self.reader,
            at,
            bounds,
            left: self.limit,
            parts: self.parts,
            batch: VecDeque::new(),
            size: FIRST_BATCH,
            failed: None,
        }
    }
}

impl<'a, S: Storage> IntoIterator for RangeRequest<'a, S> {
    type Item = Result<Entry>;
    type IntoIter = RangeIter<'a, S>;

    fn into_iter(self) -> RangeIter<'a, S> {
        match self.check() {
            Ok(at) => self.into_iter_at(at),
            Err(error) => RangeIter { failed: Some(error), bounds: None, ..self.into_iter_at(0) },
        }
    }
}

/// The entries of a range, in key order. After an error there are no more.
///
/// Invariant: `bounds` is what the index has not been asked for yet, `None` when that is nothing.
pub struct RangeIter<'a, S: Storage> {
    reader: Reader<'a, S>,
    at: u64,
    bounds: Option<OwnedBounds>,
    /// Entries that the limit still allows.
    left: Option<usize>,
    parts: Parts,
    batch: VecDeque<(Position, Option<Located>)>,
    size: usize,
    failed: Option<Error>,
}

impl<S: Storage> RangeIter<'_, S> {
    /// Asks the index for the next positions. A lookup for every batch instead of one open iterator lets this type own
    /// its bounds, and a batch's pages are fetched side by side.
    fn fill(&mut self) {
        let Some((start, end)) = self.bounds.take() else { return };
        let size = self.size.min(self.left.unwrap_or(usize::MAX));
        self.size = LATER_BATCH;
        let bounds = (start.as_ref().map(Vec::as_slice), end.as_ref().map(Vec::as_slice));
        let mut last = None;
        let mut positions = Vec::with_capacity(size);
        for (key, position) in self.reader.index.range(bounds, self.at).take(size) {
            positions.push(position);
            last = Some(key);
        }
        if let Some(last) = last
            && positions.len() == size
        {
            self.bounds = Some((Bound::Excluded(last.to_vec()), end));
        }
        let located = self.reader.source.locate_cached(self.reader.pages, &positions);
        self.batch.extend(positions.into_iter().zip(located));
    }

    fn next_position(&mut self) -> Option<(Position, Option<Located>)> {
        if self.left == Some(0) {
            return None;
        }
        if self.batch.is_empty() {
            self.fill();
        }
        let next = self.batch.pop_front()?;
        self.left = self.left.map(|left| left - 1);
        Some(next)
    }

    /// Whether there is one more entry, which is not read.
    fn skip_one(&mut self) -> bool {
        self.next_position().is_some()
    }
}

impl<S: Storage> Iterator for RangeIter<'_, S> {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Result<Entry>> {
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        let (position, located) = self.next_position()?;
        let entry = self.reader.entry(position, located, self.parts);
        if entry.is_err() && !sabotaged!(RangeGoesOnAfterError) {
            self.left = Some(0);
        }
        Some(entry)
    }
}
