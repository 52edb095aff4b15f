//! Emptying the end of the storage: leaves and long values that stand there are copied to lower pages, a leaf at a time, or some of its long
//! values.
//!
//! One pass over the leaves finds them all. What it costs is what lives, and not how long the storage has become.

use alloc::vec::Vec;

use super::parts::Parts;
use crate::error::{PageKind, Result};
use crate::limits::{BACKGROUND_SYNC_PAGES, SHRINK_STEP_BYTES};
use crate::pager::{Page, PageId};
use crate::records::{
    Body, Fit, Leaf, LeafBuilder, LeafRef, MovedChain, Record, Records, beyond, damaged, move_below,
};
use crate::revision::Position;
use crate::scheduler::{Clock, Deadline};
use crate::storage::Storage;

/// Free pages that copying a leaf may need: long values named by longer lists may cut it in two.
const LEAF_PAGES: u32 = 4;

/// How far a pass over the leaves has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// There is more to look at.
    More,
    /// There are so many free pages too few below the limit for the next leaf or a value of it: a checkpoint may free some.
    NoRoom { lacking: u32 },
    /// Everything was looked at.
    All,
}

/// A pass that moves what stands at a page or after it.
#[derive(Clone, Debug)]
pub(crate) struct Mover {
    limit: u32,
    /// The first position of the last leaf that nothing is left to be done for.
    last: Option<Position>,
    /// Leaves moved so far; one whose long values take several steps counts each time.
    moved: u64,
}

/// What is left to be done for a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    /// Long values, in another step.
    Values,
    /// What has no room.
    NoRoom {
        lacking: u32,
    },
}

/// What a leaf's copy will need: its new leaves, and the overflow pages that change hands.
struct Copy {
    limit: u32,
    new: Vec<LeafRef>,
    out: LeafBuilder,
    /// Overflow pages that nothing names any more.
    old_overflow: Vec<PageId>,
    new_overflow: Vec<PageId>,
}

impl Mover {
    /// A pass that moves what stands at page `limit` or after it.
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, last: None, moved: 0 }
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// Goes on with a limit that is further behind.
    pub(crate) fn widen(&mut self, limit: u32) {
        self.limit = self.limit.max(limit);
    }

    pub(crate) fn moved(&self) -> u64 {
        self.moved
    }

    /// Looks at leaves until the time is over, and moves those that it must.
    ///
    /// # Errors
    /// Those of the storage, and [`Error::Corrupt`](crate::Error::Corrupt). Nothing is lost then.
    pub(crate) fn chunk<S: Storage, C: Clock>(
        &mut self,
        parts: &mut Parts<'_, S>,
        deadline: &Deadline<'_, C>,
    ) -> Result<Moved> {
        loop {
            let tree = parts.records.tree();
            let next = match self.last {
                Some(last) => tree.after(last).copied(),
                None => tree.leaves().next().copied(),
            };
            let Some(leaf) = next else { return Ok(Moved::All) };
            match self.move_leaf(parts, &leaf)? {
                Left::Nothing => self.last = Some(leaf.first),
                Left::Values => {}
                Left::NoRoom { lacking } => return Ok(Moved::NoRoom { lacking }),
            }
            // Without the ceiling, what was moved may be behind the limit again.
            let is_over = deadline.has_passed() || parts.pager.ceiling().is_none();
            if is_over || parts.pager.unsynced_pages() >= BACKGROUND_SYNC_PAGES {
                return Ok(Moved::More);
            }
        }
    }

    /// Moves a leaf if it or a long value of it stands too far behind; of the long values as many as there is room for in one step.
    fn move_leaf<S: Storage>(&mut self, parts: &mut Parts<'_, S>, leaf: &LeafRef) -> Result<Left> {
        let page = parts.pager.pages().load(leaf.place, PageKind::Leaf)?;
        let (now, left) = self.long_values(parts, (leaf, &page))?;
        let is_behind = leaf.place.page >= self.limit;
        if !is_behind && now.is_empty() {
            return Ok(left);
        }
        let free = parts.pager.free_below(self.limit);
        if free < LEAF_PAGES {
            return Ok(Left::NoRoom { lacking: LEAF_PAGES - free });
        }
        let mut copy = Copy {
            limit: self.limit,
            new: Vec::new(),
            out: LeafBuilder::new(page.len()),
            old_overflow: Vec::new(),
            new_overflow: Vec::new(),
        };
        if let Err(error) = copy.fill(parts, (leaf, &page), &now) {
            copy.undo(parts);
            return Err(error);
        }
        copy.apply(parts, leaf);
        self.moved += 1;
        Ok(left)
    }

    /// The records of a leaf whose long values stand behind the limit and are to be moved now, and what is left then. It ends with the
    /// value that makes the step long enough: that one is moved as a whole, so that what a step takes is bounded by the longest value.
    fn long_values<S: Storage>(
        &self,
        parts: &Parts<'_, S>,
        (leaf, page): (&LeafRef, &Page),
    ) -> Result<(Vec<Position>, Left)> {
        let pager = &parts.pager;
        let step = usize::try_from(SHRINK_STEP_BYTES / 4).unwrap_or(usize::MAX) / pager.page_bytes();
        let (mut now, mut taken, mut left) = (Vec::new(), 0, Left::Nothing);
        let mut room = None;
        for record in Leaf::of(page).records() {
            let record = record.map_err(damaged(leaf.place.page))?;
            let Some(chain) = record.body.chain() else { continue };
            let Some(beyond) = beyond(pager.pages(), chain, self.limit)? else { continue };
            if taken >= step {
                return Ok((now, Left::Values));
            }
            let (free, runs) = *room.get_or_insert_with(|| {
                (pager.free_below(self.limit) as usize, pager.free_runs_below(self.limit))
            });
            let pages = beyond.needed_pages(pager.page_bytes(), runs);
            let needed = taken + pages + LEAF_PAGES as usize;
            if needed <= free {
                taken += pages;
                now.push(record.position);
            } else {
                left = Left::NoRoom { lacking: u32::try_from(needed - free).unwrap_or(u32::MAX) };
            }
        }
        Ok((now, left))
    }
}

