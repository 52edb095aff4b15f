//! Where a store's bytes are: in linear memory, or in an object of JavaScript.

use js_sys::Error as JsError;
use palimpsest_kv::storage::{MemoryStorage, Storage};
use palimpsest_kv::{Error, Result};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// A storage written in JavaScript. Its methods are synchronous; `read` and `write` answer how many bytes they have
    /// transferred. The bytes handed to them lie in linear memory and are theirs only until they return.
    pub type StorageObject;

    #[wasm_bindgen(method, catch)]
    fn read(this: &StorageObject, offset: f64, buffer: &mut [u8]) -> core::result::Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn write(this: &StorageObject, offset: f64, bytes: &[u8]) -> core::result::Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn sync(this: &StorageObject) -> core::result::Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn length(this: &StorageObject) -> core::result::Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn truncate(this: &StorageObject, length: f64) -> core::result::Result<(), JsValue>;
}

/// A storage in JavaScript, held to the engine's contract: an exception is an error, and so is any count but the full one.
pub(crate) struct JsStorage(StorageObject);

#[cfg(feature = "etcd")]
impl JsStorage {
    pub(crate) fn new(object: StorageObject) -> Self {
        Self(object)
    }
}

/// What was thrown, in words.
fn message(thrown: &JsValue) -> String {
    match thrown.dyn_ref::<JsError>() {
        Some(error) => String::from(error.message()),
        None => format!("{thrown:?}"),
    }
}

fn failed(operation: &'static str) -> impl Fn(JsValue) -> Error {
    move |thrown| Error::Storage { operation, reason: message(&thrown) }
}

/// Checks a count of transferred bytes.
fn all_of(bytes: usize, operation: &'static str, count: &JsValue) -> Result<()> {
    if count.as_f64() == Some(bytes as f64) {
        return Ok(());
    }
    let count = count.as_f64().map_or_else(|| format!("{count:?}"), |count| count.to_string());
    Err(Error::Storage { operation, reason: format!("{count} of {bytes} bytes were transferred") })
}

impl Storage for JsStorage {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let count = self.0.read(offset as f64, buffer).map_err(failed("read"))?;
        all_of(buffer.len(), "read", &count)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let count = self.0.write(offset as f64, bytes).map_err(failed("write"))?;
        all_of(bytes.len(), "write", &count)
    }

    fn sync(&self) -> Result<()> {
        self.0.sync().map_err(failed("sync"))
    }

    fn len(&self) -> Result<u64> {
        let length = self.0.length().map_err(failed("measure"))?;
        match length.as_f64() {
            Some(bytes) if bytes >= 0.0 && bytes.fract() == 0.0 => Ok(bytes as u64),
            _ => Err(Error::Storage { operation: "measure", reason: format!("{length:?} is not a length") }),
        }
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.0.truncate(len as f64).map_err(failed("resize"))
    }
}

/// Every storage that a store can have here.
pub(crate) enum Medium {
    Memory(MemoryStorage),
    Js(JsStorage),
}

impl Medium {
    /// The given object, or memory where there is none.
    pub(crate) fn new(object: Option<StorageObject>) -> Self {
        match object {
            Some(object) => Self::Js(JsStorage(object)),
            None => Self::Memory(MemoryStorage::new()),
        }
    }
}

impl Storage for Medium {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        match self {
            Self::Memory(memory) => memory.read(offset, buffer),
            Self::Js(object) => object.read(offset, buffer),
        }
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Memory(memory) => memory.write(offset, bytes),
            Self::Js(object) => object.write(offset, bytes),
        }
    }

    fn sync(&self) -> Result<()> {
        match self {
            Self::Memory(memory) => memory.sync(),
            Self::Js(object) => object.sync(),
        }
    }

    fn len(&self) -> Result<u64> {
        match self {
            Self::Memory(memory) => memory.len(),
            Self::Js(object) => object.len(),
        }
    }

    fn set_len(&self, len: u64) -> Result<()> {
        match self {
            Self::Memory(memory) => memory.set_len(len),
            Self::Js(object) => object.set_len(len),
        }
    }
}
