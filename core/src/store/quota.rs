//! How much space the store may use.
//!
//! Puts are refused before the quota is used up: what is left is the *reserve*, in which a full store can delete, compact and get
//! shorter. Within it checkpoints come sooner and chunks of a compaction are small, so that what they take before they give is less than
//! the reserve. Only deletes that are not followed by a compaction can use it up, by their tombstones.

use super::Store;
use super::put::PutView;
use super::txn_types::{Op, Transaction};
use crate::error::{Error, Result};
use crate::limits::{LEASE_BYTES, PUT_OVERHEAD_BYTES, QUOTA_RESERVE_MOST_BYTES, QUOTA_RESERVE_PART};
use crate::pager::Purpose;
use crate::sabotage::sabotaged;
use crate::storage::Storage;

/// A part of the reserve that is taken before something is given back. There are several: the copies of a compaction's chunk, what waits
/// for a checkpoint, the checkpoint itself, and the log.
const SHARE: u64 = 8;
/// Pages that a store without a key has in use at most: meta slots, the log, the freelist and lists of its own, some of them twice while a
/// checkpoint is not durable.
const EMPTY_PAGES: u64 = 8;
/// Fewer pages than this are not worth a checkpoint, however little room there is.
const LEAST_PAGES: usize = 4;

impl<S: Storage> Store<S> {
    /// Changes how many bytes of pages may be in use, from now on; see [`Options::quota_bytes`](crate::Options::quota_bytes).
    ///
    /// ```
    /// # use palimpsest_kv::{Error, Options, Store, storage::MemoryStorage};
    /// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
    /// store.set_quota(Some(100_000));
    /// store.put("key", vec![0; 40_000])?;
    /// assert!(matches!(store.put("other key", vec![0; 40_000]), Err(Error::NoSpace { .. })));
    /// assert!(store.status()?.is_out_of_space);
    /// store.set_quota(None);
    /// # Ok::<(), palimpsest_kv::Error>(())
    /// ```
    pub fn set_quota(&mut self, quota_bytes: Option<u64>) {
        self.options.quota_bytes = quota_bytes;
        self.bound_growth();
    }

    /// The storage does not grow ahead beyond the quota.
    pub(super) fn bound_growth(&mut self) {
        let pages = |bytes: u64| u32::try_from(bytes / self.pager.page_bytes() as u64).unwrap_or(u32::MAX);
        self.pager.bound_growth(self.options.quota_bytes.map(pages));
    }

    /// What puts leave free of a quota.
    fn reserve(quota: u64) -> u64 {
        (quota / QUOTA_RESERVE_PART).min(QUOTA_RESERVE_MOST_BYTES)
    }

    /// How many pages may be taken before some are given back, if the reserve is being used; `None` if it is not.
    pub(super) fn pages_left_to_work_in(&self) -> Option<usize> {
        let quota = self.options.quota_bytes?;
        let reserve = Self::reserve(quota);
        let is_in_use = self.used_bytes().saturating_add(reserve + reserve / 2) >= quota;
        let pages = usize::try_from(reserve / SHARE).unwrap_or(usize::MAX) / self.pager.page_bytes();
        (is_in_use && !sabotaged!(ReserveIgnored)).then_some(pages.max(LEAST_PAGES))
    }

    /// Bytes of the pages that are in use, and of leaves that will need one.
    pub(super) fn used_bytes(&self) -> u64 {
        let pages = u64::from(self.pager.file_pages()) - u64::from(self.pager.free_pages());
        (pages + self.records.unwritten_leaves() as u64) * self.pager.page_bytes() as u64
    }

    /// Whether the last write that was refused would still be, though an emptier store would have room for it.
    pub(super) fn is_out_of_space(&self) -> bool {
        match (self.options.quota_bytes, self.refused_bytes) {
            (Some(quota), Some(needed)) => self.can_have_room(quota, needed) && !self.has_room(quota, needed),
            (Some(_) | None, _) => false,
        }
    }

    fn has_room(&self, quota: u64, needed: u64) -> bool {
        self.used_bytes().saturating_add(needed).saturating_add(Self::reserve(quota)) < quota
    }

    /// Whether a store that is empty would have room. If not, that a write is refused does not say that the store is full.
    fn can_have_room(&self, quota: u64, needed: u64) -> bool {
        let empty = EMPTY_PAGES * self.pager.page_bytes() as u64;
        empty.saturating_add(needed).saturating_add(Self::reserve(quota)) < quota
    }

    /// # Errors
    /// [`Error::NoSpace`] if so many bytes more would use up the quota.
    pub(super) fn check_quota(&mut self, needed: u64) -> Result<()> {
        if needed > 0 {
            self.pager.work_for(Purpose::Put);
        }
        let Some(quota) = self.options.quota_bytes.filter(|_| needed > 0) else { return Ok(()) };
        if self.has_room(quota, needed) {
            return Ok(());
        }
        if self.can_have_room(quota, needed) {
            self.refused_bytes = Some(needed);
        }
        Err(Error::NoSpace { used: self.used_bytes(), needed, quota })
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
