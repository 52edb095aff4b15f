//! Transactions: compares, then one of two branches, all of it or nothing.
//!
//! 1. What the transaction says is checked as a whole, both branches and the transactions within it: sizes, keys, and that no key is
//!    changed twice.
//! 2. The conditions are evaluated, those of the transactions within it too, all on the state before it. What is left is the path
//!    that is taken.
//! 3. What the path needs is checked on that state: revisions, leases, keys whose value is to be kept, room for values.
//! 4. The path runs, and can't fail any more but by the storage; the store then refuses to write, so that nothing of it is ever durable.

use alloc::vec::Vec;
use core::cmp::Ordering;

use super::Store;
use super::entry::Entry;
use super::intervals::check_changes;
use super::options::Durability;
use super::put::Delete;
use super::read::Read;
use super::reader::RangeRequest;
use super::txn_types::{Compare, Op, OpOutcome, Target, Transaction, TxnOutcome};
use super::write::{Deleted, ReadyPut, Writing, Written};
use crate::error::{Error, Result};
use crate::lease::LeaseId;
use crate::limits::MAX_TXN_DEPTH;
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
    transaction: Transaction,
}

impl<'a, S: Storage> Txn<'a, S> {
    pub(super) fn new(store: &'a mut Store<S>, durability: Durability) -> Self {
        Self { store, durability, transaction: Transaction::new() }
    }

    /// As [`Transaction::when`].
    pub fn when(mut self, compare: Compare) -> Self {
        self.transaction = self.transaction.when(compare);
        self
    }

    /// As [`Transaction::then`].
    pub fn then(mut self, ops: impl IntoIterator<Item = Op>) -> Self {
        self.transaction = self.transaction.then(ops);
        self
    }

    /// As [`Transaction::otherwise`].
    pub fn otherwise(mut self, ops: impl IntoIterator<Item = Op>) -> Self {
        self.transaction = self.transaction.otherwise(ops);
        self
    }

    /// As [`Store::commit`].
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn commit(self) -> Result<TxnOutcome> {
        self.store.commit_with(self.durability, &self.transaction)
    }
}

/// The branch of a transaction whose turn it is, and those of the transactions within it.
struct Path<'a> {
    succeeded: bool,
    steps: Vec<Step<'a>>,
}

