//! No key is changed twice in one transaction: etcd's rule, with its one exception.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::txn_types::Op;
use crate::error::{Error, Result};
use crate::keys::Keys;
use crate::sabotage::sabotaged;

/// What a branch changes.
#[derive(Default)]
struct Changes<'a> {
    puts: BTreeSet<&'a [u8]>,
    deletes: Vec<&'a Keys>,
}

impl<'a> Changes<'a> {
    /// # Errors
    /// [`Error::DuplicateKey`] if the key is put already, and that is not among `allowed`, or is deleted.
    fn put(&mut self, key: &'a [u8], allowed: &BTreeSet<&'a [u8]>) -> Result<()> {
        let is_put = !self.puts.insert(key) && !allowed.contains(key);
        if is_put || self.deletes.iter().any(|keys| keys.contains(key)) {
            return Err(Error::DuplicateKey { key: key.to_vec() });
        }
        Ok(())
    }
}

/// Checks that a branch puts no key twice, and puts none that it deletes, whatever the transactions within it choose.
///
/// The rule is etcd's (`checkIntervals` in `server/etcdserver/api/v3rpc/key.go`), order of checks included: the two branches of a
/// transaction within this one may put the same key, and of two transactions within this one the first may put a key that the second
/// deletes.
///
/// # Errors
/// [`Error::DuplicateKey`].
pub(super) fn check_changes(branch: &[Op]) -> Result<()> {
    changes(branch).map(|_| ())
}

fn changes(branch: &[Op]) -> Result<Changes<'_>> {
    let mut all = Changes::default();
    all.deletes.extend(branch.iter().filter_map(|op| match op {
        Op::Delete(delete) => Some(&delete.keys),
        Op::Put(_) | Op::Read(_) | Op::Txn(_) => None,
    }));
    for op in branch {
        let Op::Txn(nested) = op else { continue };
        if sabotaged!(NestedDuplicatesAllowed) {
            continue;
        }
        let then = changes(&nested.then)?;
        let otherwise = changes(&nested.otherwise)?;
        then.puts.iter().try_for_each(|key| all.put(key, &BTreeSet::new()))?;
        otherwise.puts.iter().try_for_each(|key| all.put(key, &then.puts))?;
        all.deletes.extend(then.deletes);
        all.deletes.extend(otherwise.deletes);
    }
    for op in branch {
        if let Op::Put(put) = op {
            all.put(put.view().key, &BTreeSet::new())?;
        }
    }
    Ok(all)
}
