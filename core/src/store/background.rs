//! Background work: making writes durable, checkpoints, and the chunks of a compaction.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use super::leases::Ended;
use super::open::RootState;
use super::retention::Retaining;
use super::shrink::Shrink;
use super::status::StepTimes;
use super::thinning::Thinner;
use super::{Options, Store};
use crate::compaction::{Auto, Job, Limits, Look, Parts};
use crate::error::{Error, Result};
use crate::limits::{
    BACKGROUND_SYNC_PAGES, CHECKPOINT_LOG_PAGES, CHECKPOINT_PENDING_PAGES, CHECKPOINT_SUPERSEDED_PAGES,
    SWEEP_LEAST_RECORDS,
};
use crate::pager::{Checkpoint, Progress, Purpose};
use crate::records::Frozen;
use crate::revision::Revision;
use crate::sabotage::sabotaged;
use crate::scheduler::{Budget, Clock, Deadline, Next, Time};
use crate::storage::Storage;

use super::CompactionProgress;

/// A host that never calls `run` gets its checkpoints from its writes, when the log is this many times too long.
const OVERDUE: usize = 4;

/// Fewer pages than this are not worth a checkpoint, which costs two syncs, however small the store is.
const LEAST_PAGES: usize = 128;

/// Compactions whose progress is known. Each takes 64 bytes.
const MOST_TOLD: usize = 256;

/// What is going on between two calls of `run`.
#[derive(Default)]
pub(super) struct Background {
    /// When relaxed writes must be durable.
    flush_at: Option<Time>,
    /// When the running compaction may go on.
    chunk_at: Option<Time>,
    pub(super) job: Option<Job>,
    /// How the compactions stand that were begun, or are next, in their order: the newest [`MOST_TOLD`] of them.
    told: VecDeque<CompactionProgress>,
    checkpoint: Option<Running>,
    pub(super) shrink: Shrink,
    pub(super) auto: Auto,
    pub(super) thinner: Thinner,
    pub(super) retaining: Retaining,
    /// A compaction met damage: it is not tried again until the store is opened anew.
    stalled: Option<Error>,
    pub(super) steps: StepTimes,
    /// When the clock was last looked at.
    pub(super) seen: Option<Time>,
}

impl Background {
    /// How the compactions stand, oldest first; the last is the one that runs, or is next, or ran last.
    pub(super) fn told(&self) -> impl DoubleEndedIterator<Item = CompactionProgress> {
        self.told.iter().copied()
    }

    /// Takes note of how a compaction stands: the last one, or one after it.
    pub(super) fn note(&mut self, progress: CompactionProgress) {
        match self.told.back_mut().filter(|last| last.revision == progress.revision) {
            Some(last) => *last = progress,
            None => self.told.push_back(progress),
        }
        if self.told.len() > MOST_TOLD {
            self.told.pop_front();
        }
    }
}

impl Background {
    pub(super) fn new(options: &Options) -> Self {
        Self { auto: Auto::new(options.auto_compaction), ..Self::default() }
    }

    /// Records that the running compaction holds.
    pub(super) fn job_len(&self) -> usize {
        self.job.as_ref().map_or(0, |job| job.waiting().count())
    }
}

/// A checkpoint that is being written.
struct Running {
    pager: Checkpoint,
    records: Frozen,
    root: RootState,
    /// The revision that is finished once this checkpoint is durable.
    finishes: Option<u64>,
}

impl<S: Storage> Store<S> {
    /// Works on what is due in the background, for at most the budget plus about one page's work, and answers when it wants
    /// to be called again. With nothing to do it costs a few nanoseconds.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails, after which the store refuses to write and this answers
    /// [`Error::WritesRefused`] as long as there is something left to do; [`Error::Corrupt`] if a compaction meets a damaged
    /// page, after which it rests until the store is opened again.
    pub fn run(&mut self, clock: &impl Clock, budget: Budget) -> Result<Next> {
        self.note_time(clock);
        if !self.has_background_work() {
            return Ok(Next::Idle);
        }
        self.writable()?;
        self.pager.work_for(Purpose::Work);
        let deadline = Deadline::start(clock, budget);
        let start = deadline.now();
        let result = self.run_until(&deadline);
        self.background.steps.note(deadline.now().since(start));
        result
    }

