//! The scenario that shows what pins cost a compaction: the same store is compacted at its head with pins and without.

use palimpsest_kv::{Options, Store};
use palimpsest_kv_bench_workload::{Load, Outcome, millis, tell};

use crate::host::Host;
use crate::medium::{InMemory, Medium};
use crate::{PUTS_PER_TURN, compaction, relaxed};

/// Pins of the stores that have many.
const PINS: u64 = 1_000;
/// Each store is made and compacted so often; the shortest time on the processor counts: what is compared is work, not the neighbours of the
/// machine.
const ROUNDS: usize = 3;

/// Which revisions are pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pinned {
    /// None.
    Nothing,
    /// The one in the middle: nearly everything is removed around it.
    One,
    /// Neighbours in the middle: the same, and each is looked at.
    Together,
    /// Some of all: nearly everything is held.
    Spread,
}

/// Compacts stores with pins and one without, taking turns, and tells the times and how they compare with that of the one without.
///
/// # Errors
/// Those of the store, and a compaction that removed what a pin sees.
pub fn measure(load: &Load) -> Outcome<()> {
    let kinds = [
        ("none", Pinned::Nothing),
        ("one", Pinned::One),
        ("together", Pinned::Together),
        ("spread", Pinned::Spread),
    ];
    let mut shortest = [f64::INFINITY; 4];
    for _ in 0..ROUNDS {
        for ((_, pinned), shortest) in kinds.iter().zip(&mut shortest) {
            *shortest = shortest.min(compacted(load, *pinned)?);
        }
    }
    let [without, ..] = shortest;
    let mut most = 0.0_f64;
    for ((name, pinned), took) in kinds.iter().zip(shortest) {
        tell(&format!("pins_{name}_compaction_ms"), took);
        if *pinned != Pinned::Nothing {
            tell(&format!("pins_{name}_times"), took / without);
            most = most.max(took / without);
        }
    }
    tell("pins_times_at_most", most);
    Ok(())
}

fn compacted(load: &Load, pinned: Pinned) -> Outcome<f64> {
    let options = Options {
        compaction_pause: std::time::Duration::ZERO,
        compaction_batch_limit: usize::MAX,
        ..relaxed()
    };
    let mut store = Store::open(InMemory.fresh()?, options)?;
    let mut host = Host::default();
    for (i, (key, value)) in load.puts().enumerate() {
        store.put(key, value)?;
        if i % PUTS_PER_TURN == 0 {
            host.turn(&mut store)?;
        }
    }
    let newest = store.revision().get();
    let (first, step, count) = match pinned {
        Pinned::Nothing => (newest, 1, 0),
        Pinned::One => (newest / 2, 1, 1),
        Pinned::Together => (newest / 2, 1, PINS),
        Pinned::Spread => (newest / PINS, newest / PINS, PINS - 1),
    };
    let counts = (0..count)
        .map(|pin| {
            let revision = first + pin * step;
            store.pin(&format!("pin{pin}"), revision)?;
            Ok(store.range(palimpsest_kv::Keys::all()).at(revision).count()?)
        })
        .collect::<Outcome<Vec<u64>>>()?;
    store.checkpoint()?;
    while !host.is_idle() {
        host.wait();
        host.step(&mut store)?;
    }
    store.compact(newest)?;
    let mut host = Host::default();
    compaction::unpaced(&mut store, &mut host)?;
    store.check()?;
    for (pin, before) in (0..count).zip(counts) {
        if store.range(palimpsest_kv::Keys::all()).at(first + pin * step).count()? != before {
            return Err(format!("the compaction has removed what pin {pin} sees").into());
        }
    }
    Ok(millis(host.steps_on_cpu.total()))
}
