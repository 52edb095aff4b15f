//! Giving free space back: the storage gets shorter, in steps, while everyone goes on working.
//!
//! 1. A checkpoint frees what only waits for one. A limit is set a little above what is in use then. No page from there on is given out any
//!    more.
//! 2. A pass over the leaves moves those that stand behind the limit, and long values that do; a checkpoint moves the rest: inner nodes, the
//!    freelist, the leases, the log.
//! 3. When that checkpoint is durable, and no snapshot holds the old places, the end is free. Another checkpoint says that the storage is
//!    shorter, and then it is made so.

use alloc::vec::Vec;
use core::time::Duration;

use super::Store;
use crate::compaction::{Moved, Mover, Parts};
use crate::error::{Error, Result};
use crate::limits::{SHRINK_LEAST_BYTES, SHRINK_SPARE_PAGES, SHRINK_STEP_BYTES};
use crate::pager::Progress;
use crate::records::SystemRecord;
use crate::sabotage::sabotaged;
use crate::scheduler::{Clock, Deadline, Next, Time};
use crate::storage::Storage;

/// The storage is shortened by itself once this part of it is free.
const FREE_PART: u32 = 4;
/// What is left free at the end, as a part of what is in use, so that the next writes need not grow the storage again.
const SPARE_PART: u32 = 50;

/// Writers that need more room than there is below the limit end an attempt; they are not to keep this busy for ever.
const MOST_ATTEMPTS: u32 = 16;
/// Attempts after which each further one leaves writers twice as much room.
const ALIKE_ATTEMPTS: u32 = 4;

/// How long it rests when writers have disturbed it, since each attempt looks at all leaves; twice as long each time in a row.
const DISTURBED_PAUSE: Duration = Duration::from_secs(60);
/// How often that is doubled: to somewhat more than half a day.
const MOST_DOUBLINGS: u32 = 10;

/// What is going on.
#[derive(Debug, Default)]
pub(super) enum Stage {
    /// Nothing.
    #[default]
    Idle,
    /// The checkpoint is under way that frees what can be free before it begins.
    Beginning,
    /// The leaves are being looked at.
    Moving(Mover),
    /// Everything has moved, and the checkpoint that says so is under way.
    Settling { limit: u32 },
    /// The checkpoint that says that the storage is shorter is under way.
    Cutting,
    /// The storage is being made shorter.
    CuttingStorage,
}

/// What came of the last attempt, and so what must be different for another one to begin by itself.
#[derive(Clone, Copy, Debug, Default)]
enum Outcome {
    /// There was none, or what came of it does not matter.
    #[default]
    None,
    /// It did what it could: more pages must be free, by a part of the storage, than were at some moment since then.
    Done,
    /// Something stayed behind the limit, which a snapshot holds: more pages must be free, or those before page `end` be the last ones in
    /// use, so that something of it is gone.
    Blocked { end: u32 },
    /// Writers needed the room, or wrote behind the limit: it is tried again at this time.
    Disturbed { again: Time },
}

/// Shortening the storage, as it stands.
#[derive(Debug, Default)]
pub(super) struct Shrink {
    stage: Stage,
    is_asked_for: bool,
    /// How often it was begun anew because the room below the limit was needed otherwise.
    attempts: u32,
    /// How often the limit of this attempt was set further behind.
    widened: u32,
    /// Leaves that had moved when there was last no room.
    moved_before: Option<u64>,
    /// Something could not be cut off that should have been.
    is_blocked: bool,
    outcome: Outcome,
    /// Attempts in a row that were disturbed.
    disturbed: u32,
    /// A page was damaged: it is not tried again until the store is opened anew.
    is_stalled: bool,
}

impl Shrink {
    fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Idle)
    }
}

impl<S: Storage> Store<S> {
    /// Has [`Store::run`] give free pages at the end of the storage back, in steps, while everyone goes on working; what stands there
    /// moves to lower pages. It happens by itself once more than a quarter of the storage and at least
    /// [`SHRINK_LEAST_BYTES`](crate::limits::SHRINK_LEAST_BYTES) are free. Snapshots that are open hold the pages that they reach; when
    /// one is gone that was in the way, it goes on by itself. Where it has met damage, nothing happens until the store is opened again.
    ///
    /// Costs reading all leaves, and writing those that move.
    ///
    /// ```
    /// # use palimpsest_kv::{Budget, Keys, Options, Store, SystemClock, storage::MemoryStorage};
    /// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
    /// store.put("large", vec![7; 1_000_000])?;
    /// store.delete(Keys::all())?;
    /// store.put("small", "value")?;
    /// store.compact(store.revision())?;
    /// store.shrink();
    /// let clock = SystemClock::new();
    /// while store.is_shrinking() || store.status()?.finished != store.compacted() {
    ///     let _next = store.run(&clock, Budget::millis(2))?;
    /// }
    /// assert!(store.status()?.file_bytes < 500_000);
    /// # Ok::<(), palimpsest_kv::Error>(())
    /// ```
    pub fn shrink(&mut self) {
        // Nothing would ever end it.
        if self.background.shrink.is_stalled {
            return;
        }
        self.background.shrink.is_asked_for = true;
        self.background.shrink.outcome = Outcome::None;
    }

