//! What is to be put or deleted, as plain data.

use alloc::vec::Vec;

use crate::keys::Keys;
use crate::lease::LeaseId;

/// The lease that a put gives its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Lease {
    /// None; a lease that the key had is detached.
    #[default]
    Detached,
    /// This one.
    Attached(LeaseId),
    /// The one that the key has, if any.
    Kept,
}

/// Whether the answer tells what was there before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Previous {
    #[default]
    Untold,
    Told,
}

/// A put: of which value, and what becomes of the key's lease.
///
/// ```
/// # use core::time::Duration;
/// # use palimpsest_kv::{Options, Put, Store, storage::MemoryStorage};
/// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
/// let lease = store.grant_lease(Duration::from_secs(60))?.id;
/// store.put_with(&Put::new("sessions/7", "Ada").lease(lease))?;
/// let written = store.put_with(&Put::new("sessions/7", "Ada Lovelace").keep_lease().previous())?;
/// assert_eq!(written.previous.unwrap().value(), b"Ada");
/// assert_eq!(store.get("sessions/7")?.unwrap().lease(), Some(lease));
/// # Ok::<(), palimpsest_kv::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it only says what is to be put"]
pub struct Put {
    key: Vec<u8>,
    value: Option<Vec<u8>>,
    lease: Lease,
    previous: Previous,
}

impl Put {
    /// Puts a value under a key, and detaches the key from the lease that it may have.
    pub fn new(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        Self { value: Some(value.as_ref().to_vec()), ..Self::keeping_value(key) }
    }

    /// Puts the value that the key has, under a new revision (etcd's `ignore_value`). The key must exist.
    pub fn keeping_value(key: impl AsRef<[u8]>) -> Self {
        let (lease, previous) = (Lease::default(), Previous::default());
        Self { key: key.as_ref().to_vec(), value: None, lease, previous }
    }

    /// Attaches the key to a lease: it is deleted when the lease ends.
    pub fn lease(mut self, lease: LeaseId) -> Self {
        self.lease = Lease::Attached(lease);
        self
    }

    /// Leaves the key attached to the lease that it has (etcd's `ignore_lease`). The key must exist.
    pub fn keep_lease(mut self) -> Self {
        self.lease = Lease::Kept;
        self
    }

    /// Answers with the entry that this one replaces.
    pub fn previous(mut self) -> Self {
        self.previous = Previous::Told;
        self
    }

    pub(super) fn view(&self) -> PutView<'_> {
        PutView { key: &self.key, value: self.value.as_deref(), lease: self.lease, previous: self.previous }
    }
}

/// A put of borrowed bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct PutView<'a> {
    pub(super) key: &'a [u8],
    /// `None` to keep the value that there is.
    pub(super) value: Option<&'a [u8]>,
    pub(super) lease: Lease,
    pub(super) previous: Previous,
}

impl<'a> PutView<'a> {
    pub(super) fn plain(key: &'a [u8], value: &'a [u8]) -> Self {
        Self { key, value: Some(value), lease: Lease::default(), previous: Previous::default() }
    }

    /// Whether nothing of the key's present state matters for it.
    pub(super) fn is_blind(&self) -> bool {
        self.value.is_some() && self.lease != Lease::Kept && self.previous == Previous::Untold
    }
}

/// A delete of one key or an interval.
///
/// ```
/// # use palimpsest_kv::{Delete, Keys, Options, Store, storage::MemoryStorage};
/// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
/// store.put("users/1", "Ada")?;
/// let deleted = store.delete_with(&Delete::new(Keys::prefix("users/")).previous())?;
/// assert_eq!(deleted.previous[0].value(), b"Ada");
/// # Ok::<(), palimpsest_kv::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it only says what is to be deleted"]
pub struct Delete {
    pub(super) keys: Keys,
    pub(super) previous: Previous,
}

impl Delete {
    /// Deletes one key or an interval.
    pub fn new(keys: impl Into<Keys>) -> Self {
        Self { keys: keys.into(), previous: Previous::default() }
    }

    /// Answers with the entries that are deleted.
    pub fn previous(mut self) -> Self {
        self.previous = Previous::Told;
        self
    }
}
