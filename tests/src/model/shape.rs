//! What is wrong with a transaction whatever is in the store: its sizes, its depth, and keys that it changes twice.

use palimpsest_kv::limits::MAX_TXN_DEPTH;
use palimpsest_kv::{Error, Keys};

use super::{Limits, Model};
use crate::action::{Putting, Step, Transaction};

/// Where a step stands: for each transaction around it the step's place in its branch, and which branch of the transaction there.
type Path = Vec<(usize, Branch)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Branch {
    Then,
    Otherwise,
    /// The step itself is there.
    Here,
}

/// A put or a delete, and where it stands.
struct Leaf<'a> {
    path: Path,
    step: &'a Step,
}

fn leaves<'a>(branch: &'a [Step], around: &Path, found: &mut Vec<Leaf<'a>>) {
    for (place, step) in branch.iter().enumerate() {
        let at = |branch| [around.as_slice(), &[(place, branch)]].concat();
        match step {
            Step::Put(_) | Step::Delete(_) => found.push(Leaf { path: at(Branch::Here), step }),
            Step::Read(_) => {}
            Step::Txn(nested) => {
                leaves(&nested.then, &at(Branch::Then), found);
                leaves(&nested.otherwise, &at(Branch::Otherwise), found);
            }
        }
    }
}

/// Whether etcd refuses a put because of another put or delete, whichever comes first.
///
/// What only one of two branches does never meets what the other does. Of two transactions side by side, one may put what a later one
/// deletes.
fn is_refused(put: &Leaf<'_>, other: &Leaf<'_>) -> bool {
    let parts = put.path.iter().zip(&other.path).find(|(one, other)| one != other);
    let Some(((place, branch), (other_place, other_branch))) = parts else { return false };
    if place == other_place {
        return false;
    }
    let is_delete = matches!(other.step, Step::Delete(_));
    let are_within = *branch != Branch::Here && *other_branch != Branch::Here;
    !(is_delete && are_within && place < other_place)
}

fn empty(keys: &Keys) -> Option<Error> {
    keys.single().is_some_and(<[u8]>::is_empty).then_some(Error::EmptyKey)
}

impl Model {
    /// Everything that is wrong with a transaction, whatever is in the store.
    pub(super) fn complaints(&self, transaction: &Transaction) -> Vec<Error> {
        let mut errors = Vec::new();
        self.complain(transaction, (self.limits.txn_ops, 0), &mut errors);
        for branch in [&transaction.then, &transaction.otherwise] {
            let mut found = Vec::new();
            leaves(branch, &Path::new(), &mut found);
            for put in &found {
                let Step::Put(Putting { key, .. }) = put.step else { continue };
                if found.iter().any(|other| changes(other.step, key) && is_refused(put, other)) {
                    errors.push(Error::DuplicateKey { key: key.clone() });
                }
            }
        }
        errors
    }

    fn complain(&self, transaction: &Transaction, left: (usize, usize), errors: &mut Vec<Error>) {
        let (limit, depth) = left;
        let Transaction { conditions, then, otherwise } = transaction;
        let operations = conditions.len().max(then.len()).max(otherwise.len());
        if operations > limit {
            errors.push(Error::TooManyOperations { operations, limit });
        }
        if depth > MAX_TXN_DEPTH {
            errors.push(Error::TooManyOperations { operations: depth, limit: MAX_TXN_DEPTH });
        }
        errors.extend(conditions.iter().filter_map(|condition| empty(&condition.keys)));
        for step in then.iter().chain(otherwise) {
            match step {
                Step::Put(putting) => errors.extend(self.bad_put(putting)),
                Step::Delete(deleting) => errors.extend(empty(&deleting.keys)),
                Step::Read(query) => errors.extend(empty(&query.keys)),
                Step::Txn(nested) => {
                    self.complain(nested, (limit.saturating_sub(operations), depth + 1), errors);
                }
            }
        }
    }

    fn bad_put(&self, putting: &Putting) -> Vec<Error> {
        let Limits { key_bytes, value_bytes, .. } = self.limits;
        let (key, value) = (putting.key.len(), putting.value.as_ref().map_or(0, Vec::len));
        let complaints = [
            (key == 0, Error::EmptyKey),
            (key > key_bytes, Error::KeyTooLarge { bytes: key, limit: key_bytes }),
            (value > value_bytes, Error::ValueTooLarge { bytes: value, limit: value_bytes }),
        ];
        complaints.into_iter().filter_map(|(applies, error)| applies.then_some(error)).collect()
    }
}

/// Whether a step changes `key`, by what it says alone.
fn changes(step: &Step, key: &[u8]) -> bool {
    match step {
        Step::Put(other) => other.key == key,
        Step::Delete(deleting) => deleting.keys.contains(key),
        Step::Read(_) | Step::Txn(_) => false,
    }
}
