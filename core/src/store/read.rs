//! What is to be read, as plain data: the same for a range of the store, of a snapshot, and within a transaction.

use core::cmp::Ordering;

use super::entry::Entry;
use crate::keys::Keys;
use crate::revision::Revision;
use crate::scheduler::WallTime;

/// What the entries of a range are ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SortBy {
    /// The key.
    #[default]
    Key,
    /// How often the key was put since it was created.
    Version,
    /// The revision that created the key.
    CreateRevision,
    /// The revision that put the value.
    ModRevision,
    /// The value, by its bytes.
    Value,
}

/// Which comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// The least.
    #[default]
    Ascending,
    /// The greatest.
    Descending,
}

/// What of the entries is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wanted {
    #[default]
    Everything,
    KeysOnly,
    CountOnly,
}

/// Whether the keys are to be counted besides being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Counting {
    #[default]
    No,
    Yes,
}

/// As of when is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Moment {
    #[default]
    Now,
    Revision(Revision),
    Time(WallTime),
}

/// A pair of revisions, both included; what is absent sets no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) min: Option<Revision>,
    pub(super) max: Option<Revision>,
}

impl Span {
    fn is_any(self) -> bool {
        self == Self::default()
    }

    fn has(self, revision: Revision) -> bool {
        self.min.is_none_or(|min| revision >= min) && self.max.is_none_or(|max| revision <= max)
    }
}

/// A bound that etcd takes 0 for none.
fn bound(revision: impl Into<Revision>) -> Option<Revision> {
    Some(revision.into()).filter(|revision| revision.get() > 0)
}

/// What is to be read: which keys, as of when, and what of them.
///
/// ```
/// use palimpsest_kv::{Keys, Order, Read, SortBy};
/// let newest_three = Read::new(Keys::prefix("users/")).sort(SortBy::ModRevision, Order::Descending).limit(3);
/// # let _ = newest_three;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it only says what is to be read"]
pub struct Read {
    pub(super) keys: Keys,
    pub(super) moment: Moment,
    pub(super) limit: Option<usize>,
    pub(super) wanted: Wanted,
    pub(super) counting: Counting,
    pub(super) by: SortBy,
    pub(super) order: Order,
    pub(super) modified: Span,
    pub(super) created: Span,
}

impl Read {
    /// Reads one key or an interval, in key order.
    pub fn new(keys: impl Into<Keys>) -> Self {
        Self {
            keys: keys.into(),
            moment: Moment::Now,
            limit: None,
            wanted: Wanted::default(),
            counting: Counting::default(),
            by: SortBy::default(),
            order: Order::default(),
            modified: Span::default(),
            created: Span::default(),
        }
    }

    /// Reads as of an earlier revision; 0 stands for the newest.
    pub fn at(mut self, revision: impl Into<Revision>) -> Self {
        self.moment = Moment::Revision(revision.into());
        self
    }

    /// Reads as of a time, in place of a revision: of the newest one that [`Store::revision_at`](crate::Store::revision_at) knows was there.
    pub fn at_time(mut self, time: WallTime) -> Self {
        self.moment = Moment::Time(time);
        self
    }

    /// At most so many entries. Where neither an order nor a bound is asked for, keys past them are not looked at.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Leaves the values out.
    pub fn keys_only(mut self) -> Self {
        self.wanted = Wanted::KeysOnly;
        self
    }

    /// Leaves the entries out, and counts them.
    pub fn count_only(mut self) -> Self {
        self.wanted = Wanted::CountOnly;
        self.with_count()
    }

    /// Also counts the keys: all there are, whatever the limit and the bounds on revisions. That looks at all keys of the interval
    /// in the index, and at no page.
    pub fn with_count(mut self) -> Self {
        self.counting = Counting::Yes;
        self
    }

    /// In another order. All entries are read before the first can be given; those that are equal come in key order.
    pub fn sort(mut self, by: SortBy, order: Order) -> Self {
        (self.by, self.order) = (by, order);
        self
    }

    /// Only values put at this revision or later.
    pub fn min_mod_revision(mut self, revision: impl Into<Revision>) -> Self {
        self.modified.min = bound(revision);
        self
    }

    /// Only values put at this revision or earlier; 0 sets no bound.
    pub fn max_mod_revision(mut self, revision: impl Into<Revision>) -> Self {
        self.modified.max = bound(revision);
        self
    }

    /// Only keys created at this revision or later.
    pub fn min_create_revision(mut self, revision: impl Into<Revision>) -> Self {
        self.created.min = bound(revision);
        self
    }

    /// Only keys created at this revision or earlier; 0 sets no bound.
    pub fn max_create_revision(mut self, revision: impl Into<Revision>) -> Self {
        self.created.max = bound(revision);
        self
    }

    /// Whether entries come as the index has them.
    pub(super) fn is_in_key_order(&self) -> bool {
        (self.by, self.order) == (SortBy::Key, Order::Ascending)
    }

    /// Whether a key may be left out because of its revisions.
    pub(super) fn has_bounds(&self) -> bool {
        !self.modified.is_any() || !self.created.is_any()
    }

    /// Whether the revision that put a value is wanted, which is known before anything is read.
    pub(super) fn wants_modified(&self, revision: u64) -> bool {
        self.modified.has(Revision::new(revision))
    }

    pub(super) fn wants(&self, entry: &Entry) -> bool {
        self.created.has(entry.create_revision()) && self.modified.has(entry.mod_revision())
    }

    /// Which of two entries comes first.
    pub(super) fn compare(&self, a: &Entry, b: &Entry) -> Ordering {
        let ordering = match self.by {
            SortBy::Key => a.key().cmp(b.key()),
            SortBy::Version => a.version().cmp(&b.version()),
            SortBy::CreateRevision => a.create_revision().cmp(&b.create_revision()),
            SortBy::ModRevision => a.mod_revision().cmp(&b.mod_revision()),
            SortBy::Value => a.value().cmp(b.value()),
        };
        match self.order {
            Order::Ascending => ordering,
            Order::Descending => ordering.reverse(),
        }
    }
}
