//! What every peer is asked to do.

use std::path::Path;

use palimpsest_kv_bench_workload::Outcome;

/// Memory for cached pages, where a peer takes such an option.
pub(crate) const CACHE_BYTES: usize = 1 << 30;

/// A store without history.
pub(crate) trait Peer: Sized {
    /// Creates a store in the folder, or opens the one that is there.
    fn open(folder: &Path) -> Outcome<Self>;
    /// Puts one key in a transaction of its own, which is durable after the next `sync`.
    fn put(&self, key: &[u8], value: &[u8]) -> Outcome<()>;
    /// Opens a store as `open` does, whose transactions are durable when they have committed.
    fn open_durable(folder: &Path) -> Outcome<Self>;
    /// Puts keys in one transaction, of a store that was opened by `open_durable`.
    fn put_durably(&self, puts: &[(&[u8], &[u8])]) -> Outcome<()>;
    /// Makes everything put so far durable.
    fn sync(&self) -> Outcome<()>;
    /// Lets `see` see the value of a key.
    fn read<T>(&self, key: &[u8], see: impl FnOnce(Option<&[u8]>) -> T) -> Outcome<T>;
    /// Touches every record of an interval, at most `limit`, and answers how many there were.
    fn range(&self, from: &[u8], to: Option<&[u8]>, limit: usize) -> Outcome<usize>;
    /// How many keys there are.
    fn count(&self) -> Outcome<u64>;
    /// Takes a view of the present state and lets it go.
    fn snapshot(&self) -> Outcome<()>;
    /// Closes the store.
    fn close(self) -> Outcome<()>;
}
