//! A store, as JavaScript holds it.

use core::cell::{Ref, RefCell, RefMut};
use core::time::Duration;
use std::rc::Rc;

use palimpsest_kv::{Budget, Durability, Entry, Result, Revision, Store, Writer};
use wasm_bindgen::prelude::*;

use crate::clock::HostClock;
use crate::entries::packed;
use crate::errors::{JsResult, busy, closed, translated};
use crate::exchange::Exchange;
use crate::holders::{holders, packed_use};
use crate::keys::{exact, revision, selection};
use crate::objects::{
    AutoCompactionObject, CheckObject, DeletedObject, HashObject, NextObject, OpenOptions, ProgressObject,
    RuleObject, StatusObject, ThinningObject, from_js, rules, to_js,
};
use crate::random::random_id;
use crate::reads::RangeOptions;
use crate::snapshot::{Cursor, EngineSnapshot};
use crate::storage::{Medium, StorageObject};
use crate::txn::{Answer, Transaction};

/// Linear memory, which the areas of [`Engine::exchange`] are in. Not named `memory`: the module exports that name already.
#[wasm_bindgen(js_name = linearMemory)]
#[must_use]
pub fn linear_memory() -> JsValue {
    wasm_bindgen::memory()
}

/// An open store. Every write is applied at once and made durable by `flush` or by background work, whatever the option `durability`
/// says: that is for the engine's own work, and for which revisions watchers are told of.
///
/// Invariant: `store` is `None` from the moment it is closed.
#[wasm_bindgen]
pub struct Engine {
    store: RefCell<Option<Store<Medium>>>,
    exchange: Exchange,
}

impl Engine {
    pub(crate) fn of(store: Store<Medium>) -> Self {
        Self { store: RefCell::new(Some(store)), exchange: Exchange::new() }
    }

    pub(crate) fn read(&self) -> JsResult<Ref<'_, Store<Medium>>> {
        let store = self.store.try_borrow().map_err(|_| busy())?;
        Ref::filter_map(store, Option::as_ref).map_err(|_| closed())
    }

    pub(crate) fn write(&self) -> JsResult<RefMut<'_, Store<Medium>>> {
        let store = self.store.try_borrow_mut().map_err(|_| busy())?;
        RefMut::filter_map(store, Option::as_mut).map_err(|_| closed())
    }

    /// Writes something, as everything is written.
    pub(crate) fn writing<T>(&self, write: impl FnOnce(Writer<'_, Medium>) -> Result<T>) -> JsResult<T> {
        write(self.write()?.with_durability(Durability::Relaxed)).map_err(translated)
    }

    fn entry_at(&self, key: &[u8], at: f64) -> JsResult<Option<Entry>> {
        let store = self.read()?;
        match revision(at)? {
            Some(revision) => store.read_at(revision).and_then(|snapshot| snapshot.get(key)),
            None => store.get(key),
        }
        .map_err(translated)
    }
}

#[wasm_bindgen]
impl Engine {
    /// Opens the store in the given storage, or a new one in memory.
    ///
    /// # Errors
    /// As [`Store::open`], and if the options are malformed.
    #[wasm_bindgen(constructor)]
    pub fn new(storage: Option<StorageObject>, options: JsValue) -> JsResult<Self> {
        let options = from_js::<OpenOptions>(options)?.engine(random_id()?)?;
        Ok(Self::of(Store::open(Medium::new(storage), options).map_err(translated)?))
    }

    /// The newest revision.
    ///
    /// # Errors
    /// If the store is closed.
    pub fn revision(&self) -> JsResult<f64> {
        Ok(self.read()?.revision().get() as f64)
    }

    /// Everything up to this revision survives a crash.
    ///
    /// # Errors
    /// If the store is closed.
    #[wasm_bindgen(js_name = durableRevision)]
    pub fn durable_revision(&self) -> JsResult<f64> {
        Ok(self.read()?.durable_revision().get() as f64)
    }

