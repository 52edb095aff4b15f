//! When revisions were written.

use super::Store;
use super::reader::Reader;
use crate::error::{Error, Result};
use crate::records::SystemRecord;
use crate::revision::Revision;
use crate::sabotage::sabotaged;
use crate::scheduler::{Clock, WallTime};
use crate::storage::Storage;
use crate::times::Sample;

impl<S: Storage> Reader<'_, S> {
    /// The number of the newest revision at a time, if it can be read.
    ///
    /// # Errors
    /// [`Error::TimeUnknown`], [`Error::Compacted`].
    pub(super) fn check_time(&self, time: WallTime) -> Result<u64> {
        match self.times.revision_at(time) {
            // Later than this state was made is as it was made.
            Some(revision) => self.check(Some(Revision::new(revision.min(self.current)))),
            None => Err(Error::TimeUnknown { millis: time.as_millis() }),
        }
    }
}

impl<S: Storage> Store<S> {
    /// Takes note of the time at which the newest revision is the newest. [`Store::run`] does that too; a host that waits with calling
    /// that, or is about to close the store, can do so itself. Costs a look at the calendar if there is anything to note.
    pub fn note_time(&mut self, clock: &impl Clock) {
        if self.times.wants(self.revision)
            && let Some(now) = clock.wall()
        {
            self.times.note(now, self.revision);
        }
    }

    /// The newest revision that was there at a time, for certain; `None` for a time before the first that the store knows of. Costs a
    /// search.
    ///
    /// The store knows times from [`Store::run`], which takes note of them whenever there is a new revision: the last few dozen are known to
    /// the millisecond, those of the last hour to about a second, of the last day to a minute, of the last week to ten minutes, of the
    /// last year to six hours, and older ones to a day. It errs only to one side: what it names was there, and something newer may have been.
    /// So "what is younger than an hour" by this is never too little.
    ///
    /// The calendar may be set. When it goes back, what was written in what is its future now counts as written at that moment, from the next
    /// write on; but a calendar that says a time before 2020, and before all that the store knows of, is not believed. When it goes forward
    /// it is believed, and makes everything look older.
    ///
    /// ```
    /// # use palimpsest_kv::{Budget, Clock, Options, Store, Time, WallTime, storage::MemoryStorage};
    /// struct AtNoon;
    /// impl Clock for AtNoon {
    ///     fn now(&self) -> Time { Time::from_micros(0) }
    ///     fn wall(&self) -> Option<WallTime> { Some(WallTime::from_millis(1_700_000_000_000)) }
    /// }
    /// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
    /// let written = store.put("a", "value")?.revision;
    /// let _next = store.run(&AtNoon, Budget::millis(2))?;
    /// let noon = WallTime::from_millis(1_700_000_000_000);
    /// assert_eq!(store.revision_at(noon), Some(written));
    /// assert_eq!(store.time_of(written), Some(noon));
    /// # Ok::<(), palimpsest_kv::Error>(())
    /// ```
    #[must_use]
    pub fn revision_at(&self, time: WallTime) -> Option<Revision> {
        self.times.revision_at(time).map(Revision::new)
    }

    /// When a revision was there, for certain: it was written then or before, by as much as [`Store::revision_at`] says. `None` if no
    /// time was seen since, and for a revision that is not there yet.
    #[must_use]
    pub fn time_of(&self, revision: impl Into<Revision>) -> Option<WallTime> {
        self.times.time_of(revision.into().get())
    }

    /// Has the next commit, which is about to happen, carry the newest time.
    pub(super) fn append_time(&mut self) {
        if sabotaged!(TimesNotLogged) {
            return;
        }
        let last = self.records.last().main.max(self.revision);
        let Some(Sample { millis, revision }) = self.times.next_for_log() else { return };
        let behind = last.saturating_sub(revision);
        // Where no position is left, nothing is lost but a time.
        let _none_left = self.append_system(SystemRecord::TimeSampled { millis, behind });
    }
}
