//! Transactions: compares, then one of two branches, all of it or nothing.

use alloc::vec::Vec;
use core::cmp::Ordering;

use super::Store;
use super::entry::Entry;
use super::keys::Keys;
use super::options::Durability;
use super::reader::RangeRequest;
use super::txn_types::{Compare, Op, OpOutcome, ReadOp, Target, TxnOutcome};
use super::write::{Ready, Writing};
use crate::error::{Error, Result};
use crate::records::Records;
use crate::revision::Revision;
use crate::storage::Storage;

/// A transaction that is still being described; [`commit`](Self::commit) runs it.
///
/// ```
/// # use palimpsest_kv::{Compare, Op, Options, Store, storage::MemoryStorage};
/// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
/// let outcome = store
///     .txn()
///     .when(Compare::version("users/1").equals(0))
///     .then([Op::put("users/1", "Ada")])
///     .otherwise([Op::get("users/1")])
///     .commit()?;
/// assert!(outcome.succeeded);
/// # Ok::<(), palimpsest_kv::Error>(())
/// ```
#[must_use = "a transaction does nothing until it is committed"]
pub struct Txn<'a, S: Storage> {
    store: &'a mut Store<S>,
    durability: Durability,
    compares: Vec<Compare>,
    then: Vec<Op>,
    otherwise: Vec<Op>,
}

impl<'a, S: Storage> Txn<'a, S> {
    pub(super) fn new(store: &'a mut Store<S>, durability: Durability) -> Self {
        Self { store, durability, compares: Vec::new(), then: Vec::new(), otherwise: Vec::new() }
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

    /// Runs the transaction: all of the branch happens, under one revision, or nothing does.
    ///
    /// # Errors
    /// [`Error::EmptyKey`], [`Error::KeyTooLarge`], [`Error::ValueTooLarge`], [`Error::TooManyOperations`],
    /// [`Error::DuplicateKey`], [`Error::Compacted`], [`Error::FutureRevision`], [`Error::Corrupt`] with nothing changed;
    /// [`Error::Storage`] if the storage fails, after which the store refuses to write.
    pub fn commit(self) -> Result<TxnOutcome> {
        let Self { store, durability, compares, then, otherwise } = self;
        store.check_sizes(&[compares.len(), then.len(), otherwise.len()])?;
        compares.iter().try_for_each(|compare| store.check_keys(&compare.keys))?;
        store.check_branch(&then)?;
        store.check_branch(&otherwise)?;
        let succeeded = store.all_hold(&compares)?;
        let branch = if succeeded { then } else { otherwise };
        store.check_revisions(&branch)?;
        let outcomes = store.run_branch(&branch, durability)?;
        Ok(TxnOutcome { succeeded, revision: store.revision(), outcomes })
    }
}

impl<S: Storage> Store<S> {
    fn check_sizes(&self, sizes: &[usize]) -> Result<()> {
        let limit = self.options.max_txn_ops;
        match sizes.iter().copied().max() {
            Some(operations) if operations > limit => Err(Error::TooManyOperations { operations, limit }),
            Some(_) | None => Ok(()),
        }
    }

    /// Checks what can be checked of a branch without running it.
    fn check_branch(&self, branch: &[Op]) -> Result<()> {
        let mut puts: Vec<&[u8]> = Vec::new();
        let mut deletes: Vec<&Keys> = Vec::new();
        for op in branch {
            match op {
                Op::Put { key, value } => {
                    self.check_key(key)?;
                    self.check_value(value)?;
                    puts.push(key);
                }
                Op::Delete(keys) => {
                    self.check_keys(keys)?;
                    deletes.push(keys);
                }
                Op::Read(read) => self.check_keys(&read.keys)?,
            }
        }
        puts.sort_unstable();
        let twice = puts.array_windows().find(|[one, other]| one == other).map(|[one, _]| *one);
        let deleted = || puts.iter().copied().find(|put| deletes.iter().any(|keys| keys.contains(put)));
        match twice.or_else(deleted) {
            Some(key) => Err(Error::DuplicateKey { key: key.to_vec() }),
            None => Ok(()),
        }
    }

    /// Checks the revisions that a branch reads at, as the state is now.
    fn check_revisions(&self, branch: &[Op]) -> Result<()> {
        branch.iter().try_for_each(|op| match op {
            Op::Read(ReadOp { revision, .. }) => self.reader().check(*revision).map(|_| ()),
            Op::Put { .. } | Op::Delete(_) => Ok(()),
        })
    }

