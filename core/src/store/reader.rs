//! Reading at a revision: what the newest state and snapshots have in common.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Bound;

use super::entry::{Entry, RangeResult};
use super::read::{Counting, Moment, Order, Read, SortBy, Wanted};
use crate::compaction::Rules;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::keys::Keys;
use crate::pager::Pages;
use crate::records::{Located, Parts, Source};
use crate::revision::{Position, Revision};
use crate::sabotage::sabotaged;
use crate::scheduler::WallTime;
use crate::storage::Storage;
use crate::times::Times;

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
    pub(super) times: &'a Times,
    /// Revisions that can be read though the store is compacted beyond them, ascending.
    pub(super) pinned: &'a [u64],
    /// What else compaction leaves.
    pub(super) rules: &'a Rules,
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
            Some(compacted)
                if requested.get() < compacted && self.pinned.binary_search(&requested.get()).is_err() =>
            {
                Err(Error::Compacted { requested, compacted: Revision::new(compacted) })
            }
            Some(_) | None => Ok(requested.get()),
        }
    }

    /// The number of the revision that a read asks for.
    ///
    /// # Errors
    /// [`Error::Compacted`], [`Error::FutureRevision`], [`Error::TimeUnknown`].
    pub(super) fn check_moment(&self, moment: Moment) -> Result<u64> {
        match moment {
            Moment::Now => Ok(self.current),
            Moment::Revision(revision) => self.check(Some(revision)),
            Moment::Time(time) => self.check_time(time),
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
    pub(super) fn entry(&self, position: Position, located: Option<Located>, parts: Parts) -> Result<Entry> {
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
    read: Read,
}

impl<'a, S: Storage> RangeRequest<'a, S> {
    pub(super) fn new(reader: Reader<'a, S>, read: Read) -> Self {
        Self { reader, read }
    }

    fn with(self, change: impl FnOnce(Read) -> Read) -> Self {
        Self { read: change(self.read), ..self }
    }

    /// As [`Read::at`].
    pub fn at(self, revision: impl Into<Revision>) -> Self {
        self.with(|read| read.at(revision))
    }

    /// As [`Read::at_time`].
    pub fn at_time(self, time: WallTime) -> Self {
        self.with(|read| read.at_time(time))
    }

    /// As [`Read::limit`].
    pub fn limit(self, limit: usize) -> Self {
        self.with(|read| read.limit(limit))
    }

    /// As [`Read::keys_only`].
    pub fn keys_only(self) -> Self {
        self.with(Read::keys_only)
    }

    /// As [`Read::with_count`].
    pub fn with_count(self) -> Self {
        self.with(Read::with_count)
    }

    /// As [`Read::sort`].
    pub fn sort(self, by: SortBy, order: Order) -> Self {
        self.with(|read| read.sort(by, order))
    }

    /// As [`Read::min_mod_revision`].
    pub fn min_mod_revision(self, revision: impl Into<Revision>) -> Self {
        self.with(|read| read.min_mod_revision(revision))
    }

    /// As [`Read::max_mod_revision`].
    pub fn max_mod_revision(self, revision: impl Into<Revision>) -> Self {
        self.with(|read| read.max_mod_revision(revision))
    }

    /// As [`Read::min_create_revision`].
    pub fn min_create_revision(self, revision: impl Into<Revision>) -> Self {
        self.with(|read| read.min_create_revision(revision))
    }

    /// As [`Read::max_create_revision`].
    pub fn max_create_revision(self, revision: impl Into<Revision>) -> Self {
        self.with(|read| read.max_create_revision(revision))
    }

    /// How many keys there are, whatever the limit and the bounds on revisions. Reads the index and no page.
    ///
    /// # Errors
    /// [`Error::EmptyKey`], [`Error::Compacted`], [`Error::FutureRevision`].
    pub fn count(self) -> Result<u64> {
        let at = self.check()?;
        Ok(self.count_at(at))
    }

    /// The entries, lazily if they are wanted in key order.
    ///
    /// # Errors
    /// [`Error::EmptyKey`], [`Error::Compacted`], [`Error::FutureRevision`]; for another order those of reading.
    pub fn iter(self) -> Result<RangeIter<'a, S>> {
        let at = self.check()?;
        if self.read.is_in_key_order() {
            return Ok(self.into_iter_at(at));
        }
        let (reader, limit) = (self.reader, self.read.limit);
        let mut sorted = self.sorted(at)?;
        sorted.truncate(limit.unwrap_or(usize::MAX));
        let nothing = Read::new(Keys::interval("", ""));
        Ok(RangeIter {
            sorted: Some(sorted.into_iter()),
            ..RangeRequest::new(reader, nothing).into_iter_at(at)
        })
    }

    /// The entries, at once, and the count if it is asked for.
    ///
    /// # Errors
    /// [`Error::EmptyKey`], [`Error::Compacted`], [`Error::FutureRevision`], [`Error::Corrupt`], [`Error::Storage`].
    pub fn collect(self) -> Result<RangeResult> {
        let at = self.check()?;
        let revision = Revision::new(self.reader.current);
        let count = (self.read.counting == Counting::Yes).then(|| self.count_at(at));
        let (entries, more) = match (self.read.wanted, self.read.is_in_key_order()) {
            (Wanted::CountOnly, _) => (Vec::new(), false),
            (_, true) => self.first(at)?,
            (_, false) => {
                let limit = self.read.limit.unwrap_or(usize::MAX);
                let mut entries = self.sorted(at)?;
                let more = entries.len() > limit;
                entries.truncate(limit);
                (entries, more)
            }
        };
        Ok(RangeResult { entries, more, count, revision })
    }

    /// The first entries in key order, as many as the limit allows, and whether there are more.
    fn first(self, at: u64) -> Result<(Vec<Entry>, bool)> {
        let limit = self.read.limit;
        let has_bounds = self.read.has_bounds();
        let mut iter = self
            .with(|read| Read { limit: limit.map(|limit| limit.saturating_add(1)), ..read })
            .into_iter_at(at);
        let mut entries = Vec::new();
        while limit.is_none_or(|limit| entries.len() < limit)
            && let Some(entry) = iter.next()
        {
            entries.push(entry?);
        }
        let more = match (limit, has_bounds) {
            (None, _) => false,
            (Some(_), false) => iter.next_position().is_some(),
            (Some(_), true) => iter.next().transpose()?.is_some(),
        };
        Ok((entries, more))
    }

    /// All entries in the order that is asked for, whatever the limit.
    fn sorted(self, at: u64) -> Result<Vec<Entry>> {
        let wanted = self.read.wanted;
        let needs_values = self.read.by == SortBy::Value;
        let all = self.with(|read| Read {
            limit: None,
            wanted: if needs_values { Wanted::Everything } else { read.wanted },
            ..read
        });
        let read = all.read.clone();
        let mut entries: Vec<Entry> = all.into_iter_at(at).collect::<Result<_>>()?;
        entries.sort_by(|a, b| read.compare(a, b));
        if wanted == Wanted::KeysOnly {
            entries.iter_mut().for_each(Entry::drop_value);
        }
        Ok(entries)
    }

    fn count_at(&self, at: u64) -> u64 {
        self.read.keys.bounds().map_or(0, |bounds| self.reader.index.count(bounds, at))
    }

    /// The number of the revision to read at.
    fn check(&self) -> Result<u64> {
        match self.read.keys.single() {
            Some([]) => Err(Error::EmptyKey),
            Some(_) | None => self.reader.check_moment(self.read.moment),
        }
    }

    /// The entries in key order.
    fn into_iter_at(self, at: u64) -> RangeIter<'a, S> {
        let bounds =
            self.read.keys.bounds().map(|(start, end)| (start.map(<[u8]>::to_vec), end.map(<[u8]>::to_vec)));
        let parts = match self.read.wanted {
            Wanted::Everything => Parts::KeyAndValue,
            Wanted::KeysOnly | Wanted::CountOnly => Parts::Key,
        };
        RangeIter {
            reader: self.reader,
            at,
            bounds,
            left: self.read.limit,
            parts,
            filter: self.read.has_bounds().then_some(self.read),
            batch: VecDeque::new(),
            size: FIRST_BATCH,
            sorted: None,
            failed: None,
        }
    }
}

