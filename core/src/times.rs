//! When revisions were written, by the calendar: samples, ever fewer the older they are.
//!
//! A *sample* says which revision was the newest one at some moment. So what was written until a sample's revision is not younger than its
//! moment, and what came later is: whatever samples are missing, nothing is ever taken to be older than it is. It knows nothing of
//! records and pages; the store writes down what must be durable.
//!
//! # When the calendar is set
//!
//! Samples grow in time as in revision. When the calendar goes back, the samples that are in its future were taken by another
//! calendar, and are forgotten: what was written between counts as written now. If that is all of them, the calendar was ahead from the
//! beginning. Only one that says what can't be, as that of a machine without a battery does until it has asked somebody, is not
//! believed then: what is written under it would be old as soon as it is right. When it goes forward, it is believed.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sabotage::sabotaged;
use crate::scheduler::WallTime;

/// The newest samples are kept all, so many to twice as many of them.
const RECENT: usize = 32;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Up to which age samples may be how far apart, in milliseconds. A store that is written to all the time has some 3,600, 1,400, 900 and
/// 1,400 of them, and 365 for each further year.
const GAPS: [(u64, u64); 4] = [(HOUR, SECOND), (DAY, MINUTE), (7 * DAY, 10 * MINUTE), (365 * DAY, 6 * HOUR)];
/// How far apart those may be that are older.
const WIDEST_GAP: u64 = DAY;

/// The beginning of 2020, in milliseconds since 1970. No calendar that is right says less: there was no store before.
const EARLIEST: u64 = 1_577_836_800_000;

/// How long after one sample in the log the next may be written there, in milliseconds.
const LOGGED_GAP: u64 = SECOND;

/// At this moment, in milliseconds since 1970, this was the newest revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) millis: u64,
    pub(crate) revision: u64,
}

/// What a checkpoint remembers of a sample: how much later and newer it is than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) millis: u64,
    pub(crate) revisions: u64,
}

/// The samples.
///
/// Invariants, verified by [`Times::check`]:
/// - from `old` to `recent`, both the moments and the revisions strictly grow;
/// - `recent` has at most twice [`RECENT`] samples.
///
/// A clone, which every snapshot has, costs O(1).
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    old: Arc<Vec<Sample>>,
    recent: Arc<Vec<Sample>>,
    /// The newest sample that the log or a checkpoint has.
    logged: Option<Sample>,
    has_changed: bool,
}

/// How far apart samples of an age may be.
fn gap(age: u64) -> u64 {
    GAPS.iter().find(|(limit, _)| age < *limit).map_or(WIDEST_GAP, |(_, gap)| *gap)
}

/// Leaves samples out where their neighbours are near enough to each other; never the first and the last.
fn thinned(samples: &[Sample]) -> Vec<Sample> {
    let Some(newest) = samples.last().map(|sample| sample.millis) else { return Vec::new() };
    let mut kept: Vec<Sample> = Vec::with_capacity(samples.len());
    for (place, sample) in samples.iter().enumerate() {
        let is_spare = kept
            .last()
            .zip(samples.get(place + 1))
            .is_some_and(|(before, after)| after.millis - before.millis <= gap(newest - after.millis));
        if !is_spare {
            kept.push(*sample);
        }
    }
    kept
}

