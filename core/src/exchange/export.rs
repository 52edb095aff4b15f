//! Writing a store as a stream of bytes.

use alloc::vec::{IntoIter, Vec};
use core::ops::ControlFlow;

use serde::Serialize;

use super::format::{
    End, MAX_SECTION_BYTES, SECTION_BYTES, State, append, append_record, append_section, chained, kind, start,
};
use crate::error::Result;
use crate::revision::{Position, Revision};
use crate::storage::Storage;
use crate::store::{Snapshot, Store};

/// Leases or times in one section, which take at most 30 bytes each, and pins, which take at most 300.
const NUMBERS_OF_SECTION: usize = 1000;
const PINS_OF_SECTION: usize = 100;

/// The whole store as it was at one moment, as bytes: the chunks of an export, one after the other, from which [`Import`](super::Import) makes
/// a store. It reads the same whatever is written or compacted meanwhile, on any thread.
///
/// A chunk has at most about 64 KiB. It is empty where much had to be passed over that compaction has not removed yet; so every
/// call does about as much. After an error there are no more. Holds in memory what belongs to two chunks, the longest value, and
/// the leases, pins and times; pages that only this export can reach are free again when it is dropped.
///
/// Invariant: `records` are encoded and not handed out yet, from `taken` on.
#[must_use = "an export does nothing until its chunks are taken"]
pub struct Export<S: Storage> {
    snapshot: Snapshot<S>,
    /// The lists, cut into sections: the kind of each, and what it holds.
    lists: IntoIter<(u16, Vec<u8>)>,
    records: Vec<u8>,
    taken: usize,
    /// The revision of the last record that was encoded.
    main: u64,
    stage: Stage,
    /// The checksum of everything handed out.
    chain: u64,
    told: End,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Start,
    Lists,
    /// The records from a position on; nothing where all are encoded.
    Records(Option<Position>),
    Done,
}

impl<S: Storage> Store<S> {
    /// Begins to copy the whole store as it is now: its history as far as it can be read, its revisions and their times, its pins, and its leases with
    /// the time that was left to them when [`Store::run`] last looked at the clock. Costs O(1) and these lists; the work is in taking the chunks.
    /// The same state gives the same bytes, however far the work of compactions is.
    ///
    /// ```
    /// # use palimpsest_kv::{Import, Options, Store, storage::MemoryStorage};
    /// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
    /// store.put("a", "1")?;
    /// let export = store.export();
    /// store.put("a", "not in the copy")?;
    ///
    /// let mut import = Import::begin(MemoryStorage::new(), Options::default())?;
    /// for chunk in export {
    ///     import.feed(&chunk?)?;
    /// }
    /// assert_eq!(import.finish()?.get("a")?.unwrap().value(), b"1");
    /// # Ok::<(), palimpsest_kv::Error>(())
    /// ```
    pub fn export(&self) -> Export<S> {
        let leases = self.listed_leases();
        let told = End { leases: leases.len() as u64, ..End::default() };
        let mut lists = Vec::new();
        list(&mut lists, (kind::LEASES, NUMBERS_OF_SECTION), &leases);
        list(&mut lists, (kind::PINS, PINS_OF_SECTION), &self.listed_pins());
        list(&mut lists, (kind::TIMES, NUMBERS_OF_SECTION), &self.listed_times());
        Export {
            snapshot: self.snapshot(),
            lists: lists.into_iter(),
            records: Vec::new(),
            taken: 0,
            main: 0,
            stage: Stage::Start,
            chain: 0,
            told,
        }
    }
}

/// Cuts a list into sections of so many items.
fn list<T: Serialize>(lists: &mut Vec<(u16, Vec<u8>)>, (kind, most): (u16, usize), items: &[T]) {
    for items in items.chunks(most) {
        let mut content = Vec::new();
        items.iter().for_each(|item| append(&mut content, item));
        lists.push((kind, content));
    }
}

impl<S: Storage> Export<S> {
    /// The newest revision that is in it.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.snapshot.newest()
    }

    fn section(&mut self, out: &mut Vec<u8>, kind: u16, content: &[u8]) {
        self.chain = append_section(out, self.chain, kind, content);
    }

    fn start(&mut self) -> Vec<u8> {
        let mut out = start();
        self.chain = chained(0, &out);
        let compacted = self.snapshot.compacted().map(Revision::get);
        let mut state = Vec::new();
        append(&mut state, &State { revision: self.snapshot.newest().get(), compacted });
        self.section(&mut out, kind::STATE, &state);
        out
    }

    /// Encodes records until there are enough for a section, or enough were looked at. Answers where to go on.
    fn encode(&mut self, from: Position) -> Result<Option<Position>> {
        self.records.drain(..self.taken);
        self.taken = 0;
        let Self { snapshot, records, main, told, .. } = self;
        snapshot.for_each_kept(from, |position, change| {
            append_record(records, *main, position, change);
            *main = position.main;
            told.records += 1;
            if records.len() < SECTION_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
    }

    /// The next section of records, whole or the last one; nothing in it if there are too few yet.
    fn records(&mut self, next: Option<Position>) -> Vec<u8> {
        let mut out = Vec::new();
        let waiting = self.records.len() - self.taken;
        if waiting >= SECTION_BYTES || next.is_none() && waiting > 0 {
            let end = self.taken + waiting.min(MAX_SECTION_BYTES);
            let content = self.records.get(self.taken..end).unwrap_or(&[]);
            self.chain = append_section(&mut out, self.chain, kind::RECORDS, content);
            self.taken = end;
        }
        out
    }

    fn end(&mut self) -> Vec<u8> {
        let (mut out, mut content) = (Vec::new(), Vec::new());
        append(&mut content, &self.told);
        self.section(&mut out, kind::END, &content);
        out
    }

    /// The next chunk and what comes after it.
    fn step(&mut self) -> Result<(Vec<u8>, Stage)> {
        match self.stage {
            Stage::Start => Ok((self.start(), Stage::Lists)),
            Stage::Lists => match self.lists.next() {
                Some((kind, content)) => {
                    let mut out = Vec::new();
                    self.section(&mut out, kind, &content);
                    Ok((out, Stage::Lists))
                }
                None => {
                    let stage = Stage::Records(Some(Position::new(0, 0)));
                    self.stage = stage;
                    self.step()
                }
            },
            Stage::Records(next) => {
                let waiting = self.records.len() - self.taken;
                let next = match next {
                    Some(from) if waiting < SECTION_BYTES => self.encode(from)?,
                    next => next,
                };
                if next.is_none() && self.records.len() == self.taken {
                    return Ok((self.end(), Stage::Done));
                }
                Ok((self.records(next), Stage::Records(next)))
            }
            Stage::Done => Ok((Vec::new(), Stage::Done)),
        }
    }
}

impl<S: Storage> Iterator for Export<S> {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Result<Vec<u8>>> {
        if self.stage == Stage::Done {
            return None;
        }
        let step = self.step();
        self.stage = step.as_ref().map_or(Stage::Done, |(_, stage)| *stage);
        Some(step.map(|(chunk, _)| {
            self.told.bytes += chunk.len() as u64;
            chunk
        }))
    }
}
