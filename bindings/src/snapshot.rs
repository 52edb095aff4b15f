//! Snapshots, and cursors that read a range of one in batches.

use core::cell::RefCell;
use std::rc::Rc;

use palimpsest_kv::{Entry, Keys, Snapshot};
use wasm_bindgen::prelude::*;

use crate::entries::{pack, packed};
use crate::errors::{JsResult, busy, translated};
use crate::keys::selection;
use crate::objects::from_js;
use crate::reads::RangeOptions;
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

    /// The snapshot, for what outlives this.
    pub(crate) fn shared(&self) -> Rc<Snapshot<Medium>> {
        Rc::clone(&self.snapshot)
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
        Cursor::new(Rc::clone(&self.snapshot), selection(keys)?, from_js(options)?)
    }
}

/// A range in the making, read batch by batch.
#[wasm_bindgen]
pub struct Cursor {
    snapshot: Rc<Snapshot<Medium>>,
    keys: Keys,
    options: RangeOptions,
    position: RefCell<Position>,
}

/// Where a cursor stands.
enum Position {
    /// In key order: everything before `rest` has been handed out.
    InKeyOrder { rest: Keys, remaining: usize },
    /// In another order, for which everything had to be read: what has not been handed out.
    Sorted(std::vec::IntoIter<Entry>),
}

impl Cursor {
    pub(crate) fn new(snapshot: Rc<Snapshot<Medium>>, keys: Keys, options: RangeOptions) -> JsResult<Self> {
        let limit = options.limit();
        let position = match options.order() {
            None => Position::InKeyOrder { rest: keys.clone(), remaining: limit },
            Some(_) => {
                let range = options.range(snapshot.range(&keys), limit)?;
                Position::Sorted(range.collect().map_err(translated)?.entries.into_iter())
            }
        };
        Ok(Self { snapshot, keys, options, position: RefCell::new(position) })
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
        let mut block = Vec::new();
        match &mut *self.position.try_borrow_mut().map_err(|_| busy())? {
            Position::InKeyOrder { rest, remaining } => {
                let range = self.options.range(self.snapshot.range(&*rest), entries.min(*remaining))?;
                let mut last = None;
                for entry in range.iter().map_err(translated)? {
                    let entry = entry.map_err(translated)?;
                    pack(&mut block, &entry);
                    *remaining -= 1;
                    last = Some(entry);
                    if block.len() >= bytes {
                        break;
                    }
                }
                if let Some(last) = last {
                    *rest = rest.after(last.key());
                }
            }
            Position::Sorted(sorted) => {
                for entry in sorted.take(entries) {
                    pack(&mut block, &entry);
                    if block.len() >= bytes {
                        break;
                    }
                }
            }
        }
        Ok((!block.is_empty()).then_some(block))
    }

    /// How many of the keys there are, whatever the limit and the bounds on revisions.
    ///
    /// # Errors
    /// As [`palimpsest_kv::RangeRequest::count`].
    pub fn count(&self) -> JsResult<f64> {
        Ok(self.snapshot.range(&self.keys).count().map_err(translated)? as f64)
    }
}
