//! Cooperative background work: the words in which the host and the engine agree when and for how long it runs.
//!
//! The engine has no thread and no clock. The host calls [`Store::run`](crate::Store::run) from its own loop with a
//! [`Clock`] and a [`Budget`]; the engine works until the budget is used up or nothing is left to do, looking at the
//! clock between units of work that are about a page each, and answers with [`Next`]: when it wants to be called again.
//! The same calls with the same clock give the same run, so hours of operation can be simulated in seconds.

use core::time::Duration;

/// A moment, in microseconds since a start of the host's choosing. Only differences matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The moment `micros` microseconds after the start.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the start.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The moment `duration` later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }

    /// The time from `earlier` to `self`, zero if it is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// A moment by the calendar, in milliseconds since the beginning of 1970 (UTC), leap seconds not counted.
///
/// Calendars are set by hand and by networks, so it may go back. It tells when something was written and when something is to
/// end though the program does not run meanwhile; nothing is measured by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(u64);

impl WallTime {
    /// The moment so many milliseconds after the beginning of 1970.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the beginning of 1970.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The moment `duration` later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The moment `duration` earlier, or the beginning of 1970.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Where the engine reads the time.
pub trait Clock {
    /// The present moment: never going back, in microseconds.
    fn now(&self) -> Time;

    /// The present moment by the calendar; `None` where nobody knows.
    fn wall(&self) -> Option<WallTime> {
        None
    }
}

impl<F: Fn() -> Time> Clock for F {
    fn now(&self) -> Time {
        self()
    }
}

/// How long one call of [`Store::run`](crate::Store::run) may work.
///
/// ```
/// use palimpsest_kv::Budget;
/// assert_eq!(Budget::millis(2), Budget::micros(2_000));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget(Duration);

impl Budget {
    /// A budget in milliseconds.
    #[must_use]
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// A budget in microseconds.
    #[must_use]
    pub const fn micros(micros: u64) -> Self {
        Self(Duration::from_micros(micros))
    }

    /// The budget as a duration.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

/// When the engine wants [`Store::run`](crate::Store::run) to be called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the host must call run again when Next says"]
pub enum Next {
    /// As soon as the host has seen to its other work.
    Now,
    /// Not before this moment.
    At(Time),
    /// Not until something was written or asked for.
    Idle,
}

impl Next {
    /// Whether there is work that can be done at once.
    #[must_use]
    pub const fn is_ready(self) -> bool {
        matches!(self, Self::Now)
    }

    /// The earlier of two.
    pub fn earlier(self, other: Self) -> Self {
        match (self, other) {
            (Self::Now, _) | (_, Self::Now) => Self::Now,
            (Self::At(a), Self::At(b)) => Self::At(a.min(b)),
            (Self::At(a), Self::Idle) | (Self::Idle, Self::At(a)) => Self::At(a),
            (Self::Idle, Self::Idle) => Self::Idle,
        }
    }
}

/// A budget that has begun to run: what a unit of work asks before the next one.
pub(crate) struct Deadline<'a, C: Clock> {
    clock: &'a C,
    end: Time,
}

impl<'a, C: Clock> Deadline<'a, C> {
    pub(crate) fn start(clock: &'a C, budget: Budget) -> Self {
        Self { clock, end: clock.now().after(budget.duration()) }
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// What the calendar says.
    pub(crate) fn wall(&self) -> Option<WallTime> {
        self.clock.wall()
    }

    pub(crate) fn has_passed(&self) -> bool {
        self.clock.now() >= self.end
    }
}

/// The system's clocks: the monotonic one, and the calendar.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: std::time::Instant,
}

#[cfg(feature = "std")]
impl SystemClock {
    /// A clock that starts now.
    #[must_use]
    pub fn new() -> Self {
        Self { start: std::time::Instant::now() }
    }
}

#[cfg(feature = "std")]
impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "std")]
impl Clock for SystemClock {
    fn now(&self) -> Time {
        Time::from_micros(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn wall(&self) -> Option<WallTime> {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(WallTime::from_millis(u64::try_from(since.as_millis()).ok()?))
    }
}
