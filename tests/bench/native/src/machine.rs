//! The state of the machine, without which no figure of another run can be compared: how long one load takes that the next
//! one waits for. Neighbours on the same processor can make it ten times slower.

use std::hint::black_box;
use std::time::Instant;

use palimpsest_kv_bench_workload::{Outcome, Random, tell};

const LOADS: usize = 2_000_000;
/// Numbers in a cache line.
const STRIDE: usize = 16;

/// Times dependent loads within the first, the third and no level of a usual processor's caches.
///
/// # Errors
/// None on any machine that has the memory.
pub fn measure() -> Outcome<()> {
    for (name, bytes) in [("32_kib", 32 << 10), ("16_mib", 16 << 20), ("256_mib", 256 << 20)] {
        tell(&format!("dependent_load_{name}_ns"), dependent_load_nanos(bytes)?);
    }
    Ok(())
}

/// Walks a random cycle through all lines of so many bytes.
fn dependent_load_nanos(bytes: usize) -> Outcome<f64> {
    let lines = bytes / 64;
    let mut random = Random::default();
    let mut next: Vec<usize> = (0..lines).collect();
    for i in (1..lines).rev() {
        next.swap(i, random.below(i)); // never itself: one cycle through all (Sattolo)
    }
    let mut memory = vec![0u32; lines * STRIDE];
    for (line, &next) in next.iter().enumerate() {
        memory[line * STRIDE] = u32::try_from(next * STRIDE)?;
    }
    drop(next);
    let walk = |loads: usize| (0..loads).fold(0usize, |at, _| memory[at] as usize);
    black_box(walk(lines.min(LOADS)));
    let start = Instant::now();
    black_box(walk(LOADS));
    Ok(start.elapsed().as_nanos() as f64 / LOADS as f64)
}
