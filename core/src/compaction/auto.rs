//! Compaction that asks for itself: to what was the newest revision some time ago, or to so many revisions ago.
//!
//! The algorithms are etcd's (`server/etcdserver/api/v3compactor/periodic.go` and `revision.go`), on the host's clock.

use alloc::collections::VecDeque;
use core::time::Duration;

use crate::scheduler::Time;

/// The revision is sampled so often within a period, or within an hour of a longer one.
const SAMPLES: u32 = 10;
/// After the first period a longer one is compacted to its end this often.
const LONGEST_INTERVAL: Duration = Duration::from_hours(1);
/// How often the revisions are counted.
const COUNTING_INTERVAL: Duration = Duration::from_mins(5);
/// A shorter period would be sampled more often than a clock can tell.
const SHORTEST_PERIOD: Duration = Duration::from_micros(SAMPLES as u64);

/// Which history a store gives up by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AutoCompaction {
    /// None: only [`Store::compact`](crate::Store::compact) compacts.
    #[default]
    Off,
    /// What is older than this duration. The revision is sampled ten times in it; the first compaction comes after one whole
    /// duration, later ones every hour, or every duration if that is shorter. What was sampled is forgotten when the store is closed.
    Periodic(Duration),
    /// What is more than so many revisions ago, looked at every five minutes.
    Revisions(u64),
}

impl AutoCompaction {
    /// Whether it is a duration or a number of nothing, which is as good as off.
    fn is_off(self) -> bool {
        match self {
            Self::Off | Self::Revisions(0) => true,
            Self::Periodic(period) => period < SHORTEST_PERIOD,
            Self::Revisions(_) => false,
        }
    }
}

/// The policy at work. Invariant: there are at most as many samples as a period is long, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Auto {
    policy: AutoCompaction,
    /// When it is looked at next; unknown before the first look.
    next: Option<Time>,
    samples: VecDeque<u64>,
    last_success: Option<Time>,
    has_compacted: bool,
    /// The revision that was last compacted to.
    last_revision: u64,
}

impl Auto {
    pub(crate) fn new(policy: AutoCompaction) -> Self {
        let policy = if policy.is_off() { AutoCompaction::Off } else { policy };
        Self { policy, ..Self::default() }
    }

    pub(crate) fn is_off(&self) -> bool {
        self.policy == AutoCompaction::Off
    }

    /// When it wants to be asked; `None` if it is off or was never asked.
    pub(crate) fn next(&self) -> Option<Time> {
        self.next
    }

    /// Looks at the newest revision, if it is time for that. Answers with the revision to compact to, if there is one.
    pub(crate) fn look(&mut self, now: Time, newest: u64) -> Option<u64> {
        let interval = match self.policy {
            AutoCompaction::Off => return None,
            AutoCompaction::Periodic(period) => period.min(LONGEST_INTERVAL) / SAMPLES,
            AutoCompaction::Revisions(_) => COUNTING_INTERVAL,
        };
        let Some(next) = self.next else {
            self.next = Some(now.after(interval));
            self.last_success = Some(now);
            self.sample(newest);
            return None;
        };
        if now < next {
            return None;
        }
        self.next = Some(now.after(interval));
        let due = match self.policy {
            AutoCompaction::Off => None,
            AutoCompaction::Periodic(period) => {
                let due = self.due(period, now);
                self.sample(newest);
                due
            }
            AutoCompaction::Revisions(count) => newest.checked_sub(count).filter(|revision| *revision > 0),
        };
        due.filter(|revision| *revision != self.last_revision)
    }

    /// The oldest sample, if the last compaction is long enough ago.
    fn due(&self, period: Duration, now: Time) -> Option<u64> {
        let base = if self.has_compacted { period.min(LONGEST_INTERVAL) } else { period };
        let is_early = self.last_success.is_some_and(|success| now.since(success) < base);
        if is_early { None } else { self.samples.front().copied() }
    }

    /// Notes the newest revision of now, and forgets that of more than one period ago.
    fn sample(&mut self, newest: u64) {
        let AutoCompaction::Periodic(period) = self.policy else { return };
        let interval = period.min(LONGEST_INTERVAL) / SAMPLES;
        let most = usize::try_from(period.as_micros() / interval.as_micros().max(1)).unwrap_or(usize::MAX);
        self.samples.push_back(newest);
        while self.samples.len() > most.saturating_add(1) {
            self.samples.pop_front();
        }
    }

    /// Notes that the store is compacted to a revision that was asked for by [`Auto::look`].
    pub(crate) fn compacted(&mut self, now: Time, revision: u64) {
        self.last_success = Some(now);
        self.last_revision = revision;
        self.has_compacted = true;
    }
}
