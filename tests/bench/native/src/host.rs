//! A host's event loop: it gives the store its turns when the store wants them, and times every one.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use palimpsest_kv::storage::Storage;
use palimpsest_kv::{Budget, Clock, Next, Store, SystemClock, Time, WallTime};
use palimpsest_kv_bench_workload::{Outcome, Samples};

/// The budget of one step.
pub const BUDGET: Budget = Budget::millis(2);

/// The system's clock, with leaps.
#[derive(Debug, Default)]
pub struct Leaping {
    clock: SystemClock,
    ahead: Cell<Duration>,
}

impl Leaping {
    /// Lets so much time pass at once.
    pub fn leap(&self, duration: Duration) {
        self.ahead.set(self.ahead.get() + duration);
    }
}

impl Clock for Leaping {
    fn now(&self) -> Time {
        self.clock.now().after(self.ahead.get())
    }

    fn wall(&self) -> Option<WallTime> {
        Some(self.clock.wall()?.after(self.ahead.get()))
    }
}

/// The loop's state between two turns.
#[derive(Debug)]
pub struct Host {
    clock: SystemClock,
    next: Next,
    /// How long the steps took.
    pub steps: Samples,
    /// How long they were on the processor: less than they took where other programs wanted it too.
    pub steps_on_cpu: Samples,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            clock: SystemClock::new(),
            next: Next::Now,
            steps: Samples::default(),
            steps_on_cpu: Samples::default(),
        }
    }
}

impl Host {
    /// Runs one step if the store wants one now. An idle store is asked again, because it may have been written to.
    ///
    /// # Errors
    /// Those of the store.
    pub fn turn<S: Storage>(&mut self, store: &mut Store<S>) -> Outcome<()> {
        if self.is_due() { self.step(store) } else { Ok(()) }
    }

    /// Runs one step.
    ///
    /// # Errors
    /// Those of the store.
    pub fn step<S: Storage>(&mut self, store: &mut Store<S>) -> Outcome<()> {
        let (start, start_on_cpu) = (Instant::now(), ThreadTime::try_now()?);
        self.next = store.run(&self.clock, BUDGET)?;
        self.steps.add(start.elapsed());
        self.steps_on_cpu.add(start_on_cpu.try_elapsed()?);
        Ok(())
    }

    /// Whether the store wants its turn.
    #[must_use]
    pub fn is_due(&self) -> bool {
        match self.next {
            Next::At(time) => time <= self.clock.now(),
            Next::Now | Next::Idle => true,
        }
    }

    /// Sleeps until the store wants its turn.
    pub fn wait(&self) {
        if let Next::At(time) = self.next {
            thread::sleep(time.since(self.clock.now()));
        }
    }

    /// Whether the store said that it has nothing left to do.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.next == Next::Idle
    }
}
