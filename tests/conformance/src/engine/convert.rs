//! Operations as the engine wants them, and its answers.

use palimpsest_kv as kv;

use crate::answer::{Answer, Committed, KeyValue, Ranged};
use crate::bytes::Bytes;
use crate::driver::Trouble;
use crate::operation::{
    self, DeleteRange, Keys, NO_END, Put, Range, Relation, SortOrder, SortTarget, Step, Target, Txn,
    after_prefix,
};

/// Keys in the form that fits them best, so that every form is met. A first key that is a zero byte stands before every
/// key, since keys have at least one byte.
pub(super) fn keys(keys: &Keys) -> kv::Keys {
    match &keys.range_end {
        None => kv::Keys::one(&keys.key),
        Some(end) if end.0 == NO_END && keys.key.0 == NO_END => kv::Keys::all(),
        Some(end) if end.0 == NO_END => kv::Keys::at_least(&keys.key),
        Some(end) if end.0 == after_prefix(&keys.key.0) => kv::Keys::prefix(&keys.key),
        Some(end) => kv::Keys::interval(&keys.key, end),
    }
}

/// A lease's number.
pub(super) fn lease_id(id: u64) -> Result<kv::LeaseId, Trouble> {
    kv::LeaseId::new(id).ok_or_else(|| Trouble::new(format!("{id} is no lease")))
}

pub(super) fn put(put: &Put) -> Result<kv::Put, Trouble> {
    if (put.ignore_value && !put.value.is_empty()) || (put.ignore_lease && put.lease != 0) {
        return Err(Trouble::new(format!("{put:?} gives what it says is not given")));
    }
    let mut it = match put.ignore_value {
        true => kv::Put::keeping_value(&put.key),
        false => kv::Put::new(&put.key, &put.value),
    };
    if put.ignore_lease {
        it = it.keep_lease();
    }
    if put.lease != 0 {
        it = it.lease(lease_id(put.lease)?);
    }
    Ok(if put.prev_kv { it.previous() } else { it })
}

pub(super) fn delete(delete: &DeleteRange) -> kv::Delete {
    let it = kv::Delete::new(keys(&delete.keys));
    if delete.prev_kv { it.previous() } else { it }
}

/// The read, with the number of keys, which etcd always tells.
pub(super) fn read(range: &Range) -> kv::Read {
    let by = match range.sort_target {
        SortTarget::Key => kv::SortBy::Key,
        SortTarget::Version => kv::SortBy::Version,
        SortTarget::Create => kv::SortBy::CreateRevision,
        SortTarget::Mod => kv::SortBy::ModRevision,
        SortTarget::Value => kv::SortBy::Value,
    };
    let order = match range.sort_order {
        SortOrder::None | SortOrder::Ascend => kv::Order::Ascending,
        SortOrder::Descend => kv::Order::Descending,
    };
    let mut it = kv::Read::new(keys(&range.keys)).with_count();
    if range.revision > 0 {
        it = it.at(range.revision);
    }
    if range.limit > 0 {
        it = it.limit(usize::try_from(range.limit).unwrap_or(usize::MAX));
    }
    if (range.sort_target, range.sort_order) != Default::default() {
        it = it.sort(by, order);
    }
    if range.keys_only {
        it = it.keys_only();
    }
    if range.count_only {
        it = it.count_only();
    }
    bounded(it, range)
}

/// Bounds on revisions, where they are given.
fn bounded(mut it: kv::Read, range: &Range) -> kv::Read {
    if range.min_mod_revision > 0 {
        it = it.min_mod_revision(range.min_mod_revision);
    }
    if range.max_mod_revision > 0 {
        it = it.max_mod_revision(range.max_mod_revision);
    }
    if range.min_create_revision > 0 {
        it = it.min_create_revision(range.min_create_revision);
    }
    if range.max_create_revision > 0 {
        it = it.max_create_revision(range.max_create_revision);
    }
    it
}

fn compare(compare: &operation::Compare) -> kv::Compare {
    let keys = keys(&compare.keys);
    let (side, number) = match &compare.target {
        Target::Version(number) => (kv::Compare::version(keys), *number),
        Target::Create(number) => (kv::Compare::create_revision(keys), *number),
        Target::Mod(number) => (kv::Compare::mod_revision(keys), *number),
        Target::Lease(number) => (kv::Compare::lease(keys), *number),
        Target::Value(value) => {
            let side = kv::Compare::value(keys);
            return match compare.result {
                Relation::Equal => side.equals(value),
                Relation::NotEqual => side.differs_from(value),
                Relation::Less => side.is_less_than(value),
                Relation::Greater => side.is_greater_than(value),
            };
        }
    };
    match compare.result {
        Relation::Equal => side.equals(number),
        Relation::NotEqual => side.differs_from(number),
        Relation::Less => side.is_less_than(number),
        Relation::Greater => side.is_greater_than(number),
    }
}

fn op(step: &Step) -> Result<kv::Op, Trouble> {
    Ok(match step {
        Step::Put(it) => kv::Op::from(put(it)?),
        Step::DeleteRange(it) => kv::Op::from(delete(it)),
        Step::Range(it) => kv::Op::from(read(it)),
        Step::Txn(it) => kv::Op::from(transaction(it)?),
    })
}

pub(super) fn transaction(txn: &Txn) -> Result<kv::Transaction, Trouble> {
    let ops = |steps: &[Step]| steps.iter().map(op).collect::<Result<Vec<_>, _>>();
    let it = txn.compare.iter().fold(kv::Transaction::new(), |it, condition| it.when(compare(condition)));
    Ok(it.then(ops(&txn.success)?).otherwise(ops(&txn.failure)?))
}

pub(super) fn key_value(entry: &kv::Entry) -> KeyValue {
    KeyValue {
        key: Bytes::from(entry.key()),
        value: Bytes::from(entry.value()),
        create_revision: entry.create_revision().get(),
        mod_revision: entry.mod_revision().get(),
        version: entry.version(),
        lease: entry.lease().map_or(0, kv::LeaseId::get),
    }
}

pub(super) fn written(written: &kv::Written) -> Answer {
    Answer::Put { revision: written.revision.get(), prev_kv: written.previous.as_ref().map(key_value) }
}

pub(super) fn deleted(deleted: &kv::Deleted) -> Answer {
    Answer::Deleted {
        revision: deleted.revision.get(),
        deleted: deleted.deleted,
        prev_kvs: deleted.previous.iter().map(key_value).collect(),
    }
}

pub(super) fn ranged(result: &kv::RangeResult) -> Ranged {
    Ranged {
        revision: result.revision.get(),
        kvs: result.entries.iter().map(key_value).collect(),
        more: result.more,
        count: result.count,
    }
}

pub(super) fn committed(outcome: &kv::TxnOutcome) -> Committed {
    let response = |outcome: &kv::OpOutcome| match outcome {
        kv::OpOutcome::Put(it) => written(it),
        kv::OpOutcome::Deleted(it) => deleted(it),
        kv::OpOutcome::Read(it) => Answer::Range(ranged(it)),
        kv::OpOutcome::Txn(it) => Answer::Txn(committed(it)),
    };
    Committed {
        revision: outcome.revision.get(),
        succeeded: outcome.succeeded,
        responses: outcome.outcomes.iter().map(response).collect(),
    }
}
