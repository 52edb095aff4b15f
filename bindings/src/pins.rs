//! Pins, as JavaScript knows them.

use palimpsest_kv::{Pin, WallTime};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::engine::Engine;
use crate::errors::JsResult;
use crate::keys::exact;
use crate::objects::to_js;

/// A pin; `expires` is in milliseconds since 1970, and not exact where JavaScript has no such number: a program in Rust may name any.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PinObject {
    name: String,
    revision: u64,
    expires: Option<f64>,
    held_records: u64,
}

impl From<Pin> for PinObject {
    fn from(pin: Pin) -> Self {
        Self {
            name: pin.name,
            revision: pin.revision.get(),
            expires: pin.expires.map(|end| end.as_millis() as f64),
            held_records: pin.held_records,
        }
    }
}

#[wasm_bindgen]
impl Engine {
    /// Pins a revision, 0 for the newest, until so many milliseconds after the beginning of 1970 or for good. Answers the revision.
    ///
    /// # Errors
    /// As [`palimpsest_kv::Store::pin`].
    pub fn pin(&self, name: &str, revision: f64, expires: Option<f64>) -> JsResult<f64> {
        let revision = exact(revision)?;
        let expires = expires.map(exact).transpose()?.map(WallTime::from_millis);
        let pinned = self.writing(|writer| match expires {
            Some(expires) => writer.pin_until(name, revision, expires),
            None => writer.pin(name, revision),
        })?;
        Ok(pinned.get() as f64)
    }

    /// Removes a pin.
    ///
    /// # Errors
    /// As [`palimpsest_kv::Store::unpin`].
    pub fn unpin(&self, name: &str) -> JsResult<()> {
        self.writing(|writer| writer.unpin(name))
    }

    /// All pins: `{ name, revision, expires, heldRecords }`.
    ///
    /// # Errors
    /// If the store is closed.
    pub fn pins(&self) -> JsResult<JsValue> {
        to_js(&self.read()?.pins().into_iter().map(PinObject::from).collect::<Vec<_>>())
    }
}
