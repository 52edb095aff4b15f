//! Faults that are made on purpose, so that tests can show that they would notice them.
//!
//! Each stands at the line of the engine that it breaks, as `sabotaged!(Fault)`. Without the feature `sabotage` that is the constant
//! `false`, and nothing of it is in the program.

#[cfg(feature = "sabotage")]
pub use switch::{Sabotage, with};

/// Whether this thread's engine is to be broken in the named way. Costs nothing without the feature `sabotage`.
#[cfg(feature = "sabotage")]
macro_rules! sabotaged {
    ($fault:ident) => {
        $crate::sabotage::is_active($crate::sabotage::Sabotage::$fault)
    };
}

/// Whether this thread's engine is to be broken in the named way: never, without the feature `sabotage`.
#[cfg(not(feature = "sabotage"))]
macro_rules! sabotaged {
    ($fault:ident) => {
        false
    };
}

pub(crate) use sabotaged;

#[cfg(feature = "sabotage")]
pub(crate) use switch::is_active;

#[cfg(feature = "sabotage")]
mod switch {
    use core::cell::Cell;

    /// One way to break the engine.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Sabotage {
        /// Syncs are not passed on to the storage.
        SyncSkipped,
        /// Relaxed writes are reported as durable at once.
        DurableTooEarly,
        /// A failed write or sync does not stop later writes.
        FailureForgotten,
        /// A call to the storage that panicked does not stop later writes.
        PanicForgotten,
        /// Freed pages are used again before a checkpoint has let go of them.
        PendingReusedEarly,
        /// Freed pages are used again while a snapshot reads them.
        SnapshotIgnored,
        /// A page next to another is given out although it is taken.
        AllocatedTwice,
        /// Page checksums are not compared.
        ChecksumUnchecked,
        /// Overflow pages are not verified.
        OverflowUnverified,
        /// A commit's predecessor is not checked.
        PredecessorUnchecked,
        /// Every page of the log is taken for the end of its commit.
        CommitEndIgnored,
        /// A store that is nearly full works as if it had all the room it wants.
        ReserveIgnored,
        /// The log is followed for one commit only.
        LogFollowedOnce,
        /// A commit that is missing and was durable once is taken for one that a crash prevented.
        LostCommitIgnored,
        /// Commits found in the log are believed to be durable without a sync.
        RecoveredLogNotSynced,
        /// Commits found in the log are synced, and not written again.
        RecoveredLogNotRewritten,
        /// The storage's length is not compared with what it was.
        LengthUnchecked,
        /// The freelist is not compared with what is reachable.
        FreelistTrusted,
        /// A checkpoint names its pages before they are synced.
        MetaBeforeData,
        /// A checkpoint begins with the only meta slot that is sure to be good.
        TrustedSlotOverwritten,
        /// The storage is made shorter before a checkpoint says so.
        CutTooEarly,
        /// A meta slot's checksum is not compared.
        MetaChecksumUnchecked,
        /// A checksum of zero stands for none.
        ZeroChecksumAccepted,
        /// Offsets are counted in 32 bits.
        OffsetIn32Bits,
        /// Opening takes more of the medium.
        GrownWhenOpened,
        /// What a crash left of creating a store is refused.
        CreationRefused,
        /// A new store can be opened while it is being filled.
        FilledInTheOpen,
        /// An export has what compaction gives up and has not removed yet.
        DeadExported,
        /// Opening forgets the compactions that the log says were asked for.
        ScheduledForgotten,
        /// Any checkpoint declares the running compaction finished.
        FinishedTooEarly,
        /// A tombstone dies at its own revision instead of the next.
        TombstoneDropped,
        /// Compaction keeps the overflow pages of what it removes.
        OverflowLeaked,
        /// Compaction frees the overflow pages of what it keeps.
        OverflowFreedAlive,
        /// A range goes on after an entry that could not be read.
        RangeGoesOnAfterError,
        /// A key's history shows what compaction was asked to remove and has not removed yet.
        DeadShown,
        /// A pin does not hold what was visible at its revision for the last time.
        PinEndsEarly,
        /// What a pin held stays when the pin is gone.
        UnpinnedForgotten,
        /// A tombstone is removed though a pin holds an older record of its key.
        TombstoneBeforeElder,
        /// A rule of retention keeps a version less than it says.
        OneVersionLess,
        /// Checkpoints do not remember the pins.
        PinsNotCheckpointed,
        /// Background work changes the hash of a history.
        DeadHashed,
        /// A lease's keys are deleted in one commit, and the lease is revoked in the next.
        RevocationSplit,
        /// Checkpoints do not remember the leases.
        LeasesNotCheckpointed,
        /// Checkpoints do not remember the times of revisions.
        TimesNotCheckpointed,
        /// Commits do not carry the times of revisions.
        TimesNotLogged,
        /// Times are taken as they come, though the calendar was set back.
        CalendarTrusted,
        /// Closing does not remember how much time is left to each lease.
        LeaseTimeForgotten,
        /// A renewal that matters after a crash is not written down.
        RenewalForgotten,
        /// A lease that has ended is revoked when another one ends before it.
        LeaseOrderIgnored,
        /// Watchers are told of what a crash can undo.
        WatcherToldTooEarly,
        /// A watcher whose list is full loses the oldest of it.
        WatchListForgetful,
        /// A watcher that waits for a future revision is told of earlier ones.
        FutureWatcherToldOfThePast,
        /// A watcher is told what is left of what compaction has taken from it.
        WatcherLossHidden,
        /// What compaction has removed before a change is told as if there had been nothing.
        PreviousMissing,
        /// Compaction does not wait for watchers that hold.
        HoldIgnored,
        /// Batches end within a revision.
        RevisionTornApart,
        /// Puts in a transaction within another one count for nothing.
        NestedPutsCostNothing,
        /// Keys that transactions within a transaction put are not compared with others.
        NestedDuplicatesAllowed,
    }

    std::thread_local! {
        static ACTIVE: Cell<Option<Sabotage>> = const { Cell::new(None) };
    }

    pub(crate) fn is_active(fault: Sabotage) -> bool {
        ACTIVE.get() == Some(fault)
    }

    /// Ends the sabotage, also when the test that is to notice it panics.
    struct Restore(Option<Sabotage>);

    impl Drop for Restore {
        fn drop(&mut self) {
            ACTIVE.set(self.0);
        }
    }

    /// Runs `work` with the engine of this thread broken in one way.
    pub fn with<T>(fault: Sabotage, work: impl FnOnce() -> T) -> T {
        let _restore = Restore(ACTIVE.replace(Some(fault)));
        work()
    }
}
