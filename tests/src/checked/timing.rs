//! Times of revisions.

use palimpsest_kv::{Error, Revision, WallTime};

use super::Checked;
use super::compare::agree;
use crate::medium::Medium;
use crate::model::{Belief, Sample};
use crate::sim::CALENDAR_START;

impl<M: Medium> Checked<M> {
    /// The store was shown that a revision was the newest one when the calendar said `wall`.
    pub(super) fn note_time(&mut self, wall: WallTime, revision: u64) {
        if !self.model.times().wants(revision) {
            return;
        }
        let millis = wall.as_millis();
        let compacted = self.model.compacted();
        let belief = self.model.times_mut().belief(millis, compacted);
        let is_taken = self.store().time_of(revision) == Some(wall);
        match (belief, is_taken) {
            (Belief::Believed, false) => {
                let samples = self.samples();
                panic!("at {millis} no sample of revision {revision} was taken, after {samples:?}")
            }
            (Belief::Refused, true) => panic!("a calendar that says {millis} was believed"),
            (_, true) => self.model.times_mut().note(millis, revision),
            (_, false) => {}
        }
    }

    /// Sets the calendar so many milliseconds from where it is; far back stands for the beginning of 1970.
    pub(super) fn set_calendar(&mut self, by: i64) {
        let now = self.clock.calendar().as_millis();
        let millis = if by == i64::MIN { CALENDAR_START } else { now.saturating_add_signed(by) };
        self.clock.set_calendar(WallTime::from_millis(millis));
    }

    /// Compares what the store says of some moments, and that it can be read as of them.
    pub(super) fn compare_times(&mut self, place: usize) {
        for millis in self.model.times().moments(place) {
            self.compare_time(millis);
        }
    }

    fn compare_time(&mut self, millis: u64) {
        let time = WallTime::from_millis(millis);
        let answer = self.store().revision_at(time).map(Revision::get);
        let (least, most) = self.model.times().bounds(millis);
        let compacted = self.model.compacted();
        // What is compacted need not be known.
        let least = least.filter(|least| Some(*least) >= compacted);
        assert!(
            (least..=most).contains(&answer),
            "at {millis} there was revision {answer:?}, not from {least:?} to {most:?}"
        );
        let read = self.store().read_at_time(time).map(|snapshot| snapshot.revision().get());
        match answer {
            Some(revision) => agree(read, self.model.readable(Some(revision))),
            None => agree(read, Err(vec![Error::TimeUnknown { millis }])),
        }
    }

    /// The samples that the store has.
    fn samples(&mut self) -> Vec<Sample> {
        let newest = self.model.revision();
        let store = self.store();
        let times = (1..=newest).map(|revision| (store.time_of(revision), revision));
        let mut samples: Vec<Sample> = Vec::new();
        for (time, revision) in times {
            let Some(millis) = time.map(WallTime::as_millis) else { break };
            samples.pop_if(|(last, _)| *last == millis);
            samples.push((millis, revision));
        }
        samples
    }

    /// A crash leaves samples that there were, and takes none away that was durable.
    pub(super) fn times_after_a_crash(&mut self) {
        let samples = self.samples();
        let times = self.model.times();
        if let Some(wrong) = samples.iter().find(|sample| !times.had(**sample)) {
            panic!("after the crash there is the time {wrong:?}, which was never seen");
        }
        // What is compacted may be forgotten.
        let compacted = self.store.as_ref().and_then(|store| store.compacted()).map_or(0, Revision::get);
        if let Some((millis, revision)) = times.durable().filter(|(_, revision)| *revision >= compacted) {
            let time = self.store.as_ref().and_then(|store| store.time_of(revision)).map(WallTime::as_millis);
            let latest = millis + times.gap(millis);
            assert!(
                time.is_some_and(|time| time <= latest),
                "revision {revision} was seen at {millis}, and is said to be of {time:?}"
            );
        }
        self.model.times_mut().recover(samples);
    }
}
