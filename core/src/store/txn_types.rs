//! What a transaction is made of: compares, operations, and their answers.

use alloc::vec::Vec;
use core::cmp::Ordering;

use super::entry::{Entry, RangeResult};
use super::keys::Keys;
use crate::revision::Revision;

/// What of a key is compared. A key that does not exist has version, create and mod revision 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Version(u64),
    Create(u64),
    Mod(u64),
    Value(Vec<u8>),
}

/// How the stored and the given value must relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Equal,
    NotEqual,
    Less,
    Greater,
}

impl Relation {
    pub(crate) fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::Greater => ordering.is_gt(),
        }
    }
}

/// One condition of a transaction: about the version, a revision or the value of a key, or of every key in an interval.
///
/// ```
/// use palimpsest_kv::Compare;
/// let absent = Compare::version("users/1").equals(0);
/// let unchanged = Compare::mod_revision("users/1").equals(7);
/// let small = Compare::value("counter").is_less_than("5");
/// # let _ = (absent, unchanged, small);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    pub(crate) keys: Keys,
    pub(crate) target: Target,
    pub(crate) relation: Relation,
}

/// A compare that still lacks what to compare with: a number.
#[derive(Clone, Debug)]
#[must_use = "a compare needs a relation: equals, ..."]
pub struct CompareNumber {
    keys: Keys,
    make: fn(u64) -> Target,
}

/// A compare that still lacks what to compare with: a value.
#[derive(Clone, Debug)]
#[must_use = "a compare needs a relation: equals, ..."]
pub struct CompareValue {
    keys: Keys,
}

impl Compare {
    /// About the version: how often the key was put since it was created; 0 if it does not exist.
    pub fn version(keys: impl Into<Keys>) -> CompareNumber {
        CompareNumber { keys: keys.into(), make: Target::Version }
    }

    /// About the revision that created the key; 0 if it does not exist.
    pub fn create_revision(keys: impl Into<Keys>) -> CompareNumber {
        CompareNumber { keys: keys.into(), make: Target::Create }
    }

    /// About the revision that last put the key; 0 if it does not exist.
    pub fn mod_revision(keys: impl Into<Keys>) -> CompareNumber {
        CompareNumber { keys: keys.into(), make: Target::Mod }
    }

    /// About the value, as bytes. A key that does not exist fulfils no such condition, not even "differs from".
    pub fn value(keys: impl Into<Keys>) -> CompareValue {
        CompareValue { keys: keys.into() }
    }
}

impl CompareNumber {
    fn with(self, relation: Relation, number: u64) -> Compare {
        Compare { keys: self.keys, target: (self.make)(number), relation }
    }

    /// It must be `number`.
    #[must_use]
    pub fn equals(self, number: u64) -> Compare {
        self.with(Relation::Equal, number)
    }

    /// It must not be `number`.
    #[must_use]
    pub fn differs_from(self, number: u64) -> Compare {
        self.with(Relation::NotEqual, number)
    }

    /// It must be less than `number`.
    #[must_use]
    pub fn is_less_than(self, number: u64) -> Compare {
        self.with(Relation::Less, number)
    }

    /// It must be greater than `number`.
    #[must_use]
    pub fn is_greater_than(self, number: u64) -> Compare {
        self.with(Relation::Greater, number)
    }
}

impl CompareValue {
    fn with(self, relation: Relation, value: &[u8]) -> Compare {
        Compare { keys: self.keys, target: Target::Value(value.to_vec()), relation }
    }

    /// It must be `value`.
    #[must_use]
    pub fn equals(self, value: impl AsRef<[u8]>) -> Compare {
        self.with(Relation::Equal, value.as_ref())
    }

    /// It must not be `value`.
    #[must_use]
    pub fn differs_from(self, value: impl AsRef<[u8]>) -> Compare {
        self.with(Relation::NotEqual, value.as_ref())
    }

    /// It must come before `value` in the order of bytes.
    #[must_use]
    pub fn is_less_than(self, value: impl AsRef<[u8]>) -> Compare {
        self.with(Relation::Less, value.as_ref())
    }

    /// It must come after `value` in the order of bytes.
    #[must_use]
    pub fn is_greater_than(self, value: impl AsRef<[u8]>) -> Compare {
        self.with(Relation::Greater, value.as_ref())
    }
}

/// What is done with the keys of a read within a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOp {
    pub(crate) keys: Keys,
    pub(crate) revision: Option<Revision>,
    pub(crate) limit: Option<usize>,
}

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Writes a value under a key.
    Put {
        /// The key.
        key: Vec<u8>,
        /// The value.
        value: Vec<u8>,
    },
    /// Deletes keys.
    Delete(Keys),
    /// Reads keys; it sees what earlier operations of the same transaction wrote.
    Read(ReadOp),
}

impl Op {
    /// Writes `value` under `key`.
    pub fn put(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        Self::Put { key: key.as_ref().to_vec(), value: value.as_ref().to_vec() }
    }

    /// Deletes one key or an interval.
    pub fn delete(keys: impl Into<Keys>) -> Self {
        Self::Delete(keys.into())
    }

    /// Reads one key or an interval.
    pub fn get(keys: impl Into<Keys>) -> Self {
        Self::Read(ReadOp { keys: keys.into(), revision: None, limit: None })
    }

    /// Reads one key or an interval as of an earlier revision, at most `limit` entries.
    pub fn read(keys: impl Into<Keys>, revision: Option<Revision>, limit: Option<usize>) -> Self {
        Self::Read(ReadOp { keys: keys.into(), revision, limit })
    }
}

/// What one operation of a transaction answered.
#[derive(Clone, Debug, PartialEq)]
pub enum OpOutcome {
    /// The put was made.
    Put,
    /// So many keys were deleted.
    Deleted(u64),
    /// What was read.
    Read(RangeResult),
}

impl OpOutcome {
    /// The entries of a read, none for the other operations.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match self {
            Self::Read(result) => &result.entries,
            Self::Put | Self::Deleted(_) => &[],
        }
    }
}

/// What a transaction answered.
#[derive(Clone, Debug, PartialEq)]
pub struct TxnOutcome {
    /// Whether all compares held, so that the `then` branch ran.
    pub succeeded: bool,
    /// The store's revision after the transaction.
    pub revision: Revision,
    /// The answers of the branch that ran, in its order.
    pub outcomes: Vec<OpOutcome>,
}
