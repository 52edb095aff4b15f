//! What a store remembers besides its records, as the last checkpoint and the log after it tell.

use core::time::Duration;

use super::kept::{Kept, damaged};
use super::{Ending, RootState};
use crate::error::{Error, PageKind, Result};
use crate::lease::{LeaseId, Leases};
use crate::limits::{MAX_LEASE_SECONDS, MIN_LEASE_SECONDS};
use crate::pager::Pages;
use crate::pin::Pins;
use crate::records::SystemRecord;
use crate::sabotage::sabotaged;
use crate::storage::Storage;
use crate::times::{Sample, Times};

const IMPOSSIBLE_LEASE: &str = "a lease has an impossible number or time";

/// What is remembered, up to some place in the log.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    /// The newest compaction that was asked for.
    pub(crate) scheduled: Option<u64>,
    pub(crate) leases: Leases,
    pub(crate) pins: Pins,
    pub(crate) times: Times,
    /// How far back times are needed for rules of retention, whatever is compacted.
    pub(crate) memory: Duration,
}

impl Remembered {
    /// What a checkpoint remembers.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it can't have remembered that, [`Error::Storage`].
    pub(crate) fn load<S: Storage>(pages: &Pages<S>, root: &RootState) -> Result<Self> {
        let chain = root.kept.as_ref();
        let kept = Kept::load(pages, chain)?;
        let impossible = |what: &'static str| match chain {
            Some(chain) => damaged(chain, what),
            None => Error::corrupt(0, PageKind::Meta, what),
        };
        Ok(Self {
            scheduled: root.scheduled,
            leases: Leases::restore(&kept.leases).map_err(impossible)?,
            pins: Pins::restore(kept.pins).map_err(impossible)?,
            times: Times::restore(&kept.times).map_err(impossible)?,
            // Which rules there are is known to who opens the store.
            memory: Duration::MAX,
        })
    }

    /// Takes up the next record of the log that is the engine's own, which stands at `main`.
    ///
    /// # Errors
    /// Says in words what can't be.
    pub(crate) fn take(
        &mut self,
        record: SystemRecord<'_>,
        main: u64,
    ) -> core::result::Result<(), &'static str> {
        match record {
            SystemRecord::CompactionScheduled(revision) => {
                if !sabotaged!(ScheduledForgotten) {
                    self.scheduled = self.scheduled.max(Some(revision));
                    self.times.compact(revision, self.memory);
                }
            }
            SystemRecord::LeaseGranted { id, seconds } => {
                let is_possible = (MIN_LEASE_SECONDS..=MAX_LEASE_SECONDS).contains(&seconds);
                let id = LeaseId::new(id).filter(|_| is_possible).ok_or(IMPOSSIBLE_LEASE)?;
                self.leases.grant(id, seconds, Duration::from_secs(seconds));
            }
            SystemRecord::LeaseRevoked { id } => {
                self.leases.remove(LeaseId::new(id).ok_or(IMPOSSIBLE_LEASE)?)
            }
            SystemRecord::Moved => {}
            SystemRecord::Pinned { name, revision, expires } => self.pins.take_up(name, revision, expires)?,
            SystemRecord::Unpinned { name } => {
                self.pins.remove(name);
            }
            SystemRecord::TimeSampled { millis, behind } => {
                let revision = main.checked_sub(behind).filter(|revision| *revision > 0);
                let revision = revision.ok_or("a time is of an impossible revision")?;
                self.times.restore_one(Sample { millis, revision });
            }
            SystemRecord::LeaseRenewed { id } => {
                self.leases.renew(LeaseId::new(id).ok_or(IMPOSSIBLE_LEASE)?);
            }
        }
        Ok(())
    }

    /// What of this a store has whose newest revision is `revision`: a damaged one may remember more.
    pub(crate) fn ending(mut self, revision: u64) -> Ending {
        self.times.forget_after(revision);
        let compacted = self.scheduled.filter(|scheduled| *scheduled <= revision);
        let pins = self.pins.listed().into_iter().filter(|pin| pin.revision <= revision).collect();
        Ending { revision, compacted, leases: self.leases.listed(), pins, times: self.times.listed() }
    }
}
