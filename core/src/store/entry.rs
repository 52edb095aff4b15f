//! What a read answers.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::lease::LeaseId;
use crate::records::{Bytes, Stored};
use crate::revision::{Position, Revision};

/// One key with its value as of some revision: a cheap handle on the page they stand on, which stays in memory as long
/// as the entry does.
#[derive(Clone)]
pub struct Entry {
    key: Bytes,
    value: Bytes,
    create_revision: Revision,
    mod_revision: Revision,
    version: u64,
    lease: u64,
}

impl Entry {
    /// The version that stands at a position.
    pub(super) fn new(stored: Stored, position: Position) -> Self {
        Self {
            key: stored.key,
            value: stored.value,
            create_revision: Revision::new(stored.created),
            mod_revision: Revision::new(position.main),
            version: stored.version,
            lease: stored.lease,
        }
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.key.as_slice()
    }

    /// The value; empty if only keys were asked for.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        self.value.as_slice()
    }

    /// The revision that created the key, or created it again after a delete.
    #[must_use]
    pub fn create_revision(&self) -> Revision {
        self.create_revision
    }

    /// The revision that put this value.
    #[must_use]
    pub fn mod_revision(&self) -> Revision {
        self.mod_revision
    }

    /// How often the key was put since it was created: 1 for the first value.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The lease that the key is attached to.
    #[must_use]
    pub fn lease(&self) -> Option<LeaseId> {
        LeaseId::new(self.lease)
    }

    pub(super) fn drop_value(&mut self) {
        self.value.clear();
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        let numbers = |entry: &Self| (entry.create_revision, entry.mod_revision, entry.version, entry.lease);
        self.key() == other.key() && self.value() == other.value() && numbers(self) == numbers(other)
    }
}

impl Eq for Entry {}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &String::from_utf8_lossy(self.key()))
            .field("value", &String::from_utf8_lossy(self.value()))
            .field("create_revision", &self.create_revision.get())
            .field("mod_revision", &self.mod_revision.get())
            .field("version", &self.version)
            .field("lease", &self.lease)
            .finish()
    }
}

/// What a range answers when it is collected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeResult {
    /// The entries, in key order unless another was asked for.
    pub entries: Vec<Entry>,
    /// Whether the limit left entries out.
    pub more: bool,
    /// How many keys there are, whatever the limit and the bounds on revisions, if that was asked for.
    pub count: Option<u64>,
    /// The store's current revision, whatever revision was read.
    pub revision: Revision,
}
