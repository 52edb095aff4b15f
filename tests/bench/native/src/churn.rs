//! The scenario of a store that is written to for ever: so many revisions are kept, and neither file nor memory may grow.

use std::fs;
use std::time::Duration;

use palimpsest_kv::{AutoCompaction, Next, Options, Revision, Store};
use palimpsest_kv_bench_workload::{KEY_BYTES, Load, Outcome, VALUE_BYTES, tell, tell_rate, timed};

use crate::host::{BUDGET, Leaping};
use crate::medium::Medium;
use crate::{PUTS_PER_TURN, relaxed};

/// Parts that the churn is told in.
const PARTS: usize = 10;
/// How often automatic compaction counts the revisions.
const COUNTING: Duration = Duration::from_mins(5);
/// Puts in that time.
const PUTS_PER_COUNTING: usize = 10_000;

/// Puts every key once, and then all of the load's puts, with automatic compaction to `retained` revisions ago; tells how large the file was at
/// most, against the bytes of keys and values that must be there, and how the memory went.
///
/// # Errors
/// Those of the store.
pub fn measure<M: Medium>(medium: &M, load: &Load, retained: u64) -> Outcome<()> {
    // A cache much smaller than the store, so that the memory tells of the engine.
    let options = Options {
        auto_compaction: AutoCompaction::Revisions(retained),
        compaction_pause: Duration::ZERO,
        cache_bytes: 16 << 20,
        ..relaxed()
    };
    let mut store = Store::open(medium.fresh()?, options)?;
    let clock = Leaping::default();
    for (key, value) in load.keys().iter().zip((0..).map(|put| load.value(put))) {
        store.put(key, value)?;
    }
    let mut most: f64 = 0.0;
    let part = load.len() / PARTS;
    let (_, took) = timed(|| {
        for (i, (key, value)) in load.puts().enumerate() {
            store.put(key, value)?;
            if i % PUTS_PER_COUNTING == 0 {
                clock.leap(COUNTING);
            }
            if i % PUTS_PER_TURN == 0 {
                let _next: Next = store.run(&clock, BUDGET)?;
                let status = store.status()?;
                // Every revision since the compacted one can be read: a live key's newest version, or one that was replaced since.
                let oldest = status.compacted.map_or(load.keys().len() as u64, Revision::get);
                let history = status.revision.get() - oldest;
                let bytes = (status.live_keys + history) * (KEY_BYTES + VALUE_BYTES) as u64;
                most = most.max(status.file_bytes as f64 / bytes as f64);
            }
            if i % part == part - 1 {
                let name = format!("churn_{}0_percent", i / part + 1);
                let status = store.status()?;
                tell(&format!("{name}_file_bytes"), status.file_bytes as f64);
                tell(&format!("{name}_used_bytes"), status.used_bytes as f64);
                if let Some(bytes) = resident_bytes() {
                    tell(&format!("{name}_memory_bytes"), bytes as f64);
                }
            }
        }
        Ok(())
    })?;
    tell_rate("churn_put_per_s", (load.len(), took));
    tell("churn_file_per_kept_bytes_at_most", most);
    store.check()?;
    Ok(())
}

/// What the process holds in memory, where the system tells.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}