    /// Whether anything is not yet durable, not yet compacted, or not yet checkpointed.
    fn has_background_work(&self) -> bool {
        self.is_unsynced()
            || self.leases.is_waiting()
            || self.leases.next().is_some()
            || self.watchers.has_times()
            || self.pins.next().is_some()
            || self.is_compacting()
            || self.background.checkpoint.is_some()
            || self.pager.pending_pages() > 0
            || self.wants_checkpoint()
            || self.is_shrinking()
            || self.wants_shrink()
            || self.shrinks_at().is_some()
            || !self.background.auto.is_off()
            || self.options.thinning.is_some()
            || self.has_next_rules()
            || self.filing.rules().times().next().is_some()
    }

    fn run_until<C: Clock>(&mut self, deadline: &Deadline<'_, C>) -> Result<Next> {
        loop {
            let step = self.step(deadline);
            let next = match step {
                Err(Error::Corrupt { .. }) => step?,
                other => self.noting_failure(other)?,
            };
            // A sync is not divisible, so it is what a call begins with, not what it ends with.
            if !next.is_ready() || deadline.has_passed() || self.wants_sync() {
                return Ok(next);
            }
        }
    }

    /// The most urgent unit of work.
    fn step<C: Clock>(&mut self, deadline: &Deadline<'_, C>) -> Result<Next> {
        let now = deadline.now();
        self.background.seen = Some(now);
        let leases = self.lease_step(now)?;
        let progress = self.watchers.look(now).map_or(Next::Idle, Next::At);
        let pins = self.pin_step(deadline)?.earlier(self.thinning_step(deadline)?);
        let pins = pins.earlier(self.retention_step(deadline));
        let times = leases.earlier(progress).earlier(pins).earlier(self.compact_if_due(now, deadline)?);
        let flush = self.flush_if_due(now)?.earlier(times);
        if self.background.checkpoint.is_some() {
            self.checkpoint_step()?;
            return Ok(Next::Now);
        }
        self.pager.release();
        if self.wants_checkpoint() {
            self.begin_checkpoint(None)?;
            return Ok(Next::Now);
        }
        if self.wants_sync() {
            self.pager.sync()?;
            return Ok(Next::Now);
        }
        let compaction = self.compaction_step(deadline)?;
        // What is to be removed need not be moved. Between two chunks of a compaction everything else rests, too.
        if compaction != Next::Idle {
            return Ok(flush.earlier(compaction));
        }
        Ok(flush.earlier(self.shrink_step(deadline)?))
    }

    /// Whether a compaction or a shrinking has written so much that the next sync would take long.
    fn wants_sync(&self) -> bool {
        self.pager.unsynced_pages() >= BACKGROUND_SYNC_PAGES
            && (self.background.job.is_some() || self.is_shrinking())
    }

    fn flush_if_due(&mut self, now: Time) -> Result<Next> {
        if !self.is_unsynced() {
            self.background.flush_at = None;
            return Ok(Next::Idle);
        }
        let due = *self.background.flush_at.get_or_insert_with(|| now.after(self.options.flush_interval));
        if now < due {
            return Ok(Next::At(due));
        }
        self.flush()?;
        Ok(Next::Idle)
    }

    /// Ends one lease whose time is over.
    fn lease_step(&mut self, now: Time) -> Result<Next> {
        self.leases.look(now);
        if self.end_due_lease(now)? == Ended::One {
            return Ok(Next::Now);
        }
        Ok(self.leases.next().map_or(Next::Idle, |(time, _)| Next::At(time)))
    }

    /// Lets the policy of automatic compaction look at the revision.
    fn compact_if_due<C: Clock>(&mut self, now: Time, deadline: &Deadline<'_, C>) -> Result<Next> {
        if self.background.auto.is_off() {
            return Ok(Next::Idle);
        }
        let look = Look { now, newest: self.revision, wall: deadline.wall(), times: &self.times };
        if let Some(revision) = self.background.auto.look(&look) {
            match self.compact(revision) {
                // What somebody else has compacted already is as good.
                Ok(_) | Err(Error::Compacted { .. }) => self.background.auto.compacted(now, revision),
                Err(error) => return Err(error),
            }
        }
        Ok(self.background.auto.next().map_or(Next::Idle, Next::At))
    }

