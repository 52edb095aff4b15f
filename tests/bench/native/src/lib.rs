//! What the measuring programs of the engine share: a host that drives a store, the media under it, the scenarios.

pub mod churn;
pub mod compaction;
pub mod durable;
pub mod garbage;
pub mod host;
pub mod leasing;
pub mod machine;
pub mod medium;
pub mod pinned;
pub mod serving;
pub mod shrinking;
pub mod watching;

use palimpsest_kv::{Durability, Options, Store};
use palimpsest_kv_bench_workload::{Load, Outcome};

use crate::host::Host;
use crate::medium::Medium;

/// A cache that holds every page of a million records (about 190 MB) with room to spare.
pub const CACHE_BYTES: usize = 1 << 30;
/// Puts between two turns of the host's loop.
const PUTS_PER_TURN: usize = 64;

/// The options of the scenarios: commits are synced within 100 ms, as etcd's backend does.
#[must_use]
pub fn relaxed() -> Options {
    Options { durability: Durability::Relaxed, cache_bytes: CACHE_BYTES, ..Options::default() }
}

/// A new store that holds the load, put by put, while the host's loop turns.
///
/// # Errors
/// Those of the store.
pub fn loaded<M: Medium>(
    medium: &M,
    load: &Load,
    (options, host): (Options, &mut Host),
) -> Outcome<Store<M::Storage>> {
    let mut store = Store::open(medium.fresh()?, options)?;
    for (i, (key, value)) in load.puts().enumerate() {
        store.put(key, value)?;
        if i % PUTS_PER_TURN == 0 {
            host.turn(&mut store)?;
        }
    }
    Ok(store)
}
