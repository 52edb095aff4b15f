//! Which pages are used, pending and free, and who still looks at pending ones.
//!
//! The life of a page: *free* until it is allocated; *used* while the newest state reaches it; *pending* once that
//! state has let go of it, until (1) a durable checkpoint that no longer reaches it exists and (2) every snapshot that was open when it was
//! let go is gone; then free again. Low numbers are given out first, so that the end of the file empties.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::bitmap::Bitmap;
use super::meta::META_PAGES;
use super::page::PageId;
use crate::sabotage::sabotaged;
use crate::sync::Mutex;

/// A stretch of time between two snapshots or checkpoints. A snapshot taken in epoch `e` can reach pages that are freed
/// in epochs after `e`, and no page freed in `e` or before.
pub(crate) type Epoch = u64;

/// The epochs of the snapshots that are open. Shared with them, so that a dropped one takes itself off the list.
#[derive(Debug, Default)]
pub(crate) struct Readers(Mutex<Epochs>);

/// Invariant: every epoch in `open` is before `current`, and its count is not zero.
#[derive(Debug, Default)]
struct Epochs {
    current: Epoch,
    open: BTreeMap<Epoch, Open>,
}

#[derive(Debug)]
struct Open {
    /// The snapshot and its copies.
    count: usize,
    note: Note,
}

/// What whoever takes a snapshot wants to find again when asking who holds pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// The revision that is read.
    pub(crate) revision: u64,
    /// When it was taken, in microseconds of the host's clock, if that was known.
    pub(crate) taken: Option<u64>,
}

/// A snapshot that is open, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) note: Note,
    /// The snapshot and its copies.
    pub(crate) count: usize,
    /// Pages that are pending, and stay so at least as long as it is open.
    pub(crate) pages: usize,
}

impl Readers {
    /// Registers a snapshot of the present epoch, which ends with it.
    fn begin(&self, note: Note) -> Epoch {
        let mut epochs = self.0.lock();
        let epoch = epochs.current;
        epochs.current += 1;
        epochs.open.insert(epoch, Open { count: 1, note });
        epoch
    }

    /// Registers a copy of a snapshot, which is open.
    fn add(&self, epoch: Epoch) {
        if let Some(open) = self.0.lock().open.get_mut(&epoch) {
            open.count += 1;
        }
    }

    fn remove(&self, epoch: Epoch) {
        let mut epochs = self.0.lock();
        if let Some(open) = epochs.open.get_mut(&epoch) {
            open.count -= 1;
            if open.count == 0 {
                epochs.open.remove(&epoch);
            }
        }
    }

    /// Ends the present epoch, and answers with it.
    fn end_epoch(&self) -> Epoch {
        let mut epochs = self.0.lock();
        epochs.current += 1;
        epochs.current - 1
    }

    fn current(&self) -> Epoch {
        self.0.lock().current
    }

    fn oldest(&self) -> Option<Epoch> {
        self.0.lock().open.first_key_value().map(|(epoch, _)| *epoch)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().open.values().map(|open| open.count).sum()
    }
}

/// A snapshot's hold on the pages that it can reach; lets go when dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    epoch: Epoch,
    readers: Arc<Readers>,
}

impl Clone for Hold {
    fn clone(&self) -> Self {
        self.readers.add(self.epoch);
        Self { epoch: self.epoch, readers: Arc::clone(&self.readers) }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.readers.remove(self.epoch);
    }
}

/// The state of every page.
///
/// Invariants:
/// - a page of `used` is in `taken`; a page of `pending` is in `taken` and not in `used`; every page of `taken` is in one of the two;
/// - meta pages are used;
/// - the epochs in `pending` do not decrease;
/// - no number in `taken` reaches `pages`;
/// - no fewer pages are free than `fewest_free`.
#[derive(Debug)]
pub(crate) struct Space {
    /// Pages that a checkpoint made now would reach.
    used: Bitmap,
    /// Pages that must not be given out: used and pending ones.
    taken: Bitmap,
    taken_count: u32,
    pending: VecDeque<(Epoch, PageId)>,
    /// The storage's length in pages.
    pages: u32,
    /// The epoch that the last durable checkpoint ended, if there was one since the store was opened.
    durable: Option<Epoch>,
    readers: Arc<Readers>,
    /// Pages from this one on are not given out: the end of the storage is to become free.
    ceiling: Option<u32>,
    /// The fewest pages that were free since that was last asked to be noted.
    fewest_free: u32,
    /// Numbers of the groups of `GROUP_WORDS` words of `used` that changed since they were last written.
    changed: Bitmap,
    group_bits: u32,
}

