//! Copying what lives: leaves without their dead records, neighbours that are no longer full joined.
//!
//! New leaves are written before the tree changes, so that a failure in the middle leaves everything as it was.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::dead::Dead;
use super::parts::Parts;
use super::tombstones::Stay;
use crate::error::{Error, PageKind, Result};
use crate::pager::PageId;
use crate::pin::pin_between;
use crate::records::{Body, Fit, Leaf, LeafBuilder, LeafRef, Record, Records, capacity, damaged, with_key};
use crate::revision::Position;
use crate::sabotage::sabotaged;
use crate::storage::Storage;

/// What a job goes by.
pub(super) struct Rule {
    /// What has died by this revision goes.
    pub(super) revision: u64,
    /// Unless one of these sees it.
    pub(super) pins: Arc<[u64]>,
    /// Nothing holds a dead record.
    pub(super) is_plain: bool,
}

impl Rule {
    fn stay(&self, main: u64, next: Option<u64>) -> Option<Stay> {
        Stay::of(main, next, (self.revision, &self.pins))
    }
}

/// Why a dead record stays.
enum Why {
    /// It is a tombstone that an older record needs.
    Tombstone(Stay),
    /// A pin sees it, and it was replaced at this revision.
    Pinned(u64),
}

/// Keys that the index is told of at once, so that the processor fetches what it knows of them side by side.
const KEYS_AT_ONCE: usize = 64;

/// Keys at most whose positions are known to be dropped.
const MOST_DROPPED: usize = 4096;

/// Between which positions nothing of some keys is left to be dropped from the index, so that it need not be asked for each record. What a pin has
/// held comes before what waits for a compaction, so that older positions may come after newer ones.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    /// By a compaction to this revision.
    revision: u64,
    between: HashMap<Vec<u8>, (Position, Position)>,
}

impl Dropped {
    /// The same for a compaction to another revision, of which nothing is known.
    fn of(self, revision: u64) -> Self {
        if self.revision == revision { self } else { Self { revision, between: HashMap::new() } }
    }

    fn has(&self, key: &[u8], position: Position) -> bool {
        self.between.get(key).is_some_and(|(from, until)| (*from..=*until).contains(&position))
    }

    fn note(&mut self, key: &[u8], between: (Position, Position)) {
        if self.between.len() >= MOST_DROPPED {
            self.between.clear();
        }
        self.between.insert(key.to_vec(), between);
    }
}

/// A part of a compaction's chunk: leaves that will go, and leaves that will stand in their place.
///
/// Invariants: the leaves of `old` are in the tree and in order; every record of them that is not removed is in `new` or `out`.
pub(super) struct Rewrite {
    rule: Rule,
    old: Vec<LeafRef>,
    new: Vec<LeafRef>,
    /// The new leaf that is being filled.
    out: LeafBuilder,
    page_bytes: usize,
    /// Overflow pages of the removed records.
    overflow: Vec<PageId>,
    removed: usize,
    /// Dead records that stay, and why.
    stays: Vec<(Position, Why)>,
    /// Tombstones before which there is nothing any more.
    firsts: Vec<Position>,
    dropped: Dropped,
    /// Keys of removed records that the index is still to drop them of, where nothing is held.
    keys: Vec<Vec<u8>>,
}

impl Rewrite {
    pub(super) fn new(rule: Rule, page_bytes: usize, dropped: Dropped) -> Self {
        let dropped = dropped.of(rule.revision);
        Self {
            rule,
            old: Vec::new(),
            new: Vec::new(),
            out: LeafBuilder::new(page_bytes),
            page_bytes,
            overflow: Vec::new(),
            removed: 0,
            stays: Vec::new(),
            firsts: Vec::new(),
            dropped,
            keys: Vec::new(),
        }
    }

    /// What it knows of keys, for the next part.
    pub(super) fn take_dropped(&mut self) -> Dropped {
        core::mem::take(&mut self.dropped)
    }

    pub(super) fn removed(&self) -> usize {
        self.removed
    }

    /// How many dead records it has looked at.
    pub(super) fn seen(&self) -> usize {
        self.removed + self.stays.len()
    }

