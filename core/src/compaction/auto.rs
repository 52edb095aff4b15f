//! Compaction that asks for itself: to what was the newest revision some time ago, or to so many revisions ago.
//!
//! The algorithms are etcd's (`server/etcdserver/api/v3compactor/periodic.go` and `revision.go`), on the host's clock. What goes beyond
//! them: where the store knows the times of its revisions, the window of a period begins with those, and so outlives a restart; and
//! both policies can be on.

use alloc::collections::VecDeque;
use core::time::Duration;

use crate::scheduler::{Time, WallTime};
use crate::times::Times;

/// The revision is sampled so often within a period, or within an hour of a longer one.
const SAMPLES: u32 = 10;
/// After the first period a longer one is compacted to its end this often.
const LONGEST_INTERVAL: Duration = Duration::from_hours(1);
/// How often the revisions are counted.
const COUNTING_INTERVAL: Duration = Duration::from_mins(5);
/// A shorter period would be sampled more often than a clock can tell.
const SHORTEST_PERIOD: Duration = Duration::from_micros(SAMPLES as u64);
/// So many samples are taken from the times that are known, which is those of 416 days.
const MOST_SAMPLES: u32 = 100_000;

/// Which history a store gives up by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AutoCompaction {
    /// None: only [`Store::compact`](crate::Store::compact) compacts.
    #[default]
    Off,
    /// What is older than this duration. The revision is sampled ten times in it; the first compaction comes after one whole
    /// duration, later ones every hour, or every duration if that is shorter. The time before the store was opened counts, where the
    /// clock knows the calendar.
    Periodic(Duration),
    /// What is more than so many revisions ago, looked at every five minutes.
    Revisions(u64),
    /// What is both older than this duration and more than so many revisions ago. A duration or a number of nothing is no condition.
    Both {
        /// As of [`AutoCompaction::Periodic`].
        period: Duration,
        /// As of [`AutoCompaction::Revisions`].
        revisions: u64,
    },
}

/// What a policy looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look<'a> {
    pub(crate) now: Time,
    pub(crate) newest: u64,
    /// The moment by the calendar, if it is known.
    pub(crate) wall: Option<WallTime>,
    pub(crate) times: &'a Times,
}

/// The policy at work.
#[derive(Debug, Default)]
pub(crate) struct Auto {
    periodic: Option<Periodic>,
    counting: Option<Counting>,
    /// The revision that was last compacted to.
    last_revision: u64,
}

impl Auto {
    pub(crate) fn new(policy: AutoCompaction) -> Self {
        let (period, count) = match policy {
            AutoCompaction::Off => (Duration::ZERO, 0),
            AutoCompaction::Periodic(period) => (period, 0),
            AutoCompaction::Revisions(count) => (Duration::ZERO, count),
            AutoCompaction::Both { period, revisions } => (period, revisions),
        };
        Self {
            periodic: (period >= SHORTEST_PERIOD).then(|| Periodic::new(period)),
            counting: (count > 0).then(|| Counting { count, ..Counting::default() }),
            last_revision: 0,
        }
    }

    pub(crate) fn is_off(&self) -> bool {
        self.periodic.is_none() && self.counting.is_none()
    }

    /// When it wants to be asked; `None` if it is off or was never asked.
    pub(crate) fn next(&self) -> Option<Time> {
        let periodic = self.periodic.as_ref().and_then(|periodic| periodic.next);
        let counting = self.counting.as_ref().and_then(|counting| counting.next);
        periodic.into_iter().chain(counting).min()
    }

    /// Looks at the newest revision, if it is time for that. Answers with the revision to compact to, if there is one: the earliest of
    /// those that the policies allow.
    pub(crate) fn look(&mut self, look: &Look<'_>) -> Option<u64> {
        let periodic = self.periodic.as_mut().map(|periodic| (periodic.look(look), periodic.allowed));
        let counting = self.counting.as_mut().map(|counting| (counting.look(look), counting.allowed));
        let looks: [Option<(Looked, Option<u64>)>; 2] = [periodic, counting];
        let has_looked = looks.iter().flatten().any(|(looked, _)| *looked == Looked::Now);
        // A policy that does not allow anything yet is less than any revision.
        let allowed = looks.into_iter().flatten().map(|(_, allowed)| allowed).min().flatten();
        allowed.filter(|revision| has_looked && *revision != self.last_revision)
    }

