//! Whole stores as streams of bytes: exporting and importing.

use core::cell::RefCell;

use palimpsest_kv::{Export, Import};
use wasm_bindgen::prelude::*;

use crate::engine::Engine;
use crate::errors::{JsResult, busy, closed, translated};
use crate::objects::{OpenOptions, from_js};
use crate::random::random_id;
use crate::storage::{Medium, StorageObject};

/// A copy of a store that is being taken.
#[wasm_bindgen]
pub struct ExportStream {
    export: RefCell<Export<Medium>>,
}

impl ExportStream {
    pub(crate) fn new(export: Export<Medium>) -> Self {
        Self { export: RefCell::new(export) }
    }
}

#[wasm_bindgen]
impl ExportStream {
    /// The next bytes, which may be none; nothing at the end.
    ///
    /// # Errors
    /// As [`Export`] answers.
    pub fn next(&self) -> JsResult<Option<Vec<u8>>> {
        let chunk = self.export.try_borrow_mut().map_err(|_| busy())?.next();
        chunk.transpose().map_err(translated)
    }

    /// The newest revision that is in it.
    ///
    /// # Errors
    /// If another call is running.
    pub fn revision(&self) -> JsResult<f64> {
        Ok(self.export.try_borrow().map_err(|_| busy())?.revision().get() as f64)
    }
}

/// A store that is being made of a copy. Invariant: `import` is there until it is finished or cancelled.
#[wasm_bindgen]
pub struct Importer {
    import: RefCell<Option<Import<Medium>>>,
}

#[wasm_bindgen]
impl Importer {
    /// Begins on a storage that holds nothing, or in memory.
    ///
    /// # Errors
    /// As [`Import::begin`], and if the options are malformed.
    #[wasm_bindgen(constructor)]
    pub fn new(storage: Option<StorageObject>, options: JsValue) -> JsResult<Self> {
        let options = from_js::<OpenOptions>(options)?.engine(random_id()?)?;
        let import = Import::begin(Medium::new(storage), options).map_err(translated)?;
        Ok(Self { import: RefCell::new(Some(import)) })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// As [`Import::feed`].
    pub fn feed(&self, bytes: &[u8]) -> JsResult<()> {
        let mut import = self.import.try_borrow_mut().map_err(|_| busy())?;
        import.as_mut().ok_or_else(closed)?.feed(bytes).map_err(translated)
    }

    /// Makes the store and opens it.
    ///
    /// # Errors
    /// As [`Import::finish`].
    pub fn finish(&self) -> JsResult<Engine> {
        let import = self.import.try_borrow_mut().map_err(|_| busy())?.take().ok_or_else(closed)?;
        Ok(Engine::of(import.finish().map_err(translated)?))
    }

    /// Gives up: the storage holds nothing again.
    ///
    /// # Errors
    /// If another call is running.
    pub fn cancel(&self) -> JsResult<()> {
        let import = self.import.try_borrow_mut().map_err(|_| busy())?.take();
        import.into_iter().for_each(Import::cancel);
        Ok(())
    }
}

#[wasm_bindgen]
impl Engine {
    /// Begins to copy the whole store as it is now.
    ///
    /// # Errors
    /// If the store is closed.
    pub fn export(&self) -> JsResult<ExportStream> {
        Ok(ExportStream::new(self.read()?.export()))
    }
}
