//! The scenario of a store that serves: loading, reads at head and in the past, ranges, snapshots, reopening.

use std::hint::black_box;
use std::time::{Duration, Instant};

use palimpsest_kv::storage::Storage;
use palimpsest_kv::{Entry, Keys, RangeRequest, Result, Revision, Store};
use palimpsest_kv_bench_workload::{Load, Outcome, millis, tell, tell_rate, timed, touch};

use crate::host::Host;
use crate::medium::Medium;
use crate::{loaded, relaxed};

const GETS: usize = 500_000;
const RANGES: usize = 2_000;
/// Entries of one range.
pub const RANGE_ENTRIES: usize = 1_000;
const SNAPSHOTS: usize = 1_000_000;
const COUNTS: usize = 20;
const PUTS_UNDER_SNAPSHOT: usize = 20_000;

/// Loads a store, measures it, and proves that what was measured was right.
///
/// # Errors
/// Those of the store, answers that differ from what was put, and a load so short that not every key exists at half of it.
pub fn measure<M: Medium>(medium: &M, load: &Load) -> Outcome<()> {
    if load.len() / 2 <= load.keys().len() {
        return Err("the load must put every key more than twice, for the past to hold them all".into());
    }
    let mut host = Host::default();
    let (mut store, took) = timed(|| loaded(medium, load, (relaxed(), &mut host)))?;
    tell_rate("put_per_s", (load.len(), took));
    tell("load_steps_ms", millis(host.steps.total()));
    tell("load_longest_step_ms", millis(host.steps.longest()));
    tell("flush_ms", millis(timed(|| Ok(store.flush()?))?.1));
    tell("checkpoint_ms", millis(timed(|| Ok(store.checkpoint()?))?.1));
    sizes(&store, load)?;

    // The first write of an empty store is revision 2, so so many puts have been made at this one.
    let past = Revision::new(load.len() as u64 / 2);
    let past_puts = load.len() / 2 - 1;
    gets(&store, load, past)?;
    ranges(&store, load, past)?;
    limited(&store, load)?;
    snapshots(&store)?;
    let check = |store: &Store<M::Storage>| -> Outcome<()> {
        verify(|key| store.get(key), load, load.len())?;
        let view = store.read_at(past)?;
        verify(|key| view.get(key), load, past_puts)
    };
    check(&store)?;

    let closed = timed(|| Ok(store.close()?))?;
    tell("close_ms", millis(closed.1));
    let storage = medium.again(closed.0)?;
    let (reopened, took) = timed(|| Ok(Store::open(storage, relaxed())?))?;
    tell("reopen_ms", millis(took));
    check(&reopened)?;
    tell("check_ms", millis(timed(|| Ok(reopened.check()?))?.1));
    store = reopened;
    puts_under_snapshot(&mut store, load)?;
    store.check()?;
    Ok(())
}

fn sizes<S: Storage>(store: &Store<S>, load: &Load) -> Outcome<()> {
    let status = store.status()?;
    tell("file_bytes", status.file_bytes as f64);
    tell("used_bytes", status.used_bytes as f64);
    tell("cache_bytes", status.cache_bytes as f64);
    tell("file_per_payload", status.file_bytes as f64 / load.payload_bytes() as f64);
    Ok(())
}

/// Gets random keys, times `get` and answers how long all of them took.
fn time_gets(load: &Load, get: impl Fn(&[u8]) -> Result<Option<Entry>>) -> Outcome<Duration> {
    let picks = load.picks(GETS);
    let start = Instant::now();
    for &pick in &picks {
        let entry = get(&load.keys()[pick])?.ok_or("a key is missing")?;
        touch(entry.key(), entry.value());
    }
    Ok(start.elapsed())
}

fn gets<S: Storage>(store: &Store<S>, load: &Load, past: Revision) -> Outcome<()> {
    let view = store.read_at(past)?;
    time_gets(load, |key| store.get(key))?; // brings the pages into the cache
    let head = time_gets(load, |key| store.get(key))?;
    time_gets(load, |key| view.get(key))?;
    let old = time_gets(load, |key| view.get(key))?;
    let anew = time_gets(load, |key| store.read_at(past)?.get(key))?;
    tell_rate("get_head_per_s", (GETS, head));
    tell_rate("get_past_per_s", (GETS, old));
    tell("get_past_per_head_time", old.as_secs_f64() / head.as_secs_f64());
    tell_rate("get_past_new_view_per_s", (GETS, anew));
    Ok(())
}

