//! The scenario of leases that end all at once.

use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use palimpsest_kv::{LeaseId, Next, Put, Store};
use palimpsest_kv_bench_workload::{Outcome, Samples, millis, tell};

use crate::host::{BUDGET, Leaping};
use crate::medium::{InMemory, Medium};
use crate::relaxed;

/// Grants so many leases, each with a key, lets them all end, and times the steps in which they do.
///
/// # Errors
/// Those of the store, and a key that is left.
pub fn measure(leases: u64) -> Outcome<()> {
    let mut store = Store::open(InMemory.fresh()?, relaxed())?;
    let clock = Leaping::default();
    let start = Instant::now();
    for number in 1..=leases {
        let id = LeaseId::new(number).ok_or("a lease needs a number")?;
        store.grant_lease_as(id, Duration::from_secs(60))?;
        store.put_with(&Put::new(format!("leased/{number}"), "value").lease(id))?;
        if number % 64 == 0 {
            let _next = store.run(&clock, BUDGET)?;
        }
    }
    tell("lease_grant_and_put_per_s", leases as f64 / start.elapsed().as_secs_f64());
    while store.run(&clock, BUDGET)?.is_ready() {}
    clock.leap(Duration::from_secs(61 + start.elapsed().as_secs()));
    let (mut steps, mut on_cpu) = (Samples::default(), Samples::default());
    let start = Instant::now();
    while store.status()?.leases > 0 {
        let (step, cpu) = (Instant::now(), ThreadTime::try_now()?);
        let next = store.run(&clock, BUDGET)?;
        steps.add(step.elapsed());
        on_cpu.add(cpu.try_elapsed()?);
        if next == Next::Idle {
            return Err("the store fell idle before all leases had ended".into());
        }
    }
    tell("lease_expiry_ms", millis(start.elapsed()));
    tell("lease_expiry_longest_step_ms", millis(steps.longest()));
    tell("lease_expiry_longest_step_on_cpu_ms", millis(on_cpu.longest()));
    if store.status()?.live_keys > 0 {
        return Err("a key has outlived its lease".into());
    }
    store.check()?;
    Ok(())
}
