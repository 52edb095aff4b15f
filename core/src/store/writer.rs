//! Writing with a durability of one's own choice.

use core::time::Duration;

use super::leases::{Lease, Revoked};
use super::options::Durability;
use super::put::{Delete, Put, PutView};
use super::txn::Txn;
use super::txn_types::{Transaction, TxnOutcome};
use super::write::{Deleted, Written};
use super::{Options, Store};
use crate::error::Result;
use crate::keys::Keys;
use crate::lease::LeaseId;
use crate::storage::Storage;

/// A store whose writes are made durable as the caller says, whatever its options say. See
/// [`Store::with_durability`].
pub struct Writer<'a, S: Storage> {
    pub(super) store: &'a mut Store<S>,
    pub(super) durability: Durability,
}

impl<S: Storage> Store<S> {
    /// Writes with this durability instead of the one in [`Options::durability`].
    ///
    /// That is how many writes share one sync: make them relaxed, then [`flush`](Store::flush), and tell their callers that they are
    /// durable when it returns. A strict write makes all earlier ones durable too.
    ///
    /// ```
    /// # use palimpsest_kv::{Durability, Options, Store, storage::MemoryStorage};
    /// let mut store = Store::open(MemoryStorage::new(), Options::default())?;
    /// for number in 0..100 {
    ///     store.with_durability(Durability::Relaxed).put(format!("key{number}"), "value")?;
    /// }
    /// assert!(store.durable_revision() < store.revision());
    /// store.flush()?;
    /// assert_eq!(store.durable_revision(), store.revision());
    /// # Ok::<(), palimpsest_kv::Error>(())
    /// ```
    pub fn with_durability(&mut self, durability: Durability) -> Writer<'_, S> {
        Writer { store: self, durability }
    }

    fn writer(&mut self) -> Writer<'_, S> {
        let Options { durability, .. } = self.options;
        self.with_durability(durability)
    }

    /// Writes a value under a key. With [`Durability::Strict`] it is durable when this returns. Costs a lookup and an
    /// insert in the index.
    ///
    /// # Errors
    /// [`Error::EmptyKey`](crate::Error::EmptyKey), [`Error::KeyTooLarge`](crate::Error::KeyTooLarge),
    /// [`Error::ValueTooLarge`](crate::Error::ValueTooLarge) with nothing changed; [`Error::Storage`](crate::Error::Storage) if
    /// the storage fails, after which the store refuses to write.
    pub fn put(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<Written> {
        self.writer().put(key, value)
    }

    /// Puts as a [`Put`] says: with a lease, keeping the value, answering with what was there before.
    ///
    /// # Errors
    /// As [`Store::put`], and [`Error::KeyNotFound`](crate::Error::KeyNotFound),
    /// [`Error::LeaseNotFound`](crate::Error::LeaseNotFound), [`Error::Corrupt`](crate::Error::Corrupt) with nothing changed.
    pub fn put_with(&mut self, put: &Put) -> Result<Written> {
        self.writer().put_with(put)
    }

    /// Deletes one key or an interval. The keys' history stays readable until it is compacted. A delete that finds nothing
    /// takes no revision.
    ///
    /// # Errors
    /// [`Error::EmptyKey`](crate::Error::EmptyKey) with nothing changed; [`Error::Storage`](crate::Error::Storage) if the storage
    /// fails, after which the store refuses to write.
    pub fn delete(&mut self, keys: impl Into<Keys>) -> Result<Deleted> {
        self.writer().delete(keys)
    }

    /// Deletes as a [`Delete`] says: answering with what was there before.
    ///
    /// # Errors
    /// As [`Store::delete`], and [`Error::Corrupt`](crate::Error::Corrupt) with nothing changed.
    pub fn delete_with(&mut self, delete: &Delete) -> Result<Deleted> {
        self.writer().delete_with(delete)
    }

    /// Runs a transaction: all of the branch whose turn it is happens, under one revision, or nothing does.
    ///
    /// # Errors
    /// [`Error::EmptyKey`](crate::Error::EmptyKey), [`Error::KeyTooLarge`](crate::Error::KeyTooLarge),
    /// [`Error::ValueTooLarge`](crate::Error::ValueTooLarge), [`Error::TooManyOperations`](crate::Error::TooManyOperations),
    /// [`Error::DuplicateKey`](crate::Error::DuplicateKey), [`Error::NoSpace`](crate::Error::NoSpace),
    /// [`Error::Compacted`](crate::Error::Compacted), [`Error::FutureRevision`](crate::Error::FutureRevision),
    /// [`Error::KeyNotFound`](crate::Error::KeyNotFound), [`Error::LeaseNotFound`](crate::Error::LeaseNotFound),
    /// [`Error::Corrupt`](crate::Error::Corrupt) with nothing changed; [`Error::Storage`](crate::Error::Storage) if the storage
    /// fails, after which the store refuses to write.
    pub fn commit(&mut self, transaction: &Transaction) -> Result<TxnOutcome> {
        self.writer().commit(transaction)
    }

    /// Begins to describe a transaction.
    pub fn txn(&mut self) -> Txn<'_, S> {
        self.writer().txn()
    }
}

impl<'a, S: Storage> Writer<'a, S> {
    /// As [`Store::put`].
    ///
    /// # Errors
    /// As [`Store::put`].
    pub fn put(self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<Written> {
        self.store.write_put(self.durability, PutView::plain(key.as_ref(), value.as_ref()))
    }

    /// As [`Store::put_with`].
    ///
    /// # Errors
    /// As [`Store::put_with`].
    pub fn put_with(self, put: &Put) -> Result<Written> {
        self.store.write_put(self.durability, put.view())
    }

    /// As [`Store::delete`].
    ///
    /// # Errors
    /// As [`Store::delete`].
    pub fn delete(self, keys: impl Into<Keys>) -> Result<Deleted> {
        self.store.write_delete(self.durability, &Delete::new(keys))
    }

    /// As [`Store::delete_with`].
    ///
    /// # Errors
    /// As [`Store::delete_with`].
    pub fn delete_with(self, delete: &Delete) -> Result<Deleted> {
        self.store.write_delete(self.durability, delete)
    }

    /// As [`Store::commit`].
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn commit(self, transaction: &Transaction) -> Result<TxnOutcome> {
        self.store.commit_with(self.durability, transaction)
    }

    /// As [`Store::grant_lease`].
    ///
    /// # Errors
    /// As [`Store::grant_lease`].
    pub fn grant_lease(self, ttl: Duration) -> Result<Lease> {
        self.store.grant_with(self.durability, self.store.new_lease_id(), ttl)
    }

    /// As [`Store::grant_lease_as`].
    ///
    /// # Errors
    /// As [`Store::grant_lease_as`].
    pub fn grant_lease_as(self, id: LeaseId, ttl: Duration) -> Result<Lease> {
        self.store.grant_with(self.durability, id, ttl)
    }

    /// As [`Store::revoke_lease`].
    ///
    /// # Errors
    /// As [`Store::revoke_lease`].
    pub fn revoke_lease(self, id: LeaseId) -> Result<Revoked> {
        self.store.revoke_with(self.durability, id)
    }

    /// As [`Store::keep_alive`].
    ///
    /// # Errors
    /// As [`Store::keep_alive`].
    pub fn keep_alive(self, id: LeaseId) -> Result<Duration> {
        self.store.renew_with(self.durability, id)
    }

    /// As [`Store::txn`].
    pub fn txn(self) -> Txn<'a, S> {
        Txn::new(self.store, self.durability)
    }
}