/// Times ranges of a thousand keys, each made by `range` and seen through by `see`, which answers how many there were.
fn time_ranges<'a, S: Storage + 'a>(
    load: &Load,
    range: impl Fn(Keys) -> RangeRequest<'a, S>,
    see: fn(RangeRequest<'a, S>) -> Outcome<usize>,
) -> Outcome<(usize, Duration)> {
    let intervals = load.intervals(RANGES, RANGE_ENTRIES);
    let start = Instant::now();
    for (from, to) in intervals {
        let entries = see(range(Keys::interval(from, to)))?;
        if entries != RANGE_ENTRIES {
            return Err(format!("a range has {entries} entries in place of {RANGE_ENTRIES}").into());
        }
    }
    Ok((RANGES, start.elapsed()))
}

fn iterate<S: Storage>(range: RangeRequest<'_, S>) -> Outcome<usize> {
    let mut entries = 0;
    for entry in range {
        let entry = entry?;
        touch(entry.key(), entry.value());
        entries += 1;
    }
    Ok(entries)
}

fn collect<S: Storage>(range: RangeRequest<'_, S>) -> Outcome<usize> {
    let result = range.collect()?;
    result.entries.iter().for_each(|entry| touch(entry.key(), entry.value()));
    Ok(result.entries.len())
}

fn ranges<S: Storage>(store: &Store<S>, load: &Load, past: Revision) -> Outcome<()> {
    let view = store.read_at(past)?;
    let head = time_ranges(load, |keys| store.range(keys), iterate)?;
    tell_rate("range_head_per_s", head);
    tell_rate("range_head_records_per_s", (head.0 * RANGE_ENTRIES, head.1));
    let old = time_ranges(load, |keys| view.range(keys), iterate)?;
    tell_rate("range_past_per_s", old);
    tell_rate("range_past_records_per_s", (old.0 * RANGE_ENTRIES, old.1));
    tell_rate("range_head_collected_per_s", time_ranges(load, |keys| store.range(keys), collect)?);
    tell_rate("range_past_collected_per_s", time_ranges(load, |keys| view.range(keys), collect)?);
    tell_rate(
        "range_head_keys_only_per_s",
        time_ranges(load, |keys| store.range(keys).keys_only(), iterate)?,
    );
    Ok(())
}

fn limited<S: Storage>(store: &Store<S>, load: &Load) -> Outcome<()> {
    let start = Instant::now();
    for (from, _) in load.intervals(RANGES, RANGE_ENTRIES) {
        let result = store.range(Keys::at_least(from)).limit(RANGE_ENTRIES).collect()?;
        if result.entries.len() != RANGE_ENTRIES || !result.more {
            return Err("a limited range did not stop at its limit".into());
        }
    }
    tell_rate("limit_open_range_per_s", (RANGES, start.elapsed()));
    let start = Instant::now();
    for _ in 0..COUNTS {
        if store.range(Keys::all()).count()? != load.keys().len() as u64 {
            return Err("the count of all keys is wrong".into());
        }
    }
    tell("count_all_ms", millis(start.elapsed()) / COUNTS as f64);
    Ok(())
}

fn snapshots<S: Storage>(store: &Store<S>) -> Outcome<()> {
    let start = Instant::now();
    for _ in 0..SNAPSHOTS {
        black_box(store.snapshot());
    }
    tell("snapshot_ns", start.elapsed().as_nanos() as f64 / SNAPSHOTS as f64);
    Ok(())
}

/// Puts while the newest snapshot is held: every put must leave what the snapshot sees.
fn puts_under_snapshot<S: Storage>(store: &mut Store<S>, load: &Load) -> Outcome<()> {
    let mut host = Host::default();
    let start = Instant::now();
    for (key, value) in load.puts().take(PUTS_UNDER_SNAPSHOT) {
        let _held = store.snapshot();
        store.put(key, value)?;
        host.turn(store)?;
    }
    tell_rate("put_under_snapshot_per_s", (PUTS_UNDER_SNAPSHOT.min(load.len()), start.elapsed()));
    Ok(())
}

fn verify(get: impl Fn(&[u8]) -> Result<Option<Entry>>, load: &Load, puts: usize) -> Outcome<()> {
    for (key, expected) in load.expected(puts) {
        let entry = get(key)?;
        if entry.as_ref().map(Entry::value) != expected {
            return Err(format!("{} has another value than was put", String::from_utf8_lossy(key)).into());
        }
    }
    Ok(())
}