impl Copy {
    /// Copies the records of a leaf, and those long values that are to move.
    fn fill<S: Storage>(
        &mut self,
        parts: &mut Parts<'_, S>,
        (leaf, page): (&LeafRef, &Page),
        moving: &[Position],
    ) -> Result<()> {
        for record in Leaf::of(page).records() {
            let Record { position, mut body } = record.map_err(damaged(leaf.place.page))?;
            if matches!(body, Body::System(_)) {
                // It spoke of the time before the checkpoint that will make this leaf durable.
                continue;
            }
            if let Some(chain) = body.chain().filter(|_| moving.contains(&position)).cloned() {
                let MovedChain { chain, new, old } = move_below(parts.pager, &chain, self.limit)?;
                body = body.on_chain(chain);
                self.new_overflow.extend(new);
                self.old_overflow.extend(old);
            }
            self.keep(parts, &Record { position, body })?;
        }
        self.write_out(parts)
    }

    fn keep<S: Storage>(&mut self, parts: &mut Parts<'_, S>, record: &Record<'_>) -> Result<()> {
        if self.out.append(record) == Fit::Full {
            self.write_out(parts)?;
            let fit = self.out.append(record);
            assert!(fit == Fit::Fits, "a record that was in a leaf fits into an empty one");
        }
        Ok(())
    }

    fn write_out<S: Storage>(&mut self, parts: &mut Parts<'_, S>) -> Result<()> {
        let out = core::mem::replace(&mut self.out, LeafBuilder::new(parts.pager.page_bytes()));
        self.new.extend(Records::write_leaf(parts.pager, out)?);
        Ok(())
    }

    /// Puts the new leaves in the place of the old one.
    fn apply<S: Storage>(self, parts: &mut Parts<'_, S>, leaf: &LeafRef) {
        let mut freed = self.old_overflow;
        parts.records.tree_mut().remove(leaf.first, &mut freed);
        freed.push(PageId::new(leaf.place.page));
        for leaf in &self.new {
            parts.records.tree_mut().insert(*leaf, &mut freed);
        }
        freed.into_iter().for_each(|page| parts.pager.free(page));
    }

    /// Gives up after a failure: the tree is as it was, and the pages written so far are free again.
    fn undo<S: Storage>(self, parts: &mut Parts<'_, S>) {
        let leaves = self.new.iter().map(|leaf| PageId::new(leaf.place.page));
        for page in leaves.chain(self.new_overflow) {
            parts.pager.give_back(page);
        }
    }
}
