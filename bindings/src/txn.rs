//! A transaction as it is built, call by call, and its answer.

use core::mem;

use core::cell::RefCell;

use palimpsest_kv::{Compare, CompareNumber, Op, OpOutcome, Read, TxnOutcome};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::entries::packed;
use crate::errors::JsResult;
use crate::keys::{exact, revision, selection};
use crate::objects::{RangeOptions, from_js, to_js};

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
pub(crate) struct Parts {
    pub(crate) compares: Vec<Compare>,
    pub(crate) then: Vec<Op>,
    pub(crate) otherwise: Vec<Op>,
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
    pub(crate) fn take(&self) -> Parts {
        mem::take(&mut *self.parts.borrow_mut())
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

    /// Adds a put.
    pub fn put(&self, key: &[u8], value: &[u8]) {
        self.add(Op::put(key, value));
    }

    /// Adds a delete.
    ///
    /// # Errors
    /// If the keys are malformed.
    pub fn delete(&self, keys: &[u8]) -> JsResult<()> {
        self.add(Op::delete(selection(keys)?));
        Ok(())
    }

    /// Adds a read.
    ///
    /// # Errors
    /// If the keys or the options are malformed.
    pub fn read(&self, keys: &[u8], options: JsValue) -> JsResult<()> {
        let options: RangeOptions = from_js(options)?;
        let read = revision(options.revision)?.into_iter().fold(Read::new(selection(keys)?), Read::at);
        self.add(Op::from(options.limit.into_iter().fold(read, Read::limit)));
        Ok(())
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum OutcomeObject {
    Put,
    Delete { deleted: u64 },
    Get { count: usize, more: bool },
}

#[derive(Serialize)]
struct AnswerObject {
    succeeded: bool,
    revision: u64,
    results: Vec<OutcomeObject>,
}

/// What a transaction answered: a plain object, and the entries of all its reads in one block.
#[wasm_bindgen]
pub struct Answer {
    summary: JsValue,
    entries: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(outcome: &TxnOutcome) -> JsResult<Self> {
        let results = outcome.outcomes.iter().map(|outcome| match outcome {
            OpOutcome::Put(_) => OutcomeObject::Put,
            OpOutcome::Deleted(done) => OutcomeObject::Delete { deleted: done.deleted },
            OpOutcome::Read(read) => OutcomeObject::Get { count: read.entries.len(), more: read.more },
            OpOutcome::Txn(_) => unreachable!("nothing adds a transaction within one"),
        });
        let (succeeded, revision) = (outcome.succeeded, outcome.revision.get());
        let summary = to_js(&AnswerObject { succeeded, revision, results: results.collect() })?;
        let entries = packed(outcome.outcomes.iter().flat_map(OpOutcome::entries));
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

    /// The entries of all reads in order, packed.
    #[must_use]
    pub fn entries(&self) -> Vec<u8> {
        self.entries.clone()
    }
}
