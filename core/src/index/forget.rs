//! Dropping single positions from histories, and looking at what is around one.

use alloc::vec::Vec;
use core::ops::Bound;

use super::block::Entry;
use super::history::{Chunk, Head, Steps, push_step};
use super::{Index, Step, chunk_of, head_of};
use crate::revision::Position;

/// Chunks of a key that are looked at in one call: some thousand positions.
const CHUNKS_AT_ONCE: usize = 16;

/// What a key's history has beside a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Neighbours {
    /// Whether there is anything before it.
    pub(crate) has_older: bool,
    /// The step after it.
    pub(crate) next: Option<Step>,
}

impl Neighbours {
    /// Takes a step into account; they come newest first.
    fn see(&mut self, step: Step, position: Position) {
        self.has_older |= step.position < position;
        if step.position > position {
            self.next = Some(step);
        }
    }
}

impl Index {
    /// The oldest step of the key. Costs a search, or two for a long history.
    pub(crate) fn first(&self, key: &[u8]) -> Option<Step> {
        let head = head_of(self.heads.get(key)?);
        if head.has_chunks {
            let start = Chunk::key(key, Position::new(0, 0));
            let chunk = self.chunks.range((Bound::Included(&start), Bound::Unbounded)).next()?;
            return chunk_of(chunk.body).steps.iter().last();
        }
        head.steps.iter().last()
    }

    /// The puts right before the key's newest step and of the same generation, newest first, as many as `most`. Costs a search and the decoding of
    /// so many positions.
    pub(crate) fn puts_before_newest(&self, key: &[u8], most: usize) -> Vec<Position> {
        let Some(body) = self.heads.get(key) else { return Vec::new() };
        let head = head_of(body);
        let mut steps: Vec<Step> = head.steps.iter().take(most + 1).collect();
        let mut has_more = head.has_chunks;
        while has_more && steps.len() <= most {
            let Some(oldest) = steps.last() else { break };
            let before = Position::new(oldest.position.main, oldest.position.sub.wrapping_sub(1));
            let before = if oldest.position.sub == 0 {
                Position::new(oldest.position.main.saturating_sub(1), u32::MAX)
            } else {
                before
            };
            match self.own_chunk_until(&Chunk::key(key, before)) {
                Some(entry) => steps.extend(chunk_of(entry.body).steps.iter()),
                None => has_more = false,
            }
        }
        let puts = steps.iter().skip(1).take(most).map_while(|step| step.live());
        puts.collect()
    }

    /// What the key has before and after a position. Costs two searches, or four in a long history.
    pub(crate) fn neighbours(&self, key: &[u8], position: Position) -> Neighbours {
        let mut around = Neighbours::default();
        let Some(body) = self.heads.get(key) else { return around };
        let head = head_of(body);
        head.steps.iter().for_each(|step| around.see(step, position));
        if around.has_older || !head.has_chunks {
            return around;
        }
        let (at, end) = (Chunk::key(key, position), Chunk::key(key, head.steps.newest.position));
        if let Some(newer) = self.chunks.range((Bound::Excluded(&at), Bound::Excluded(&end))).next() {
            chunk_of(newer.body).steps.iter().for_each(|step| around.see(step, position));
        }
        if let Some(own) = self.own_chunk_until(&at) {
            chunk_of(own.body).steps.iter().for_each(|step| around.see(step, position));
            let start = Chunk::key(key, Position::new(0, 0));
            let mut older = self.chunks.range((Bound::Included(&start), Bound::Excluded(own.key)));
            around.has_older |= older.next().is_some();
        }
        around
    }

