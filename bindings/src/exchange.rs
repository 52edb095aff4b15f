//! A place in linear memory where the shortest calls hand over keys and values.
//!
//! A put or a get of a few hundred bytes costs less in the engine than a fresh `Uint8Array` costs in JavaScript. So each store has
//! two areas that JavaScript sees as views made once: it writes keys and values there, and reads values there. What does not
//! fit crosses as an ordinary slice.
//!
//! JavaScript writes here only while no call of the store is running; `busy` answers what breaks that rule.

use core::cell::{Ref, RefCell};

use serde::Serialize;
use wasm_bindgen::JsValue;

use crate::errors::{JsResult, busy, invalid};

/// Room for a key, in bytes.
const KEY_BYTES: usize = 4 * 1024;
/// Room for a value, in bytes.
const VALUE_BYTES: usize = 60 * 1024;

/// The two areas. Invariant: each keeps its address and its length for life.
pub(crate) struct Exchange {
    key: RefCell<Box<[u8]>>,
    value: RefCell<Box<[u8]>>,
}

/// Where the areas are, as offsets into linear memory, and how long they are.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Areas {
    key_at: usize,
    key_bytes: usize,
    value_at: usize,
    value_bytes: usize,
}

fn part(area: &RefCell<Box<[u8]>>, length: usize) -> JsResult<Ref<'_, [u8]>> {
    let area = area.try_borrow().map_err(|_| busy())?;
    Ref::filter_map(area, |area| area.get(..length)).map_err(|_| invalid("more bytes than the area has"))
}

impl Exchange {
    pub(crate) fn new() -> Self {
        let area = |bytes| RefCell::new(vec![0; bytes].into_boxed_slice());
        Self { key: area(KEY_BYTES), value: area(VALUE_BYTES) }
    }

    pub(crate) fn areas(&self) -> JsResult<Areas> {
        let key_at = self.key.try_borrow_mut().map_err(|_| busy())?.as_mut_ptr() as usize;
        let value_at = self.value.try_borrow_mut().map_err(|_| busy())?.as_mut_ptr() as usize;
        Ok(Areas { key_at, key_bytes: KEY_BYTES, value_at, value_bytes: VALUE_BYTES })
    }

    /// The key that was left there.
    pub(crate) fn key(&self, length: usize) -> JsResult<Ref<'_, [u8]>> {
        part(&self.key, length)
    }

    /// The value that was left there.
    pub(crate) fn value(&self, length: usize) -> JsResult<Ref<'_, [u8]>> {
        part(&self.value, length)
    }

    /// Leaves a value there if it fits. Answers its length in any case.
    pub(crate) fn leave(&self, value: &[u8]) -> Result<usize, JsValue> {
        let mut area = self.value.try_borrow_mut().map_err(|_| busy())?;
        if let Some(room) = area.get_mut(..value.len()) {
            room.copy_from_slice(value);
        }
        Ok(value.len())
    }
}