impl Space {
    /// A space of `pages` pages of which only the meta pages are used. Changes are reported by groups of `group_bits`.
    pub(super) fn new(pages: u32, group_bits: u32) -> Self {
        let mut space = Self {
            used: Bitmap::default(),
            taken: Bitmap::default(),
            taken_count: 0,
            pending: VecDeque::new(),
            pages: pages.max(META_PAGES),
            durable: None,
            readers: Arc::default(),
            ceiling: None,
            fewest_free: 0,
            changed: Bitmap::default(),
            group_bits,
        };
        space.taken.extend(space.pages);
        for page in 0..META_PAGES {
            space.claim(PageId::new(page));
        }
        space
    }

    /// Marks a page found in use when a store is opened. Answers whether it was free before.
    pub(super) fn claim(&mut self, page: PageId) -> bool {
        let was_free = self.taken.insert(page.get());
        if was_free {
            self.taken_count += 1;
            self.pages = self.pages.max(page.get().saturating_add(1));
            self.fewest_free = self.fewest_free.min(self.free_len());
            self.use_bit(page);
        }
        was_free
    }

    fn use_bit(&mut self, page: PageId) {
        self.used.insert(page.get());
        self.changed.insert(page.get() / self.group_bits);
    }

    /// The lowest free page, now used.
    pub(super) fn allocate(&mut self) -> Option<PageId> {
        let page = PageId::new(self.taken.lowest_clear(self.end_of_givable())?);
        self.claim(page);
        Some(page)
    }

    /// The page after `page` if it is free, now used.
    pub(super) fn allocate_after(&mut self, page: PageId) -> Option<PageId> {
        let next = page.next();
        let is_taken = self.taken.contains(next.get()) && !sabotaged!(AllocatedTwice);
        let is_free = next.get() < self.end_of_givable() && !is_taken;
        is_free.then(|| {
            self.claim(next);
            next
        })
    }

    fn end_of_givable(&self) -> u32 {
        self.ceiling.map_or(self.pages, |ceiling| ceiling.min(self.pages))
    }

    /// Gives out no page from this one on, or all that are free again.
    pub(super) fn set_ceiling(&mut self, ceiling: Option<u32>) {
        self.ceiling = ceiling;
    }

    pub(super) fn ceiling(&self) -> Option<u32> {
        self.ceiling
    }

    /// How many pages below this one are free.
    pub(super) fn free_below(&self, end: u32) -> u32 {
        self.taken.count_clear(end.min(self.pages))
    }

    /// How many runs of neighbouring free pages there are below this one.
    pub(super) fn free_runs_below(&self, end: u32) -> u32 {
        self.taken.count_clear_runs(end.min(self.pages))
    }

    pub(super) fn fewest_free(&self) -> u32 {
        self.fewest_free
    }

    /// Begins to note how few pages are free.
    pub(super) fn note_free(&mut self) {
        self.fewest_free = self.free_len();
    }

    /// The page after the last one that is used or pending.
    pub(super) fn end_of_taken(&self) -> u32 {
        self.taken.end()
    }

    /// Takes free pages off the end.
    pub(super) fn cut(&mut self, pages: u32) {
        assert!(self.end_of_taken() <= pages, "only free pages are cut off");
        self.pages = pages;
        self.fewest_free = self.fewest_free.min(self.free_len());
        let groups = pages.div_ceil(self.group_bits);
        let beyond: Vec<u32> = self.changed.iter().filter(|group| *group >= groups).collect();
        beyond.into_iter().for_each(|group| {
            self.changed.remove(group);
        });
    }

    /// Has the map page of a page written anew with the next checkpoint.
    pub(super) fn touch(&mut self, page: PageId) {
        self.changed.insert(page.get() / self.group_bits);
    }

    /// Adds free pages at the end.
    pub(super) fn grow(&mut self, pages: u32) {
        self.pages = self.pages.max(pages);
        self.taken.extend(self.pages);
    }

    /// Lets go of a used page: it is pending from now on.
    pub(super) fn free(&mut self, page: PageId) {
        assert!(self.used.remove(page.get()), "page {} is freed while it is not in use", page.get());
        self.changed.insert(page.get() / self.group_bits);
        self.pending.push_back((self.readers.current(), page));
    }

    /// Gives back a page that no checkpoint and no snapshot can have seen: it is free at once.
    pub(super) fn give_back(&mut self, page: PageId) {
        assert!(self.used.remove(page.get()), "page {} is given back while it is not in use", page.get());
        self.changed.insert(page.get() / self.group_bits);
        self.taken.remove(page.get());
        self.taken_count -= 1;
    }

    /// A hold on everything that is reachable now.
    pub(super) fn hold(&self, note: Note) -> Hold {
        Hold { epoch: self.readers.begin(note), readers: Arc::clone(&self.readers) }
    }

