//! Giving free space back: the storage gets shorter, in steps, while everyone goes on working.
//!
//! 1. A limit is set a little above what is in use. No page from there on is given out any more.
//! 2. A pass over the leaves moves those that stand behind the limit, and long values that do; a checkpoint moves the rest: inner nodes, the
//!    freelist, the leases, the log.
//! 3. When that checkpoint is durable, and no snapshot holds the old places, the end is free. Another checkpoint says that the storage is
//!    shorter, and then it is made so.

use alloc::vec::Vec;

use super::Store;
use crate::compaction::{Moved, Mover, Parts};
use crate::error::{Error, Result};
use crate::limits::{SHRINK_LEAST_BYTES, SHRINK_SPARE_PAGES};
use crate::records::SystemRecord;
use crate::sabotage::sabotaged;
use crate::scheduler::{Clock, Deadline, Next};
use crate::storage::Storage;

/// The storage is shortened by itself once this part of it is free.
const FREE_PART: u32 = 4;
/// What is left free at the end, as a part of what is in use, so that the next writes need not grow the storage again.
const SPARE_PART: u32 = 50;

/// Writers that need more room than there is below the limit end an attempt; they are not to keep this busy for ever.
const MOST_ATTEMPTS: u32 = 16;

/// What is going on.
#[derive(Debug, Default)]
pub(super) enum Stage {
    /// Nothing.
    #[default]
    Idle,
    /// The leaves are being looked at.
    Moving(Mover),
    /// Everything has moved, and the checkpoint that says so is under way.
    Settling { limit: u32 },
    /// The checkpoint that says that the storage is shorter is under way.
    Cutting,
}

/// Shortening the storage, as it stands.
#[derive(Debug, Default)]
pub(super) struct Shrink {
    stage: Stage,
    is_asked_for: bool,
    /// How often it was begun anew because the room below the limit was needed otherwise.
    attempts: u32,
    /// Leaves that had moved when there was last no room.
    moved_before: Option<u64>,
    /// Free pages after an attempt, successful or not: without more of them there is no other.
    rest: Option<u32>,
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
    /// [`SHRINK_LEAST_BYTES`](crate::limits::SHRINK_LEAST_BYTES) are free. Snapshots that are open hold the pages that they reach.
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
        self.background.shrink.is_asked_for = true;
        self.background.shrink.rest = None;
    }

    /// Whether the storage is being made shorter, or is to be.
    #[must_use]
    pub fn is_shrinking(&self) -> bool {
        self.background.shrink.is_asked_for || !self.background.shrink.is_idle()
    }

    /// Whether there is enough to gain.
    pub(super) fn wants_shrink(&self) -> bool {
        let Shrink { is_asked_for, is_stalled, rest, .. } = &self.background.shrink;
        if *is_stalled || self.failed.is_some() {
            return false;
        }
        let (free, pages) = (self.pager.free_pages(), self.pager.file_pages());
        let has_more = rest.is_none_or(|rest| free > rest.saturating_add(pages / FREE_PART));
        let bytes = u64::from(free) * self.pager.page_bytes() as u64;
        *is_asked_for || (free > pages / FREE_PART && bytes >= SHRINK_LEAST_BYTES && has_more)
    }

    /// Does the next part of shortening the storage. No checkpoint may be under way.
    pub(super) fn shrink_step<C: Clock>(&mut self, deadline: &Deadline<'_, C>) -> Result<Next> {
        let stage = core::mem::take(&mut self.background.shrink.stage);
        let done = match stage {
            Stage::Idle if self.wants_shrink() => self.begin_shrink(),
            Stage::Idle => return Ok(Next::Idle),
            Stage::Moving(mover) => self.move_some(mover, deadline),
            Stage::Settling { limit } => self.cut(limit),
            Stage::Cutting => self.cut_storage(),
        };
        if let Err(Error::Corrupt { .. }) = &done {
            self.background.shrink.is_stalled = true;
            self.end_shrink();
        }
        done.map(|()| Next::Now)
    }

    fn begin_shrink(&mut self) -> Result<()> {
        let used = self.pager.file_pages() - self.pager.free_pages();
        let spare = (used / SPARE_PART).max(SHRINK_SPARE_PAGES);
        let limit = used.saturating_add(spare);
        if limit >= self.pager.file_pages() {
            self.end_shrink();
            return Ok(());
        }
        self.background.shrink.moved_before = None;
        self.pager.keep_below(limit);
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
            rules: &self.rules,
            held: self.watchers.held_revision(),
        };
        let moved = mover.chunk(&mut parts, deadline)?;
        let is_stuck = moved == Moved::NoRoom && self.background.shrink.moved_before == Some(mover.moved());
        match moved {
            Moved::More => self.background.shrink.stage = Stage::Moving(mover),
            Moved::NoRoom if !is_stuck => {
                // What has moved so far frees pages once a checkpoint is durable.
                self.background.shrink.moved_before = Some(mover.moved());
                self.background.shrink.stage = Stage::Moving(mover);
                self.begin_checkpoint(None)?;
            }
            Moved::NoRoom | Moved::All => self.settle_end(mover.limit())?,
        }
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
        let end = self.pager.end_of_taken().max(limit);
        if end >= self.pager.file_pages() {
            self.end_shrink();
            return Ok(());
        }
        self.pager.cut(end);
        if sabotaged!(CutTooEarly) {
            self.pager.cut_storage()?;
        }
        self.background.shrink.stage = Stage::Cutting;
        self.begin_checkpoint(None)
    }

    fn cut_storage(&mut self) -> Result<()> {
        // The second meta slot was written after the checkpoint's last sync.
        self.pager.sync()?;
        self.pager.cut_storage()?;
        self.end_shrink();
        Ok(())
    }

    fn end_shrink(&mut self) {
        self.pager.end_keeping_below();
        self.background.shrink.stage = Stage::Idle;
        self.background.shrink.is_asked_for = false;
        self.background.shrink.attempts = 0;
        self.background.shrink.rest = Some(self.pager.free_pages());
    }
}
