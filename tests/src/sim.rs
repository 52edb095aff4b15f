//! A clock that only tests move, and the loop that a host would run.

use std::cell::Cell;

use palimpsest_kv::storage::Storage;
use palimpsest_kv::{Budget, Clock, Next, Store, Time, WallTime};

/// What the calendar says when a [`SimClock`] is at 0, in milliseconds since 1970: some day in November 2023.
pub const CALENDAR_START: u64 = 1_700_000_000_000;

/// A clock that goes forward by the same amount each time it is looked at, so that a budget is a number of looks. Its calendar goes with it,
/// and can be set.
#[derive(Debug, Default)]
pub struct SimClock {
    now: Cell<u64>,
    calendar: Cell<u64>,
    has_calendar: bool,
    micros_per_look: u64,
    looks: Cell<u64>,
}

impl SimClock {
    /// A clock at 0 that goes forward by `micros` with each look.
    #[must_use]
    pub fn ticking(micros: u64) -> Self {
        Self {
            now: Cell::new(0),
            calendar: Cell::new(CALENDAR_START),
            has_calendar: true,
            micros_per_look: micros,
            looks: Cell::new(0),
        }
    }

    /// The same without a calendar: nothing ends by it.
    #[must_use]
    pub fn without_calendar(self) -> Self {
        Self { has_calendar: false, ..self }
    }

    /// Lets time pass until `time`, if that is later.
    pub fn advance_to(&self, time: Time) {
        self.now.set(self.now.get().max(time.as_micros()));
    }

    /// Lets time pass.
    pub fn advance(&self, micros: u64) {
        self.now.set(self.now.get().saturating_add(micros));
    }

    /// Sets the calendar, as people and networks do: forward or back.
    pub fn set_calendar(&self, wall: WallTime) {
        self.calendar.set(wall.as_millis().saturating_sub(self.now.get() / 1000));
    }

    /// What the calendar says.
    #[must_use]
    pub fn calendar(&self) -> WallTime {
        WallTime::from_millis(self.calendar.get() + self.now.get() / 1000)
    }

    /// The present moment, without a look.
    #[must_use]
    pub fn peek(&self) -> Time {
        Time::from_micros(self.now.get())
    }

    /// What it would say after so many more looks.
    #[must_use]
    pub fn after_looks(&self, looks: u64) -> Time {
        Time::from_micros(self.now.get() + looks * self.micros_per_look)
    }

    /// How often the clock was looked at.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.looks.get()
    }
}

impl Clock for SimClock {
    fn now(&self) -> Time {
        let now = self.peek();
        self.advance(self.micros_per_look);
        self.looks.set(self.looks.get() + 1);
        now
    }

    fn wall(&self) -> Option<WallTime> {
        self.has_calendar.then(|| self.calendar())
    }
}

/// Whether a store that wants to be called again later only waits for leases, pins or times of retention to end, or to tell watchers how far it is.
///
/// # Errors
/// Those of [`Store::status`].
pub fn is_at_rest<S: Storage>(store: &Store<S>) -> palimpsest_kv::Result<bool> {
    let status = store.status()?;
    let waits = status.leases + status.watchers + status.pins + status.retention_rules > 0;
    Ok(waits
        && !status.is_compacting
        && status.finished == status.scheduled
        && status.durable_revision == status.revision)
}

/// Calls [`Store::run`] as a host would until the store has nothing to do, and tells how often that was.
///
/// # Panics
/// If the store fails, or asks for ever to be called again.
pub fn run_until_idle<S: Storage>(store: &mut Store<S>, clock: &SimClock, budget: Budget) -> u64 {
    try_run_until_idle(store, clock, budget).expect("background work succeeds")
}

/// As [`run_until_idle`], where the store may fail.
///
/// # Errors
/// The store's.
///
/// # Panics
/// If the store asks for ever to be called again.
pub fn try_run_until_idle<S: Storage>(
    store: &mut Store<S>,
    clock: &SimClock,
    budget: Budget,
) -> palimpsest_kv::Result<u64> {
    let records = store.status()?.records;
    // Twice a run for each record, and some for checkpoints: far more than any compaction needs that advances at all.
    let patience = 1_000 + 2 * records;
    for calls in 1..=patience {
        match store.run(clock, budget)? {
            Next::Now => {}
            Next::At(_) if is_at_rest(store)? => return Ok(calls),
            Next::At(time) => clock.advance_to(time),
            Next::Idle => return Ok(calls),
        }
    }
    panic!("the store still asks for time after {patience} runs of {budget:?}: {:?}", store.status());
}
