//! Stores of etcd's snapshots.

use core::cell::RefCell;

use palimpsest_kv::storage::{ReadAt, Storage};
use palimpsest_kv::{EtcdImport, EtcdImported, HashCheck, Result};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::engine::Engine;
use crate::errors::{JsResult, busy, closed, translated};
use crate::objects::{OpenOptions, from_js, to_js};
use crate::random::random_id;
use crate::storage::{JsStorage, Medium, StorageObject};

/// Bytes of JavaScript's that are only read.
struct Source(JsStorage);

impl ReadAt for Source {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.0.read(offset, buffer)
    }

    fn len(&self) -> Result<u64> {
        self.0.len()
    }
}

/// What was taken of a snapshot of etcd besides what the store itself tells.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct EtcdObject {
    records: u64,
    leases: u64,
    missing_leases: u64,
    marks: u64,
}

/// A store that is being made of a snapshot of etcd. Invariant: `import` is there until it is finished or cancelled, and `report` from
/// then on.
#[wasm_bindgen]
pub struct EtcdImporter {
    import: RefCell<Option<EtcdImport<Source, Medium>>>,
    report: RefCell<Option<EtcdObject>>,
}

#[wasm_bindgen]
impl EtcdImporter {
    /// Begins on a storage that holds nothing, or in memory. Of `source` only `read` and `length` are called. Without a hash check
    /// `skip_hash_check` is given.
    ///
    /// # Errors
    /// As [`EtcdImport::begin`], and if the options are malformed.
    #[wasm_bindgen(constructor)]
    pub fn new(
        source: StorageObject,
        storage: Option<StorageObject>,
        options: JsValue,
        skip_hash_check: Option<bool>,
    ) -> JsResult<Self> {
        let options = from_js::<OpenOptions>(options)?.engine(random_id()?)?;
        let check = if skip_hash_check == Some(true) { HashCheck::Skipped } else { HashCheck::Required };
        let source = Source(JsStorage::new(source));
        let import = EtcdImport::begin(source, Medium::new(storage), options, check).map_err(translated)?;
        Ok(Self { import: RefCell::new(Some(import)), report: RefCell::new(None) })
    }

    /// Goes a step on. Answers whether there are more.
    ///
    /// # Errors
    /// As [`EtcdImport::step`].
    pub fn step(&self) -> JsResult<bool> {
        let mut import = self.import.try_borrow_mut().map_err(|_| busy())?;
        import.as_mut().ok_or_else(closed)?.step().map_err(translated)
    }

    /// Makes the store and opens it.
    ///
    /// # Errors
    /// As [`EtcdImport::finish`].
    pub fn finish(&self) -> JsResult<Engine> {
        let import = self.import.try_borrow_mut().map_err(|_| busy())?.take().ok_or_else(closed)?;
        let EtcdImported { store, records, leases, missing_leases, marks, .. } =
            import.finish().map_err(translated)?;
        *self.report.try_borrow_mut().map_err(|_| busy())? =
            Some(EtcdObject { records, leases, missing_leases, marks });
        Ok(Engine::of(store))
    }

    /// What was taken, `{ records, leases, missingLeases, marks }`, once it is finished.
    ///
    /// # Errors
    /// If another call is running.
    pub fn report(&self) -> JsResult<JsValue> {
        to_js(&*self.report.try_borrow().map_err(|_| busy())?)
    }

    /// Gives up: the storage holds nothing again.
    ///
    /// # Errors
    /// If another call is running.
    pub fn cancel(&self) -> JsResult<()> {
        let import = self.import.try_borrow_mut().map_err(|_| busy())?.take();
        import.into_iter().for_each(EtcdImport::cancel);
        Ok(())
    }
}
