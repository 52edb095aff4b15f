//! When revisions were seen, by the calendar: all that the store was shown.

use std::collections::BTreeSet;

/// A moment in milliseconds since 1970, and the revision that was the newest then.
pub type Sample = (u64, u64);

/// By the age in milliseconds up to which it holds: how far apart the samples may be that a store keeps.
const GAPS: [(u64, u64); 5] = [
    (3_600_000, 1_000),
    (86_400_000, 60_000),
    (604_800_000, 600_000),
    (31_536_000_000, 21_600_000),
    (u64::MAX, 86_400_000),
];

/// The samples that a store which keeps all would have.
#[derive(Clone, Debug, Default)]
pub struct Times {
    seen: Vec<Sample>,
    /// Those that it ever had, whatever became of them.
    ever: BTreeSet<Sample>,
    /// The newest one that is durable.
    settled: Option<Sample>,
    /// The store's first sample is not later than this: compaction lets go of what is earlier, and the sample that it keeps may be
    /// replaced by one of the same moment.
    floor: Option<u64>,
}

/// The beginning of 2020: a calendar that says less is wrong, and is not believed by who knows of a later time.
const EARLIEST: u64 = 1_577_836_800_000;

/// What a store is to make of what the calendar says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belief {
    /// It is taken.
    Believed,
    /// It is from before the store knew any time, and can't be right.
    Refused,
    /// It is from a time that the store may have forgotten since it was compacted.
    Either,
}

impl Times {
    /// What is to be made of a calendar that says `millis`, in a store that is compacted to a revision.
    #[must_use]
    pub fn belief(&mut self, millis: u64, compacted: Option<u64>) -> Belief {
        let kept = self.seen.iter().rfind(|(_, revision)| Some(*revision) <= compacted).or(self.seen.first());
        self.floor = self.floor.max(kept.map(|(kept, _)| *kept));
        match self.seen.first() {
            None => Belief::Believed,
            Some(_) if millis >= EARLIEST || Some(millis) >= self.floor => Belief::Believed,
            Some((first, _)) if millis < *first => Belief::Refused,
            Some(_) => Belief::Either,
        }
    }

    /// Whether the store wants a sample of a revision.
    #[must_use]
    pub fn wants(&self, revision: u64) -> bool {
        self.seen.last().is_none_or(|(_, last)| *last < revision)
    }

    /// The store has taken a sample; what is in its future was of another calendar.
    pub fn note(&mut self, millis: u64, revision: u64) {
        self.seen.retain(|(seen, _)| *seen < millis);
        self.settled = self.settled.filter(|(settled, _)| *settled < millis);
        self.seen.push((millis, revision));
        self.ever.insert((millis, revision));
    }

    /// All that was seen is durable.
    pub fn settled(&mut self) {
        self.settled = self.seen.last().copied();
    }

    /// The newest sample that is durable.
    #[must_use]
    pub fn durable(&self) -> Option<Sample> {
        self.settled
    }

    /// Whether the store ever had this sample.
    #[must_use]
    pub fn had(&self, sample: Sample) -> bool {
        self.ever.contains(&sample)
    }

    /// Whether the calendar ever said so when this revision was there, and the next sample had not come.
    #[must_use]
    pub fn had_seen(&self, millis: u64, revision: u64) -> bool {
        self.ever.range((millis, revision)..=(millis, u64::MAX)).next().is_some()
    }

    fn at(&self, millis: u64) -> Option<u64> {
        self.seen.iter().rfind(|(seen, _)| *seen <= millis).map(|(_, revision)| *revision)
    }

    /// How far apart samples from a moment on may be, by the latest moment that the calendar ever said.
    #[must_use]
    pub fn gap(&self, millis: u64) -> u64 {
        let latest = self.ever.last().map_or(0, |(latest, _)| *latest);
        let age = latest.saturating_sub(millis);
        GAPS.iter().find(|(limit, _)| age < *limit).map_or(u64::MAX, |(_, gap)| *gap)
    }

    /// The least and the greatest revision that a store may name for a moment.
    #[must_use]
    pub fn bounds(&self, millis: u64) -> (Option<u64>, Option<u64>) {
        (self.at(millis.saturating_sub(self.gap(millis))), self.at(millis))
    }

    /// Moments that are worth asking about: around a sample.
    #[must_use]
    pub fn moments(&self, place: usize) -> Vec<u64> {
        let sample = self.seen.get(place % self.seen.len().max(1));
        sample.map_or_else(Vec::new, |(millis, _)| vec![millis - 1, *millis, millis + 1, millis + 1_500])
    }

    /// These are what a store has after a crash.
    pub fn recover(&mut self, samples: Vec<Sample>) {
        self.floor = self.floor.max(samples.first().map(|(first, _)| *first));
        self.seen = samples;
        self.settled();
    }
}
