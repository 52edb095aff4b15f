//! Cutting free pages off the end of the storage.
//!
//! The layers above move what they have out of the end, into pages below a ceiling. A checkpoint lets go of the old places. Another one
//! says that the storage is shorter; once both meta slots say so durably, it is made so. A crash before that leaves a storage
//! that is longer than its checkpoint says, as a crash while it grows does.

use alloc::vec::Vec;

use super::arena::Pager;
use super::checkpoint::Progress;
use super::freelist::{MAX_LEVEL, Node, bits_per_page, fan_out, top_level};
use super::page::PageId;
use crate::error::Result;
use crate::storage::Storage;

impl<S: Storage> Pager<S> {
    /// Gives out no page from this one on, from now on. Whoever finds no other page ends that.
    pub(crate) fn keep_below(&mut self, ceiling: u32) {
        self.space.set_ceiling(Some(ceiling));
    }

    /// Gives out all free pages again.
    pub(crate) fn end_keeping_below(&mut self) {
        self.space.set_ceiling(None);
    }

    /// The page from which on none is given out.
    pub(crate) fn ceiling(&self) -> Option<u32> {
        self.space.ceiling()
    }

    /// How many free pages there are below a page.
    pub(crate) fn free_below(&self, end: u32) -> u32 {
        self.space.free_below(end)
    }

    /// How many runs of neighbouring free pages there are below a page.
    pub(crate) fn free_runs_below(&self, end: u32) -> u32 {
        self.space.free_runs_below(end)
    }

    /// The fewest pages that were free at any time since [`Pager::note_free`].
    pub(crate) fn fewest_free(&self) -> u32 {
        self.space.fewest_free()
    }

    /// Begins to note how few pages are free.
    pub(crate) fn note_free(&mut self) {
        self.space.note_free();
    }

    /// The page after the last one that is used or pending.
    pub(crate) fn end_of_taken(&self) -> u32 {
        self.space.end_of_taken()
    }

    /// Has the next checkpoint write those pages of the freelist to another place that stand at this page or after it.
    pub(crate) fn move_freelist(&mut self, limit: u32) {
        let (bits, fan_out) = (bits_per_page(self.page_bytes()), fan_out(self.page_bytes()));
        let moved: Vec<Node> = self
            .freelist
            .places
            .iter()
            .filter(|(_, place)| place.page >= limit)
            .map(|(node, _)| *node)
            .collect();
        for (level, at) in moved {
            let group = at.saturating_mul(fan_out.saturating_pow(u32::from(level)));
            self.space.touch(PageId::new(group.saturating_mul(bits)));
        }
    }

    /// Whether the next commit goes to this page or after it.
    pub(crate) fn log_is_beyond(&self, limit: u32) -> bool {
        self.log.next.get() >= limit
    }

    /// Takes free pages off the end, for the next checkpoint to say so. The storage keeps its length until
    /// [`Pager::cut_storage`].
    pub(crate) fn cut(&mut self, pages: u32) {
        let page_bytes = self.page_bytes();
        self.space.cut(pages);
        // What the log says from now on of the storage's length must hold when it has been cut.
        self.durable_pages = self.durable_pages.min(pages);
        let top = top_level(pages, page_bytes);
        let mut nodes = pages.div_ceil(bits_per_page(page_bytes));
        let mut gone: Vec<Node> = Vec::new();
        for level in 0..=MAX_LEVEL {
            let most = if level <= top { nodes } else { 0 };
            gone.extend(self.freelist.places.range((level, most)..=(level, u32::MAX)).map(|(node, _)| *node));
            nodes = nodes.div_ceil(fan_out(page_bytes));
        }
        for node in gone {
            if let Some(place) = self.freelist.places.remove(&node) {
                self.space.free(PageId::new(place.page));
            }
        }
        // The lists above the last of the map's pages name fewer.
        self.space.touch(PageId::new(pages.saturating_sub(1)));
        self.space.touch(PageId::new(0));
    }

    /// Makes the storage as long as its pages are many, by a step of so many pages at most. Both meta slots must say durably that it is.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage) if the storage fails.
    pub(crate) fn cut_storage(&mut self, most: u32) -> Result<Progress> {
        let (pages, long) = (self.space.pages(), self.pages.len());
        if pages >= long {
            return Ok(Progress::Done);
        }
        let next = pages.max(long.saturating_sub(most));
        self.pages.set_len(next)?;
        Ok(if next > pages { Progress::More } else { Progress::Done })
    }
}
