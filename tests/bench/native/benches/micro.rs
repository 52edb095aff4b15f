//! Single operations on a small store, for profiles and regressions. From `tests/bench`: `cargo bench -p palimpsest-kv-bench`.

use std::cell::{Cell, RefCell};

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use palimpsest_kv::storage::MemoryStorage;
use palimpsest_kv::{Budget, Keys, Options, Revision, Store, SystemClock};
use palimpsest_kv_bench::host::Host;
use palimpsest_kv_bench::medium::InMemory;
use palimpsest_kv_bench::{loaded, relaxed};
use palimpsest_kv_bench_workload::Load;

const KEYS: usize = 10_000;
const PUTS: usize = 100_000;
const PAST: Revision = Revision::new(PUTS as u64 / 2);
const RANGE_ENTRIES: usize = 1_000;

fn main() {
    divan::main();
}

/// A benchmark has no caller that could take an error.
fn must<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

fn load() -> Load {
    must(Load::new(KEYS, PUTS))
}

fn store(load: &Load, options: Options) -> Store<MemoryStorage> {
    let mut store = must(loaded(&InMemory, load, (options, &mut Host::default())));
    must(store.checkpoint());
    store
}

/// Walks the picked keys round and round.
struct Picks<'a> {
    load: &'a Load,
    picks: Vec<usize>,
    at: Cell<usize>,
}

impl<'a> Picks<'a> {
    fn new(load: &'a Load) -> Self {
        Self { load, picks: load.picks(KEYS), at: Cell::new(0) }
    }

    fn next(&self) -> &'a [u8] {
        self.at.set((self.at.get() + 1) % self.picks.len());
        &self.load.keys()[self.picks[self.at.get()]]
    }
}

#[divan::bench(sample_count = 50, sample_size = 2_000)]
fn put(bencher: Bencher<'_, '_>) {
    let load = load();
    let (store, host) = (RefCell::new(store(&load, relaxed())), RefCell::new(Host::default()));
    let picks = Picks::new(&load);
    bencher.bench_local(|| {
        must(store.borrow_mut().put(picks.next(), load.value(picks.at.get())));
        if picks.at.get().is_multiple_of(64) {
            must(host.borrow_mut().turn(&mut store.borrow_mut()));
        }
    });
}

#[divan::bench]
fn get_at_head(bencher: Bencher<'_, '_>) {
    let load = load();
    let (store, picks) = (store(&load, relaxed()), Picks::new(&load));
    bencher.bench_local(|| must(store.get(picks.next())));
}

#[divan::bench]
fn get_in_the_past(bencher: Bencher<'_, '_>) {
    let load = load();
    let (store, picks) = (store(&load, relaxed()), Picks::new(&load));
    let view = must(store.read_at(PAST));
    bencher.bench_local(|| must(view.get(picks.next())));
}

#[divan::bench]
fn range_of_1000_at_head(bencher: Bencher<'_, '_>) {
    let load = load();
    let store = store(&load, relaxed());
    let (from, to) = load.intervals(1, RANGE_ENTRIES)[0];
    bencher.counter(ItemsCount::new(RANGE_ENTRIES)).bench_local(|| {
        for entry in store.range(Keys::interval(from, to)) {
            black_box(must(entry));
        }
    });
}

#[divan::bench]
fn range_of_1000_in_the_past(bencher: Bencher<'_, '_>) {
    let load = load();
    let store = store(&load, relaxed());
    let view = must(store.read_at(PAST));
    let (from, to) = load.intervals(1, RANGE_ENTRIES)[0];
    bencher.counter(ItemsCount::new(RANGE_ENTRIES)).bench_local(|| {
        for entry in view.range(Keys::interval(from, to)) {
            black_box(must(entry));
        }
    });
}

#[divan::bench]
fn snapshot(bencher: Bencher<'_, '_>) {
    let store = store(&load(), relaxed());
    bencher.bench_local(|| store.snapshot());
}

/// The first chunk of a compaction at head: the default batch of a thousand records.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn compaction_chunk(bencher: Bencher<'_, '_>) {
    let load = load();
    let clock = SystemClock::new();
    bencher
        .with_inputs(|| {
            let mut store = store(&load, relaxed());
            must(store.compact(store.revision()));
            store
        })
        .bench_local_refs(|store| must(store.run(&clock, Budget::millis(2))));
}
