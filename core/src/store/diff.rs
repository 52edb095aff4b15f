//! What has changed between two revisions.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::entry::Entry;
use super::reader::Reader;
use crate::error::{Error, Result};
use crate::keys::Keys;
use crate::records::Parts;
use crate::revision::{Position, Revision};
use crate::storage::Storage;

/// Keys looked up in the index at once: the first time few, later many.
const FIRST_BATCH: usize = 16;
const LATER_BATCH: usize = 128;

/// A key that is not the same at two revisions. At least one of the entries is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The key.
    pub key: Vec<u8>,
    /// Its entry at the revision compared from; `None` if there was none.
    pub before: Option<Entry>,
    /// Its entry at the revision compared with; `None` if there is none.
    pub after: Option<Entry>,
}

/// What a comparison answers when it is collected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differences {
    /// The keys that differ, in key order.
    pub differences: Vec<Difference>,
    /// Whether the limit left some out.
    pub more: bool,
}

/// A comparison of two revisions that is still being described. Iterate over it, or [`collect`](Self::collect) it.
///
/// It tells how each key was and how it is, not what happened in between: a key that was created and deleted again is left out, and one
/// that was put anew differs though its value may be the same. The revisions may come in either order: from a later one to an
/// earlier one it tells what it would take to go back.
///
/// ```
/// # use palimpsest_kv::{Keys, Options, Store, storage::MemoryStorage};
/// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
/// let from = store.put("a", "old")?.revision;
/// store.put("a", "new")?;
/// let to = store.put("b", "created")?.revision;
/// let changed = store.diff(from, to).keys(Keys::all()).collect()?.differences;
/// assert_eq!(changed[0].before.as_ref().unwrap().value(), b"old");
/// assert_eq!(changed[0].after.as_ref().unwrap().value(), b"new");
/// assert!(changed[1].key == b"b" && changed[1].before.is_none());
/// # Ok::<(), palimpsest_kv::Error>(())
/// ```
#[must_use = "a comparison does nothing until it is iterated or collected"]
pub struct DiffRequest<'a, S: Storage> {
    reader: Reader<'a, S>,
    revisions: (Revision, Revision),
    keys: Keys,
    limit: Option<usize>,
    parts: Parts,
}

impl<'a, S: Storage> DiffRequest<'a, S> {
    pub(super) fn new(reader: Reader<'a, S>, revisions: (Revision, Revision)) -> Self {
        Self { reader, revisions, keys: Keys::all(), limit: None, parts: Parts::KeyAndValue }
    }

    /// Only these keys. To go on after a limit, ask for [`Keys::after`] the last one.
    pub fn keys(self, keys: impl Into<Keys>) -> Self {
        Self { keys: keys.into(), ..self }
    }

    /// At most so many keys. Those past them are not looked at.
    pub fn limit(self, limit: usize) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// Leaves the values out, and does not read those that have pages of their own.
    pub fn without_values(self) -> Self {
        Self { parts: Parts::Key, ..self }
    }

    /// The keys that differ, lazily, in their order. Costs looking at those neighbourhoods of the index in which something has changed since
    /// the earlier revision, and a page for each entry given.
    ///
    /// # Errors
    /// [`Error::EmptyKey`]; [`Error::Compacted`], [`Error::FutureRevision`] for either of the revisions.
    pub fn iter(self) -> Result<DiffIter<'a, S>> {
        if self.keys.single() == Some(&[]) {
            return Err(Error::EmptyKey);
        }
        let (from, to) = self.revisions;
        let revisions = (self.reader.check(Some(from))?, self.reader.check(Some(to))?);
        let rest = Some(self.keys.clone());
        Ok(DiffIter {
            left: self.limit,
            request: self,
            revisions,
            rest,
            batch: VecDeque::new(),
            size: FIRST_BATCH,
        })
    }

    /// The keys that differ, at once.
    ///
    /// # Errors
    /// As [`DiffRequest::iter`], and [`Error::Corrupt`], [`Error::Storage`].
    pub fn collect(self) -> Result<Differences> {
        let limit = self.limit;
        let mut iter = Self { limit: limit.map(|limit| limit.saturating_add(1)), ..self }.iter()?;
        let mut differences = Vec::new();
        while limit.is_none_or(|limit| differences.len() < limit)
            && let Some(difference) = iter.next()
        {
            differences.push(difference?);
        }
        let more = limit.is_some() && iter.next_found().is_some();
        Ok(Differences { differences, more })
    }
}

/// A key that differs, before its records are read.
struct Found {
    key: Vec<u8>,
    before: Option<Position>,
    after: Option<Position>,
}

/// The keys that differ. After an error there are no more.
///
/// Invariant: `rest` are the keys that the index has not been asked for, `None` when there are none.
pub struct DiffIter<'a, S: Storage> {
    request: DiffRequest<'a, S>,
    revisions: (u64, u64),
    rest: Option<Keys>,
    /// Keys that the limit still allows.
    left: Option<usize>,
    batch: VecDeque<Found>,
    size: usize,
}

impl<S: Storage> DiffIter<'_, S> {
    fn fill(&mut self) {
        let Some(keys) = self.rest.take() else { return };
        let Some(bounds) = keys.bounds() else { return };
        let size = self.left.map_or(self.size, |left| self.size.min(left));
        self.size = LATER_BATCH;
        let differing = self.request.reader.index.diff(bounds, self.revisions).take(size);
        self.batch.extend(differing.map(|found| Found {
            key: found.key.to_vec(),
            before: found.before,
            after: found.after,
        }));
        let last = self.batch.back().filter(|_| self.batch.len() == size);
        self.rest = last.map(|last| keys.after(&last.key));
    }

    fn next_found(&mut self) -> Option<Found> {
        if self.left == Some(0) {
            return None;
        }
        if self.batch.is_empty() {
            self.fill();
        }
        self.batch.pop_front()
    }

    fn read(&self, Found { key, before, after }: Found) -> Result<Difference> {
        let DiffRequest { reader, parts, .. } = &self.request;
        let entry = |position| reader.entry(position, None, *parts);
        Ok(Difference { key, before: before.map(entry).transpose()?, after: after.map(entry).transpose()? })
    }
}

impl<S: Storage> Iterator for DiffIter<'_, S> {
    type Item = Result<Difference>;

    fn next(&mut self) -> Option<Result<Difference>> {
        let found = self.next_found()?;
        self.left = self.left.map(|left| left - 1);
        let difference = self.read(found);
        if difference.is_err() {
            self.left = Some(0);
        }
        Some(difference)
    }
}
