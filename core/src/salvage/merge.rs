//! The records of many leaves in the order of their positions, each once.

use alloc::collections::BinaryHeap;
use core::cmp::{Ordering, Reverse};

use super::ground::{Counts, Ground, Source, damaged_record};
use crate::error::{PageKind, Result};
use crate::pager::Page;
use crate::records::{Leaf, Record};
use crate::revision::Position;
use crate::storage::Storage;

/// A leaf that is being read, at its next record that counts.
struct Reading {
    position: Position,
    source: Source,
    page: Page,
    at: usize,
}

impl Reading {
    /// Records of leaves that something names come before the same records of others.
    fn key(&self) -> (Position, bool, u32) {
        (self.position, self.source.counts == Counts::InGaps, self.source.place.page)
    }
}

impl PartialEq for Reading {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Reading {}

impl PartialOrd for Reading {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Reading {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// Calls `visit` for every record that counts, in the order of positions, with the number of its page. A record that can't be read is
/// noted as damage of its leaf.
///
/// Holds the leaves that overlap in memory, which is one at a time unless leaves were found by themselves.
///
/// # Errors
/// Those of `visit`.
pub(super) fn in_order<S: Storage>(
    ground: &mut Ground<'_, S>,
    mut visit: impl FnMut(&mut Ground<'_, S>, &Record<'_>, u32) -> Result<()>,
) -> Result<()> {
    let sources = core::mem::take(&mut ground.sources);
    let mut waiting = sources.into_iter().peekable();
    let mut heap: BinaryHeap<Reverse<Reading>> = BinaryHeap::new();
    let mut last = None;
    loop {
        let next = heap.peek().map(|Reverse(reading)| reading.position);
        if let Some(source) = waiting.next_if(|source| next.is_none_or(|next| source.first <= next)) {
            heap.extend(begin(ground, source).map(Reverse));
            continue;
        }
        let Some(Reverse(reading)) = heap.pop() else { break };
        if last < Some(reading.position) {
            last = Some(reading.position);
            if let Ok(record) = Leaf::of(&reading.page).record(reading.at) {
                visit(ground, &record, reading.source.place.page)?;
            }
        }
        heap.extend(advance(ground, reading).map(Reverse));
    }
    Ok(())
}

/// Loads a leaf, and finds its first record that counts.
fn begin<S: Storage>(ground: &mut Ground<'_, S>, source: Source) -> Option<Reading> {
    match ground.survey.load(source.place, PageKind::Leaf) {
        Ok(page) => seek(ground, Reading { position: source.first, source, page, at: 0 }),
        Err(error) => {
            ground.damages.add(error);
            None
        }
    }
}

/// The leaf at its next record after the present one.
fn advance<S: Storage>(ground: &mut Ground<'_, S>, reading: Reading) -> Option<Reading> {
    let from = reading.position;
    let mut reading = seek(ground, Reading { at: reading.at + 1, ..reading })?;
    while reading.position <= from {
        // Positions grow within a leaf; what does not is skipped.
        reading = seek(ground, Reading { at: reading.at + 1, ..reading })?;
    }
    Some(reading)
}

/// The leaf at its first record, from the present one on, that counts.
fn seek<S: Storage>(ground: &mut Ground<'_, S>, mut reading: Reading) -> Option<Reading> {
    let Source { first, place, counts } = reading.source;
    let page = reading.page.clone();
    let leaf = Leaf::of(&page);
    while reading.at < leaf.len() {
        match leaf.record(reading.at) {
            Ok(record) => {
                let position = record.position;
                let is_within = match counts {
                    Counts::All => true,
                    Counts::Before(end) => position < end,
                    Counts::InGaps => ground.gap_at(position).is_some(),
                };
                if is_within && position >= first {
                    return Some(Reading { position, ..reading });
                }
            }
            Err(what) => ground.damages.add(damaged_record(place.page)(what)),
        }
        reading.at += 1;
    }
    None
}
