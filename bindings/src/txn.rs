//! A transaction as it is built, call by call, and its answer.

use core::cell::RefCell;
use core::mem;

use palimpsest_kv::{Compare, CompareNumber, Delete, Op, OpOutcome, TxnOutcome};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::entries::pack;
use crate::errors::JsResult;
use crate::keys::{exact, selection};
use crate::objects::{from_js, to_js};
use crate::reads::RangeOptions;
use crate::writes::PutOptions;

/// How what is stored and what is given must relate.
#[wasm_bindgen]
#[derive(Clone, Copy, Debug)]
pub enum Relation {
    /// It must be the same.
    Equal = 0,
    /// It must differ.
    NotEqual = 1,
    /// What is stored must be less.
    Less = 2,
    /// What is stored must be greater.
    Greater = 3,
}

/// Compares and operations that are collected here and committed by [`Engine::commit`](crate::Engine::commit).
#[wasm_bindgen]
#[derive(Default)]
pub struct Transaction {
    parts: RefCell<Parts>,
}

/// Invariant: `branch` is the branch that operations are added to.
#[derive(Default)]
struct Parts {
    compares: Vec<Compare>,
    then: Vec<Op>,
    otherwise: Vec<Op>,
    branch: Branch,
}

#[derive(Clone, Copy, Default)]
enum Branch {
    #[default]
    Then,
    Otherwise,
}

impl Transaction {
    /// What was collected; the transaction is empty afterwards.
    pub(crate) fn take(&self) -> palimpsest_kv::Transaction {
        let Parts { compares, then, otherwise, branch: _ } = mem::take(&mut *self.parts.borrow_mut());
        let transaction = palimpsest_kv::Transaction::new().then(then).otherwise(otherwise);
        compares.into_iter().fold(transaction, palimpsest_kv::Transaction::when)
    }

    fn add(&self, op: Op) {
        let parts = &mut *self.parts.borrow_mut();
        match parts.branch {
            Branch::Then => parts.then.push(op),
            Branch::Otherwise => parts.otherwise.push(op),
        }
    }

    fn compare(&self, compare: Compare) {
        self.parts.borrow_mut().compares.push(compare);
    }
}

fn related(compare: CompareNumber, relation: Relation, number: f64) -> JsResult<Compare> {
    let number = exact(number)?;
    Ok(match relation {
        Relation::Equal => compare.equals(number),
        Relation::NotEqual => compare.differs_from(number),
        Relation::Less => compare.is_less_than(number),
        Relation::Greater => compare.is_greater_than(number),
    })
}

#[wasm_bindgen]
impl Transaction {
    /// A transaction without compares and operations.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Compares the version of keys.
    ///
    /// # Errors
    /// If the keys are malformed or the number is not exact.
    #[wasm_bindgen(js_name = compareVersion)]
    pub fn compare_version(&self, keys: &[u8], relation: Relation, number: f64) -> JsResult<()> {
        self.compare(related(Compare::version(selection(keys)?), relation, number)?);
        Ok(())
    }

    /// Compares the create revision of keys.
    ///
    /// # Errors
    /// If the keys are malformed or the number is not exact.
    #[wasm_bindgen(js_name = compareCreateRevision)]
    pub fn compare_create_revision(&self, keys: &[u8], relation: Relation, number: f64) -> JsResult<()> {
        self.compare(related(Compare::create_revision(selection(keys)?), relation, number)?);
        Ok(())
    }

    /// Compares the mod revision of keys.
    ///
    /// # Errors
    /// If the keys are malformed or the number is not exact.
    #[wasm_bindgen(js_name = compareModRevision)]
    pub fn compare_mod_revision(&self, keys: &[u8], relation: Relation, number: f64) -> JsResult<()> {
        self.compare(related(Compare::mod_revision(selection(keys)?), relation, number)?);
        Ok(())
    }

    /// Compares the number of the lease of keys.
    ///
    /// # Errors
    /// If the keys are malformed or the number is not exact.
    #[wasm_bindgen(js_name = compareLease)]
    pub fn compare_lease(&self, keys: &[u8], relation: Relation, number: f64) -> JsResult<()> {
        self.compare(related(Compare::lease(selection(keys)?), relation, number)?);
        Ok(())
    }

