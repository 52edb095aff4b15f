//! Opens a snapshot of etcd, without an etcd, and prints the history of a key.
//!
//! Run with `cargo run --example etcd_snapshot -- SNAPSHOT KEY`; without arguments it takes the snapshot that the tests have.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::fs::File;

use palimpsest_kv::storage::{MemoryStorage, Storage};
use palimpsest_kv::{Entry, HashCheck, Options, Result, Store, import_etcd};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/snapshots/etcd-3.4.23.db");

/// All versions of a key that are there, newest first.
fn versions<S: Storage>(store: &Store<S>, key: &str) -> Result<Vec<Entry>> {
    let oldest = store.compacted().map_or(1, |revision| revision.get()).max(1);
    let (mut at, mut found) = (store.revision().get(), Vec::new());
    while at >= oldest {
        // Where the key does not exist, it may have before.
        let entry = store.read_at(at)?.get(key)?;
        at = entry.as_ref().map_or(at, |entry| entry.mod_revision().get()) - 1;
        found.extend(entry);
    }
    Ok(found)
}

fn main() -> core::result::Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| SAMPLE.into());
    let key = arguments.next().unwrap_or_else(|| "config/port".into());

    let imported =
        import_etcd(File::open(&path)?, MemoryStorage::new(), Options::default(), HashCheck::Required)?;
    let store = imported.store;
    println!(
        "{path}: revision {}, {} records, {} leases",
        store.revision(),
        imported.records,
        imported.leases
    );
    for entry in versions(&store, &key)? {
        let value = String::from_utf8_lossy(entry.value());
        println!("{key} at revision {}, version {}: {value}", entry.mod_revision(), entry.version());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_has_the_history_of_a_key() {
        let sample = File::open(SAMPLE).unwrap();
        let imported = import_etcd(sample, MemoryStorage::new(), Options::default(), HashCheck::Required);
        let versions = versions(&imported.unwrap().store, "config/port").unwrap();
        let values: Vec<&[u8]> = versions.iter().map(Entry::value).collect();
        assert_eq!(values, [&b"443"[..], b"9090", b"8080"]);
    }
}