    /// Whether the storage is being made shorter, or is to be.
    #[must_use]
    pub fn is_shrinking(&self) -> bool {
        self.background.shrink.is_asked_for || !self.background.shrink.is_idle()
    }

    /// Whether there is enough to gain.
    pub(super) fn wants_shrink(&self) -> bool {
        if self.background.shrink.is_stalled || self.failed.is_some() {
            return false;
        }
        self.background.shrink.is_asked_for || (self.has_much_free() && self.has_changed())
    }

    fn has_much_free(&self) -> bool {
        let free = self.pager.free_pages();
        let bytes = u64::from(free) * self.pager.page_bytes() as u64;
        free > self.pager.file_pages() / FREE_PART && bytes >= SHRINK_LEAST_BYTES
    }

    /// Whether the storage is to be made shorter at some time, if until then nothing changes.
    pub(super) fn shrinks_at(&self) -> Option<Time> {
        if self.background.shrink.is_stalled || self.failed.is_some() {
            return None;
        }
        match self.background.shrink.outcome {
            Outcome::Disturbed { again } if self.has_much_free() => Some(again),
            Outcome::Disturbed { .. } | Outcome::None | Outcome::Done | Outcome::Blocked { .. } => None,
        }
    }

    /// Whether another attempt may come to more than the last one.
    fn has_changed(&self) -> bool {
        let (free, pages) = (self.pager.free_pages(), self.pager.file_pages());
        let is_more = free > self.pager.fewest_free().saturating_add(pages / FREE_PART);
        match self.background.shrink.outcome {
            Outcome::None => true,
            Outcome::Done => is_more,
            Outcome::Blocked { end } => is_more || self.pager.end_of_taken() < end,
            Outcome::Disturbed { again } => self.background.seen.is_some_and(|now| now >= again),
        }
    }

    /// Does the next part of shortening the storage. No checkpoint may be under way.
    pub(super) fn shrink_step<C: Clock>(&mut self, deadline: &Deadline<'_, C>) -> Result<Next> {
        let stage = core::mem::take(&mut self.background.shrink.stage);
        let done = match stage {
            Stage::Idle if self.wants_shrink() => self.begin_shrink(),
            Stage::Idle => return Ok(self.shrinks_at().map_or(Next::Idle, Next::At)),
            Stage::Beginning => self.begin_moving(),
            Stage::Moving(mover) => self.move_some(mover, deadline),
            Stage::Settling { limit } => self.cut(limit),
            Stage::Cutting => self.sync_and_cut(),
            Stage::CuttingStorage => self.cut_storage(),
        };
        if let Err(Error::Corrupt { .. }) = &done {
            self.background.shrink.is_stalled = true;
            self.end_shrink();
        }
        done.map(|()| Next::Now)
    }

    fn begin_shrink(&mut self) -> Result<()> {
        self.background.shrink.is_blocked = false;
        // They would count as in use, and be free in the midst of it when this has ended.
        if self.pager.releasable_pages() > 0 {
            self.background.shrink.stage = Stage::Beginning;
            return self.begin_checkpoint(None);
        }
        self.begin_moving()
    }

    /// How many pages the storage must have at least: those in use and a few for the next writes, `times` as many as at the least.
    fn least_pages(&self, times: u32) -> u32 {
        let used = self.pager.file_pages() - self.pager.free_pages();
        let spare = (used / SPARE_PART).max(SHRINK_SPARE_PAGES);
        used.saturating_add(spare.saturating_mul(times))
    }

    fn begin_moving(&mut self) -> Result<()> {
        let further = self.background.shrink.attempts.saturating_sub(ALIKE_ATTEMPTS);
        let limit = self.least_pages(2u32.saturating_pow(further));
        if limit >= self.pager.file_pages() {
            self.end_shrink();
            return Ok(());
        }
        self.background.shrink.moved_before = None;
        self.background.shrink.widened = 0;
        self.pager.keep_below(limit);
        // Long values of the open leaf move with the tree's.
        self.records.commit(&mut self.pager)?;
        self.records.retire_open(&mut self.pager);
        // First of all the log, so that no leaf that it closes meanwhile stands behind the limit.
        self.move_log(limit)?;
        self.background.shrink.stage = Stage::Moving(Mover::new(limit));
        Ok(())
    }

    /// Has the log go on below the limit: the first of two commits goes where the one before it said, and the second one away from
    /// there.
    fn move_log(&mut self, limit: u32) -> Result<()> {
        for _ in 0..2 {
            if self.records.log_is_beyond(&self.pager, limit) {
                self.append_system(SystemRecord::Moved)?;
                self.records.commit(&mut self.pager)?;
            }
        }
        Ok(())
    }