    /// Compares the value of keys.
    ///
    /// # Errors
    /// If the keys are malformed.
    #[wasm_bindgen(js_name = compareValue)]
    pub fn compare_value(&self, keys: &[u8], relation: Relation, value: &[u8]) -> JsResult<()> {
        let compare = Compare::value(selection(keys)?);
        self.compare(match relation {
            Relation::Equal => compare.equals(value),
            Relation::NotEqual => compare.differs_from(value),
            Relation::Less => compare.is_less_than(value),
            Relation::Greater => compare.is_greater_than(value),
        });
        Ok(())
    }

    /// From here on operations are for the case that a compare fails.
    pub fn otherwise(&self) {
        self.parts.borrow_mut().branch = Branch::Otherwise;
    }

    /// Adds a put; without a value, of the one that there is.
    ///
    /// # Errors
    /// If the options are malformed.
    pub fn put(&self, key: &[u8], value: Option<Vec<u8>>, options: JsValue) -> JsResult<()> {
        let options = if options.is_undefined() { PutOptions::default() } else { from_js(options)? };
        self.add(Op::from(options.put(key, value.as_deref())?));
        Ok(())
    }

    /// Adds a delete.
    ///
    /// # Errors
    /// If the keys are malformed.
    pub fn delete(&self, keys: &[u8]) -> JsResult<()> {
        self.add(Op::delete(selection(keys)?));
        Ok(())
    }

    /// Adds a delete that answers with the entries that it deletes.
    ///
    /// # Errors
    /// If the keys are malformed.
    #[wasm_bindgen(js_name = deleteWithPrevious)]
    pub fn delete_with_previous(&self, keys: &[u8]) -> JsResult<()> {
        self.add(Op::from(Delete::new(selection(keys)?).previous()));
        Ok(())
    }

    /// Adds a read.
    ///
    /// # Errors
    /// If the keys or the options are malformed.
    pub fn read(&self, keys: &[u8], options: JsValue) -> JsResult<()> {
        let options: RangeOptions = from_js(options)?;
        self.add(Op::from(options.read(selection(keys)?)?));
        Ok(())
    }

    /// Adds what another transaction has collected, as a transaction within this one. The other is empty afterwards.
    pub fn nest(&self, inner: &Self) {
        let inner = inner.take();
        self.add(Op::from(inner));
    }
}

/// What one operation answered. `entries` counts those that it has in the answer's block.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum OutcomeObject {
    Put { entries: usize },
    Delete { entries: usize, deleted: u64 },
    Get { entries: usize, more: bool, count: Option<u64> },
    Txn(AnswerObject),
}

#[derive(Serialize)]
struct AnswerObject {
    succeeded: bool,
    revision: u64,
    results: Vec<OutcomeObject>,
}

impl AnswerObject {
    /// The plain part of an outcome; its entries are appended to the block.
    fn new(outcome: &TxnOutcome, block: &mut Vec<u8>) -> Self {
        let results = outcome.outcomes.iter().map(|outcome| OutcomeObject::new(outcome, block)).collect();
        Self { succeeded: outcome.succeeded, revision: outcome.revision.get(), results }
    }
}

impl OutcomeObject {
    fn new(outcome: &OpOutcome, block: &mut Vec<u8>) -> Self {
        match outcome {
            OpOutcome::Put(done) => {
                done.previous.iter().for_each(|entry| pack(block, entry));
                Self::Put { entries: usize::from(done.previous.is_some()) }
            }
            OpOutcome::Deleted(done) => {
                done.previous.iter().for_each(|entry| pack(block, entry));
                Self::Delete { entries: done.previous.len(), deleted: done.deleted }
            }
            OpOutcome::Read(read) => {
                read.entries.iter().for_each(|entry| pack(block, entry));
                Self::Get { entries: read.entries.len(), more: read.more, count: read.count }
            }
            OpOutcome::Txn(done) => Self::Txn(AnswerObject::new(done, block)),
        }
    }
}

/// What a transaction answered: a plain object, and the entries of all its operations in one block.
#[wasm_bindgen]
pub struct Answer {
    summary: JsValue,
    entries: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(outcome: &TxnOutcome) -> JsResult<Self> {
        let mut entries = Vec::new();
        let summary = to_js(&AnswerObject::new(outcome, &mut entries))?;
        Ok(Self { summary, entries })
    }
}

#[wasm_bindgen]
impl Answer {
    /// Whether it succeeded, the revision, and per operation what kind it was and its numbers.
    #[must_use]
    pub fn summary(&self) -> JsValue {
        self.summary.clone()
    }

    /// The entries of all operations in order, packed.
    #[must_use]
    pub fn entries(&self) -> Vec<u8> {
        self.entries.clone()
    }
}
