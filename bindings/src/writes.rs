//! Puts and deletes with options.

use palimpsest_kv::{Delete, Deleted, Put, Written};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use crate::engine::Engine;
use crate::entries::packed;
use crate::errors::JsResult;
use crate::keys::selection;
use crate::leases::lease_id;
use crate::objects::{from_js, to_js};

/// How something is put.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PutOptions {
    lease: Option<f64>,
    keep_lease: Option<bool>,
    previous: Option<bool>,
}

impl PutOptions {
    /// The put of a value, or of the one that there is.
    pub(crate) fn put(&self, key: &[u8], value: Option<&[u8]>) -> JsResult<Put> {
        let mut put = value.map_or_else(|| Put::keeping_value(key), |value| Put::new(key, value));
        if let Some(lease) = self.lease {
            put = put.lease(lease_id(lease)?);
        }
        if self.keep_lease == Some(true) {
            put = put.keep_lease();
        }
        Ok(if self.previous == Some(true) { put.previous() } else { put })
    }
}

/// What a put answers: the entry before it is packed.
#[derive(Serialize)]
struct WrittenObject {
    revision: u64,
    #[serde(with = "serde_bytes")]
    previous: Option<Vec<u8>>,
}

impl From<Written> for WrittenObject {
    fn from(written: Written) -> Self {
        let previous = written.previous.map(|entry| packed([&entry]));
        Self { revision: written.revision.get(), previous }
    }
}

/// What a delete answers: the entries before it are packed.
#[derive(Serialize)]
struct DeletedWithPrevious {
    revision: u64,
    deleted: u64,
    #[serde(with = "serde_bytes")]
    previous: Vec<u8>,
}

impl From<Deleted> for DeletedWithPrevious {
    fn from(deleted: Deleted) -> Self {
        let previous = packed(&deleted.previous);
        Self { revision: deleted.revision.get(), deleted: deleted.deleted, previous }
    }
}

#[wasm_bindgen]
impl Engine {
    /// Puts with options; without a value, the one that there is. Answers `{ revision, previous }`.
    ///
    /// # Errors
    /// As [`palimpsest_kv::Store::put_with`], and if the options are malformed.
    #[wasm_bindgen(js_name = putWith)]
    pub fn put_with(&self, key: &[u8], value: Option<Vec<u8>>, options: JsValue) -> JsResult<JsValue> {
        let put = from_js::<PutOptions>(options)?.put(key, value.as_deref())?;
        let written = self.writing(|writer| writer.put_with(&put))?;
        to_js(&WrittenObject::from(written))
    }

    /// Deletes keys. Answers `{ revision, deleted, previous }`.
    ///
    /// # Errors
    /// As [`palimpsest_kv::Store::delete_with`].
    #[wasm_bindgen(js_name = deleteWithPrevious)]
    pub fn delete_with_previous(&self, keys: &[u8]) -> JsResult<JsValue> {
        let delete = Delete::new(selection(keys)?).previous();
        let deleted = self.writing(|writer| writer.delete_with(&delete))?;
        to_js(&DeletedWithPrevious::from(deleted))
    }
}
