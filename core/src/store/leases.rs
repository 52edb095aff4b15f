//! Granting, renewing and revoking leases, and deleting the keys of those that end.

use alloc::vec::Vec;
use core::time::Duration;

use super::Store;
use super::options::Durability;
use crate::checksum::checksum;
use crate::error::{Error, Result};
use crate::lease::{LeaseId, LeaseStatus, Renewal, ttl_seconds};
use crate::limits::MAX_LEASE_SECONDS;
use crate::records::SystemRecord;
use crate::revision::Revision;
use crate::sabotage::sabotaged;
use crate::scheduler::Time;
use crate::storage::Storage;

/// What granting a lease answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its number.
    pub id: LeaseId,
    /// How long it lives unless it is renewed.
    pub ttl: Duration,
    /// The store's revision, which a grant does not change.
    pub revision: Revision,
}

/// What revoking a lease answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// The store's revision after it; that before it if no key was attached.
    pub revision: Revision,
    /// How many keys were deleted.
    pub deleted: u64,
}

/// The largest number that is given to a lease which asks for none: 2^53 - 1, the largest integer that JavaScript's numbers hold exactly.
const LARGEST_GIVEN: u64 = (1 << 53) - 1;

impl<S: Storage> Store<S> {
    /// Grants a lease with a number that no other has. It lives for `ttl` (in whole seconds, rounded up, and at least
    /// [`MIN_LEASE_SECONDS`](crate::limits::MIN_LEASE_SECONDS)), from when [`Store::run`] next looks at the clock; when it ends, all keys
    /// attached to it are deleted in one revision. A part of that time which is over stays over when the store is closed and opened
    /// again.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use palimpsest_kv::{Options, Put, Store, storage::MemoryStorage};
    /// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
    /// let lease = store.grant_lease(Duration::from_secs(30))?.id;
    /// store.put_with(&Put::new("workers/1", "alive").lease(lease))?;
    /// store.keep_alive(lease)?;
    /// assert_eq!(store.revoke_lease(lease)?.deleted, 1);
    /// # Ok::<(), palimpsest_kv::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::LeaseTtlTooLarge`], [`Error::NoSpace`] with nothing changed; [`Error::Storage`] if the storage fails, after
    /// which the store refuses to write.
    pub fn grant_lease(&mut self, ttl: Duration) -> Result<Lease> {
        self.grant_lease_as(self.new_lease_id(), ttl)
    }

    /// A number that no lease has.
    pub(super) fn new_lease_id(&self) -> LeaseId {
        let last = self.records.last();
        let mut salt = 0u64;
        loop {
            let seed =
                [last.main.to_le_bytes(), u64::from(last.sub).to_le_bytes(), salt.to_le_bytes()].concat();
            let number = checksum(self.pager.pages().store_id(), 0, &seed) & LARGEST_GIVEN;
            match LeaseId::new(number) {
                Some(id) if !self.leases.has(id) => break id,
                Some(_) | None => salt += 1,
            }
        }
    }

    /// The same with a number of the caller's choice.
    ///
    /// # Errors
    /// As [`Store::grant_lease`], and [`Error::LeaseExists`].
    pub fn grant_lease_as(&mut self, id: LeaseId, ttl: Duration) -> Result<Lease> {
        self.grant_with(self.options.durability, id, ttl)
    }

    pub(super) fn grant_with(&mut self, durability: Durability, id: LeaseId, ttl: Duration) -> Result<Lease> {
        let seconds = ttl_seconds(ttl);
        if seconds > MAX_LEASE_SECONDS {
            return Err(Error::LeaseTtlTooLarge { seconds, limit: MAX_LEASE_SECONDS });
        }
        self.check_quota(Self::lease_cost())?;
        if self.leases.has(id) {
            return Err(Error::LeaseExists { lease: id.get() });
        }
        self.writable()?;
        self.append_system(SystemRecord::LeaseGranted { id: id.get(), seconds })?;
        let ttl = Duration::from_secs(seconds);
        self.leases.grant(id, seconds, ttl);
        self.settle(durability)?;
        Ok(Lease { id, ttl, revision: self.revision() })
    }