    /// The chunk that this name of a chunk is in: the last of its key that does not begin after it.
    fn own_chunk_until(&self, name: &[u8]) -> Option<Entry<'_>> {
        self.chunks.last_until(name).filter(|entry| Chunk::same_owner(entry.key, name))
    }

    /// Drops puts of the key from this position on that died at or before `revision`, unless `keeps` keeps them: so many as are near, so
    /// that what is to be removed of a key is dropped with the first few of it.
    ///
    /// Costs two searches if the position is not there, and the packing of a head or some chunks if it is. Tombstones are kept.
    /// Answers up to which position nothing is left to be dropped.
    pub(crate) fn drop_from(
        &mut self,
        (key, position): (&[u8], Position),
        revision: u64,
        keeps: Keeps<'_>,
    ) -> Position {
        let Some(body) = self.heads.get(key) else { return position };
        let head = head_of(body);
        let oldest_of_head = head.steps.iter().last().unwrap_or(head.steps.newest).position;
        let mut sifting = Sifting { revision, keeps, has_seen: false, position, done: position };
        let is_head_next =
            position >= oldest_of_head || self.sift_chunks(key, oldest_of_head.main, &mut sifting);
        if is_head_next && oldest_of_head.main <= revision {
            self.sift_head(key, &mut sifting);
        }
        sifting.done
    }

    /// Drops steps from the chunk on that has the position. Answers whether the head is next.
    fn sift_chunks(&mut self, key: &[u8], oldest_of_head: u64, sifting: &mut Sifting<'_>) -> bool {
        let (start, at) = (Chunk::key(key, Position::new(0, 0)), Chunk::key(key, sifting.position));
        let is_own = |entry: &Entry<'_>| Chunk::same_owner(entry.key, &start);
        let found = self.own_chunk_until(&at).map(|entry| (entry.key, chunk_of(entry.body).steps));
        if found.is_none_or(|(_, steps)| steps.newest.position < sifting.position) {
            // It is gone already, and so is all up to what follows.
            let following = self.chunks.range((Bound::Excluded(&at), Bound::Unbounded)).next().filter(is_own);
            let next = following.map_or(oldest_of_head, |entry| chunk_of(entry.body).oldest().main);
            sifting.done = sifting.done.max(Position::new(next.saturating_sub(1), u32::MAX));
            return false;
        }
        let Some((name, steps)) = found else { return false };
        if !steps.iter().any(|step| step.position == sifting.position) {
            return false;
        }
        let from = self.chunks.range((Bound::Included(name), Bound::Unbounded));
        // One more, to know what follows the last.
        let near = from.take_while(is_own).take(CHUNKS_AT_ONCE + 1);
        let near: Vec<(Vec<u8>, Vec<u8>)> =
            near.map(|entry| (entry.key.to_vec(), entry.body.to_vec())).collect();
        for (place, (name, body)) in near.iter().enumerate().take(CHUNKS_AT_ONCE) {
            let chunk = chunk_of(body);
            let next = near.get(place + 1).map_or(oldest_of_head, |(_, next)| chunk_of(next).oldest().main);
            if chunk.oldest().main > sifting.revision {
                return false;
            }
            let Some(rest) = sifting.sift(&chunk.steps, next) else { return false };
            self.replace_chunk(key, (name, &chunk), &rest);
        }
        self.note_last_chunk(key);
        near.len() <= CHUNKS_AT_ONCE
    }

    fn replace_chunk(&mut self, key: &[u8], (name, chunk): (&[u8], &Chunk<'_>), rest: &[Step]) {
        let count = rest.len() as u64;
        if count == chunk.count {
            return;
        }
        self.positions -= chunk.count - count;
        self.chunks.remove(name);
        if let Some((newest, older)) = pack(rest) {
            self.store_chunk(key, &Chunk { count, steps: Steps { newest, older: &older } });
        }
    }

    fn sift_head(&mut self, key: &[u8], sifting: &mut Sifting<'_>) {
        let Some(body) = self.heads.get(key) else { return };
        let head = head_of(body);
        let before = head.steps.iter().count();
        let Some(rest) = sifting.sift(&head.steps, u64::MAX) else { return };
        if rest.len() == before {
            return;
        }
        let (generation, has_chunks) = (head.generation, head.has_chunks);
        self.positions -= (before - rest.len()) as u64;
        match pack(&rest) {
            None => self.heads.remove(key),
            Some((newest, older)) => {
                self.store_head(
                    key,
                    &Head { steps: Steps { newest, older: &older }, generation, has_chunks },
                );
            }
        }
    }

    /// Drops one position of the key, if it is there; without any left the key leaves the index. The newest may be dropped only as the
    /// last.
    ///
    /// Costs two searches and the packing of one head or chunk.
    pub(crate) fn forget(&mut self, key: &[u8], position: Position) {
        let Some(body) = self.heads.get(key) else { return };
        let head = head_of(body);
        let (before, rest) = (head.steps.iter().count(), without(&head.steps, position));
        if rest.len() < before {
            let (generation, has_chunks) = (head.generation, head.has_chunks);
            self.positions -= 1;
            match pack(&rest) {
                None => self.heads.remove(key),
                Some((newest, older)) => {
                    let steps = Steps { newest, older: &older };
                    self.store_head(key, &Head { steps, generation, has_chunks });
                }
            }
        } else if head.has_chunks {
            self.forget_in_chunk(key, position);
        }
    }

    fn forget_in_chunk(&mut self, key: &[u8], position: Position) {
        let Some(entry) = self.own_chunk_until(&Chunk::key(key, position)) else { return };
        let (name, chunk) = (entry.key.to_vec(), chunk_of(entry.body));
        let (count, rest) = (chunk.count, without(&chunk.steps, position));
        let is_oldest = chunk.oldest() == position;
        if rest.len() as u64 == count {
            return;
        }
        self.positions -= 1;
        match pack(&rest) {
            None => {
                self.chunks.remove(&name);
                self.note_last_chunk(key);
            }
            Some((newest, older)) => {
                if is_oldest {
                    self.chunks.remove(&name);
                }
                let steps = Steps { newest, older: &older };
                self.store_chunk(key, &Chunk { count: count - 1, steps });
            }
        }
    }
}

