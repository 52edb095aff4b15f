//! Times of revisions, and what a compaction would free.

use core::cell::RefCell;
use core::time::Duration;

use js_sys::{Array, Reflect, Uint8Array};
use palimpsest_kv::{Budget, DryRun, WallTime};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::clock::HostClock;
use crate::engine::Engine;
use crate::errors::{JsResult, busy, translated};
use crate::keys::exact;
use crate::objects::to_js;

/// A compaction that is tried out.
#[wasm_bindgen]
pub struct EngineDryRun(RefCell<DryRun>);

#[derive(Serialize)]
struct FreedObject {
    revision: u64,
    records: u64,
    bytes: u64,
}

#[wasm_bindgen]
impl Engine {
    /// The newest revision that was there so many milliseconds after the beginning of 1970; nothing if that is not known.
    ///
    /// # Errors
    /// If the store is closed, or the number is not exact.
    #[wasm_bindgen(js_name = revisionAt)]
    pub fn revision_at(&self, millis: f64) -> JsResult<Option<f64>> {
        let time = WallTime::from_millis(exact(millis)?);
        let mut store = self.write()?;
        store.note_time(&HostClock);
        Ok(store.revision_at(time).map(|revision| revision.get() as f64))
    }

    /// The same, if it can be read.
    ///
    /// # Errors
    /// As [`palimpsest_kv::Store::read_at_time`].
    #[wasm_bindgen(js_name = readableAt)]
    pub fn readable_at(&self, millis: f64) -> JsResult<f64> {
        let time = WallTime::from_millis(exact(millis)?);
        let mut store = self.write()?;
        store.note_time(&HostClock);
        let snapshot = store.read_at_time(time).map_err(translated)?;
        Ok(snapshot.revision().get() as f64)
    }

    /// When a revision was there at the latest, in milliseconds after the beginning of 1970; nothing if that is not known.
    ///
    /// # Errors
    /// If the store is closed, or the number is not exact.
    #[wasm_bindgen(js_name = timeOf)]
    pub fn time_of(&self, revision: f64) -> JsResult<Option<f64>> {
        let revision = exact(revision)?;
        let mut store = self.write()?;
        store.note_time(&HostClock);
        Ok(store.time_of(revision).map(|time| time.as_millis() as f64))
    }

    /// Begins to find out what a compaction would free, by what the keys have up to their `depth`th delimiter.
    ///
    /// # Errors
    /// As [`palimpsest_kv::Store::dry_run`].
    #[wasm_bindgen(js_name = dryRun)]
    pub fn dry_run(&self, revision: f64, delimiter: &[u8], depth: usize) -> JsResult<EngineDryRun> {
        let run = self.read()?.dry_run(exact(revision)?).map_err(translated)?;
        Ok(EngineDryRun(RefCell::new(run.by_prefix(delimiter, depth))))
    }

    /// Goes on with that for at most `budget` milliseconds. Answers `{ revision, records, bytes, prefixes }` when it is done, and nothing before.
    ///
    /// # Errors
    /// As [`DryRun::step`].
    #[wasm_bindgen(js_name = dryRunStep)]
    pub fn dry_run_step(&self, run: &EngineDryRun, budget: f64) -> JsResult<JsValue> {
        let micros = Duration::try_from_secs_f64(budget / 1000.0).unwrap_or_default().as_micros();
        let budget = Budget::micros(u64::try_from(micros).unwrap_or(u64::MAX));
        let mut run = run.0.try_borrow_mut().map_err(|_| busy())?;
        let Some(report) = run.step(&*self.read()?, &HostClock, budget).map_err(translated)? else {
            return Ok(JsValue::UNDEFINED);
        };
        let prefixes = Array::new();
        for (prefix, freed) in &report.prefixes {
            let key = Uint8Array::from(prefix.as_slice());
            let (records, bytes) = (freed.records as f64, freed.bytes as f64);
            prefixes.push(&Array::of3(&key, &records.into(), &bytes.into()));
        }
        let revision = report.revision.get();
        let object =
            to_js(&FreedObject { revision, records: report.freed.records, bytes: report.freed.bytes })?;
        Reflect::set(&object, &"prefixes".into(), &prefixes)?;
        Ok(object)
    }
}
