//! Histories of keys, and what differs between two revisions, read in batches.
//!
//! A version is packed as an event of a watcher that did not ask for what was there before. A key that differs is packed as a byte, 1 if it
//! was there before, 2 if it is there after and 3 if both, and the entries of those.

use core::cell::RefCell;
use std::rc::Rc;

use palimpsest_kv::{Event, HistoryRequest, Keys, Order, Previous, Snapshot, Version};
use serde::Deserialize;
use wasm_bindgen::prelude::*;

use crate::engine::Engine;
use crate::entries::{pack, packed_events};
use crate::errors::{JsResult, busy, translated};
use crate::keys::{exact, selection};
use crate::objects::from_js;
use crate::snapshot::EngineSnapshot;
use crate::storage::Medium;

/// How a history is read; a revision that is absent, or 0, sets no bound.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct HistoryOptions {
    reverse: Option<bool>,
    from: Option<f64>,
    limit: Option<usize>,
    keys_only: Option<bool>,
}

/// A history in the making, read batch by batch.
#[wasm_bindgen]
pub struct HistoryCursor {
    snapshot: Rc<Snapshot<Medium>>,
    key: Vec<u8>,
    order: Order,
    keys_only: bool,
    position: RefCell<HistoryPosition>,
}

/// Where a cursor stands in a history.
struct HistoryPosition {
    /// The revision to go on at, 0 for the beginning, and how many versions of it were handed out.
    from: u64,
    seen: usize,
    remaining: usize,
}

impl HistoryCursor {
    fn new(snapshot: Rc<Snapshot<Medium>>, key: &[u8], options: JsValue) -> JsResult<Self> {
        let options: HistoryOptions = from_js(options)?;
        let position = HistoryPosition {
            from: exact(options.from.unwrap_or_default())?,
            seen: 0,
            remaining: options.limit.unwrap_or(usize::MAX),
        };
        let order = if options.reverse == Some(true) { Order::Descending } else { Order::Ascending };
        let keys_only = options.keys_only == Some(true);
        Ok(Self { snapshot, key: key.to_vec(), order, keys_only, position: RefCell::new(position) })
    }

    fn request(&self, from: u64, limit: usize) -> HistoryRequest<'_, Medium> {
        let request = self.snapshot.history(&self.key).order(self.order).from(from).limit(limit);
        if self.keys_only { request.without_values() } else { request }
    }
}

#[wasm_bindgen]
impl HistoryCursor {
    /// The next versions, packed: at most `versions`, and no further one once the block has `bytes`. Nothing at the history's end.
    ///
    /// # Errors
    /// As [`palimpsest_kv::HistoryRequest::iter`].
    pub fn next(&self, versions: usize, bytes: usize) -> JsResult<Option<Vec<u8>>> {
        let position = &mut *self.position.try_borrow_mut().map_err(|_| busy())?;
        let most = versions.min(position.remaining);
        let mut block = Vec::new();
        // A revision that changed the key more than once is begun with anew.
        let skipped = position.seen;
        let request = self.request(position.from, most.saturating_add(skipped));
        for version in request.iter().map_err(translated)?.skip(skipped) {
            let Version { kind, entry } = version.map_err(translated)?;
            let main = entry.mod_revision().get();
            position.seen = if main == position.from { position.seen + 1 } else { 1 };
            position.from = main;
            position.remaining -= 1;
            block.extend(packed_events(&[Event { kind, entry, previous: Previous::NotAsked }]));
            if block.len() >= bytes {
                break;
            }
        }
        Ok((!block.is_empty()).then_some(block))
    }
}

/// How a comparison is read.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DiffOptions {
    from: f64,
    to: f64,
    limit: Option<usize>,
    keys_only: Option<bool>,
}

/// A comparison of two revisions in the making, read batch by batch.
#[wasm_bindgen]
pub struct DiffCursor {
    snapshot: Rc<Snapshot<Medium>>,
    options: DiffOptions,
    /// The keys that have not been looked at, and how many may still differ.
    position: RefCell<(Keys, usize)>,
}

impl DiffCursor {
    fn new(snapshot: Rc<Snapshot<Medium>>, keys: &[u8], options: JsValue) -> JsResult<Self> {
        let options: DiffOptions = from_js(options)?;
        let (from, to) = (exact(options.from)?, exact(options.to)?);
        // What can't be compared is refused at once.
        snapshot.diff(from, to).limit(0).iter().map_err(translated)?;
        let position = (selection(keys)?, options.limit.unwrap_or(usize::MAX));
        Ok(Self { snapshot, options, position: RefCell::new(position) })
    }
}

#[wasm_bindgen]
impl DiffCursor {
    /// The next keys that differ, packed: at most `keys`, and no further one once the block has `bytes`. Nothing at the end.
    ///
    /// # Errors
    /// As [`palimpsest_kv::DiffRequest::iter`].
    pub fn next(&self, keys: usize, bytes: usize) -> JsResult<Option<Vec<u8>>> {
        let (rest, remaining) = &mut *self.position.try_borrow_mut().map_err(|_| busy())?;
        let request = self.snapshot.diff(exact(self.options.from)?, exact(self.options.to)?);
        let request = request.keys(&*rest).limit(keys.min(*remaining));
        let request = if self.options.keys_only == Some(true) { request.without_values() } else { request };
        let mut block = Vec::new();
        let mut last = None;
        for difference in request.iter().map_err(translated)? {
            let difference = difference.map_err(translated)?;
            block.push(u8::from(difference.before.is_some()) | u8::from(difference.after.is_some()) << 1);
            difference.before.iter().chain(&difference.after).for_each(|entry| pack(&mut block, entry));
            *remaining -= 1;
            last = Some(difference.key);
            if block.len() >= bytes {
                break;
            }
        }
        if let Some(last) = last {
            *rest = rest.after(last);
        }
        Ok((!block.is_empty()).then_some(block))
    }
}

#[wasm_bindgen]
impl Engine {
    /// A cursor over the versions of a key.
    ///
    /// # Errors
    /// If the options are malformed.
    pub fn history(&self, key: &[u8], options: JsValue) -> JsResult<HistoryCursor> {
        HistoryCursor::new(Rc::new(self.read()?.snapshot()), key, options)
    }

    /// A cursor over the keys that are not the same at two revisions.
    ///
    /// # Errors
    /// As [`palimpsest_kv::DiffRequest::iter`], and if the keys or the options are malformed.
    pub fn diff(&self, keys: &[u8], options: JsValue) -> JsResult<DiffCursor> {
        DiffCursor::new(Rc::new(self.read()?.snapshot()), keys, options)
    }
}

#[wasm_bindgen]
impl EngineSnapshot {
    /// A cursor over the versions of a key until the snapshot's revision.
    ///
    /// # Errors
    /// If the options are malformed.
    pub fn history(&self, key: &[u8], options: JsValue) -> JsResult<HistoryCursor> {
        HistoryCursor::new(self.shared(), key, options)
    }

    /// A cursor over the keys that are not the same at two revisions.
    ///
    /// # Errors
    /// As [`palimpsest_kv::DiffRequest::iter`], and if the keys or the options are malformed.
    pub fn diff(&self, keys: &[u8], options: JsValue) -> JsResult<DiffCursor> {
        DiffCursor::new(self.shared(), keys, options)
    }
}
