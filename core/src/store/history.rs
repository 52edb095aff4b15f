//! All versions of one key that still exist.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;

use super::entry::Entry;
use super::read::Order;
use super::reader::Reader;
use crate::error::{Error, PageKind, Result};
use crate::index::{Change, Past};
use crate::pin::pin_between;
use crate::records::{Parts, stored};
use crate::revision::{Position, Revision};
use crate::sabotage::sabotaged;
use crate::storage::Storage;
use crate::watch::EventKind;

/// Steps looked up in the index at once: the first time few, later many.
const FIRST_BATCH: usize = 16;
const LATER_BATCH: usize = 128;

/// What one revision did to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Whether it was put or deleted.
    pub kind: EventKind,
    /// The entry as it was put; of a delete only the key, and the revision of the delete as its mod revision.
    pub entry: Entry,
}

impl Version {
    /// The revision.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.entry.mod_revision()
    }
}

/// What a history answers when it is collected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The versions, oldest first unless the other order was asked for.
    pub versions: Vec<Version>,
    /// Whether the limit left some out.
    pub more: bool,
}

/// What rules of retention keep of a key.
pub(super) struct Retained {
    /// What died by this revision is given up: the compacted one, or an earlier one where something is kept for a while.
    reach: u64,
    /// The oldest of the newest versions until then that are kept for their number, if any are.
    oldest: Option<Position>,
}

impl<S: Storage> Reader<'_, S> {
    /// Whether a version is still there: it is what this state shows at some revision that can be read, or what has happened since the
    /// oldest of them that is not pinned, or what a rule of retention keeps, or a delete without which an older version that is still there would seem to have lasted.
    ///
    /// What a compaction was asked to remove is not there from then on, though its record may wait for background work. All that decides
    /// which records a history shows is in this one place.
    pub(super) fn exists(&self, key: &[u8], past: &Past, retained: &Retained) -> bool {
        let (Some(death), Some(compacted)) = (past.death, self.compacted) else { return true };
        let main = past.step.position.main;
        death > retained.reach
            || pin_between(self.pinned, main, death).is_some()
            || (!past.step.is_tombstone()
                && retained.oldest.is_some_and(|oldest| past.step.position >= oldest))
            || (past.step.is_tombstone()
                && self.needs_tombstone((key, past.step.position), past.next, compacted))
            || sabotaged!(DeadShown)
    }

    /// What rules of retention keep of a key. Costs a look at as many of its positions as versions are kept.
    pub(super) fn retained(&self, key: &[u8]) -> Retained {
        let rule = self.rules.of(key);
        let reach = self.rules.reach(rule, self.compacted.unwrap_or(0));
        let end = Position::new(reach.saturating_add(1), 0);
        let oldest = match self.rules.versions(rule) {
            1 => None,
            versions => {
                let newest = self.index.steps_before(key, end, versions);
                newest.iter().map_while(|past| past.step.live()).last()
            }
        };
        Retained { reach, oldest }
    }

    /// Whether a tombstone stays in a store that is compacted to a revision, since an older record of its key does that a pin sees, and
    /// somebody may look at where the tombstone is the newest. `next` is the revision of what follows it.
    pub(super) fn needs_tombstone(
        &self,
        (key, tombstone): (&[u8], Position),
        next: Option<u64>,
        compacted: u64,
    ) -> bool {
        // Where versions are counted, the older record would be one of the newest.
        let counts_versions = self.rules.versions(self.rules.of(key)) > 1;
        let is_seen = counts_versions
            || next.is_none_or(|next| {
                next > compacted || pin_between(self.pinned, tombstone.main, next).is_some()
            });
        if !is_seen || self.pinned.is_empty() {
            return false;
        }
        let mut end = tombstone;
        loop {
            let older = self.index.steps_before(key, end, LATER_BATCH);
            let is_held = |past: &Past| {
                let main = past.step.position.main;
                let end = if past.step.is_tombstone() { main + 1 } else { past.death.unwrap_or(u64::MAX) };
                pin_between(self.pinned, main, end).is_some()
            };
            if older.iter().any(is_held) {
                return true;
            }
            match older.last().filter(|_| older.len() == LATER_BATCH) {
                Some(last) => end = last.step.position,
                None => return false,
            }
        }
    }

    /// # Errors
    /// [`Error::Corrupt`] if the record is not where the index says, or is damaged.
    fn version(&self, past: &Past, parts: Parts) -> Result<Version> {
        let position = past.step.position;
        let read =
            self.source.visit(self.pages, position, |page, record| stored(self.pages, (page, record), parts));
        let missing = || Error::corrupt(0, PageKind::Leaf, format!("record {position} is missing"));
        let entry = Entry::new(read?.ok_or_else(missing)?, position);
        let kind = match past.step.change {
            Change::Put => EventKind::Put,
            Change::Tombstone => EventKind::Delete,
        };
        Ok(Version { kind, entry })
    }
}

