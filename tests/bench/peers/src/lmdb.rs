//! LMDB, through heed: a copy-on-write B+ tree in one memory-mapped file.

use std::fs;
use std::hint::black_box;
use std::ops::Bound;
use std::path::Path;

use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, EnvOpenOptions};
use palimpsest_kv_bench_workload::{Outcome, touch};

use crate::peer::Peer;

/// Address space, not memory.
const MAP_BYTES: usize = 8 << 30;

pub(crate) struct Lmdb {
    environment: Env,
    database: Database<Bytes, Bytes>,
}

impl Lmdb {
    fn open_with(folder: &Path, flags: EnvFlags) -> Outcome<Self> {
        let folder = folder.join("lmdb");
        fs::create_dir_all(&folder)?;
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP_BYTES);
        #[expect(
            unsafe_code,
            reason = "heed has no safe way to open: the folder is this process's own, made a moment ago"
        )]
        // SAFETY: nobody else opens or changes the file, and NO_SYNC puts only durability at risk.
        let environment = unsafe { options.flags(flags).open(&folder)? };
        let mut transaction = environment.write_txn()?;
        let database = environment.create_database(&mut transaction, None)?;
        transaction.commit()?;
        Ok(Self { environment, database })
    }
}

impl Peer for Lmdb {
    fn open(folder: &Path) -> Outcome<Self> {
        Self::open_with(folder, EnvFlags::NO_SYNC)
    }

    fn open_durable(folder: &Path) -> Outcome<Self> {
        Self::open_with(folder, EnvFlags::empty())
    }

    fn put_durably(&self, puts: &[(&[u8], &[u8])]) -> Outcome<()> {
        let mut transaction = self.environment.write_txn()?;
        for (key, value) in puts {
            self.database.put(&mut transaction, key, value)?;
        }
        Ok(transaction.commit()?)
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Outcome<()> {
        let mut transaction = self.environment.write_txn()?;
        self.database.put(&mut transaction, key, value)?;
        Ok(transaction.commit()?)
    }

    fn sync(&self) -> Outcome<()> {
        Ok(self.environment.force_sync()?)
    }

    fn read<T>(&self, key: &[u8], see: impl FnOnce(Option<&[u8]>) -> T) -> Outcome<T> {
        let transaction = self.environment.read_txn()?;
        Ok(see(self.database.get(&transaction, key)?))
    }

    fn range(&self, from: &[u8], to: Option<&[u8]>, limit: usize) -> Outcome<usize> {
        let transaction = self.environment.read_txn()?;
        let bounds = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
        let mut records = 0;
        for record in self.database.range(&transaction, &bounds)?.take(limit) {
            let (key, value) = record?;
            touch(key, value);
            records += 1;
        }
        Ok(records)
    }

    fn count(&self) -> Outcome<u64> {
        let transaction = self.environment.read_txn()?;
        Ok(self.database.len(&transaction)?)
    }

    fn snapshot(&self) -> Outcome<()> {
        black_box(self.environment.read_txn()?);
        Ok(())
    }

    fn close(self) -> Outcome<()> {
        self.environment.prepare_for_closing().wait();
        Ok(())
    }
}
