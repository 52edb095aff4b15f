//! Dropping single positions from histories, and looking at what is around one.

use alloc::vec::Vec;
use core::ops::Bound;

use super::block::Entry;
use super::history::{Chunk, Head, Step, Steps, push_step};
use super::{Index, chunk_of, head_of};
use crate::revision::Position;

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
