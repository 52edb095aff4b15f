//! The scenario of watchers: what they cost the writer, and how fast one that begins in the past catches up.

use std::time::{Duration, Instant};

use palimpsest_kv::storage::{MemoryStorage, Storage};
use palimpsest_kv::{Keys, Store, Watched, Watcher};
use palimpsest_kv_bench_workload::{Load, Outcome, tell};

use crate::host::Host;
use crate::medium::{InMemory, Medium};
use crate::{loaded, relaxed};

/// Puts that are timed together, with and without watchers in turn.
const BLOCK: usize = 10_000;

/// Measures stores in memory.
///
/// # Errors
/// Those of the store, and a watcher that was not told of everything.
pub fn measure(load: &Load) -> Outcome<()> {
    for watchers in [1_000, 10_000] {
        let times = put_times(load, watchers)?;
        tell(&format!("put_with_{watchers}_watchers_times"), times);
    }
    catch_up(load)
}

/// The interval of the keys whose number in the load is this one modulo the number of watchers: a key of its own for each watcher.
fn watched(number: usize) -> Keys {
    Keys::prefix(format!("watched/{number:05}/"))
}

/// How many times as long puts take with so many watchers, of which one matches each put.
fn put_times(load: &Load, count: usize) -> Outcome<f64> {
    let mut stores = [Store::open(InMemory.fresh()?, relaxed())?, Store::open(InMemory.fresh()?, relaxed())?];
    let mut hosts = [Host::default(), Host::default()];
    let watchers: Vec<Watcher> =
        (0..count).map(|number| stores[1].watch(watched(number)).start()).collect::<Result<_, _>>()?;
    let mut took = [Duration::ZERO; 2];
    let mut told = 0;
    let blocks = (load.len() / BLOCK).max(2);
    for block in 0..blocks {
        for (at, store) in stores.iter_mut().enumerate() {
            took[at] += block_of_puts(store, &mut hosts[at], load, (block, count))?;
        }
        told += tell_all(&mut stores[1], &watchers)?;
    }
    if told != blocks * BLOCK {
        return Err(format!("{told} changes were told of {}", blocks * BLOCK).into());
    }
    Ok(took[1].as_secs_f64() / took[0].as_secs_f64())
}

fn block_of_puts<S: Storage>(
    store: &mut Store<S>,
    host: &mut Host,
    load: &Load,
    (block, watchers): (usize, usize),
) -> Outcome<Duration> {
    let keys: Vec<String> = (0..BLOCK)
        .map(|at| format!("watched/{:05}/{:016}", (block * BLOCK + at * 7) % watchers, at % 100))
        .collect();
    let start = Instant::now();
    for (at, key) in keys.iter().enumerate() {
        store.put(key, load.value(at))?;
    }
    let took = start.elapsed();
    host.turn(store)?;
    Ok(took)
}

/// Tells every watcher what there is to tell, and answers how many changes that were.
fn tell_all(store: &mut Store<MemoryStorage>, watchers: &[Watcher]) -> Outcome<usize> {
    let mut told = 0;
    for watcher in watchers {
        loop {
            match store.poll(watcher)? {
                Watched::Batch(batch) => told += batch.events.len(),
                Watched::Behind => {}
                Watched::Idle => break,
            }
        }
    }
    Ok(told)
}

/// How many changes a second a watcher of everything is told that begins with the first one.
fn catch_up(load: &Load) -> Outcome<()> {
    let mut store = loaded(&InMemory, load, (relaxed(), &mut Host::default()))?;
    let watcher = store.watch(Keys::all()).from(1).start()?;
    let start = Instant::now();
    let (mut told, mut bytes) = (0, 0);
    let mut slowest = Duration::ZERO;
    loop {
        let asked = Instant::now();
        let answer = store.poll(&watcher)?;
        slowest = slowest.max(asked.elapsed());
        match answer {
            Watched::Batch(batch) => {
                told += batch.events.len();
                bytes += batch.events.iter().map(|event| event.entry.value().len()).sum::<usize>();
            }
            Watched::Behind => {}
            Watched::Idle => break,
        }
    }
    let took = start.elapsed();
    if told != load.len() || bytes == 0 {
        return Err(format!("{told} changes were told of {}", load.len()).into());
    }
    tell("watch_catch_up_per_s", told as f64 / took.as_secs_f64());
    tell("watch_slowest_poll_us", slowest.as_secs_f64() * 1e6);
    Ok(())
}