impl Times {
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.old.len() + self.recent.len()
    }

    fn first(&self) -> Option<Sample> {
        self.old.first().or(self.recent.first()).copied()
    }

    /// The newest sample.
    pub(crate) fn last(&self) -> Option<Sample> {
        self.recent.last().or(self.old.last()).copied()
    }

    /// Whether a sample of the newest revision would tell anything new.
    pub(crate) fn wants(&self, revision: u64) -> bool {
        self.last().is_none_or(|last| last.revision < revision)
    }

    /// Takes note that a revision is the newest one now, by a calendar that may have been set.
    pub(crate) fn note(&mut self, now: WallTime, revision: u64) {
        let millis = now.as_millis();
        let is_believed = millis >= EARLIEST || self.first().is_none_or(|first| first.millis <= millis);
        if self.wants(revision) && is_believed {
            self.add(Sample { millis, revision });
        }
    }

    /// Takes up a sample of the log. What contradicts it was known to be wrong when it was taken.
    pub(crate) fn restore_one(&mut self, sample: Sample) {
        self.forget(|old| old.millis < sample.millis && old.revision < sample.revision);
        self.add(sample);
        self.logged = Some(sample);
    }

    /// Adds a sample of a newer revision, in place of those that are not earlier.
    fn add(&mut self, sample: Sample) {
        if self.last().is_some_and(|last| last.millis >= sample.millis) && !sabotaged!(CalendarTrusted) {
            self.forget(|old| old.millis < sample.millis);
        }
        let recent = Arc::make_mut(&mut self.recent);
        recent.push(sample);
        self.has_changed = true;
        if recent.len() > 2 * RECENT {
            let all: Vec<Sample> = self.old.iter().copied().chain(recent.drain(..RECENT)).collect();
            self.old = Arc::new(thinned(&all));
        }
    }

    /// Keeps the samples up to the last that is to be kept; those that are, are the oldest ones.
    fn forget(&mut self, is_kept: impl Fn(&Sample) -> bool) {
        let old = self.old.partition_point(&is_kept);
        if old < self.old.len() {
            self.old = Arc::new(self.old.iter().take(old).copied().collect());
        }
        let recent = self.recent.partition_point(&is_kept);
        if recent < self.recent.len() {
            Arc::make_mut(&mut self.recent).truncate(recent);
        }
        self.logged = self.logged.filter(&is_kept);
    }

    /// Forgets what tells of revisions after one.
    pub(crate) fn forget_after(&mut self, revision: u64) {
        self.forget(|sample| sample.revision <= revision);
    }

    /// Forgets what only tells of revisions that are compacted: of the samples that are not after `compacted`, all but the last, and those that
    /// tell what was there within so long before the newest sample.
    pub(crate) fn compact(&mut self, compacted: u64, memory: Duration) {
        let memory = u64::try_from(memory.as_millis()).unwrap_or(u64::MAX);
        let needed = self.last().map_or(0, |last| last.millis.saturating_sub(memory));
        let is_before = |sample: &Sample| sample.revision <= compacted && sample.millis <= needed;
        let recent = self.recent.partition_point(is_before);
        let old = self.old.partition_point(is_before);
        // The last that is not after it is the one to begin with.
        let (old, recent) =
            if recent > 0 { (self.old.len(), recent - 1) } else { (old.saturating_sub(1), 0) };
        if old + recent > 0 {
            self.old = Arc::new(self.old.iter().skip(old).copied().collect());
            self.recent = Arc::new(self.recent.iter().skip(recent).copied().collect());
            self.has_changed = true;
        }
    }

    /// The newest revision that was there at a moment, for certain; `None` if nothing is known of it.
    pub(crate) fn revision_at(&self, time: WallTime) -> Option<u64> {
        let is_until = |sample: &Sample| sample.millis <= time.as_millis();
        let recent = self.recent.partition_point(is_until).checked_sub(1).and_then(|at| self.recent.get(at));
        let old = || self.old.partition_point(is_until).checked_sub(1).and_then(|at| self.old.get(at));
        recent.or_else(old).map(|sample| sample.revision)
    }

    /// The earliest moment at which a revision is known to have been there; `None` if there is none yet.
    pub(crate) fn time_of(&self, revision: u64) -> Option<WallTime> {
        let is_before = |sample: &Sample| sample.revision < revision;
        let old = self.old.get(self.old.partition_point(is_before));
        let sample = old.or_else(|| self.recent.get(self.recent.partition_point(is_before)));
        sample.map(|sample| WallTime::from_millis(sample.millis))
    }

    /// How long before a moment the first sample was taken.
    pub(crate) fn since_first(&self, now: WallTime) -> Duration {
        let first = self.first().map_or(u64::MAX, |first| first.millis);
        Duration::from_millis(now.as_millis().saturating_sub(first))
    }

    /// The sample that is to go into the log with the next commit, if the last one there is old enough.
    pub(crate) fn next_for_log(&mut self) -> Option<Sample> {
        let last = self.last()?;
        let is_due = self.logged.is_none_or(|logged| last.millis >= logged.millis.saturating_add(LOGGED_GAP));
        if !is_due {
            return None;
        }
        self.logged = Some(last);
        Some(last)
    }

    /// Whether anything differs from what the last checkpoint remembers.
    pub(crate) fn has_changed(&self) -> bool {
        self.has_changed
    }

    /// What a checkpoint remembers.
    pub(crate) fn keep(&mut self) -> Vec<Kept> {
        self.has_changed = false;
        self.logged = self.last();
        self.listed()
    }

    /// The same, for something else than a checkpoint.
    pub(crate) fn listed(&self) -> Vec<Kept> {
        let mut before = Sample { millis: 0, revision: 0 };
        let all = self.old.iter().chain(&*self.recent);
        all.map(|sample| {
            let kept =
                Kept { millis: sample.millis - before.millis, revisions: sample.revision - before.revision };
            before = *sample;
            kept
        })
        .collect()
    }

    /// Takes up what a checkpoint remembers.
    ///
    /// # Errors
    /// Says in words what can't be.
    pub(crate) fn restore(kept: &[Kept]) -> Result<Self, &'static str> {
        const IMPOSSIBLE: &str = "the times of revisions do not grow";
        let mut last = Sample { millis: 0, revision: 0 };
        let mut samples = Vec::with_capacity(kept.len());
        for (place, Kept { millis, revisions }) in kept.iter().enumerate() {
            let grows = *revisions > 0 && (*millis > 0 || place == 0);
            let sum = last.millis.checked_add(*millis).zip(last.revision.checked_add(*revisions));
            let (millis, revision) = sum.filter(|_| grows).ok_or(IMPOSSIBLE)?;
            last = Sample { millis, revision };
            samples.push(last);
        }
        let recent = samples.split_off(samples.len().saturating_sub(RECENT));
        Ok(Self {
            logged: recent.last().copied(),
            old: Arc::new(samples),
            recent: Arc::new(recent),
            has_changed: false,
        })
    }

    /// Checks the invariants.
    ///
    /// # Errors
    /// Says which does not hold.
    pub(crate) fn check(&self, newest: u64) -> Result<(), &'static str> {
        let all: Vec<&Sample> = self.old.iter().chain(&*self.recent).collect();
        let grows = all.is_sorted_by(|a, b| a.millis < b.millis && a.revision < b.revision);
        if !grows {
            return Err("the times of revisions do not grow");
        }
        if self.recent.len() > 2 * RECENT || self.last().is_some_and(|last| last.revision > newest) {
            return Err("there are too many new times, or some of revisions that are not there");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_700_000_000_000;

    fn note(times: &mut Times, millis: u64, revision: u64) {
        times.note(WallTime::from_millis(millis), revision);
        times.check(revision).unwrap();
    }

    fn at(times: &Times, millis: u64) -> Option<u64> {
        times.revision_at(WallTime::from_millis(millis))
    }

    #[test]
    fn a_moment_is_answered_with_the_newest_revision_until_then() {
        let mut times = Times::default();
        assert_eq!((at(&times, START), times.time_of(1)), (None, None));
        for (millis, revision) in [(0, 1), (50, 4), (50, 5), (7_000, 9)] {
            note(&mut times, START + millis, revision);
        }
        let answers = [0, 1, 50, 6_999, 7_000, 1 << 40].map(|millis| at(&times, START + millis - 1));
        assert_eq!(answers, [None, Some(1), Some(1), Some(5), Some(5), Some(9)]);
        let written =
            [1, 2, 5, 6, 9].map(|revision| times.time_of(revision).map(|time| time.as_millis() - START));
        assert_eq!(written, [0, 50, 50, 7_000, 7_000].map(Some));
        assert_eq!(times.time_of(10), None);
    }

    #[test]
    fn a_calendar_that_is_set_back_forgets_its_future_unless_it_says_what_can_not_be() {
        let mut times = Times::default();
        for (millis, revision) in [(0, 1), (1_000, 2), (9_000_000, 3)] {
            note(&mut times, START + millis, revision);
        }
        note(&mut times, START + 2_000, 4);
        assert_eq!(at(&times, START + 1_999), Some(2));
        assert_eq!(
            (at(&times, START + 9_000_000), times.time_of(3)),
            (Some(4), Some(WallTime::from_millis(START + 2_000)))
        );
        note(&mut times, 5, 6);
        assert_eq!((times.time_of(6), at(&times, 5)), (None, None));
        note(&mut times, START + 2_001, 7);
        assert_eq!(at(&times, START + 2_001), Some(7));
        note(&mut times, START - 9_000_000, 8);
        assert_eq!((times.len(), at(&times, START)), (1, Some(8)));
        note(&mut times, EARLIEST - 1, 9);
        assert_eq!((times.len(), at(&times, START)), (1, Some(8)));
        note(&mut times, EARLIEST, 10);
        assert_eq!((times.len(), at(&times, START)), (1, Some(10)));
    }

    /// Years of a revision a second: few samples are left, and none of the gaps is too wide.
    #[test]
    fn samples_are_thinned_with_age() {
        let mut times = Times::default();
        let mut millis = START;
        // Wide steps first, and in the end every second of two hours.
        let steps = [(DAY, 2_000), (HOUR, 24 * 400), (MINUTE, 60 * 24 * 9), (SECOND, 7_200)];
        let mut revision = 1;
        for (step, count) in steps {
            for _ in 0..count {
                (millis, revision) = (millis + step, revision + 1);
                times.note(WallTime::from_millis(millis), revision);
            }
        }
        times.check(revision).unwrap();
        assert!(times.len() < 9_500, "{} samples", times.len());
        let all: Vec<Sample> = times.old.iter().chain(&*times.recent).copied().collect();
        let is_near = |pair: &[Sample]| match pair {
            [a, b] => {
                b.millis - a.millis <= gap(millis - b.millis).max(SECOND) || b.revision - a.revision == 1
            }
            _ => true,
        };
        assert!(all.windows(2).all(is_near), "a gap is too wide");
    }

    #[test]
    fn what_is_compacted_is_forgotten_and_a_checkpoint_remembers_the_rest() {
        let mut times = Times::default();
        (1..=200).for_each(|revision| note(&mut times, START + revision * 10_000, revision * 2));
        for (compacted, first) in [(1, 2), (2, 2), (101, 100), (396, 396), (400, 400)] {
            times.compact(compacted, Duration::ZERO);
            times.check(400).unwrap();
            assert_eq!(times.first().map(|sample| sample.revision), Some(first));
            let again = Times::restore(&times.keep()).unwrap();
            again.check(400).unwrap();
            assert!(again.old.iter().chain(&*again.recent).eq(times.old.iter().chain(&*times.recent)));
        }
        let kept = |millis, revisions| Kept { millis, revisions };
        for wrong in [[kept(1, 1), kept(0, 1)], [kept(1, 0), kept(1, 1)], [kept(1, 1), kept(u64::MAX, 1)]] {
            assert!(Times::restore(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_log_gets_one_sample_a_second() {
        let mut times = Times::default();
        let mut logged = Vec::new();
        for revision in 1..=50 {
            note(&mut times, START + revision * 100, revision);
            logged.extend(times.next_for_log().map(|sample| sample.revision));
        }
        assert_eq!(logged, [1, 11, 21, 31, 41]);
        let mut again = Times::default();
        for revision in &logged {
            again.restore_one(Sample { millis: START + revision * 100, revision: *revision });
        }
        assert_eq!(again.next_for_log(), None);
        assert_eq!(at(&again, START + 1_200), Some(11));
    }
}
