//! Transactions, and the reads in them.

use std::cmp::Ordering;

use palimpsest_kv::{Error, Order, SortBy};

use super::{Answer, Committed, Expected, Model, Record, StepOutcome};
use crate::action::{
    Attachment, Condition, Deleting, Form, Found, Putting, Query, Relation, Step, Target, Transaction,
};

/// Bytes that a put is taken to need besides its key and value, as in etcd.
const PUT_BYTES: u64 = 256;
/// Bytes that a lease is taken to need, as in etcd.
const LEASE_BYTES: u64 = 64;

/// The branches that are taken.
enum Taken<'a> {
    Step(&'a Step),
    Txn(bool, Vec<Taken<'a>>),
}

fn holds(condition: &Condition, found: Option<&Found>) -> bool {
    let number = |of: fn(&Found) -> u64, other: &u64| found.map_or(0, of).cmp(other);
    let ordering = match (&condition.target, found) {
        (Target::Version(other), _) => number(|found| found.version, other),
        (Target::Create(other), _) => number(|found| found.create, other),
        (Target::Mod(other), _) => number(|found| found.modified, other),
        (Target::Lease(other), _) => number(|found| found.lease, other),
        (Target::Value(other), Some(found)) => found.value.cmp(other),
        (Target::Value(_), None) => return false,
    };
    match condition.relation {
        Relation::Equal => ordering.is_eq(),
        Relation::NotEqual => ordering.is_ne(),
        Relation::Less => ordering.is_lt(),
        Relation::Greater => ordering.is_gt(),
    }
}

fn cost(branch: &[Step]) -> u64 {
    let of_step = |step: &Step| match step {
        Step::Put(Putting { key, value, .. }) => {
            PUT_BYTES + (key.len() + value.as_ref().map_or(0, Vec::len)) as u64
        }
        Step::Delete(_) | Step::Read(_) => 0,
        Step::Txn(nested) => cost(&nested.then).max(cost(&nested.otherwise)),
    };
    branch.iter().map(of_step).sum()
}

impl Model {
    /// Commits a transaction.
    ///
    /// # Errors
    /// What the store must refuse it with.
    pub fn commit(&mut self, transaction: &Transaction) -> Expected<Committed> {
        let mut errors = self.complaints(transaction);
        errors.extend(self.out_of_space(cost(&transaction.then).max(cost(&transaction.otherwise))));
        if !errors.is_empty() {
            return Err(errors);
        }
        let (succeeded, taken) = self.taken(transaction);
        self.needs(&taken, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut sub = 0;
        let outcomes = taken.iter().map(|taken| self.take(taken, &mut sub)).collect();
        self.revision += u64::from(sub > 0);
        Ok(Committed { succeeded, revision: self.revision, outcomes })
    }

    /// What a grant of a lease must be refused with for want of space.
    #[must_use]
    pub fn no_space_for_a_lease(&self) -> Option<Error> {
        self.out_of_space(LEASE_BYTES)
    }

    fn out_of_space(&self, needed: u64) -> Option<Error> {
        let space = self.space.filter(|_| needed > 0)?;
        (!space.has_room(needed)).then_some(Error::NoSpace { used: space.used, needed, quota: space.quota })
    }

    /// All conditions see the state before the transaction, those of the transactions within it too.
    fn taken<'a>(&self, transaction: &'a Transaction) -> (bool, Vec<Taken<'a>>) {
        let succeeded = transaction.conditions.iter().all(|condition| self.fulfils(condition));
        let branch = if succeeded { &transaction.then } else { &transaction.otherwise };
        let taken = branch.iter().map(|step| match step {
            Step::Txn(nested) => {
                let (succeeded, taken) = self.taken(nested);
                Taken::Txn(succeeded, taken)
            }
            Step::Put(_) | Step::Delete(_) | Step::Read(_) => Taken::Step(step),
        });
        (succeeded, taken.collect())
    }

    fn fulfils(&self, condition: &Condition) -> bool {
        let there = self.at(&condition.keys, self.revision);
        if there.is_empty() {
            holds(condition, None)
        } else {
            there.iter().all(|found| holds(condition, Some(found)))
        }
    }

    /// What the steps that are taken lack.
    fn needs(&self, taken: &[Taken<'_>], errors: &mut Vec<Error>) {
        for step in taken {
            match step {
                Taken::Txn(_, taken) => self.needs(taken, errors),
                Taken::Step(Step::Read(query)) => {
                    errors.extend(self.readable(query.revision).err().into_iter().flatten());
                }
                Taken::Step(Step::Put(putting)) => {
                    if let Attachment::To(id) = putting.lease {
                        errors.extend(self.leases.get(id).err().into_iter().flatten());
                    }
                    let keeps = putting.value.is_none() || putting.lease == Attachment::Kept;
                    if keeps && self.one(&putting.key, self.revision).is_none() {
                        errors.push(Error::KeyNotFound { key: putting.key.clone() });
                    }
                }
                Taken::Step(Step::Delete(_) | Step::Txn(_)) => {}
            }
        }
    }

    fn one(&self, key: &[u8], revision: u64) -> Option<Found> {
        self.at(&palimpsest_kv::Keys::one(key), revision).pop()
    }

    /// Does one step of the transaction that is about to take the next revision; `sub` counts its changes.
    fn take(&mut self, taken: &Taken<'_>, sub: &mut u64) -> StepOutcome {
        let next = self.revision + 1;
        let seen = |sub: u64| next - u64::from(sub == 0);
        match taken {
            Taken::Txn(succeeded, taken) => {
                let outcomes = taken.iter().map(|taken| self.take(taken, sub)).collect();
                StepOutcome::Txn(Committed { succeeded: *succeeded, revision: seen(*sub), outcomes })
            }
            Taken::Step(Step::Put(putting)) => {
                let before = self.put_one(putting, sub);
                StepOutcome::Put(seen(*sub), before.filter(|_| putting.previous))
            }
            Taken::Step(Step::Delete(Deleting { keys, previous })) => {
                let there = self.at(keys, next);
                there.iter().for_each(|found| self.change(&found.key, sub, None));
                let count = there.len() as u64;
                StepOutcome::Deleted(seen(*sub), count, if *previous { there } else { Vec::new() })
            }
            Taken::Step(Step::Read(query)) => {
                // A read that names no revision sees what its own transaction has written so far.
                let at = query.revision.filter(|revision| *revision != 0).unwrap_or(next);
                StepOutcome::Read(Answer { revision: seen(*sub), ..self.answer(query, at) })
            }
            Taken::Step(Step::Txn(_)) => unreachable!("it is among those that are taken as a transaction"),
        }
    }

    fn put_one(&mut self, putting: &Putting, sub: &mut u64) -> Option<Found> {
        let next = self.revision + 1;
        let before = self.one(&putting.key, next);
        let value = match (&putting.value, &before) {
            (Some(value), _) => value.clone(),
            (None, before) => before.as_ref().map(|found| found.value.clone()).unwrap_or_default(),
        };
        let lease = match putting.lease {
            Attachment::Detached => 0,
            Attachment::To(id) => id,
            Attachment::Kept => before.as_ref().map_or(0, |found| found.lease),
        };
        let create = before.as_ref().map_or(next, |found| found.create);
        let version = before.as_ref().map_or(0, |found| found.version) + 1;
        self.change(&putting.key, sub, Some(Record { value, create, version, lease }));
        before
    }

    /// What a read of a revision that can be read answers.
    #[must_use]
    pub fn answer(&self, query: &Query, at: u64) -> Answer {
        let all = self.at(&query.keys, at);
        let count = matches!(query.form, Form::Counted | Form::CountOnly | Form::Count);
        let count = count.then_some(all.len() as u64);
        let (mut entries, more) = match query.form {
            Form::Count | Form::CountOnly => (Vec::new(), false),
            Form::Collected | Form::KeysOnly | Form::Lazy | Form::Counted => {
                limited(selected(all, query), query.limit)
            }
        };
        if query.form == Form::KeysOnly {
            entries.iter_mut().for_each(|found| found.value.clear());
        }
        Answer { entries, more, count, revision: self.revision }
    }
}

/// The entries that the bounds of a query leave, in the order that it wants.
#[must_use]
pub fn selected(mut entries: Vec<Found>, query: &Query) -> Vec<Found> {
    let within = |(min, max): (u64, u64), number: u64| number >= min && (max == 0 || number <= max);
    entries.retain(|found| {
        within(query.bounds.modified, found.modified) && within(query.bounds.created, found.create)
    });
    let Some((by, order)) = query.sort else { return entries };
    let compare = |a: &Found, b: &Found| -> Ordering {
        match by {
            SortBy::Key => a.key.cmp(&b.key),
            SortBy::Version => a.version.cmp(&b.version),
            SortBy::CreateRevision => a.create.cmp(&b.create),
            SortBy::ModRevision => a.modified.cmp(&b.modified),
            SortBy::Value => a.value.cmp(&b.value),
        }
    };
    entries.sort_by(|a, b| match order {
        Order::Ascending => compare(a, b),
        Order::Descending => compare(b, a),
    });
    entries
}

/// The first `limit` entries, and whether there are more.
#[must_use]
pub fn limited(mut entries: Vec<Found>, limit: Option<usize>) -> (Vec<Found>, bool) {
    let limit = limit.unwrap_or(usize::MAX);
    let more = entries.len() > limit;
    entries.truncate(limit);
    (entries, more)
}
