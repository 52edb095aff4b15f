//! The scenario of a compaction: a store of which some share is dead is compacted at its head, either as fast as the
//! steps can follow each other, or with the default pauses between them and a reader and a writer at work.

use std::thread;
use std::time::{Duration, Instant};

use palimpsest_kv::storage::Storage;
use palimpsest_kv::{Options, Store};
use palimpsest_kv_bench_workload::{Load, Outcome, Samples, millis, tell, timed};

use crate::host::Host;
use crate::medium::Medium;
use crate::{loaded, relaxed};

/// Between two calls of the reader and the writer, as in the program that measures etcd.
pub(crate) const CALL_PAUSE: Duration = Duration::from_micros(100);

/// How the steps of a compaction follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At once, with chunks bounded by time alone.
    Unpaced,
    /// With the default batch and pause, while a reader and a writer work.
    Default,
}

impl Pace {
    fn options(self) -> Options {
        match self {
            Self::Unpaced => {
                Options { compaction_pause: Duration::ZERO, compaction_batch_limit: usize::MAX, ..relaxed() }
            }
            Self::Default => relaxed(),
        }
    }
}

/// Loads a store, compacts it at its newest revision, and proves that it is sound and that no key was lost.
///
/// # Errors
/// Those of the store, and a compaction that removed another number of records than were dead.
pub fn measure<M: Medium>(medium: &M, load: &Load, pace: Pace) -> Outcome<()> {
    let mut loader = Host::default();
    let mut store = loaded(medium, load, (pace.options(), &mut loader))?;
    store.checkpoint()?;
    while !loader.is_idle() {
        loader.wait();
        loader.step(&mut store)?;
    }
    let dead = store.status()?.dead_records;
    tell("dead_records", dead as f64);
    tell("file_bytes_before", store.status()?.file_bytes as f64);
    let (_, call) = timed(|| Ok(store.compact(store.revision())?))?;
    tell("compact_call_us", call.as_secs_f64() * 1e6);

    let mut host = Host::default();
    let (_, took) = match pace {
        Pace::Unpaced => timed(|| unpaced(&mut store, &mut host))?,
        Pace::Default => timed(|| while_serving(&mut store, &mut host, load))?,
    };
    tell("total_ms", millis(took));
    tell("records_per_s", dead as f64 / took.as_secs_f64());
    tell("steps", host.steps.count() as f64);
    tell("steps_total_ms", millis(host.steps.total()));
    tell("longest_step_ms", millis(host.steps.longest()));
    tell("longest_step_on_cpu_ms", millis(host.steps_on_cpu.longest()));
    tell("step_p99_ms", millis(host.steps.per_mille(990)));
    after(&store, load, dead)
}

fn is_finished<S: Storage>(store: &Store<S>) -> bool {
    store.compaction().is_some_and(|progress| progress.is_finished)
}

pub(crate) fn unpaced<S: Storage>(store: &mut Store<S>, host: &mut Host) -> Outcome<()> {
    while !is_finished(store) {
        if host.is_idle() {
            return Err("the store fell idle before its compaction was finished".into());
        }
        host.wait();
        host.step(store)?;
    }
    Ok(())
}

fn while_serving<S: Storage>(store: &mut Store<S>, host: &mut Host, load: &Load) -> Outcome<()> {
    let (mut gets, mut puts) = (Samples::default(), Samples::default());
    let picks = load.picks(load.keys().len());
    let mut picks = picks.iter().cycle().map(|&pick| &load.keys()[pick]);
    while !is_finished(store) {
        host.turn(store)?;
        let (read, written) = (picks.next().ok_or("no keys")?, picks.next().ok_or("no keys")?);
        let (entry, took) = timed(|| Ok(store.get(read)?))?;
        entry.ok_or("a key is missing")?;
        gets.add(took);
        puts.add(timed(|| Ok(store.put(written, load.value(puts.count()))?))?.1);
        thread::sleep(CALL_PAUSE);
    }
    for (name, samples) in [("get", gets), ("put", puts)] {
        tell(&format!("{name}_p50_us"), millis(samples.per_mille(500)) * 1e3);
        tell(&format!("{name}_p99_us"), millis(samples.per_mille(990)) * 1e3);
        tell(&format!("{name}_slowest_us"), millis(samples.longest()) * 1e3);
    }
    Ok(())
}

fn after<S: Storage>(store: &Store<S>, load: &Load, dead: u64) -> Outcome<()> {
    let progress = store.compaction().ok_or("the compaction left no trace")?;
    if progress.removed != dead {
        return Err(format!("{} records were removed, {dead} were dead", progress.removed).into());
    }
    let start = Instant::now();
    let report = store.check()?;
    tell("check_ms", millis(start.elapsed()));
    if report.keys != load.keys().len() as u64 {
        return Err(format!("{} keys are left of {}", report.keys, load.keys().len()).into());
    }
    let status = store.status()?;
    tell("pages_freed", progress.pages_freed as f64);
    tell("file_bytes_after", status.file_bytes as f64);
    tell("used_bytes_after", status.used_bytes as f64);
    Ok(())
}