    /// Copies the leaf that holds the first record of `dead`, without those of `dead` that it holds.
    ///
    /// # Errors
    /// Those of reading and writing pages.
    pub(super) fn next_leaf<S: Storage>(
        &mut self,
        parts: &mut Parts<'_, S>,
        dead: &mut VecDeque<Position>,
    ) -> Result<()> {
        let Some(position) = dead.front().copied() else { return Ok(()) };
        let Some(leaf) = parts.records.tree().find(position).copied() else {
            return Err(missing(position, 0));
        };
        self.begin(parts, &leaf)?;
        let page = parts.pager.pages().load(leaf.place, PageKind::Leaf)?;
        for record in Leaf::of(&page).records() {
            let record = record.map_err(damaged(leaf.place.page))?;
            if matches!(record.body, Body::System(_)) {
                // It spoke of the time before the checkpoint that will make this leaf durable.
                continue;
            }
            if dead.front() == Some(&record.position) {
                dead.pop_front();
                match self.stay(parts, &record)? {
                    Some(why) => {
                        self.stays.push((record.position, why));
                        self.keep(parts, &record)?;
                    }
                    None => self.remove(parts, &record)?,
                }
            } else {
                self.keep(parts, &record)?;
            }
        }
        if dead.front() == Some(&position) {
            return Err(missing(position, leaf.place.page));
        }
        self.old.push(leaf);
        if self.keys.len() >= KEYS_AT_ONCE {
            self.drop_from_index(parts);
        }
        Ok(())
    }