    /// Notes that the store is compacted to a revision that was asked for by [`Auto::look`].
    pub(crate) fn compacted(&mut self, now: Time, revision: u64) {
        self.last_revision = revision;
        if let Some(periodic) = &mut self.periodic {
            periodic.compacted(now);
        }
    }
}

/// Whether it was time to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looked {
    Now,
    NotYet,
}

/// Keeps what is younger than a period. Invariant: there are at most as many samples as a period is long, oldest first.
#[derive(Debug)]
struct Periodic {
    period: Duration,
    /// When it is looked at next; unknown before the first look.
    next: Option<Time>,
    samples: VecDeque<u64>,
    last_success: Option<Time>,
    /// How much of the first period was over before the first look.
    credit: Duration,
    has_compacted: bool,
    /// Whether the last look was long enough after the compaction before it.
    is_due: bool,
    /// The newest revision that it allows to compact to.
    allowed: Option<u64>,
}

impl Periodic {
    fn new(period: Duration) -> Self {
        Self {
            period,
            next: None,
            samples: VecDeque::new(),
            last_success: None,
            credit: Duration::ZERO,
            has_compacted: false,
            is_due: false,
            allowed: None,
        }
    }

    fn interval(&self) -> Duration {
        self.period.min(LONGEST_INTERVAL) / SAMPLES
    }

    /// Samples in a period.
    fn most(&self) -> u32 {
        u32::try_from(self.period.as_micros() / self.interval().as_micros().max(1)).unwrap_or(u32::MAX)
    }

    fn look(&mut self, look: &Look<'_>) -> Looked {
        let Some(next) = self.next else {
            self.begin(look);
            return Looked::NotYet;
        };
        if look.now < next {
            return Looked::NotYet;
        }
        self.next = Some(look.now.after(self.interval()));
        let base = if self.has_compacted { self.period.min(LONGEST_INTERVAL) } else { self.period };
        let since = |success| look.now.since(success).saturating_add(self.credit);
        self.is_due = self.last_success.is_none_or(|success| since(success) >= base);
        if self.is_due {
            self.allowed = self.samples.front().copied();
        }
        self.sample(look.newest);
        Looked::Now
    }

    /// Takes the samples that would be there if it had looked all the time.
    fn begin(&mut self, look: &Look<'_>) {
        self.next = Some(look.now.after(self.interval()));
        self.last_success = Some(look.now);
        if let Some(wall) = look.wall {
            let back = |samples: u32| wall.before(self.interval().saturating_mul(samples));
            let known = (1..=self.most().min(MOST_SAMPLES)).rev();
            self.samples = known.filter_map(|samples| look.times.revision_at(back(samples))).collect();
            self.credit = look.times.since_first(wall).min(self.period);
        }
        self.sample(look.newest);
    }

    /// Notes the newest revision of now, and forgets that of more than one period ago.
    fn sample(&mut self, newest: u64) {
        self.samples.push_back(newest);
        while self.samples.len() > self.most() as usize + 1 {
            self.samples.pop_front();
        }
    }

    fn compacted(&mut self, now: Time) {
        if self.is_due {
            self.last_success = Some(now);
            self.credit = Duration::ZERO;
            self.has_compacted = true;
        }
    }
}

/// Keeps a number of revisions.
#[derive(Debug, Default)]
struct Counting {
    count: u64,
    /// When it is looked at next; unknown before the first look.
    next: Option<Time>,
    /// The newest revision that it allows to compact to.
    allowed: Option<u64>,
}

impl Counting {
    fn look(&mut self, look: &Look<'_>) -> Looked {
        let is_first = self.next.is_none();
        if self.next.is_some_and(|next| look.now < next) {
            return Looked::NotYet;
        }
        self.next = Some(look.now.after(COUNTING_INTERVAL));
        if is_first {
            return Looked::NotYet;
        }
        self.allowed = look.newest.checked_sub(self.count).filter(|revision| *revision > 0);
        Looked::Now
    }
}
