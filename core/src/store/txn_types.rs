//! What a transaction is made of: compares, operations, and their answers.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::entry::{Entry, RangeResult};
use super::put::{Delete, Put};
use super::read::Read;
use super::write::{Deleted, Written};
use crate::keys::Keys;
use crate::revision::Revision;

/// What of a key is compared. A key that does not exist has version, create and mod revision, and lease 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Version(u64),
    Create(u64),
    Mod(u64),
    Lease(u64),
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

/// One condition of a transaction: about the version, a revision, the lease or the value of a key, or of every key in an interval.
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

    /// About the number of the lease that the key is attached to; 0 if there is none, or no such key.
    pub fn lease(keys: impl Into<Keys>) -> CompareNumber {
        CompareNumber { keys: keys.into(), make: Target::Lease }
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

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Writes a value under a key.
    Put(Put),
    /// Deletes keys.
    Delete(Delete),
    /// Reads keys; it sees what earlier operations of the same transaction wrote.
    Read(Read),
    /// A transaction within this one. Its conditions, too, see the state before the outermost one.
    Txn(Box<Transaction>),
}

impl Op {
    /// Writes `value` under `key`.
    pub fn put(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        Self::Put(Put::new(key, value))
    }

    /// Deletes one key or an interval.
    pub fn delete(keys: impl Into<Keys>) -> Self {
        Self::Delete(Delete::new(keys))
    }

    /// Reads one key or an interval.
    pub fn get(keys: impl Into<Keys>) -> Self {
        Self::Read(Read::new(keys))
    }
}

impl From<Put> for Op {
    fn from(put: Put) -> Self {
        Self::Put(put)
    }
}

impl From<Delete> for Op {
    fn from(delete: Delete) -> Self {
        Self::Delete(delete)
    }
}

impl From<Read> for Op {
    fn from(read: Read) -> Self {
        Self::Read(read)
    }
}

impl From<Transaction> for Op {
    fn from(transaction: Transaction) -> Self {
        Self::Txn(Box::new(transaction))
    }
}

/// A transaction as plain data: conditions, what to do if they all hold, and what to do otherwise.
///
/// ```
/// # use palimpsest_kv::{Compare, Op, Options, Store, Transaction, storage::MemoryStorage};
/// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
/// let create = Transaction::new()
///     .when(Compare::version("users/1").equals(0))
///     .then([Op::put("users/1", "Ada")])
///     .otherwise([Op::get("users/1")]);
/// assert!(store.commit(&create)?.succeeded);
/// assert!(!store.commit(&create)?.succeeded);
/// # Ok::<(), palimpsest_kv::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "it only says what is to be done"]
pub struct Transaction {
    pub(crate) compares: Vec<Compare>,
    pub(crate) then: Vec<Op>,
    pub(crate) otherwise: Vec<Op>,
}

impl Transaction {
    /// A transaction without conditions that does nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition. All conditions see the state before the transaction.
    pub fn when(mut self, compare: Compare) -> Self {
        self.compares.push(compare);
        self
    }

    /// Adds operations to run if every condition holds.
    pub fn then(mut self, ops: impl IntoIterator<Item = Op>) -> Self {
        self.then.extend(ops);
        self
    }

    /// Adds operations to run if a condition does not hold.
    pub fn otherwise(mut self, ops: impl IntoIterator<Item = Op>) -> Self {
        self.otherwise.extend(ops);
        self
    }
}

/// What one operation of a transaction answered. Each has the store's revision as it was after the operation: that before the
/// transaction as long as nothing was changed, and the transaction's own from then on.
#[derive(Clone, Debug, PartialEq)]
pub enum OpOutcome {
    /// The put was made.
    Put(Written),
    /// Keys were deleted.
    Deleted(Deleted),
    /// What was read.
    Read(RangeResult),
    /// What the transaction within the transaction answered.
    Txn(TxnOutcome),
}

impl OpOutcome {
    /// The entries of a read, none for the other operations.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match self {
            Self::Read(result) => &result.entries,
            Self::Put(_) | Self::Deleted(_) | Self::Txn(_) => &[],
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
