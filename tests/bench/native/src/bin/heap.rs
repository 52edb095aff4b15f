//! Measures what a store keeps in memory beside its pages: `heap FOLDER KEYS PUTS`.
//!
//! The pages are in a file and the cache is tiny, and what it does hold is subtracted, so that the heap is what the
//! index, the list of the dead and the pager's own tables take: an upper bound for the first two. The allocator counts
//! bytes as they were asked for; what it adds itself is seen in the process's anonymous memory, told beside it.

use std::alloc::System;
use std::{env, fs};

use cap::Cap;
use palimpsest_kv::storage::Storage;
use palimpsest_kv::{Durability, Options, Store};
use palimpsest_kv_bench::host::Host;
use palimpsest_kv_bench::medium::{InFile, Medium};
use palimpsest_kv_bench_workload::{KEY_BYTES, Load, Outcome, tell};

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

const TINY_CACHE_BYTES: usize = 64 * 1024;

/// What the process holds at one moment, in bytes.
struct Held {
    heap: f64,
    anonymous: Option<f64>,
}

impl Held {
    fn now<S: Storage>(store: &mut Store<S>) -> Outcome<Self> {
        store.flush()?;
        store.checkpoint()?;
        Ok(Self {
            heap: HEAP.allocated() as f64 - store.status()?.cache_bytes as f64,
            anonymous: anonymous(),
        })
    }

    fn tell_since(&self, earlier: &Self, (name, items): (&str, usize)) {
        tell(&format!("heap_per_{name}"), (self.heap - earlier.heap) / items as f64);
        if let (Some(now), Some(before)) = (self.anonymous, earlier.anonymous) {
            tell(&format!("anonymous_per_{name}"), (now - before) / items as f64);
        }
    }
}

/// The process's anonymous memory in bytes, where the system says it.
fn anonymous() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? * 1024.0)
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, keys, puts] = &arguments[..] else {
        return Err("usage: heap FOLDER KEYS PUTS".into());
    };
    let folder = tempfile::tempdir_in(folder)?;
    let load = Load::new(keys.parse()?, puts.parse()?)?;
    let medium = InFile { path: folder.path().join("heap.plm") };
    let options =
        Options { durability: Durability::Relaxed, cache_bytes: TINY_CACHE_BYTES, ..Options::default() };
    let mut store = Store::open(medium.fresh()?, options.clone())?;
    let mut host = Host::default();
    let empty = Held::now(&mut store)?;
    let mut all_keys = None;
    for (put, (key, value)) in load.puts().enumerate() {
        if put == load.keys().len() {
            all_keys = Some(Held::now(&mut store)?);
        }
        store.put(key, value)?;
        host.turn(&mut store)?;
    }
    let all_keys = all_keys.ok_or("there must be more puts than keys")?;
    let all_puts = Held::now(&mut store)?;
    let further = load.len() - load.keys().len();
    all_keys.tell_since(&empty, ("key_with_its_bytes", load.keys().len()));
    tell("heap_per_key", (all_keys.heap - empty.heap) / load.keys().len() as f64 - KEY_BYTES as f64);
    all_puts.tell_since(&all_keys, ("further_revision", further));
    store.check()?;

    let reopened = Store::open(medium.again(store.close()?)?, options)?;
    let held = HEAP.allocated() as f64 - reopened.status()?.cache_bytes as f64;
    tell("heap_reopened_bytes", held - empty.heap);
    tell("heap_loaded_bytes", all_puts.heap - empty.heap);
    Ok(())
}
