//! The scenario of a file that has become too large: most of it is free after a compaction, and it gets shorter while a reader and a writer
//! work.

use std::thread;
use std::time::{Duration, Instant};

use palimpsest_kv::storage::Storage;
use palimpsest_kv::{Options, Store};
use palimpsest_kv_bench_workload::{Load, Outcome, Samples, millis, tell};

use crate::compaction::CALL_PAUSE;
use crate::host::Host;
use crate::medium::Medium;
use crate::{loaded, relaxed};

/// Loads a store, compacts it at its newest revision, and then measures the shrinking that follows by itself.
///
/// # Errors
/// Those of the store, a store that does not shrink, and one that is not sound afterwards.
pub fn measure<M: Medium>(medium: &M, load: &Load) -> Outcome<()> {
    let options =
        Options { compaction_pause: Duration::ZERO, compaction_batch_limit: usize::MAX, ..relaxed() };
    let mut host = Host::default();
    let mut store = loaded(medium, load, (options, &mut host))?;
    store.compact(store.revision())?;
    while store.status()?.finished != store.compacted() {
        host.wait();
        host.step(&mut store)?;
    }
    let status = store.status()?;
    tell("shrink_file_bytes_before", status.file_bytes as f64);
    tell("shrink_used_bytes_before", status.used_bytes as f64);
    let mut host = Host::default();
    let (mut reads, mut writes) = (Samples::default(), Samples::default());
    let picks = load.picks(load.keys().len());
    let mut picks = picks.iter().cycle().map(|&pick| &load.keys()[pick]);
    let start = Instant::now();
    host.step(&mut store)?;
    while is_at_work(&store)? {
        // Who comes while a step runs waits for its end: both wait for the whole turn before their own call.
        let came = Instant::now();
        host.turn(&mut store)?;
        let turn = came.elapsed();
        let call = Instant::now();
        store.get(picks.next().ok_or("no keys")?)?.ok_or("a key is missing")?;
        reads.add(turn + call.elapsed());
        let call = Instant::now();
        store.put(picks.next().ok_or("no keys")?, load.value(writes.count()))?;
        writes.add(turn + call.elapsed());
        thread::sleep(CALL_PAUSE);
    }
    tell("shrink_total_ms", millis(start.elapsed()));
    for (name, samples) in [("get", &reads), ("put", &writes)] {
        tell(&format!("shrink_{name}_p50_us"), millis(samples.per_mille(500)) * 1e3);
        tell(&format!("shrink_{name}_slowest_us"), millis(samples.longest()) * 1e3);
    }
    tell("shrink_longest_step_ms", millis(host.steps.longest()));
    tell("shrink_longest_step_on_cpu_ms", millis(host.steps_on_cpu.longest()));
    let after = store.status()?;
    tell("shrink_file_bytes_after", after.file_bytes as f64);
    tell("shrink_file_per_used_bytes", after.file_bytes as f64 / after.used_bytes as f64);
    if after.file_bytes >= status.file_bytes {
        return Err("the file did not get shorter".into());
    }
    store.check()?;
    Ok(())
}

fn is_at_work<S: Storage>(store: &Store<S>) -> Outcome<bool> {
    Ok(store.is_shrinking() || store.status()?.pending_pages > 10_000)
}
