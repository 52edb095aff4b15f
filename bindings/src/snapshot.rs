//! Snapshots, and cursors that read a range of one in batches.

use core::cell::RefCell;
use std::rc::Rc;

use palimpsest_kv::{Keys, Snapshot};
use wasm_bindgen::prelude::*;

use crate::entries::{pack, packed};
use crate::errors::{JsResult, busy, translated};
use crate::keys::selection;
use crate::objects::{RangeOptions, from_js};
use crate::storage::Medium;

/// The store as it was at one revision, for as long as this lives.
#[wasm_bindgen]
pub struct EngineSnapshot {
    snapshot: Rc<Snapshot<Medium>>,
}

impl EngineSnapshot {
    pub(crate) fn new(snapshot: Snapshot<Medium>) -> Self {
        Self { snapshot: Rc::new(snapshot) }
    }
}

#[wasm_bindgen]
impl EngineSnapshot {
    /// The revision that it reads at.
    #[must_use]
    pub fn revision(&self) -> f64 {
        self.snapshot.revision().get() as f64
    }

    /// A key's value.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub fn get(&self, key: &[u8]) -> JsResult<Option<Vec<u8>>> {
        let entry = self.snapshot.get(key).map_err(translated)?;
        Ok(entry.map(|entry| entry.value().to_vec()))
    }

    /// A key's entry, packed.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub fn entry(&self, key: &[u8]) -> JsResult<Option<Vec<u8>>> {
        let entry = self.snapshot.get(key).map_err(translated)?;
        Ok(entry.map(|entry| packed([&entry])))
    }

    /// How many of the keys there are.
    ///
    /// # Errors
    /// As [`palimpsest_kv::RangeRequest::count`].
    pub fn count(&self, keys: &[u8]) -> JsResult<f64> {
        Ok(self.snapshot.range(selection(keys)?).count().map_err(translated)? as f64)
    }

    /// A cursor over the keys. The snapshot stays alive as long as the cursor does.
    ///
    /// # Errors
    /// If the options or the keys are malformed.
    pub fn cursor(&self, keys: &[u8], options: JsValue) -> JsResult<Cursor> {
        Ok(Cursor::new(Rc::clone(&self.snapshot), selection(keys)?, from_js(options)?))
    }
}

/// A range in the making, read batch by batch.
#[wasm_bindgen]
pub struct Cursor {
    snapshot: Rc<Snapshot<Medium>>,
    keys: Keys,
    keys_only: bool,
    position: RefCell<Position>,
}

/// Where a cursor stands. Invariant: everything up to `last` has been handed out.
struct Position {
    last: Option<Vec<u8>>,
    remaining: usize,
}

impl Cursor {
    pub(crate) fn new(snapshot: Rc<Snapshot<Medium>>, keys: Keys, options: RangeOptions) -> Self {
        let position = Position { last: None, remaining: options.limit.unwrap_or(usize::MAX) };
        Self { snapshot, keys, keys_only: options.keys_only, position: RefCell::new(position) }
    }

    /// Appends at most `entries` entries to a block, stopping early once it has `bytes`. Answers the last key read.
    fn fill(&self, block: &mut Vec<u8>, position: &mut Position, room: (usize, usize)) -> JsResult<()> {
        let (entries, bytes) = room;
        let keys = match &position.last {
            None => self.keys.clone(),
            Some(last) => Keys::at_least([last.as_slice(), &[0]].concat()),
        };
        let mut range = self.snapshot.range(keys).limit(entries);
        if self.keys_only {
            range = range.keys_only();
        }
        let mut last = None;
        for entry in range.iter().map_err(translated)? {
            let entry = entry.map_err(translated)?;
            if !self.keys.contains(entry.key()) {
                break;
            }
            pack(block, &entry);
            position.remaining -= 1;
            last = Some(entry);
            if block.len() >= bytes {
                break;
            }
        }
        if let Some(last) = last {
            position.last = Some(last.key().to_vec());
        }
        Ok(())
    }
}

#[wasm_bindgen]
impl Cursor {
    /// The next entries, packed: at most `entries`, and no further one once the block has `bytes`. Nothing at the range's
    /// end.
    ///
    /// # Errors
    /// As [`palimpsest_kv::RangeRequest::iter`].
    pub fn next(&self, entries: usize, bytes: usize) -> JsResult<Option<Vec<u8>>> {
        let mut position = self.position.try_borrow_mut().map_err(|_| busy())?;
        let entries = entries.min(position.remaining);
        let mut block = Vec::new();
        if entries > 0 {
            self.fill(&mut block, &mut position, (entries, bytes))?;
        }
        Ok((!block.is_empty()).then_some(block))
    }
}