    fn all_hold(&self, compares: &[Compare]) -> Result<bool> {
        for compare in compares {
            if !self.holds(compare)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a condition holds for all of its keys that exist; if none does, for a key that has zeros, as in etcd.
    fn holds(&self, compare: &Compare) -> Result<bool> {
        let mut entries = RangeRequest::new(self.reader(), compare.keys.clone(), None).iter()?.peekable();
        if entries.peek().is_none() {
            return Ok(fulfils(None, compare));
        }
        for entry in entries {
            if !fulfils(Some(&entry?), compare) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn run_branch(&mut self, branch: &[Op], durability: Durability) -> Result<Vec<OpOutcome>> {
        let writes = branch.iter().any(|op| !matches!(op, Op::Read(_)));
        if !writes {
            return branch.iter().map(|op| self.read_op(op)).collect();
        }
        let mut writing = self.begin_write()?;
        // A read that comes after a write can fail on a damaged page when half of the branch is done. It is tried before:
        // the pages that it needs are those it reads again later, and what the branch itself wrote is in memory.
        branch
            .iter()
            .filter(|op| matches!(op, Op::Read(_)))
            .try_for_each(|op| self.read_op(op).map(|_| ()))?;
        let ready = self.ready_puts(branch);
        let mut ready = self.noting_failure(ready)?.into_iter();
        let mut outcomes = Vec::with_capacity(branch.len());
        for op in branch {
            let outcome = match op {
                Op::Put { .. } => {
                    ready.next().map(|change| self.make(change, &mut writing)).map(|()| OpOutcome::Put)
                }
                Op::Delete(keys) => Some(OpOutcome::Deleted(self.delete_op(keys, &mut writing)?)),
                Op::Read(_) => Some(self.read_in(op, writing)?),
            };
            outcomes.extend(outcome);
        }
        self.end_write(writing, durability)?;
        Ok(outcomes)
    }

    /// Room for every put of a branch, before the first of them is made.
    fn ready_puts<'a>(&mut self, branch: &'a [Op]) -> Result<Vec<Ready<'a>>> {
        let mut ready = Vec::new();
        for op in branch {
            let Op::Put { key, value } = op else { continue };
            match Records::make_room(&mut self.pager, key, value) {
                Ok(room) => ready.push(Ready::Put { key, value, room }),
                Err(error) => {
                    self.abandon(&ready)?;
                    return Err(error);
                }
            }
        }
        Ok(ready)
    }

    fn delete_op(&mut self, keys: &Keys, writing: &mut Writing) -> Result<u64> {
        let ready = self.ready_deletes(keys);
        let ready = self.noting_failure(ready)?;
        let deleted = ready.len() as u64;
        ready.into_iter().for_each(|change| self.make(change, writing));
        Ok(deleted)
    }

    fn read_op(&self, op: &Op) -> Result<OpOutcome> {
        let Op::Read(ReadOp { keys, revision, limit }) = op else { return Ok(OpOutcome::Put) };
        let request = RangeRequest::new(self.reader(), keys.clone(), *revision);
        let request = match limit {
            Some(limit) => request.limit(*limit),
            None => request,
        };
        request.collect().map(OpOutcome::Read)
    }

    /// A read within a transaction that has changed something already: it sees those changes.
    fn read_in(&mut self, op: &Op, writing: Writing) -> Result<OpOutcome> {
        let before = self.revision;
        if writing.sub > 0 {
            self.revision = writing.main;
        }
        let outcome = self.read_op(op);
        self.revision = before;
        outcome
    }
}

/// Whether an entry, or the absence of one, fulfils a condition.
fn fulfils(entry: Option<&Entry>, compare: &Compare) -> bool {
    let number = |revision: fn(&Entry) -> Revision| entry.map_or(0, |entry| revision(entry).get());
    let ordering: Option<Ordering> = match &compare.target {
        Target::Version(version) => Some(entry.map_or(0, Entry::version).cmp(version)),
        Target::Create(revision) => Some(number(Entry::create_revision).cmp(revision)),
        Target::Mod(revision) => Some(number(Entry::mod_revision).cmp(revision)),
        Target::Value(value) => entry.map(|entry| entry.value().cmp(value.as_slice())),
    };
    ordering.is_some_and(|ordering| compare.relation.holds(ordering))
}