    fn move_some<C: Clock>(&mut self, mut mover: Mover, deadline: &Deadline<'_, C>) -> Result<()> {
        if self.pager.ceiling().is_none() {
            // A writer needed the room, or a checkpoint did for copies of inner nodes. What has moved makes the next attempt easier.
            self.background.shrink.attempts += 1;
            if self.background.shrink.attempts > MOST_ATTEMPTS {
                self.end_shrink();
                return Ok(());
            }
            return self.begin_shrink();
        }
        let mut parts = Parts {
            pager: &mut self.pager,
            records: &mut self.records,
            index: &mut self.index,
            filing: &mut self.filing,
            held: self.watchers.held_revision(),
        };
        let moved = mover.chunk(&mut parts, deadline)?;
        match moved {
            Moved::More => self.background.shrink.stage = Stage::Moving(mover),
            Moved::NoRoom { lacking } if self.background.shrink.moved_before == Some(mover.moved()) => {
                self.widen(mover, lacking)?;
            }
            Moved::NoRoom { .. } => {
                // What has moved so far frees pages once a checkpoint is durable.
                self.background.shrink.moved_before = Some(mover.moved());
                self.background.shrink.stage = Stage::Moving(mover);
                self.begin_checkpoint(None)?;
            }
            Moved::All => self.settle_end(mover.limit())?,
        }
        Ok(())
    }

    /// Gives what is to be moved next the room that it lacks: lists that a long value needs where the free pages are scattered may be more
    /// than what is left free. What needs no such room ends up below it all the same.
    fn widen(&mut self, mut mover: Mover, lacking: u32) -> Result<()> {
        let limit = mover.limit().saturating_add(lacking);
        self.background.shrink.widened += 1;
        if limit >= self.pager.file_pages() || self.background.shrink.widened > MOST_ATTEMPTS {
            return self.settle_end(mover.limit());
        }
        mover.widen(limit);
        self.pager.keep_below(limit);
        self.background.shrink.moved_before = None;
        self.background.shrink.stage = Stage::Moving(mover);
        Ok(())
    }

    /// Moves all that is no leaf of the tree, and begins the checkpoint that lets go of the old places.
    fn settle_end(&mut self, limit: u32) -> Result<()> {
        let mut freed = Vec::new();
        self.records.tree_mut().move_nodes(limit, &mut freed);
        freed.into_iter().for_each(|page| self.pager.free(page));
        self.pager.move_freelist(limit);
        self.write_kept_anew = true;
        self.move_log(limit)?;
        self.background.shrink.stage = Stage::Settling { limit };
        self.begin_checkpoint(None)
    }

    /// Takes the free pages off the end, and begins the checkpoint that says so.
    fn cut(&mut self, limit: u32) -> Result<()> {
        self.pager.release();
        let taken = self.pager.end_of_taken();
        self.background.shrink.is_blocked = taken > limit;
        // With a limit further behind than at first, less may be needed.
        let end = taken.max(limit.min(self.least_pages(1)));
        if end >= self.pager.file_pages() {
            self.end_shrink();
            return Ok(());
        }
        self.pager.cut(end);
        if sabotaged!(CutTooEarly) {
            let _all = self.pager.cut_storage(u32::MAX)?;
        }
        self.background.shrink.stage = Stage::Cutting;
        self.begin_checkpoint(None)
    }

    fn sync_and_cut(&mut self) -> Result<()> {
        // The second meta slot was written after the checkpoint's last sync.
        self.pager.sync()?;
        self.background.shrink.stage = Stage::CuttingStorage;
        Ok(())
    }

    fn cut_storage(&mut self) -> Result<()> {
        let most = SHRINK_STEP_BYTES / self.pager.page_bytes() as u64;
        match self.pager.cut_storage(u32::try_from(most).unwrap_or(u32::MAX))? {
            Progress::More => self.background.shrink.stage = Stage::CuttingStorage,
            Progress::Done => self.end_shrink(),
        }
        Ok(())
    }

    fn end_shrink(&mut self) {
        self.pager.end_keeping_below();
        self.background.shrink.stage = Stage::Idle;
        self.background.shrink.is_asked_for = false;
        self.background.shrink.outcome = self.outcome();
        self.background.shrink.attempts = 0;
        self.pager.note_free();
    }

    /// What has come of the attempt that ends.
    fn outcome(&mut self) -> Outcome {
        let is_held = self.pager.pending_pages() > self.pager.releasable_pages();
        let Shrink { is_blocked, attempts, disturbed, .. } = &mut self.background.shrink;
        match self.background.seen {
            _ if *is_blocked && is_held => Outcome::Blocked { end: self.pager.end_of_taken() },
            Some(now) if *is_blocked || *attempts > ALIKE_ATTEMPTS => {
                let again = now.after(DISTURBED_PAUSE * 2u32.saturating_pow(*disturbed));
                *disturbed = MOST_DOUBLINGS.min(*disturbed + 1);
                Outcome::Disturbed { again }
            }
            Some(_) | None => {
                *disturbed = 0;
                Outcome::Done
            }
        }
    }
}