impl<'a, S: Storage> IntoIterator for RangeRequest<'a, S> {
    type Item = Result<Entry>;
    type IntoIter = RangeIter<'a, S>;

    fn into_iter(self) -> RangeIter<'a, S> {
        let reader = self.reader;
        match self.iter() {
            Ok(iter) => iter,
            Err(error) => {
                let nothing = Read::new(Keys::interval("", ""));
                RangeIter { failed: Some(error), ..RangeRequest::new(reader, nothing).into_iter_at(0) }
            }
        }
    }
}

/// The entries of a range, in key order unless another was asked for. After an error there are no more.
///
/// Invariant: `bounds` is what the index has not been asked for yet, `None` when that is nothing.
pub struct RangeIter<'a, S: Storage> {
    reader: Reader<'a, S>,
    at: u64,
    bounds: Option<OwnedBounds>,
    /// Entries that the limit still allows.
    left: Option<usize>,
    parts: Parts,
    /// What is asked of an entry's revisions.
    filter: Option<Read>,
    batch: VecDeque<(Position, Option<Located>)>,
    size: usize,
    /// The entries themselves, where they had to be read to be put in order.
    sorted: Option<alloc::vec::IntoIter<Entry>>,
    failed: Option<Error>,
}

impl<S: Storage> RangeIter<'_, S> {
    /// Asks the index for the next positions. A lookup for every batch instead of one open iterator lets this type own
    /// its bounds, and a batch's pages are fetched side by side.
    fn fill(&mut self) {
        let Some((start, end)) = self.bounds.take() else { return };
        let most = if self.filter.is_some() { None } else { self.left };
        let size = self.size.min(most.unwrap_or(usize::MAX));
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
        if let Some(filter) = &self.filter {
            positions.retain(|position| filter.wants_modified(position.main));
        }
        let located = self.reader.source.locate_cached(self.reader.pages, &positions);
        self.batch.extend(positions.into_iter().zip(located));
    }

    /// The next position, whether or not its entry passes the filter.
    fn next_position(&mut self) -> Option<(Position, Option<Located>)> {
        if self.left == Some(0) {
            return None;
        }
        while self.batch.is_empty() && self.bounds.is_some() {
            self.fill();
        }
        self.batch.pop_front()
    }

    fn next_in_order(&mut self) -> Option<Result<Entry>> {
        loop {
            let (position, located) = self.next_position()?;
            let entry = self.reader.entry(position, located, self.parts);
            if let (Ok(entry), Some(filter)) = (&entry, &self.filter)
                && !filter.wants(entry)
            {
                continue;
            }
            self.left = self.left.map(|left| left - 1);
            return Some(entry);
        }
    }
}

impl<S: Storage> Iterator for RangeIter<'_, S> {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Result<Entry>> {
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        if let Some(sorted) = &mut self.sorted {
            return sorted.next().map(Ok);
        }
        let entry = self.next_in_order()?;
        if entry.is_err() && !sabotaged!(RangeGoesOnAfterError) {
            self.left = Some(0);
        }
        Some(entry)
    }
}
