//! Proof that an index is what it claims to be.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::block::Entry;
use super::history::{Chunk, Head, Steps};
use super::table::ALL;
use super::{Change, Index, Step};

/// What was counted on the way.
#[derive(Default)]
struct Counted {
    chunks: usize,
    live: u64,
    positions: u64,
}

impl Index {
    /// Verifies every invariant of the index.
    ///
    /// # Errors
    /// The first violation found, in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.heads.check().map_err(|what| format!("heads: {what}"))?;
        self.chunks.check().map_err(|what| format!("chunks: {what}"))?;
        let mut counted = Counted::default();
        for entry in self.heads.range(ALL) {
            self.check_key(entry, &mut counted)
                .map_err(|what| format!("key {:?}: {what}", String::from_utf8_lossy(entry.key)))?;
        }
        equal("chunks", self.chunks.len(), counted.chunks)?;
        equal("live keys", self.live, counted.live)?;
        equal("positions", self.positions, counted.positions)
    }

    fn check_key(&self, entry: Entry<'_>, counted: &mut Counted) -> Result<(), String> {
        let head = Head::parse(entry.body).ok_or("the head is damaged")?;
        check_generation(&head)?;
        let mut steps = unpack(&head.steps)?;
        let chunks = self.chunks_before(entry.key, head.steps.newest.position);
        if chunks.is_empty() == head.has_chunks {
            return Err(format!("{} chunks against what the head says", chunks.len()));
        }
        for chunk_entry in chunks.iter().rev() {
            let chunk = Chunk::parse(chunk_entry.body).ok_or("a chunk is damaged")?;
            let part = unpack(&chunk.steps)?;
            equal("steps of a chunk", chunk.count, part.len() as u64)?;
            if Chunk::key(entry.key, chunk.oldest()) != chunk_entry.key {
                return Err("a chunk is not filed under its oldest position".to_string());
            }
            steps.extend(part);
        }
        if !steps.is_sorted_by(|newer, older| newer.position > older.position) {
            return Err("the positions do not strictly decrease".to_string());
        }
        counted.chunks += chunks.len();
        counted.live += u64::from(head.generation.is_some());
        counted.positions += steps.len() as u64;
        Ok(())
    }
}

fn check_generation(head: &Head<'_>) -> Result<(), String> {
    let newest = head.steps.newest;
    match head.generation {
        None if newest.change == Change::Put => Err("a live head has no generation".to_string()),
        Some(_) if newest.change == Change::Tombstone => Err("a deleted head has a generation".to_string()),
        Some(generation) if generation.version == 1 && generation.created != newest.position.main => {
            Err(format!("version 1 at {}, but created at {}", newest.position, generation.created))
        }
        _ => Ok(()),
    }
}

/// All steps, newest first, if every byte belongs to one.
fn unpack(steps: &Steps<'_>) -> Result<Vec<Step>, String> {
    let mut packed = steps.packed();
    let mut unpacked = alloc::vec![steps.newest];
    unpacked.extend(&mut packed);
    match packed.rest() {
        [] => Ok(unpacked),
        rest => Err(format!("{} bytes behind the last step", rest.len())),
    }
}

fn equal<T: PartialEq + core::fmt::Display>(what: &str, claimed: T, found: T) -> Result<(), String> {
    if claimed == found { Ok(()) } else { Err(format!("{what}: {claimed} claimed, {found} found")) }
}