    /// Ends the run of neighbours if `leaf` does not continue it, and begins a new one; with the leaf before it if that
    /// is less than half full.
    fn begin<S: Storage>(&mut self, parts: &mut Parts<'_, S>, leaf: &LeafRef) -> Result<()> {
        let tree = parts.records.tree();
        let continues = self.old.last().is_some_and(|last| tree.after(last.first) == Some(leaf));
        if continues {
            return Ok(());
        }
        self.end_run(parts)?;
        let before = parts.records.tree().before(leaf.first).copied();
        match before {
            Some(before)
                if self.is_underfull(usize::from(before.used)) && self.old.last() != Some(&before) =>
            {
                self.copy_all(parts, &before)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn is_underfull(&self, used: usize) -> bool {
        used < capacity(self.page_bytes) / 2
    }

    /// Copies a whole leaf, dead records included.
    fn copy_all<S: Storage>(&mut self, parts: &mut Parts<'_, S>, leaf: &LeafRef) -> Result<()> {
        let page = parts.pager.pages().load(leaf.place, PageKind::Leaf)?;
        for record in Leaf::of(&page).records() {
            let record = record.map_err(damaged(leaf.place.page))?;
            if !matches!(record.body, Body::System(_)) {
                self.keep(parts, &record)?;
            }
        }
        self.old.push(*leaf);
        Ok(())
    }

    /// Ends a run of neighbours: joins its last leaf with the next one if both fit into one, and writes it.
    fn end_run<S: Storage>(&mut self, parts: &mut Parts<'_, S>) -> Result<()> {
        let used = self.out.leaf().used();
        if used == 0 {
            return Ok(());
        }
        let next = self.old.last().and_then(|last| parts.records.tree().after(last.first)).copied();
        if let Some(next) = next
            && self.is_underfull(used)
            && used + usize::from(next.used) <= capacity(self.page_bytes)
        {
            self.copy_all(parts, &next)?;
        }
        self.write_out(parts)
    }

    /// Why a dead record stays, if it does.
    fn stay<S: Storage>(&self, parts: &Parts<'_, S>, record: &Record<'_>) -> Result<Option<Why>> {
        let is_tombstone = record.body.generation(record.position.main).is_none();
        if self.rule.is_plain || is_tombstone && sabotaged!(TombstoneBeforeElder) {
            return Ok(None);
        }
        let (index, rules, main) = (&*parts.index, parts.filing.rules(), record.position.main);
        with_key(parts.pager.pages(), &record.body, |key| {
            let counts_versions = rules.versions(rules.of(key)) > 1;
            if !is_tombstone && !counts_versions {
                return None;
            }
            let around = index.neighbours(key, record.position);
            let next = around.next.map(|step| step.position.main);
            let death = if is_tombstone { Some(main + 1) } else { next };
            let seen = death.filter(|death| pin_between(&self.rule.pins, main, *death).is_some());
            match (seen, is_tombstone && around.has_older) {
                (Some(death), _) => Some(Why::Pinned(death)),
                // Without it the older ones would be among the newest of the key.
                (None, true) if counts_versions => Some(Why::Tombstone(Stay::Newest)),
                (None, true) => self.rule.stay(main, next).map(Why::Tombstone),
                (None, false) => None,
            }
        })
    }

    fn remove<S: Storage>(&mut self, parts: &mut Parts<'_, S>, record: &Record<'_>) -> Result<()> {
        let pages = parts.pager.pages();
        let is_tombstone = record.body.generation(record.position.main).is_none();
        let (index, rule, dropped) = (&mut *parts.index, &self.rule, &mut self.dropped);
        let rules = parts.filing.rules();
        let has_tombstones = parts.filing.has_tombstones() || !self.stays.is_empty();
        let keys = &mut self.keys;
        let first = with_key(pages, &record.body, |key| {
            // What else is to go of the key goes with the first of it, which is much quicker for a long history.
            if rule.is_plain {
                if keys.last().is_none_or(|last| last != key) {
                    keys.push(key.to_vec());
                }
            } else if is_tombstone || rules.versions(rules.of(key)) > 1 {
                index.forget(key, record.position);
            } else if !dropped.has(key, record.position) {
                let keeps = |first, end| pin_between(&rule.pins, first, end).is_some();
                let reach = rules.reach(rules.of(key), rule.revision);
                let until = index.drop_from((key, record.position), reach, &keeps);
                if reach == rule.revision {
                    dropped.note(key, (record.position, until));
                }
            }
            if has_tombstones { index.first(key) } else { None }
        })?;
        self.firsts.extend(first.filter(|step| step.is_tombstone()).map(|step| step.position));
        if !sabotaged!(OverflowLeaked) {
            self.overflow.extend(Records::overflow_pages(pages, &record.body)?);
        }
        self.removed += 1;
        Ok(())
    }

    fn keep<S: Storage>(&mut self, parts: &mut Parts<'_, S>, record: &Record<'_>) -> Result<()> {
        if sabotaged!(OverflowFreedAlive) {
            self.overflow.extend(Records::overflow_pages(parts.pager.pages(), &record.body)?);
        }
        if self.out.append(record) == Fit::Full {
            self.write_out(parts)?;
            let fit = self.out.append(record);
            assert!(fit == Fit::Fits, "a record that was in a leaf fits into an empty one");
        }
        Ok(())
    }

    /// Writes the leaf that is being filled.
    fn write_out<S: Storage>(&mut self, parts: &mut Parts<'_, S>) -> Result<()> {
        let out = core::mem::replace(&mut self.out, LeafBuilder::new(self.page_bytes));
        self.new.extend(Records::write_leaf(parts.pager, out)?);
        Ok(())
    }

    /// Writes what is left. After this, [`Rewrite::apply`] can't fail.
    ///
    /// # Errors
    /// Those of reading and writing pages.
    pub(super) fn finish<S: Storage>(&mut self, parts: &mut Parts<'_, S>) -> Result<()> {
        self.drop_from_index(parts);
        self.end_run(parts)
    }

    /// Drops from the index what is to go of the keys of removed records.
    fn drop_from_index<S: Storage>(&mut self, parts: &mut Parts<'_, S>) {
        let mut keys = core::mem::take(&mut self.keys);
        keys.sort_unstable();
        keys.dedup();
        parts.index.fetch(&keys);
        keys.iter().for_each(|key| parts.index.compact_key(key, self.rule.revision));
    }

    /// Puts the new leaves in the place of the old ones. Answers how many pages that frees, less those filled anew.
    pub(super) fn apply<S: Storage>(self, parts: &mut Parts<'_, S>) -> i64 {
        let freed_pages = self.old.len() + self.overflow.len();
        let mut freed = self.overflow;
        for leaf in &self.old {
            parts.records.tree_mut().remove(leaf.first, &mut freed);
            freed.push(PageId::new(leaf.place.page));
        }
        for leaf in &self.new {
            parts.records.tree_mut().insert(*leaf, &mut freed);
        }
        freed.into_iter().for_each(|page| parts.pager.free(page));
        for (position, why) in self.stays {
            match why {
                Why::Tombstone(stay) => parts.filing.push_tombstone(position, stay),
                Why::Pinned(death) => {
                    parts.filing.push_if_pinned(Dead { position, death }, &self.rule.pins);
                }
            }
        }
        self.firsts.into_iter().for_each(|tombstone| parts.filing.note_first(tombstone));
        freed_pages as i64 - self.new.len() as i64
    }

    /// Gives up after a failure: the tree is as it was, and the pages written so far are free again.
    pub(super) fn undo<S: Storage>(self, parts: &mut Parts<'_, S>) {
        for leaf in &self.new {
            parts.pager.give_back(PageId::new(leaf.place.page));
        }
    }
}

fn missing(position: Position, page: u32) -> Error {
    Error::corrupt(page, PageKind::Leaf, format!("record {position}, which is to be removed, is missing"))
}