    /// Writes a value under a key. Answers the revision.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub fn put(&self, key: &[u8], value: &[u8]) -> JsResult<f64> {
        #[cfg(feature = "panic-test")]
        assert!(key != b"panic-test", "a broken invariant, as the test asked for");
        Ok(self.writing(|writer| writer.put(key, value))?.revision.get() as f64)
    }

    /// Where keys and values of the shortest calls are handed over: see `exchange`.
    ///
    /// # Errors
    /// If another call is running.
    pub fn exchange(&self) -> JsResult<JsValue> {
        to_js(&self.exchange.areas()?)
    }

    /// As `put`, with the key and the value that were left in the areas.
    ///
    /// # Errors
    /// As [`Store::put`].
    #[wasm_bindgen(js_name = putExchanged)]
    pub fn put_exchanged(&self, key_bytes: usize, value_bytes: usize) -> JsResult<f64> {
        self.put(&self.exchange.key(key_bytes)?, &self.exchange.value(value_bytes)?)
    }

    /// As `get`, with the key that was left in its area; the value is left in its own. Answers the value's length; what is
    /// longer than the area must be had by `get`.
    ///
    /// # Errors
    /// As [`Store::read_at`] and [`Store::get`].
    #[wasm_bindgen(js_name = getExchanged)]
    pub fn get_exchanged(&self, key_bytes: usize, at: f64) -> JsResult<Option<usize>> {
        let entry = self.entry_at(&self.exchange.key(key_bytes)?, at)?;
        entry.map(|entry| self.exchange.leave(entry.value())).transpose()
    }

    /// Deletes keys. Answers `{ revision, deleted }`.
    ///
    /// # Errors
    /// As [`Store::delete`].
    pub fn delete(&self, keys: &[u8]) -> JsResult<JsValue> {
        let keys = selection(keys)?;
        let deleted = self.writing(|writer| writer.delete(keys))?;
        to_js(&DeletedObject::from(deleted))
    }

    /// A key's current value, or its value at a revision other than 0.
    ///
    /// # Errors
    /// As [`Store::read_at`] and [`Store::get`].
    pub fn get(&self, key: &[u8], at: f64) -> JsResult<Option<Vec<u8>>> {
        Ok(self.entry_at(key, at)?.map(|entry| entry.value().to_vec()))
    }

    /// How many of the keys there are now.
    ///
    /// # Errors
    /// As [`palimpsest_kv::RangeRequest::count`].
    pub fn count(&self, keys: &[u8]) -> JsResult<f64> {
        Ok(self.read()?.range(selection(keys)?).count().map_err(translated)? as f64)
    }

    /// A key's current entry, or its entry at a revision other than 0, packed.
    ///
    /// # Errors
    /// As [`Store::read_at`] and [`Store::get`].
    pub fn entry(&self, key: &[u8], at: f64) -> JsResult<Option<Vec<u8>>> {
        Ok(self.entry_at(key, at)?.map(|entry| packed([&entry])))
    }

    /// The store as it is now, or as it was at a revision other than 0.
    ///
    /// # Errors
    /// As [`Store::read_at`].
    pub fn snapshot(&self, at: f64) -> JsResult<EngineSnapshot> {
        let store = self.read()?;
        let snapshot = match revision(at)? {
            Some(revision) => store.read_at(revision).map_err(translated)?,
            None => store.snapshot(),
        };
        Ok(EngineSnapshot::new(snapshot))
    }

    /// A cursor over the keys as they are now, or were at the option `revision`.
    ///
    /// # Errors
    /// As [`Store::read_at`], and if the keys or the options are malformed.
    pub fn cursor(&self, keys: &[u8], options: JsValue) -> JsResult<Cursor> {
        let options: RangeOptions = from_js(options)?;
        let store = self.read()?;
        let snapshot = match options.revision()? {
            Some(revision) => store.read_at(revision).map_err(translated)?,
            None => store.snapshot(),
        };
        Cursor::new(Rc::new(snapshot), selection(keys)?, options)
    }

    /// Commits what the transaction has collected.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn commit(&self, transaction: &Transaction) -> JsResult<Answer> {
        let transaction = transaction.take();
        let outcome = self.writing(|writer| writer.commit(&transaction))?;
        Answer::new(&outcome)
    }

    /// Begins a compaction. Answers its revision.
    ///
    /// # Errors
    /// As [`Store::compact`].
    pub fn compact(&self, revision: f64) -> JsResult<f64> {
        let compaction = self.write()?.compact(exact(revision)?).map_err(translated)?;
        Ok(compaction.revision.get() as f64)
    }

    /// Progress of the compaction that runs, or is next, or ran last since the store was opened; nothing if there was none.
    ///
    /// # Errors
    /// If the store is closed.
    pub fn compaction(&self) -> JsResult<JsValue> {
        to_js(&self.read()?.compaction().map(ProgressObject::from))
    }

    /// Progress of the compaction to a revision, nothing if it has not begun, or is long over.
    ///
    /// # Errors
    /// If the store is closed.
    #[wasm_bindgen(js_name = compactionTo)]
    pub fn compaction_to(&self, revision: f64) -> JsResult<JsValue> {
        let revision = Revision::new(exact(revision)?);
        to_js(&self.read()?.compaction_to(revision).map(ProgressObject::from))
    }

    /// Changes which history the store gives up by itself.
    ///
    /// # Errors
    /// If the policy is malformed.
    #[wasm_bindgen(js_name = setAutoCompaction)]
    pub fn set_auto_compaction(&self, policy: JsValue) -> JsResult<()> {
        let policy = from_js::<AutoCompactionObject>(policy)?.policy()?;
        self.write()?.set_auto_compaction(policy);
        Ok(())
    }

    /// Changes how history gets thinner with age; nothing ends it.
    ///
    /// # Errors
    /// As [`Store::set_thinning`].
    #[wasm_bindgen(js_name = setThinning)]
    pub fn set_thinning(&self, thinning: JsValue) -> JsResult<()> {
        let thinning = from_js::<Option<ThinningObject>>(thinning)?;
        let thinning = thinning.map(ThinningObject::thinning).transpose()?;
        self.write()?.set_thinning(thinning).map_err(translated)
    }

    /// Changes which versions stay whatever is compacted: `{ prefix, newest, forAtLeast }`, with prefixes as bytes.
    ///
    /// # Errors
    /// As [`Store::set_retention`].
    #[wasm_bindgen(js_name = setRetention)]
    pub fn set_retention(&self, retention: JsValue) -> JsResult<()> {
        let retention = rules(from_js::<Vec<RuleObject>>(retention)?)?;
        self.write()?.set_retention(retention).map_err(translated)
    }

    /// Changes how many bytes of pages may be in use; nothing sets no bound.
    ///
    /// # Errors
    /// If the number is not exact.
    #[wasm_bindgen(js_name = setQuota)]
    pub fn set_quota(&self, bytes: Option<f64>) -> JsResult<()> {
        let bytes = bytes.map(exact).transpose()?;
        self.write()?.set_quota(bytes);
        Ok(())
    }

    /// Has background work make the storage shorter.
    ///
    /// # Errors
    /// If the store is closed.
    pub fn shrink(&self) -> JsResult<()> {
        self.write()?.shrink();
        Ok(())
    }

    /// The hash of the history up to a revision, 0 for the newest: `{ hash, compacted, revision }`.
    ///
    /// # Errors
    /// As [`Store::hash_kv`].
    #[wasm_bindgen(js_name = hashKv)]
    pub fn hash_kv(&self, revision: f64) -> JsResult<JsValue> {
        let hash = self.read()?.hash_kv(exact(revision)?).map_err(translated)?;
        to_js(&HashObject::from(hash))
    }

    /// Does background work for at most `budget` milliseconds. Answers when it wants to run again.
    ///
    /// # Errors
    /// As [`Store::run`].
    pub fn run(&self, budget: f64) -> JsResult<JsValue> {
        let micros = Duration::try_from_secs_f64(budget / 1000.0).unwrap_or_default().as_micros();
        let budget = Budget::micros(u64::try_from(micros).unwrap_or(u64::MAX));
        let next = self.write()?.run(&HostClock, budget).map_err(translated)?;
        to_js(&NextObject::from(next))
    }

    /// Makes everything durable. Answers the durable revision.
    ///
    /// # Errors
    /// As [`Store::flush`].
    pub fn flush(&self) -> JsResult<f64> {
        let mut store = self.write()?;
        // The commit carries it.
        store.note_time(&HostClock);
        Ok(store.flush().map_err(translated)?.get() as f64)
    }

    /// Makes a checkpoint now.
    ///
    /// # Errors
    /// As [`Store::checkpoint`].
    pub fn checkpoint(&self) -> JsResult<()> {
        self.write()?.checkpoint().map_err(translated)
    }

    /// The store in numbers.
    ///
    /// # Errors
    /// As [`Store::status`].
    pub fn status(&self) -> JsResult<JsValue> {
        to_js(&StatusObject::from(self.read()?.status().map_err(translated)?))
    }

    /// Who keeps space from being given back: see [`Store::holders`].
    ///
    /// # Errors
    /// If the store is closed.
    pub fn holders(&self) -> JsResult<JsValue> {
        to_js(&holders(&*self.read()?))
    }

    /// The oldest revision that can be read; nothing before the first compaction.
    ///
    /// # Errors
    /// If the store is closed.
    pub fn compacted(&self) -> JsResult<Option<f64>> {
        Ok(self.read()?.compacted().map(|revision| revision.get() as f64))
    }

    /// What each page is used for: the kind times 2^24, plus the bytes that are filled.
    ///
    /// # Errors
    /// If the store is closed.
    pub fn pages(&self) -> JsResult<Vec<u32>> {
        Ok(self.read()?.pages().into_iter().map(packed_use).collect())
    }

    /// Checks the whole store.
    ///
    /// # Errors
    /// As [`Store::check`].
    pub fn check(&self) -> JsResult<JsValue> {
        to_js(&CheckObject::from(self.read()?.check().map_err(translated)?))
    }

    /// Makes everything durable and closes the store, whether that succeeds or not.
    ///
    /// # Errors
    /// As [`Store::close`], and if it is closed already.
    pub fn close(&self) -> JsResult<()> {
        let mut store = self.store.try_borrow_mut().map_err(|_| busy())?.take().ok_or_else(closed)?;
        store.note_time(&HostClock);
        store.close().map(drop).map_err(translated)
    }
}