/// Whether a put is kept that is seen from a revision on and before another.
pub(crate) type Keeps<'a> = &'a dyn Fn(u64, u64) -> bool;

/// Dropping steps from a position on, from old to new.
struct Sifting<'a> {
    revision: u64,
    keeps: Keeps<'a>,
    /// The position was come across.
    has_seen: bool,
    position: Position,
    /// The last position that was looked at.
    done: Position,
}

impl Sifting<'_> {
    /// Those of some steps that are kept, newest first, where `next` is the revision of what follows them; `None` if the position is to be
    /// among them or before, and is not.
    fn sift(&mut self, steps: &Steps<'_>, next: u64) -> Option<Vec<Step>> {
        let all: Vec<Step> = steps.iter().collect();
        self.has_seen |= all.iter().any(|step| step.position == self.position);
        if !self.has_seen {
            return None;
        }
        self.done = steps.newest.position;
        let mut rest = Vec::with_capacity(all.len());
        for (place, step) in all.iter().enumerate().rev() {
            let next =
                place.checked_sub(1).and_then(|newer| all.get(newer)).map_or(next, |step| step.position.main);
            if next > self.revision || step.is_tombstone() || (self.keeps)(step.position.main, next) {
                rest.push(*step);
            }
        }
        rest.reverse();
        Some(rest)
    }
}

/// All steps but the one at a position, newest first.
fn without(steps: &Steps<'_>, position: Position) -> Vec<Step> {
    steps.iter().filter(|step| step.position != position).collect()
}

/// The newest of some steps, and the others packed; `None` of none.
fn pack(steps: &[Step]) -> Option<(Step, Vec<u8>)> {
    let (newest, older) = steps.split_first()?;
    let mut packed = Vec::new();
    let mut main = newest.position.main;
    for step in older {
        push_step(&mut packed, main - step.position.main, *step);
        main = step.position.main;
    }
    Some((*newest, packed))
}
