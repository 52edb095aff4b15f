//! The scenario of writes that are durable when they return.

use std::path::Path;

use palimpsest_kv::storage::FileStorage;
use palimpsest_kv::{Clock, Next, Op, Options, Store, SystemClock};
use palimpsest_kv_bench_workload::bound::{Durable, measure_durable};
use palimpsest_kv_bench_workload::{Load, Outcome};

use crate::CACHE_BYTES;
use crate::host::BUDGET;

/// A store and the loop that gives it its turns after each write.
struct Served {
    store: Store<FileStorage>,
    clock: SystemClock,
    next: Next,
}

impl Durable for Served {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Outcome<()> {
        self.store.put(key, value)?;
        self.turn()
    }

    fn put_all(&mut self, puts: &[(&[u8], &[u8])]) -> Outcome<()> {
        self.store.txn().then(puts.iter().map(|(key, value)| Op::put(key, value))).commit()?;
        self.turn()
    }
}

impl Served {
    /// The host's turn, but for its own measuring, which would be measured too.
    fn turn(&mut self) -> Outcome<()> {
        let is_due = match self.next {
            Next::At(time) => time <= self.clock.now(),
            Next::Now | Next::Idle => true,
        };
        if is_due {
            self.next = self.store.run(&self.clock, BUDGET)?;
        }
        Ok(())
    }
}

/// Measures a new store in the folder.
///
/// # Errors
/// Those of the store, and a store that is not sound afterwards.
pub fn measure(folder: &Path, load: &Load) -> Outcome<()> {
    let options = Options { cache_bytes: CACHE_BYTES, ..Options::default() };
    let store = Store::open(FileStorage::open(folder.join("durable.plm"))?, options)?;
    let mut served = Served { store, clock: SystemClock::new(), next: Next::Now };
    measure_durable(&mut served, load, folder)?;
    served.store.check()?;
    Ok(())
}
