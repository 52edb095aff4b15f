//! How much space the store may use.

use super::Store;
use super::put::PutView;
use super::txn_types::{Op, Transaction};
use crate::error::{Error, Result};
use crate::limits::{LEASE_BYTES, PUT_OVERHEAD_BYTES};
use crate::sabotage::sabotaged;
use crate::storage::Storage;

impl<S: Storage> Store<S> {
    /// Changes how many bytes of pages may be in use, from now on; see [`Options::quota_bytes`](crate::Options::quota_bytes).
    ///
    /// ```
    /// # use palimpsest_kv::{Error, Options, Store, storage::MemoryStorage};
    /// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
    /// store.set_quota(Some(100_000));
    /// assert!(matches!(store.put("key", vec![0; 200_000]), Err(Error::NoSpace { .. })));
    /// assert!(store.status()?.is_out_of_space);
    /// store.set_quota(None);
    /// # Ok::<(), palimpsest_kv::Error>(())
    /// ```
    pub fn set_quota(&mut self, quota_bytes: Option<u64>) {
        self.options.quota_bytes = quota_bytes;
    }

    /// Bytes of the pages that are in use, and of leaves that will need one.
    pub(super) fn used_bytes(&self) -> u64 {
        let pages = u64::from(self.pager.file_pages()) - u64::from(self.pager.free_pages());
        (pages + self.records.unwritten_leaves() as u64) * self.pager.page_bytes() as u64
    }

    /// Whether the last write that was refused would still be.
    pub(super) fn is_out_of_space(&self) -> bool {
        match (self.options.quota_bytes, self.refused_bytes) {
            (Some(quota), Some(needed)) => self.used_bytes().saturating_add(needed) >= quota,
            (Some(_) | None, _) => false,
        }
    }

    /// # Errors
    /// [`Error::NoSpace`] if so many bytes more would use up the quota.
    pub(super) fn check_quota(&mut self, needed: u64) -> Result<()> {
        let Some(quota) = self.options.quota_bytes.filter(|_| needed > 0) else { return Ok(()) };
        let used = self.used_bytes();
        if used.saturating_add(needed) >= quota {
            self.refused_bytes = Some(needed);
            return Err(Error::NoSpace { used, needed, quota });
        }
        self.refused_bytes = None;
        Ok(())
    }

    /// What a put may need, as etcd counts it.
    pub(super) fn put_cost(put: &PutView<'_>) -> u64 {
        PUT_OVERHEAD_BYTES + (put.key.len() + put.value.map_or(0, <[u8]>::len)) as u64
    }

    /// What a transaction may need: the costlier of its branches, the puts in nested ones included.
    pub(super) fn txn_cost(transaction: &Transaction) -> u64 {
        let cost = |branch: &[Op]| {
            let costs = branch.iter().map(|op| match op {
                Op::Put(put) => Self::put_cost(&put.view()),
                Op::Txn(nested) if !sabotaged!(NestedPutsCostNothing) => Self::txn_cost(nested),
                Op::Txn(_) | Op::Delete(_) | Op::Read(_) => 0,
            });
            costs.sum::<u64>()
        };
        cost(&transaction.then).max(cost(&transaction.otherwise))
    }

    /// What a lease may need.
    pub(super) const fn lease_cost() -> u64 {
        LEASE_BYTES
    }
}
