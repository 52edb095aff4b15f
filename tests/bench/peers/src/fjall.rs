//! fjall: a log-structured merge tree, with its default compression.

use std::hint::black_box;
use std::ops::Bound;
use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};
use palimpsest_kv_bench_workload::{Outcome, touch};

use crate::peer::{CACHE_BYTES, Peer};

pub(crate) struct Fjall {
    database: Database,
    keyspace: Keyspace,
}

impl Peer for Fjall {
    fn open(folder: &Path) -> Outcome<Self> {
        let database = Database::builder(folder.join("fjall")).cache_size(CACHE_BYTES as u64).open()?;
        let keyspace = database.keyspace("bench", KeyspaceCreateOptions::default)?;
        Ok(Self { database, keyspace })
    }

    fn open_durable(folder: &Path) -> Outcome<Self> {
        Self::open(folder)
    }

    fn put_durably(&self, puts: &[(&[u8], &[u8])]) -> Outcome<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for (key, value) in puts {
            batch.insert(&self.keyspace, *key, *value);
        }
        Ok(batch.commit()?)
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Outcome<()> {
        let mut batch = self.database.batch();
        batch.insert(&self.keyspace, key, value);
        Ok(batch.commit()?)
    }

    fn sync(&self) -> Outcome<()> {
        Ok(self.database.persist(PersistMode::SyncData)?)
    }

    fn read<T>(&self, key: &[u8], see: impl FnOnce(Option<&[u8]>) -> T) -> Outcome<T> {
        Ok(see(self.keyspace.get(key)?.as_deref()))
    }

    fn range(&self, from: &[u8], to: Option<&[u8]>, limit: usize) -> Outcome<usize> {
        let bounds = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
        let mut records = 0;
        for guard in self.keyspace.range::<&[u8], _>(bounds).take(limit) {
            let (key, value) = guard.into_inner()?;
            touch(&key, &value);
            records += 1;
        }
        Ok(records)
    }

    fn count(&self) -> Outcome<u64> {
        Ok(self.database.snapshot().len(&self.keyspace)? as u64)
    }

    fn snapshot(&self) -> Outcome<()> {
        black_box(self.database.snapshot());
        Ok(())
    }

    fn close(self) -> Outcome<()> {
        Ok(())
    }
}