/// One operation of a path.
enum Step<'a> {
    Op(&'a Op),
    Txn(Path<'a>),
}

impl<'a> Path<'a> {
    /// Calls `visit` for every operation that is no transaction itself, in order.
    fn for_each(&self, visit: &mut impl FnMut(&'a Op) -> Result<()>) -> Result<()> {
        self.steps.iter().try_for_each(|step| match step {
            Step::Op(op) => visit(op),
            Step::Txn(path) => path.for_each(visit),
        })
    }

    fn writes(&self) -> bool {
        self.steps.iter().any(|step| match step {
            Step::Op(op) => !matches!(op, Op::Read(_)),
            Step::Txn(path) => path.writes(),
        })
    }
}

impl<S: Storage> Store<S> {
    pub(super) fn commit_with(
        &mut self,
        durability: Durability,
        transaction: &Transaction,
    ) -> Result<TxnOutcome> {
        self.check_shape(transaction, self.options.max_txn_ops, 0)?;
        check_changes(&transaction.then)?;
        check_changes(&transaction.otherwise)?;
        self.check_quota(Self::txn_cost(transaction))?;
        let path = self.path(transaction)?;
        path.for_each(&mut |op| self.check_op(op))?;
        let outcomes = self.run_path(&path, durability)?;
        Ok(TxnOutcome { succeeded: path.succeeded, revision: self.revision(), outcomes })
    }

    /// Checks what can be checked of a transaction without looking at the store's content. As in etcd, a transaction within another one
    /// may have so many operations as the outer one has left.
    fn check_shape(&self, transaction: &Transaction, limit: usize, depth: usize) -> Result<()> {
        let Transaction { compares, then, otherwise } = transaction;
        let operations = compares.len().max(then.len()).max(otherwise.len());
        if operations > limit {
            return Err(Error::TooManyOperations { operations, limit });
        }
        if depth > MAX_TXN_DEPTH {
            return Err(Error::TooManyOperations { operations: depth, limit: MAX_TXN_DEPTH });
        }
        compares.iter().try_for_each(|compare| self.check_keys(&compare.keys))?;
        then.iter().chain(otherwise).try_for_each(|op| match op {
            Op::Put(put) => {
                self.check_key(put.view().key)?;
                self.check_value(put.view().value.unwrap_or(&[]))
            }
            Op::Delete(delete) => self.check_keys(&delete.keys),
            Op::Read(read) => self.check_keys(&read.keys),
            Op::Txn(nested) => self.check_shape(nested, limit - operations, depth + 1),
        })
    }

    /// The branches whose turn it is, as the state is now.
    fn path<'a>(&self, transaction: &'a Transaction) -> Result<Path<'a>> {
        let succeeded = self.all_hold(&transaction.compares)?;
        let branch = if succeeded { &transaction.then } else { &transaction.otherwise };
        let steps = branch.iter().map(|op| match op {
            Op::Txn(nested) => self.path(nested).map(Step::Txn),
            Op::Put(_) | Op::Delete(_) | Op::Read(_) => Ok(Step::Op(op)),
        });
        Ok(Path { succeeded, steps: steps.collect::<Result<_>>()? })
    }

    /// Checks what an operation needs of the state before the transaction.
    fn check_op(&self, op: &Op) -> Result<()> {
        match op {
            Op::Read(read) => self.reader().check_moment(read.moment).map(|_| ()),
            Op::Put(put) => {
                self.check_lease(&put.view())?;
                self.check_kept(&put.view())
            }
            Op::Delete(_) | Op::Txn(_) => Ok(()),
        }
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
        let mut entries = RangeRequest::new(self.reader(), Read::new(&compare.keys)).iter()?.peekable();
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

    fn run_path(&mut self, path: &Path<'_>, durability: Durability) -> Result<Vec<OpOutcome>> {
        let nothing_yet = Writing { main: self.revision, sub: 0 };
        if !path.writes() {
            return self.run_steps(path, &mut Vec::new().into_iter(), &mut { nothing_yet });
        }
        let mut writing = self.begin_write()?;
        // A read that comes after a write can fail on a damaged page when half of the path is done. It is tried before:
        // the pages that it needs are those it reads again later, and what the path itself wrote is in memory.
        path.for_each(&mut |op| match op {
            Op::Read(read) => self.read(read).map(|_| ()),
            Op::Delete(delete) => self.previous_of(delete).map(|_| ()),
            Op::Put(_) | Op::Txn(_) => Ok(()),
        })?;
        let mut ready = self.ready_puts(path)?.into_iter();
        // A page that was read a moment ago may still not be readable again. What is half done then must never be made durable.
        let outcomes = self.run_steps(path, &mut ready, &mut writing);
        let outcomes = self.noting_failure(outcomes)?;
        self.end_write(writing, durability)?;
        Ok(outcomes)
    }

    /// Room for every put of a path, before the first of them is made.
    fn ready_puts<'a>(&mut self, path: &Path<'a>) -> Result<Vec<ReadyPut<'a>>> {
        let mut ready: Vec<ReadyPut<'a>> = Vec::new();
        let done = path.for_each(&mut |op| {
            if let Op::Put(put) = op {
                ready.push(self.ready_put(put.view())?);
            }
            Ok(())
        });
        if let Err(error) = done {
            let changes: Vec<_> = ready.into_iter().map(|(change, _)| change).collect();
            self.abandon(&changes)?;
            return Err(error);
        }
        Ok(ready)
    }

    fn run_steps(
        &mut self,
        path: &Path<'_>,
        ready: &mut alloc::vec::IntoIter<ReadyPut<'_>>,
        writing: &mut Writing,
    ) -> Result<Vec<OpOutcome>> {
        let mut outcomes = Vec::with_capacity(path.steps.len());
        for step in &path.steps {
            let outcome = match step {
                Step::Op(Op::Put(_)) => {
                    let Some((change, previous)) = ready.next() else { continue };
                    self.make(change, writing);
                    OpOutcome::Put(Written { revision: self.seen_by(*writing), previous })
                }
                Step::Op(Op::Delete(delete)) => OpOutcome::Deleted(self.run_delete(delete, writing)?),
                Step::Op(Op::Read(read)) => OpOutcome::Read(self.within(*writing, |store| store.read(read))?),
                Step::Op(Op::Txn(_)) => continue,
                Step::Txn(path) => {
                    let outcomes = self.run_steps(path, ready, writing)?;
                    let revision = self.seen_by(*writing);
                    OpOutcome::Txn(TxnOutcome { succeeded: path.succeeded, revision, outcomes })
                }
            };
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    fn run_delete(&mut self, delete: &Delete, writing: &mut Writing) -> Result<Deleted> {
        let previous = self.within(*writing, |store| store.previous_of(delete))?;
        let deleted = self.make_deletes(&delete.keys, writing)?;
        Ok(Deleted { revision: self.seen_by(*writing), deleted, previous })
    }

    /// The revision as operations within a transaction see it.
    fn seen_by(&self, writing: Writing) -> Revision {
        if writing.sub > 0 { Revision::new(writing.main) } else { self.revision() }
    }

    /// Reads within a transaction that may have changed something already: what is read sees those changes.
    fn within<T>(&mut self, writing: Writing, read: impl FnOnce(&Self) -> T) -> T {
        let before = self.revision;
        self.revision = self.seen_by(writing).get();
        let answer = read(self);
        self.revision = before;
        answer
    }
}

/// Whether an entry, or the absence of one, fulfils a condition.
fn fulfils(entry: Option<&Entry>, compare: &Compare) -> bool {
    let number = |revision: fn(&Entry) -> Revision| entry.map_or(0, |entry| revision(entry).get());
    let ordering: Option<Ordering> = match &compare.target {
        Target::Version(version) => Some(entry.map_or(0, Entry::version).cmp(version)),
        Target::Create(revision) => Some(number(Entry::create_revision).cmp(revision)),
        Target::Mod(revision) => Some(number(Entry::mod_revision).cmp(revision)),
        Target::Lease(lease) => Some(entry.and_then(Entry::lease).map_or(0, LeaseId::get).cmp(lease)),
        Target::Value(value) => entry.map(|entry| entry.value().cmp(value.as_slice())),
    };
    ordering.is_some_and(|ordering| compare.relation.holds(ordering))
}
