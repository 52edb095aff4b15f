//! Random reads, puts, deletes, and transactions of them.

use palimpsest_kv::{Order, SortBy};

use super::values::limit;
use super::{Swarm, lasting, revision};
use crate::action::{
    Attachment, Bounds, Condition, Deleting, Form, Putting, Query, Relation, Step, Target, Transaction,
};
use crate::model::Model;
use crate::rng::Rng;

/// Transactions within transactions, at most so deep.
const MAX_DEPTH: u64 = 4;
/// One in so many transactions is this deep, which is too deep for most stores.
const DEEP: (u64, u64) = (200, 140);

impl Swarm {
    pub(super) fn putting(&self, rng: &mut Rng, model: &Model) -> Putting {
        let (key, value) = (self.key_or_bad(rng), self.value(rng));
        let plain = Putting::plain(key, value);
        if self.special_one_in == 0 || !rng.once_in(self.special_one_in) {
            return plain;
        }
        let previous = rng.once_in(2);
        let lease = match rng.below(4) {
            0 => Attachment::Kept,
            1 | 2 => Attachment::To(lasting::lease(rng, model)),
            _ => Attachment::Detached,
        };
        let value = plain.value.filter(|_| !rng.once_in(4));
        Putting { value, lease, previous, ..plain }
    }

    pub(super) fn deleting(&self, rng: &mut Rng) -> Deleting {
        Deleting { keys: self.keys(rng), previous: self.special_one_in > 0 && rng.once_in(4) }
    }

    pub(super) fn query(&self, rng: &mut Rng, (revision, model): (Option<u64>, &Model)) -> Query {
        let forms =
            [Form::Collected, Form::Lazy, Form::KeysOnly, Form::Count, Form::Counted, Form::CountOnly];
        let plain = Query {
            limit: limit(rng),
            form: rng.one_of(&forms),
            ..Query::plain(self.wide_keys(rng), revision)
        };
        if !rng.once_in(3) {
            return plain;
        }
        let by = [SortBy::Key, SortBy::Version, SortBy::CreateRevision, SortBy::ModRevision, SortBy::Value];
        let order = rng.one_of(&[Order::Ascending, Order::Descending]);
        let sort = if rng.once_in(3) { None } else { Some((rng.one_of(&by), order)) };
        let mut bound = || if rng.once_in(3) { rng.below(model.revision() + 2) } else { 0 };
        let bounds = Bounds { modified: (bound(), bound()), created: (bound(), bound()) };
        Query { sort, bounds, ..plain }
    }

    pub(super) fn transaction(&self, rng: &mut Rng, model: &Model) -> Transaction {
        if rng.once_in(DEEP.0) {
            let innermost = Transaction { then: vec![self.step(rng, (model, 0))], ..Transaction::default() };
            return (0..DEEP.1).fold(innermost, |inner, _| Transaction {
                then: vec![Step::Txn(inner)],
                ..Transaction::default()
            });
        }
        let depth = if rng.once_in(3) { rng.below(MAX_DEPTH) } else { 0 };
        self.nested(rng, (model, depth))
    }

    fn nested(&self, rng: &mut Rng, (model, depth): (&Model, u64)) -> Transaction {
        let most = rng.one_of(&[1, 3, 6]);
        let conditions = (0..rng.below(3)).map(|_| self.condition(rng, model)).collect();
        let then = (0..rng.below(most + 1)).map(|_| self.step(rng, (model, depth))).collect();
        let otherwise = (0..rng.below(most + 1)).map(|_| self.step(rng, (model, depth))).collect();
        Transaction { conditions, then, otherwise }
    }

    fn condition(&self, rng: &mut Rng, model: &Model) -> Condition {
        let keys = self.wide_keys(rng);
        let there = model.at(&keys, model.revision());
        let found = if there.is_empty() { None } else { Some(rng.one_of(&there)) };
        let near =
            |number: Option<u64>, rng: &mut Rng| (number.unwrap_or(0) + rng.below(3)).saturating_sub(1);
        let target = match rng.below(5) {
            0 => Target::Version(near(found.map(|found| found.version), rng)),
            1 => Target::Create(near(found.map(|found| found.create), rng)),
            2 => Target::Mod(near(found.map(|found| found.modified), rng)),
            3 => Target::Lease(near(found.map(|found| found.lease), rng)),
            _ if rng.once_in(3) => Target::Value(self.value(rng)),
            _ => Target::Value(found.map(|found| found.value).unwrap_or_default()),
        };
        let relation = rng.one_of(&[Relation::Equal, Relation::NotEqual, Relation::Less, Relation::Greater]);
        Condition { keys, target, relation }
    }

    fn step(&self, rng: &mut Rng, (model, depth): (&Model, u64)) -> Step {
        match rng.below(10) {
            0..5 => Step::Put(self.putting(rng, model)),
            5..7 => Step::Delete(self.deleting(rng)),
            7 if depth > 0 => Step::Txn(self.nested(rng, (model, depth - 1))),
            8 if depth > 0 => Step::Txn(self.nested(rng, (model, depth - 1))),
            _ => {
                let revision = if rng.once_in(2) { None } else { revision(rng, model) };
                Step::Read(self.query(rng, (revision, model)))
            }
        }
    }
}
