//! Reading histories: the steps of one key in either direction, and what has changed between two revisions.

use alloc::vec::Vec;
use core::ops::Bound;

use super::block::Entry;
use super::history::{Chunk, Head, Steps};
use super::{Change, Index, Step, chunk_of, head_of};
use crate::keys::KeyBounds;
use crate::revision::Position;

/// A step of a key's history, and the revision from which on it does not matter, if there is one yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Past {
    pub(crate) step: Step,
    pub(crate) death: Option<u64>,
    /// The revision of what follows it, if anything does.
    pub(crate) next: Option<u64>,
}

impl Past {
    /// The step that the step `newer` follows.
    ///
    /// A tombstone that its own transaction has replaced dies with it: of what one revision did to a key only the end is kept.
    fn new(step: Step, newer: Option<Step>) -> Self {
        let own = (step.change == Change::Tombstone).then_some(step.position.main + 1);
        let next = newer.map(|newer| newer.position.main);
        Self { step, death: own.into_iter().chain(next).min(), next }
    }
}

/// A key that is not the same at two revisions, and where its values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Differing<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) before: Option<Position>,
    pub(crate) after: Option<Position>,
}

impl Index {
    /// The newest steps of the key before a position, newest first, at most so many. Costs a search for each chunk that they are in.
    pub(crate) fn steps_before(&self, key: &[u8], end: Position, most: usize) -> Vec<Past> {
        let Some(body) = self.heads.get(key) else { return Vec::new() };
        let head = head_of(body);
        let mut found = Found { end, most, newer: None, steps: Vec::new() };
        head.steps.iter().for_each(|step| found.take(step));
        let mut before = oldest(&head);
        if before >= end {
            found.newer = self.steps_from(key, end, 1).first().map(|past| past.step);
            before = end;
        }
        while found.steps.len() < most
            && let Some(chunk) = self.chunk_before(key, before)
        {
            chunk.steps.iter().for_each(|step| found.take(step));
            before = chunk.oldest();
        }
        found.steps
    }

    /// The oldest steps of the key from a position on, oldest first, at most so many. Costs a search, and the decoding of the chunks that
    /// they are in.
    pub(crate) fn steps_from(&self, key: &[u8], start: Position, most: usize) -> Vec<Past> {
        let Some(body) = self.heads.get(key) else { return Vec::new() };
        let head = head_of(body);
        let mut steps: Vec<Step> = Vec::new();
        let mut take = |part: &Steps<'_>| {
            let part: Vec<Step> = part.iter().collect();
            steps.extend(part.into_iter().rev().filter(|step| step.position >= start));
            // One more than is wanted: by it the last one dies.
            steps.len() > most
        };
        // The chunk with the newest step until `start`, and those behind it.
        let first = self.chunk_entry(key, start).filter(|_| head.has_chunks);
        let lower = first.map_or_else(|| Chunk::key(key, Position::new(0, 0)), |entry| entry.key.to_vec());
        let upper = Chunk::key(key, head.steps.newest.position);
        let mut chunks = self.chunks.range((Bound::Included(&lower), Bound::Excluded(&upper)));
        let is_full = head.has_chunks && chunks.any(|entry| take(&chunk_of(entry.body).steps));
        if !is_full {
            take(&head.steps);
        }
        let newer = steps.iter().skip(1).copied().map(Some).chain([None]);
        steps.iter().zip(newer).map(|(step, newer)| Past::new(*step, newer)).take(most).collect()
    }

    /// The keys between the bounds that are not the same at two revisions, in order. Passes over blocks in which nothing has changed since the
    /// earlier of the two.
    pub(crate) fn diff<'a: 'b, 'b>(
        &'a self,
        bounds: KeyBounds<'b>,
        (from, to): (u64, u64),
    ) -> impl Iterator<Item = Differing<'a>> + use<'a, 'b> {
        self.heads.range_since(bounds, from.min(to)).filter_map(move |entry| {
            let (before, after) = (self.position_at(entry, from), self.position_at(entry, to));
            (before != after).then_some(Differing { key: entry.key, before, after })
        })
    }

    /// The newest chunk of the key with a step before `end`.
    fn chunk_before(&self, key: &[u8], end: Position) -> Option<Chunk<'_>> {
        let last = match (end.main, end.sub) {
            (0, 0) => return None,
            (main, 0) => Position::new(main - 1, u32::MAX),
            (main, sub) => Position::new(main, sub - 1),
        };
        self.chunk_entry(key, last).map(|entry| chunk_of(entry.body))
    }

    /// The newest chunk of the key whose oldest step is not after a position.
    fn chunk_entry(&self, key: &[u8], position: Position) -> Option<Entry<'_>> {
        let last = Chunk::key(key, position);
        self.chunks.last_until(&last).filter(|entry| Chunk::same_owner(entry.key, &last))
    }
}

/// The oldest step of a head.
fn oldest(head: &Head<'_>) -> Position {
    head.steps.packed().last().unwrap_or(head.steps.newest).position
}

/// Steps that come newest first, of which those before `end` are wanted.
struct Found {
    end: Position,
    most: usize,
    newer: Option<Step>,
    steps: Vec<Past>,
}

impl Found {
    fn take(&mut self, step: Step) {
        if step.position < self.end && self.steps.len() < self.most {
            self.steps.push(Past::new(step, self.newer));
        }
        self.newer = Some(step);
    }
}
