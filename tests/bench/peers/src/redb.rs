//! redb: a copy-on-write B+ tree in one file.

use std::hint::black_box;
use std::ops::Bound;
use std::path::Path;

use palimpsest_kv_bench_workload::{Outcome, touch};
use redb::{Builder, Database, Durability, ReadableDatabase, ReadableTableMetadata, TableDefinition};

use crate::peer::{CACHE_BYTES, Peer};

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("bench");

pub(crate) struct Redb(Database);

impl Peer for Redb {
    fn open(folder: &Path) -> Outcome<Self> {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        let database = builder.create(folder.join("redb"))?;
        let transaction = database.begin_write()?;
        transaction.open_table(TABLE)?;
        transaction.commit()?;
        Ok(Self(database))
    }

    fn open_durable(folder: &Path) -> Outcome<Self> {
        Self::open(folder)
    }

    fn put_durably(&self, puts: &[(&[u8], &[u8])]) -> Outcome<()> {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for (key, value) in puts {
                table.insert(key, value)?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Outcome<()> {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(Durability::None)?;
        transaction.open_table(TABLE)?.insert(key, value)?;
        Ok(transaction.commit()?)
    }

    fn sync(&self) -> Outcome<()> {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        Ok(transaction.commit()?)
    }

    fn read<T>(&self, key: &[u8], see: impl FnOnce(Option<&[u8]>) -> T) -> Outcome<T> {
        let table = self.0.begin_read()?.open_table(TABLE)?;
        let guard = table.get(key)?;
        Ok(see(guard.as_ref().map(|guard| guard.value())))
    }

    fn range(&self, from: &[u8], to: Option<&[u8]>, limit: usize) -> Outcome<usize> {
        let table = self.0.begin_read()?.open_table(TABLE)?;
        let bounds = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
        let mut records = 0;
        for record in table.range::<&[u8]>(bounds)?.take(limit) {
            let (key, value) = record?;
            touch(key.value(), value.value());
            records += 1;
        }
        Ok(records)
    }

    fn count(&self) -> Outcome<u64> {
        Ok(self.0.begin_read()?.open_table(TABLE)?.len()?)
    }

    fn snapshot(&self) -> Outcome<()> {
        black_box(self.0.begin_read()?);
        Ok(())
    }

    fn close(self) -> Outcome<()> {
        Ok(())
    }
}
