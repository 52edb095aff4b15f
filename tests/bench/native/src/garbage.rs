//! The scenario that shows what the cost of a compaction follows: the same number of dead records in stores that keep ever more.

use cpu_time::ThreadTime;
use palimpsest_kv::{Keys, Options, Store};
use palimpsest_kv_bench_workload::{Load, Outcome, millis, tell};

use crate::host::Host;
use crate::medium::{InMemory, Medium};
use crate::{PUTS_PER_TURN, compaction, relaxed};

/// Records that die, whatever the store keeps.
pub const DEAD: usize = 10_000;

/// Which keys are written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overwritten {
    /// Those that were written last: the dead lie together, as those of keys that change often do.
    Newest,
    /// Some of all keys, in groups of neighbours: about as many pages are copied in a small store as in a large one.
    Grouped,
    /// Some of all keys: hardly two of the dead share a page where there are pages enough, so that a larger store has more of them copied.
    Scattered,
}

/// Neighbours in a group.
const GROUP: usize = 8;

/// Compacts [`DEAD`] records in stores of each of these numbers of keys, and tells the curves: milliseconds, and how they compare with those of
/// the smallest store.
///
/// # Errors
/// Those of the store.
pub fn measure(sizes: &[usize]) -> Outcome<()> {
    let kinds = [
        ("together", Overwritten::Newest),
        ("grouped", Overwritten::Grouped),
        ("scattered", Overwritten::Scattered),
    ];
    curve("looked_up", sizes, looked_up)?;
    kinds.into_iter().try_for_each(|(name, which)| curve(name, sizes, |keys| compacted_once(keys, which)))
}

/// Tells how long something takes in stores of these numbers of keys: of three times each, the shortest on the processor, since what is
/// compared is work, and not the neighbours of the machine.
fn curve(name: &str, sizes: &[usize], work: impl Fn(usize) -> Outcome<f64>) -> Outcome<()> {
    let (mut first, mut most) = (None, 1.0_f64);
    for keys in sizes {
        let mut took = f64::INFINITY;
        for _ in 0..3 {
            took = took.min(work(*keys)?);
        }
        tell(&format!("dead_{name}_in_{keys}_ms"), took);
        let times = took / *first.get_or_insert(took);
        tell(&format!("dead_{name}_in_{keys}_times"), times);
        most = most.max(times);
    }
    tell(&format!("dead_{name}_times_at_most"), most);
    Ok(())
}

/// What it takes only to find the keys of the dead in the index, one by one: how much further away the memory of a large store is.
fn looked_up(keys: usize) -> Outcome<f64> {
    let load = Load::new(keys, keys)?;
    let store = written(&load, Overwritten::Newest)?;
    let dead: Vec<&[u8]> = load.puts().map(|(key, _)| key).skip(keys - DEAD).collect();
    let start = ThreadTime::try_now()?;
    let mut found = 0;
    for key in &dead {
        found += store.range(Keys::one(key)).count()?;
    }
    let took = millis(start.try_elapsed()?);
    if found != DEAD as u64 {
        return Err(format!("{found} keys were found of {DEAD}").into());
    }
    Ok(took)
}

fn compacted_once(keys: usize, which: Overwritten) -> Outcome<f64> {
    let mut store = written(&Load::new(keys, keys)?, which)?;
    store.compact(store.revision())?;
    let mut host = Host::default();
    compaction::unpaced(&mut store, &mut host)?;
    Ok(millis(host.steps_on_cpu.total()))
}

/// A store of a load in which [`DEAD`] keys were written again, with nothing left to do.
fn written(load: &Load, which: Overwritten) -> Outcome<Store<<InMemory as Medium>::Storage>> {
    let options = Options {
        compaction_pause: std::time::Duration::ZERO,
        compaction_batch_limit: usize::MAX,
        ..relaxed()
    };
    let mut store = Store::open(InMemory.fresh()?, options)?;
    let mut host = Host::default();
    let newest: Vec<(&[u8], &[u8])> = load.puts().collect();
    let (step, group) = match which {
        Overwritten::Newest => (1, 1),
        Overwritten::Grouped => (newest.len() / DEAD * GROUP, GROUP),
        Overwritten::Scattered => (newest.len() / DEAD, 1),
    };
    let parts = newest.rchunks(step.max(1));
    let mut again: Vec<_> = parts.flat_map(|part| part.iter().rev().take(group)).take(DEAD).collect();
    again.reverse();
    for (i, (key, value)) in newest.iter().chain(again).enumerate() {
        store.put(key, value)?;
        if i % PUTS_PER_TURN == 0 {
            host.turn(&mut store)?;
        }
    }
    store.checkpoint()?;
    while !host.is_idle() {
        host.wait();
        host.step(&mut store)?;
    }
    let dead = store.status()?.dead_records;
    if dead != DEAD as u64 {
        return Err(format!("{dead} records are dead in place of {DEAD}").into());
    }
    Ok(store)
}
