//! The job that one compaction is: a bucket of dead records at a time, a leaf at a time, as far as the chunk's limits allow.
//!
//! 1. Take a bucket of neighbouring records that died by the compaction's revision, and file those among them that a pin sees.
//! 2. For each leaf that holds some of them: forget them in the index, and copy the others to a new leaf.
//! 3. When the chunk's limits are reached, enter the new leaves into the tree in place of the old ones.
//!
//! The job needs no record of its progress: what it has not yet removed is found dead again when the store is opened, and the
//! scheduled revision, which is durable, says that it must go.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use super::filing::Filing;
use super::parts::Parts;
use super::rewrite::{Dropped, Rewrite, Rule};
use crate::error::Result;
use crate::pager::Progress;
use crate::revision::Position;
use crate::scheduler::{Clock, Deadline};
use crate::storage::Storage;

/// What bounds one chunk.
pub(crate) struct Limits<'a, C: Clock> {
    /// Records to remove at most.
    pub(crate) records: usize,
    pub(crate) deadline: &'a Deadline<'a, C>,
}

/// A compaction that is under way.
///
/// Invariant: `batch` is sorted, every record of it died by `revision`, no pin sees it, and it is not filed.
#[derive(Debug)]
pub(crate) struct Job {
    /// The revisions that were pinned when it began.
    pins: Arc<[u64]>,
    /// Nothing held a dead record then.
    is_plain: bool,
    dropped: Dropped,
    revision: u64,
    is_sweep: bool,
    batch: VecDeque<Position>,
    removed: u64,
    total: u64,
    pages_freed: i64,
}

impl Job {
    /// A compaction to `revision` of what is filed, while these revisions are pinned. What has died after `held` it is to leave.
    pub(crate) fn new((revision, held): (u64, u64), filing: &mut Filing, pins: &Arc<[u64]>) -> Self {
        filing.begin_job(pins);
        let total = filing.count_due(revision.min(held)) as u64;
        let is_plain = pins.is_empty() && filing.is_plain();
        Self {
            pins: Arc::clone(pins),
            is_plain,
            dropped: Dropped::default(),
            revision,
            is_sweep: false,
            batch: VecDeque::new(),
            removed: 0,
            total,
            pages_freed: 0,
        }
    }

    /// A look at what nothing holds any more, after a compaction to `revision`.
    pub(crate) fn sweep((revision, held): (u64, u64), filing: &mut Filing, pins: &Arc<[u64]>) -> Self {
        Self { is_sweep: true, ..Self::new((revision, held), filing, pins) }
    }

    /// The compaction that is done when this is.
    pub(crate) fn finishes(&self) -> Option<u64> {
        (!self.is_sweep).then_some(self.revision)
    }

    pub(crate) fn removed(&self) -> u64 {
        self.removed
    }

    /// How many records it has to remove: fewer when some turn out to be held.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn pages_freed(&self) -> u64 {
        u64::try_from(self.pages_freed).unwrap_or(0)
    }

    /// Dead records that the job has taken off the list and not yet removed.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = Position> + '_ {
        self.batch.iter().copied()
    }

    /// Removes one chunk of dead records; answers whether none is left.
    ///
    /// # Errors
    /// Those of the storage, and [`Error::Corrupt`](crate::Error::Corrupt). Nothing is lost then, and no page is changed.
    pub(crate) fn chunk<S: Storage, C: Clock>(
        &mut self,
        parts: &mut Parts<'_, S>,
        limits: &Limits<'_, C>,
    ) -> Result<Progress> {
        let revision = self.revision.min(parts.held);
        let mut left = limits.records;
        while left > 0 {
            if self.batch.is_empty() {
                match parts.filing.take(revision, &self.pins) {
                    Some(taken) => self.batch.extend(taken),
                    None => {
                        self.total = self.removed;
                        return Ok(Progress::Done);
                    }
                }
            }
            if !self.batch.is_empty() {
                let seen = self.rewrite_some(parts, &Limits { records: left, deadline: limits.deadline })?;
                left = left.saturating_sub(seen);
            }
            let left_to_see = self.batch.len() + parts.filing.count_due(revision);
            self.total = self.removed + left_to_see as u64;
            if limits.deadline.has_passed() {
                break;
            }
        }
        Ok(Progress::More)
    }

    /// Removes records from the front of the batch within the limits, and enters the new leaves into the tree. Answers how many it has
    /// looked at.
    fn rewrite_some<S: Storage, C: Clock>(
        &mut self,
        parts: &mut Parts<'_, S>,
        limits: &Limits<'_, C>,
    ) -> Result<usize> {
        self.bring_into_tree(parts)?;
        let dropped = core::mem::take(&mut self.dropped);
        let mut rewrite = Rewrite::new(self.rule(parts.held), parts.pager.page_bytes(), dropped);
        let before = self.batch.clone();
        let mut copy = || -> Result<()> {
            while rewrite.seen() < limits.records && !self.batch.is_empty() {
                rewrite.next_leaf(parts, &mut self.batch)?;
                if limits.deadline.has_passed() {
                    break;
                }
            }
            rewrite.finish(parts)
        };
        if let Err(error) = copy() {
            rewrite.undo(parts);
            self.batch = before;
            return Err(error);
        }
        self.dropped = rewrite.take_dropped();
        let (seen, removed) = (rewrite.seen(), rewrite.removed());
        self.removed += removed as u64;
        self.pages_freed += rewrite.apply(parts);
        Ok(seen)
    }

    /// What it goes by, while what has died after `held` is still needed.
    fn rule(&self, held: u64) -> Rule {
        Rule { revision: self.revision.min(held), pins: Arc::clone(&self.pins), is_plain: self.is_plain }
    }

    /// The newest leaves are not in the tree yet. If the batch reaches into them, they are committed and closed first.
    fn bring_into_tree<S: Storage>(&self, parts: &mut Parts<'_, S>) -> Result<()> {
        let outside = parts.records.first_outside_tree();
        if self.batch.back().copied() >= outside && outside.is_some() {
            parts.records.commit(parts.pager)?;
            parts.records.retire_open(parts.pager);
        }
        Ok(())
    }
}