    /// Makes every write so far durable, and answers with the newest revision.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails, after which the store refuses to write; [`Error::WritesRefused`].
    pub fn flush(&mut self) -> Result<Revision> {
        self.writable()?;
        let flushed = self.commit_and_sync();
        self.noting_failure(flushed)?;
        self.checkpoint_if_overdue()?;
        Ok(self.revision())
    }

    /// Whether anything would be lost if the power went now.
    fn is_unsynced(&self) -> bool {
        self.durable_revision != self.revision || self.has_unsynced_system
    }

    fn commit_and_sync(&mut self) -> Result<()> {
        if self.records.has_uncommitted() || self.is_unsynced() {
            if self.records.has_uncommitted() {
                self.append_time();
            }
            self.records.commit(&mut self.pager)?;
            self.pager.sync()?;
        }
        self.durable_revision = self.revision;
        self.has_unsynced_system = false;
        self.background.flush_at = None;
        Ok(())
    }

    /// A checkpoint gives back pages, so a small store wants one sooner: what waits for it is to be a small part of the file.
    fn wants_checkpoint(&self) -> bool {
        let (pages, superseded) = self.pager.log_pages();
        let share =
            |parts: usize, most: usize| (self.pager.file_pages() as usize / parts).clamp(LEAST_PAGES, most);
        // Pages that a snapshot holds do not come back by a checkpoint, so they must not ask for one again and again.
        let pending = self.pager.releasable_pages();
        if let Some(pages) = self.pages_left_to_work_in()
            && superseded + pending >= pages
        {
            return true;
        }
        pages >= CHECKPOINT_LOG_PAGES
            || superseded >= share(4, CHECKPOINT_SUPERSEDED_PAGES)
            || (pending >= share(24, CHECKPOINT_PENDING_PAGES) && self.background.job.is_some())
    }

    pub(super) fn checkpoint_if_overdue(&mut self) -> Result<()> {
        let (pages, superseded) = self.pager.log_pages();
        if pages >= OVERDUE * CHECKPOINT_LOG_PAGES || superseded >= OVERDUE * CHECKPOINT_SUPERSEDED_PAGES {
            return self.checkpoint();
        }
        Ok(())
    }

    /// Names the whole state in a meta slot, so that opening is quick and freed pages can be used again. It happens by
    /// itself in [`Store::run`]; this does it at once.
    ///
    /// # Errors
    /// [`Error::Storage`] if the storage fails, after which the store refuses to write; [`Error::WritesRefused`].
    pub fn checkpoint(&mut self) -> Result<()> {
        self.writable()?;
        self.pager.work_for(Purpose::Work);
        let done = self.checkpoint_now();
        self.noting_failure(done)
    }

    fn checkpoint_now(&mut self) -> Result<()> {
        while self.background.checkpoint.is_some() {
            self.checkpoint_step()?;
        }
        self.begin_checkpoint(None)?;
        while self.background.checkpoint.is_some() {
            self.checkpoint_step()?;
        }
        Ok(())
    }

    pub(super) fn begin_checkpoint(&mut self, finishes: Option<u64>) -> Result<()> {
        self.commit_and_sync()?;
        self.store_kept()?;
        let records = self.records.freeze(&mut self.pager)?;
        let pager = self.pager.begin_checkpoint()?;
        let root = RootState {
            records: None,
            kept: self.system.clone(),
            revision: self.revision,
            scheduled: self.compacted,
            finished: if sabotaged!(FinishedTooEarly) { self.compacted } else { finishes.or(self.finished) },
        };
        self.background.checkpoint = Some(Running { pager, records, root, finishes });
        Ok(())
    }

    /// Writes one page of the checkpoint, or makes it durable.
    fn checkpoint_step(&mut self) -> Result<()> {
        let Some(mut running) = self.background.checkpoint.take() else { return Ok(()) };
        let progress = match running.records.write_node(&mut self.pager)? {
            Progress::More => Progress::More,
            Progress::Done => self.pager.write_freelist_page(&mut running.pager)?,
        };
        if progress == Progress::More {
            self.background.checkpoint = Some(running);
            return Ok(());
        }
        let root = RootState { records: Some(running.records.root()), ..running.root };
        self.pager.finish_checkpoint(running.pager, root.encode())?;
        if let Some(finished) = running.finishes {
            self.finished = Some(finished);
            let ended = |told: &&mut CompactionProgress| told.revision.get() <= finished;
            self.background.told.iter_mut().filter(ended).for_each(|told| told.is_finished = true);
        }
        Ok(())
    }