    /// The snapshots that are open, oldest first, and what each holds. Costs a search among the pending pages for each.
    pub(super) fn held(&self) -> Vec<Held> {
        let epochs = self.readers.0.lock();
        let held = epochs.open.iter().map(|(epoch, Open { count, note })| {
            let free_of_it = self.pending.partition_point(|(freed, _)| freed <= epoch);
            Held { note: *note, count: *count, pages: self.pending.len() - free_of_it }
        });
        held.collect()
    }

    /// Ends the epoch at the beginning of a checkpoint, and answers with it.
    pub(super) fn begin_checkpoint(&mut self) -> Epoch {
        self.readers.end_epoch()
    }

    /// Notes that the checkpoint begun in `epoch` is durable.
    pub(super) fn checkpoint_is_durable(&mut self, epoch: Epoch) {
        self.durable = self.durable.max(Some(epoch));
    }

    /// Frees what nothing holds any more. Answers with those pages, so that the cache can forget them.
    pub(super) fn release(&mut self) -> Vec<PageId> {
        let mut released = Vec::new();
        let durable = if sabotaged!(PendingReusedEarly) { Some(Epoch::MAX) } else { self.durable };
        let Some(durable) = durable else { return released };
        let oldest = self.readers.oldest().filter(|_| !sabotaged!(SnapshotIgnored));
        let limit = oldest.map_or(durable, |oldest| oldest.min(durable));
        while let Some((_, page)) = self.pending.pop_front_if(|(epoch, _)| *epoch <= limit) {
            self.taken.remove(page.get());
            self.taken_count -= 1;
            released.push(page);
        }
        released
    }

    pub(super) fn pages(&self) -> u32 {
        self.pages
    }

    pub(super) fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// How many pending pages only wait for a checkpoint.
    pub(super) fn releasable_len(&self) -> usize {
        match self.readers.oldest() {
            Some(oldest) => self.pending.partition_point(|(epoch, _)| *epoch <= oldest),
            None => self.pending.len(),
        }
    }

    pub(super) fn free_len(&self) -> u32 {
        self.pages - self.taken_count
    }

    pub(super) fn readers(&self) -> &Readers {
        &self.readers
    }

    pub(super) fn is_used(&self, page: PageId) -> bool {
        self.used.contains(page.get())
    }

    /// The pages that may be given out.
    pub(super) fn vacant(&self) -> impl Iterator<Item = PageId> + '_ {
        self.taken.clear(self.pages).map(PageId::new)
    }

    pub(super) fn used(&self) -> impl Iterator<Item = PageId> + '_ {
        self.used.iter().map(PageId::new)
    }

    pub(super) fn pending(&self) -> impl Iterator<Item = PageId> + '_ {
        self.pending.iter().map(|(_, page)| *page)
    }

    /// The lowest group that changed since it was last taken from here.
    pub(super) fn take_changed(&mut self) -> Option<u32> {
        let group = self.changed.iter().next()?;
        self.changed.remove(group);
        Some(group)
    }

    pub(super) fn forget_changes(&mut self) {
        self.changed = Bitmap::default();
    }

    /// Bits `64 * word` and following of the used pages.
    pub(super) fn used_word(&self, word: usize) -> u64 {
        self.used.word(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn durable_checkpoint(space: &mut Space) {
        let epoch = space.begin_checkpoint();
        space.checkpoint_is_durable(epoch);
    }

    #[test]
    fn a_freed_page_waits_for_a_checkpoint_and_for_every_older_snapshot() {
        let mut space = Space::new(10, 64);
        let page = space.allocate().unwrap();
        assert_eq!(page.get(), META_PAGES, "low numbers first");
        let note = |revision| Note { revision, taken: None };
        let before = space.hold(note(3));
        let copy = before.clone();
        space.free(page);
        let after = space.hold(note(4));
        let held = |note, count, pages| Held { note, count, pages };
        assert_eq!(space.held(), [held(note(3), 2, 1), held(note(4), 1, 0)]);
        assert_eq!(space.release(), []);
        durable_checkpoint(&mut space);
        assert_eq!(space.release(), [], "two snapshots still reach it");
        drop(before);
        assert_eq!(space.release(), []);
        drop(copy);
        assert_eq!(space.release(), [page], "the snapshot taken later does not matter");
        drop(after);
        assert_eq!(space.allocate(), Some(page), "and it is the first to be used again");
    }

    #[test]
    fn a_page_freed_after_the_checkpoint_began_waits_for_the_next() {
        let mut space = Space::new(10, 64);
        let page = space.allocate().unwrap();
        let epoch = space.begin_checkpoint();
        space.free(page);
        space.checkpoint_is_durable(epoch);
        assert_eq!(space.release(), []);
        durable_checkpoint(&mut space);
        assert_eq!(space.release(), [page]);
    }
}
