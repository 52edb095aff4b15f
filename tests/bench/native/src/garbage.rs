//! The scenario that shows what the cost of a compaction follows: the same number of dead records in stores that keep ever more.

use palimpsest_kv::{Options, Store};
use palimpsest_kv_bench_workload::{Load, Outcome, millis, tell, timed};

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
    /// Some of all keys: hardly two of the dead share a page.
    Scattered,
}

/// Compacts [`DEAD`] records in stores of each of these numbers of keys, and tells the curves: milliseconds, and how they compare with those of
/// the smallest store.
///
/// # Errors
/// Those of the store.
pub fn measure(sizes: &[usize]) -> Outcome<()> {
    for (name, which) in [("together", Overwritten::Newest), ("scattered", Overwritten::Scattered)] {
        let (mut first, mut most) = (None, 1.0_f64);
        for keys in sizes {
            let took = compacted(*keys, which)?;
            tell(&format!("dead_{name}_in_{keys}_ms"), took);
            let times = took / *first.get_or_insert(took);
            tell(&format!("dead_{name}_in_{keys}_times"), times);
            most = most.max(times);
        }
        tell(&format!("dead_{name}_times_at_most"), most);
    }
    Ok(())
}

/// The shortest of three, each in a store of its own: what is compared is work, not the neighbours of the machine.
fn compacted(keys: usize, which: Overwritten) -> Outcome<f64> {
    let mut shortest = f64::INFINITY;
    for _ in 0..3 {
        shortest = shortest.min(compacted_once(keys, which)?);
    }
    Ok(shortest)
}

fn compacted_once(keys: usize, which: Overwritten) -> Outcome<f64> {
    let load = Load::new(keys, keys)?;
    let options = Options {
        compaction_pause: std::time::Duration::ZERO,
        compaction_batch_limit: usize::MAX,
        ..relaxed()
    };
    let mut store = Store::open(InMemory.fresh()?, options)?;
    let mut host = Host::default();
    let newest: Vec<(&[u8], &[u8])> = load.puts().collect();
    let step = match which {
        Overwritten::Newest => 1,
        Overwritten::Scattered => (keys / DEAD).max(1),
    };
    let again = newest.iter().rev().step_by(step).take(DEAD).rev();
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
    store.compact(store.revision())?;
    let mut host = Host::default();
    let (_, took) = timed(|| compaction::unpaced(&mut store, &mut host))?;
    Ok(millis(took))
}