    /// Ends a lease: all keys attached to it are deleted, in one revision.
    ///
    /// # Errors
    /// [`Error::LeaseNotFound`] with nothing changed; [`Error::Storage`] if the storage fails, after which the store refuses to
    /// write.
    pub fn revoke_lease(&mut self, id: LeaseId) -> Result<Revoked> {
        self.revoke_with(self.options.durability, id)
    }

    pub(super) fn revoke_with(&mut self, durability: Durability, id: LeaseId) -> Result<Revoked> {
        if !self.leases.has(id) {
            return Err(Error::LeaseNotFound { lease: id.get() });
        }
        let mut writing = self.begin_write()?;
        let keys: Vec<Vec<u8>> = self.leases.keys(id).map(<[u8]>::to_vec).collect();
        let ready = self.ready_deletes(keys);
        let ready = self.noting_failure(ready)?;
        let deleted = ready.len() as u64;
        ready.into_iter().for_each(|change| self.make(change, &mut writing));
        if sabotaged!(RevocationSplit) {
            self.end_write(writing, Durability::Strict)?;
        }
        // Behind the deletes, in the same commit: after a crash either all of it has happened or nothing.
        self.append_system(SystemRecord::LeaseRevoked { id: id.get() })?;
        self.leases.remove(id);
        if writing.sub > 0 {
            self.revision = writing.main;
        }
        self.settle(durability)?;
        Ok(Revoked { revision: self.revision(), deleted })
    }

    /// Lets a lease live for its whole time once more, and answers how long that is.
    ///
    /// # Errors
    /// [`Error::LeaseNotFound`] for one that has ended; [`Error::Storage`] if the storage fails, after which the store refuses to
    /// write.
    pub fn keep_alive(&mut self, id: LeaseId) -> Result<Duration> {
        self.renew_with(self.options.durability, id)
    }

    pub(super) fn renew_with(&mut self, durability: Durability, id: LeaseId) -> Result<Duration> {
        if !self.leases.has(id) {
            return Err(Error::LeaseNotFound { lease: id.get() });
        }
        self.writable()?;
        let renewed = self.leases.renew(id);
        let Some((seconds, renewal)) = renewed else { return Err(Error::LeaseNotFound { lease: id.get() }) };
        if renewal == Renewal::ToBeWritten && !sabotaged!(RenewalForgotten) {
            self.append_system(SystemRecord::LeaseRenewed { id: id.get() })?;
            self.settle(durability)?;
        }
        Ok(Duration::from_secs(seconds))
    }

    /// How a lease stands at a moment of the host's clock; `None` if there is none.
    #[must_use]
    pub fn lease(&self, id: LeaseId, now: Time) -> Option<LeaseStatus> {
        self.leases.status(id, now)
    }

    /// The keys that are attached to a lease, in order.
    #[must_use]
    pub fn lease_keys(&self, id: LeaseId) -> Vec<Vec<u8>> {
        self.leases.keys(id).map(<[u8]>::to_vec).collect()
    }

    /// All leases, in the order of their numbers.
    #[must_use]
    pub fn leases(&self) -> Vec<LeaseId> {
        self.leases.ids().collect()
    }

    /// Ends one lease whose time is over. Answers whether there was one.
    ///
    /// # Errors
    /// As [`Store::revoke_lease`].
    pub(super) fn end_due_lease(&mut self, now: Time) -> Result<Ended> {
        match self.leases.next() {
            Some((time, id)) if time <= now => {
                // Nobody waits for it, so that those due together can share a sync.
                self.revoke_with(Durability::Relaxed, id)?;
                Ok(Ended::One)
            }
            Some(_) | None => Ok(Ended::None),
        }
    }
}

/// Whether a lease's time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    One,
    None,
}