/// A history that is still being described. Iterate over it, or [`collect`](Self::collect) it.
///
/// ```
/// # use palimpsest_kv::{EventKind, Options, Order, Store, storage::MemoryStorage};
/// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
/// store.put("a", "first")?;
/// store.put("a", "second")?;
/// store.delete("a")?;
/// let kinds: Vec<EventKind> = store.history("a").iter()?.map(|version| Ok(version?.kind)).collect::<Result<_, palimpsest_kv::Error>>()?;
/// assert_eq!(kinds, [EventKind::Put, EventKind::Put, EventKind::Delete]);
///
/// let newest_two = store.history("a").order(Order::Descending).limit(2).collect()?;
/// assert_eq!(newest_two.versions[1].entry.value(), b"second");
/// assert!(newest_two.more);
/// # Ok::<(), palimpsest_kv::Error>(())
/// ```
#[must_use = "a history does nothing until it is iterated or collected"]
pub struct HistoryRequest<'a, S: Storage> {
    reader: Reader<'a, S>,
    key: Vec<u8>,
    /// The newest revision that is shown.
    until: u64,
    from: Option<Revision>,
    order: Order,
    limit: Option<usize>,
    parts: Parts,
}

impl<'a, S: Storage> HistoryRequest<'a, S> {
    /// The versions until a revision.
    pub(super) fn new(reader: Reader<'a, S>, key: &[u8], until: u64) -> Self {
        let (order, parts) = (Order::Ascending, Parts::KeyAndValue);
        Self { reader, key: key.to_vec(), until, from: None, order, limit: None, parts }
    }

    /// Oldest first, which is the default, or newest first.
    pub fn order(self, order: Order) -> Self {
        Self { order, ..self }
    }

    /// Begins at a revision: with the oldest version not before it, or, newest first, the newest not after it. 0 sets no bound.
    pub fn from(self, revision: impl Into<Revision>) -> Self {
        Self { from: Some(revision.into()).filter(|revision| revision.get() > 0), ..self }
    }

    /// At most so many versions. Those past them are not looked at.
    pub fn limit(self, limit: usize) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// Leaves the values out, and does not read those that have pages of their own.
    pub fn without_values(self) -> Self {
        Self { parts: Parts::Key, ..self }
    }

    /// The versions, lazily: each costs a page.
    ///
    /// # Errors
    /// [`Error::EmptyKey`].
    pub fn iter(self) -> Result<HistoryIter<'a, S>> {
        if self.key.is_empty() {
            return Err(Error::EmptyKey);
        }
        let from = self.from.map(Revision::get);
        let end = |main: u64| Position::new(main.saturating_add(1), 0);
        let (start, end) = match self.order {
            Order::Ascending => (Position::new(from.unwrap_or(0), 0), end(self.until)),
            Order::Descending => (Position::new(0, 0), end(from.unwrap_or(u64::MAX).min(self.until))),
        };
        Ok(HistoryIter {
            left: self.limit,
            batch: VecDeque::new(),
            size: FIRST_BATCH,
            rest: Some((start, end)),
            request: self,
        })
    }

    /// The versions, at once.
    ///
    /// # Errors
    /// [`Error::EmptyKey`], [`Error::Corrupt`], [`Error::Storage`].
    pub fn collect(self) -> Result<Versions> {
        let limit = self.limit;
        let mut iter = Self { limit: limit.map(|limit| limit.saturating_add(1)), ..self }.iter()?;
        let mut versions = Vec::new();
        while limit.is_none_or(|limit| versions.len() < limit)
            && let Some(version) = iter.next()
        {
            versions.push(version?);
        }
        let more = limit.is_some() && iter.next_past().is_some();
        Ok(Versions { versions, more })
    }
}

/// The versions of one key. After an error there are no more.
///
/// Invariant: `rest` is where the steps are that the index has not been asked for, `None` when there are none.
pub struct HistoryIter<'a, S: Storage> {
    request: HistoryRequest<'a, S>,
    rest: Option<(Position, Position)>,
    /// Versions that the limit still allows.
    left: Option<usize>,
    batch: VecDeque<Past>,
    size: usize,
}

impl<S: Storage> HistoryIter<'_, S> {
    fn fill(&mut self) {
        let Some((start, end)) = self.rest.take() else { return };
        let HistoryRequest { reader, key, order, .. } = &self.request;
        let size = self.left.map_or(self.size, |left| self.size.min(left.max(1)));
        self.size = LATER_BATCH;
        let found = match order {
            Order::Ascending => reader.index.steps_from(key, start, size),
            Order::Descending => reader.index.steps_before(key, end, size),
        };
        let is_within = |past: &Past| (start..end).contains(&past.step.position);
        let last = found.last().copied().filter(|past| found.len() == size && is_within(past));
        self.rest = last.map(|Past { step, .. }| match order {
            // No two steps of a key are at one position.
            Order::Ascending => (Position::new(step.position.main, step.position.sub.saturating_add(1)), end),
            Order::Descending => (start, step.position),
        });
        let retained = reader.retained(key);
        let is_shown = |past: &Past| is_within(past) && reader.exists(key, past, &retained);
        self.batch.extend(found.into_iter().filter(is_shown));
    }

    fn next_past(&mut self) -> Option<Past> {
        if self.left == Some(0) {
            return None;
        }
        while self.batch.is_empty() && self.rest.is_some() {
            self.fill();
        }
        self.batch.pop_front()
    }
}

impl<S: Storage> Iterator for HistoryIter<'_, S> {
    type Item = Result<Version>;

    fn next(&mut self) -> Option<Result<Version>> {
        let past = self.next_past()?;
        self.left = self.left.map(|left| left - 1);
        let version = self.request.reader.version(&past, self.request.parts);
        if version.is_err() {
            self.left = Some(0);
        }
        Some(version)
    }
}
