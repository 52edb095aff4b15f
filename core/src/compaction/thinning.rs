//! History that gets thinner with age: everything of the last while, then one revision an hour, then one a day.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::error::{Error, Result};
use crate::scheduler::WallTime;

/// Nothing is looked at more often than this.
const LEAST_INTERVAL: Duration = Duration::from_millis(10);
/// The revisions are sampled at least this often.
const MOST_INTERVAL: Duration = Duration::from_mins(10);
/// The revisions are sampled so often in the time of which everything is kept.
const SAMPLES: u32 = 20;
/// What the names of its pins begin with.
pub(crate) const MARK: &str = "$thinning/";
/// Revisions that a step may keep at once.
const MOST_PINS: u128 = 1_000;

/// Which history a store keeps as it gets older: every revision of the last while, then one of each interval for some time, and so on; what is
/// older than all of that goes.
///
/// Each interval begins at a multiple of it in the calendar's time, and what is kept of it is the revision that is the newest when the store
/// looks for the first time after that: in a store that runs, within a twentieth of the shortest interval and of the time of which everything
/// is kept, and within ten minutes; in one that was closed, when it is opened. The store pins these revisions, by names that
/// begin with `$thinning/`, and compacts by itself. It goes by the calendar: one that is wrongly ahead makes everything look old.
///
/// ```
/// use core::time::Duration;
/// use palimpsest_kv::{Options, Thinning};
///
/// let hour = Duration::from_hours(1);
/// let thinning = Thinning::keep_all_for(hour).then_one_every(hour, 24 * hour).then_one_every(24 * hour, 30 * 24 * hour);
/// assert_eq!(thinning, Thinning::default());
/// let options = Options { thinning: Some(thinning), ..Options::default() };
/// options.validate()?;
/// # Ok::<(), palimpsest_kv::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thinning {
    all_for: Duration,
    steps: Vec<Step>,
}

/// One revision of each interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    every: Duration,
    keep_for: Duration,
}

/// A revision that is to be pinned now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) name: String,
    pub(crate) expires: WallTime,
}

impl Default for Thinning {
    /// Every revision of the last hour, one an hour for a day, one a day for 30 days.
    fn default() -> Self {
        let (hour, day) = (Duration::from_hours(1), Duration::from_hours(24));
        Self::keep_all_for(hour).then_one_every(hour, day).then_one_every(day, 30 * day)
    }
}

impl Thinning {
    /// Every revision that was the newest within this time.
    #[must_use]
    pub const fn keep_all_for(time: Duration) -> Self {
        Self { all_for: time, steps: Vec::new() }
    }

    /// And one of each interval, until it is so old.
    #[must_use]
    pub fn then_one_every(mut self, interval: Duration, keep_for: Duration) -> Self {
        self.steps.push(Step { every: interval, keep_for });
        self
    }

    /// How long everything is kept.
    pub(crate) fn all_for(&self) -> Duration {
        self.all_for
    }

    /// # Errors
    /// [`Error::InvalidOption`].
    pub(crate) fn validate(&self) -> Result<()> {
        let invalid = |reason: String| Err(Error::InvalidOption { option: "thinning", reason });
        if self.all_for < LEAST_INTERVAL {
            return invalid(format!("everything is to be kept for {:?} only", self.all_for));
        }
        for Step { every, keep_for } in &self.steps {
            if *every < LEAST_INTERVAL || keep_for < every {
                return invalid(format!("one every {every:?} can't be kept for {keep_for:?}"));
            }
            if keep_for.as_millis() / every.as_millis().max(1) > MOST_PINS {
                return invalid(format!("one every {every:?} for {keep_for:?} is more than {MOST_PINS}"));
            }
        }
        Ok(())
    }

    /// How often it is to be looked at.
    pub(crate) fn interval(&self) -> Duration {
        let shortest = self.steps.iter().map(|step| step.every).min().unwrap_or(MOST_INTERVAL);
        (self.all_for / SAMPLES).min(shortest / SAMPLES).clamp(LEAST_INTERVAL, MOST_INTERVAL)
    }

    /// How long what is pinned is kept at most.
    pub(crate) fn longest(&self) -> Duration {
        self.steps.iter().map(|step| step.keep_for).max().unwrap_or_default()
    }

    /// The pins that the present intervals are to have.
    pub(crate) fn marks(&self, now: WallTime) -> impl Iterator<Item = Mark> + '_ {
        self.steps.iter().map(move |Step { every, keep_for }| {
            let every = u64::try_from(every.as_millis()).unwrap_or(u64::MAX).max(1);
            let place = now.as_millis() / every;
            Mark { name: format!("{MARK}{every}/{place}"), expires: now.after(*keep_for) }
        })
    }
}