    /// Whether there is something to remove though no compaction is left to be done: what held it is gone.
    fn wants_sweep(&self) -> bool {
        let Some(compacted) = self.compacted else { return false };
        let held = self.watchers.held_revision();
        if held >= compacted {
            return self.filing.is_due(compacted);
        }
        // A watcher that holds goes on in small steps, and a look costs a checkpoint.
        self.filing.is_due(held) && self.filing.count_due(held) >= SWEEP_LEAST_RECORDS
    }

    /// Whether there is anything to remove.
    pub(super) fn is_compacting(&self) -> bool {
        !self.queue.is_empty() || self.background.job.is_some() || self.wants_sweep()
    }

    /// The compaction that is to be done: the oldest that was asked for, or else the last one once more.
    fn next_job(&mut self) -> Option<Job> {
        let (pins, held) = (self.pins.revisions(), self.watchers.held_revision());
        if let Some(revision) = self.queue.front() {
            return Some(Job::new((*revision, held), &mut self.filing, pins));
        }
        let revision = self.compacted.filter(|_| self.wants_sweep())?;
        Some(Job::sweep((revision, held), &mut self.filing, pins))
    }

    fn compaction_step<C: Clock>(&mut self, deadline: &Deadline<'_, C>) -> Result<Next> {
        if self.background.stalled.is_some() {
            return Ok(Next::Idle);
        }
        let now = deadline.now();
        if self.background.job.is_none() {
            while self.take_up_rules() == Progress::More {
                if deadline.has_passed() {
                    return Ok(Next::Now);
                }
            }
            self.background.job = self.next_job();
        }
        let Some(mut job) = self.background.job.take() else { return Ok(Next::Idle) };
        if let Some(at) = self.background.chunk_at
            && now < at
        {
            self.background.job = Some(job);
            return Ok(Next::At(at));
        }
        let before = job.removed();
        // Each record may be the only one that a leaf loses, and the leaf is copied.
        let most = self.pages_left_to_work_in().unwrap_or(usize::MAX);
        let limits = Limits { records: self.options.compaction_batch_limit.min(most), deadline };
        let mut parts = Parts {
            pager: &mut self.pager,
            records: &mut self.records,
            index: &mut self.index,
            filing: &mut self.filing,
            held: self.watchers.held_revision(),
        };
        let chunk = job.chunk(&mut parts, &limits);
        self.record_count -= job.removed() - before;
        self.note_progress(&job);
        let finished = job.finishes();
        self.background.job = Some(job);
        match chunk {
            Err(error @ Error::Corrupt { .. }) => {
                self.background.stalled = Some(error.clone());
                Err(error)
            }
            Err(error) => Err(error),
            Ok(Progress::More) => Ok(self.pause(deadline.now())),
            Ok(Progress::Done) => {
                self.background.job = None;
                self.filing.end_job();
                self.background.chunk_at = None;
                if finished.is_some() {
                    self.queue.pop_front();
                }
                self.begin_checkpoint(finished)?;
                Ok(Next::Now)
            }
        }
    }

    /// The pause after a chunk, counted from its end, so that slow chunks do not eat it up.
    fn pause(&mut self, end: Time) -> Next {
        if self.options.compaction_pause == Duration::ZERO {
            return Next::Now;
        }
        let at = end.after(self.options.compaction_pause);
        self.background.chunk_at = Some(at);
        Next::At(at)
    }

    fn note_progress(&mut self, job: &Job) {
        let Some(revision) = job.finishes() else { return };
        self.background.note(CompactionProgress {
            revision: Revision::new(revision),
            removed: job.removed(),
            total: job.total(),
            pages_freed: job.pages_freed(),
            held: 0,
            is_finished: false,
        });
    }

    /// Dead records that the running compaction holds, for [`Store::check`].
    pub(super) fn waiting_dead(&self) -> Vec<crate::revision::Position> {
        self.background.job.iter().flat_map(Job::waiting).collect()
    }
}
