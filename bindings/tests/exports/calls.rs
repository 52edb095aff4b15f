//! What crosses, what comes back, and how errors look.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails where it is wrong")]

use js_sys::{Array, Function, Object, Reflect, Uint8Array};
use palimpsest_kv::storage::MemoryStorage;
use palimpsest_kv::{Options, Store, WallTime};
use palimpsest_kv_wasm::{
    Cursor, Engine, Importer, Relation, StorageObject, Transaction, failure, linear_memory,
};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

/// Bytes before an entry's key.
const HEAD: usize = 40;

const ONE: u8 = 0;
const PREFIX: u8 = 1;
const INTERVAL: u8 = 2;
const ALL: u8 = 4;

fn object(fields: &[(&str, JsValue)]) -> JsValue {
    let object = Object::new();
    for (name, value) in fields {
        Reflect::set(&object, &(*name).into(), value).unwrap();
    }
    object.into()
}

fn engine() -> Engine {
    Engine::new(None, object(&[])).unwrap()
}

fn keys(kind: u8, first: &[u8], end: &[u8]) -> Vec<u8> {
    let length = u32::try_from(first.len()).unwrap();
    [&[kind], length.to_le_bytes().as_slice(), first, end].concat()
}

fn field(value: &JsValue, name: &str) -> JsValue {
    Reflect::get(value, &name.into()).unwrap()
}

fn number(value: &JsValue, name: &str) -> f64 {
    field(value, name).as_f64().unwrap_or_else(|| panic!("{name} of {value:?}"))
}

fn code(error: &JsValue) -> String {
    assert!(error.is_instance_of::<js_sys::Error>(), "{error:?} is an Error");
    field(error, "code").as_string().unwrap()
}

fn put(txn: &Transaction, key: &[u8], value: &[u8]) {
    txn.put(key, Some(value.to_vec()), JsValue::UNDEFINED).unwrap();
}

#[track_caller]
fn refused<T>(result: Result<T, JsValue>) -> JsValue {
    result.err().expect("it is refused")
}

/// Keys and values of a cursor's blocks, read as TypeScript does.
fn unpacked(cursor: &Cursor, batch: usize) -> Vec<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut batches = Vec::new();
    while let Some(block) = cursor.next(batch, usize::MAX).unwrap() {
        let mut entries = Vec::new();
        let mut rest = block.as_slice();
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(HEAD);
            let length = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap()) as usize;
            let (key, tail) = tail.split_at(length(32));
            let (value, tail) = tail.split_at(length(36));
            entries.push((key.to_vec(), value.to_vec()));
            rest = tail;
        }
        batches.push(entries);
    }
    batches
}

#[wasm_bindgen_test]
fn what_is_put_is_got_now_and_in_the_past() {
    let engine = engine();
    assert_eq!(engine.put(b"a", b"1").unwrap(), 2.0);
    assert_eq!(engine.put(b"a", b"2").unwrap(), 3.0);
    assert_eq!(engine.get(b"a", 0.0).unwrap().unwrap(), b"2");
    assert_eq!(engine.get(b"b", 0.0).unwrap(), None);
    assert_eq!(engine.get(b"a", 2.0).unwrap().unwrap(), b"1");
    assert_eq!(engine.entry(b"a", 2.0).unwrap().unwrap().len(), HEAD + 2);
    let then = engine.snapshot(2.0).unwrap();
    assert_eq!((then.revision(), then.get(b"a").unwrap().unwrap()), (2.0, b"1".to_vec()));
    assert_eq!(engine.snapshot(0.0).unwrap().revision(), 3.0);
    let answer = engine.delete(&keys(PREFIX, b"a", b"")).unwrap();
    assert_eq!((number(&answer, "revision"), number(&answer, "deleted")), (4.0, 1.0));
    assert_eq!(engine.count(&keys(ALL, b"", b"")).unwrap(), 0.0);
    assert_eq!(then.count(&keys(ONE, b"a", b"")).unwrap(), 1.0);
}

#[wasm_bindgen_test]
fn short_calls_go_through_the_areas_in_linear_memory() {
    let engine = engine();
    let areas = engine.exchange().unwrap();
    let memory = field(&linear_memory(), "buffer");
    let view = |at: &str, bytes: &str| {
        let (at, bytes) = (number(&areas, at) as u32, number(&areas, bytes) as u32);
        Uint8Array::new_with_byte_offset_and_length(&memory, at, bytes)
    };
    let (key, value) = (view("keyAt", "keyBytes"), view("valueAt", "valueBytes"));
    key.set(&Uint8Array::from(b"key".as_slice()), 0);
    value.set(&Uint8Array::from(b"value".as_slice()), 0);
    assert_eq!(engine.put_exchanged(3, 5).unwrap(), 2.0);
    assert_eq!(engine.get(b"key", 0.0).unwrap().unwrap(), b"value");

    engine.put(b"key", b"another").unwrap();
    assert_eq!(engine.get_exchanged(3, 0.0).unwrap(), Some(7));
    assert_eq!(value.slice(0, 7).to_vec(), b"another");
    assert_eq!(engine.get_exchanged(3, 2.0).unwrap(), Some(5));
    assert_eq!(value.slice(0, 5).to_vec(), b"value");
    assert_eq!(engine.get_exchanged(3, 1.0).unwrap(), None);
    engine.put_exchanged(3, 5).unwrap();

    let long = vec![7; value.length() as usize + 1];
    engine.put(b"key", &long).unwrap();
    assert_eq!(engine.get_exchanged(3, 0.0).unwrap(), Some(long.len()), "it is told, though it does not fit");
    assert_eq!(value.slice(0, 5).to_vec(), b"value", "and nothing is left there");
    assert_eq!(code(&refused(engine.put_exchanged(key.length() as usize + 1, 0))), "INVALID_ARGUMENT");
    assert_eq!(code(&refused(engine.get_exchanged(usize::MAX, 0.0))), "INVALID_ARGUMENT");
}

#[wasm_bindgen_test]
fn a_cursor_hands_out_whole_batches_of_one_moment() {
    let engine = engine();
    for key in ["a", "b", "ba", "bb", "c"] {
        engine.put(key.as_bytes(), key.as_bytes()).unwrap();
    }
    let options = |limit: JsValue| object(&[("limit", limit)]);
    let cursor = engine.cursor(&keys(PREFIX, b"b", b""), options(JsValue::UNDEFINED)).unwrap();
    engine.delete(&keys(ALL, b"", b"")).unwrap();
    let entry = |key: &str| (key.as_bytes().to_vec(), key.as_bytes().to_vec());
    assert_eq!(unpacked(&cursor, 2), [vec![entry("b"), entry("ba")], vec![entry("bb")]]);
    assert_eq!(cursor.next(2, 1).unwrap(), None, "the end stays the end");

    let past = engine.snapshot(6.0).unwrap();
    let cursor = past.cursor(&keys(INTERVAL, b"a", b"c"), options(3.into())).unwrap();
    drop(past);
    assert_eq!(unpacked(&cursor, 100), [[entry("a"), entry("b"), entry("ba")]]);
    let by_bytes = engine.cursor(&keys(ALL, b"", b""), object(&[("revision", 6.into())])).unwrap();
    assert_eq!(
        by_bytes.next(100, 1).unwrap().unwrap().len(),
        HEAD + 2,
        "one entry is over the bound of one byte"
    );
    let bare = object(&[("revision", 6.into()), ("keysOnly", true.into())]);
    let keys_only = engine.cursor(&keys(ONE, b"a", b""), bare).unwrap();
    assert_eq!(unpacked(&keys_only, 9), [[(b"a".to_vec(), Vec::new())]]);
}

#[wasm_bindgen_test]
fn a_transaction_is_collected_and_committed() {
    let engine = engine();
    engine.put(b"a", b"1").unwrap();
    let txn = Transaction::new();
    txn.compare_version(&keys(ONE, b"a", b""), Relation::Equal, 1.0).unwrap();
    txn.compare_value(&keys(ONE, b"a", b""), Relation::Less, b"2").unwrap();
    put(&txn, b"b", b"2");
    txn.read(&keys(ALL, b"", b""), object(&[("limit", 1.into())])).unwrap();
    txn.delete(&keys(ONE, b"a", b"")).unwrap();
    txn.otherwise();
    put(&txn, b"no", b"");
    let answer = engine.commit(&txn).unwrap();
    let summary = answer.summary();
    assert_eq!(field(&summary, "succeeded"), JsValue::TRUE);
    assert_eq!(number(&summary, "revision"), 3.0);
    let results = Array::from(&field(&summary, "results"));
    let kinds: Vec<_> = results.iter().map(|result| field(&result, "type").as_string().unwrap()).collect();
    assert_eq!(kinds, ["put", "get", "delete"]);
    assert_eq!((number(&results.get(1), "entries"), field(&results.get(1), "more")), (1.0, JsValue::TRUE));
    assert_eq!(answer.entries().len(), HEAD + 2);
    assert_eq!(engine.get(b"no", 0.0).unwrap(), None);

    let failing = Transaction::new();
    failing.compare_mod_revision(&keys(ONE, b"b", b""), Relation::Greater, 3.0).unwrap();
    failing.otherwise();
    put(&failing, b"yes", b"");
    assert_eq!(field(&engine.commit(&failing).unwrap().summary(), "succeeded"), JsValue::FALSE);
    assert_eq!(engine.get(b"yes", 0.0).unwrap().unwrap(), b"");
}

#[wasm_bindgen_test]
fn errors_have_a_code_and_the_values() {
    let engine = Engine::new(None, object(&[("maxKeyBytes", 4.into()), ("maxTxnOps", 1.into())])).unwrap();
    engine.put(b"a", b"1").unwrap();
    engine.compact(2.0).unwrap();
    let future = refused(engine.snapshot(9.0));
    assert_eq!(code(&future), "FUTURE_REVISION");
    assert_eq!((number(&future, "requested"), number(&future, "current")), (9.0, 2.0));
    let compacted = refused(engine.compact(1.0));
    assert_eq!(code(&compacted), "COMPACTED");
    assert_eq!((number(&compacted, "requested"), number(&compacted, "compacted")), (1.0, 2.0));
    let long = refused(engine.put(b"12345", b""));
    assert_eq!(code(&long), "KEY_TOO_LARGE");
    assert_eq!((number(&long, "bytes"), number(&long, "limit")), (5.0, 4.0));
    assert_eq!(code(&refused(engine.put(b"", b""))), "EMPTY_KEY");
    let txn = Transaction::new();
    put(&txn, b"x", b"");
    put(&txn, b"y", b"");
    let many = refused(engine.commit(&txn));
    assert_eq!(code(&many), "TOO_MANY_OPERATIONS");
    assert_eq!((number(&many, "operations"), number(&many, "limit")), (2.0, 1.0));
    let page = refused(Engine::new(None, object(&[("pageBytes", 1000.into())])));
    assert_eq!(code(&page), "INVALID_ARGUMENT");
    assert_eq!(field(&page, "option").as_string().unwrap(), "page_bytes");
    assert_eq!(failure(), None);
}

#[wasm_bindgen_test]
fn what_is_malformed_is_refused() {
    let engine = engine();
    for packed in [&[][..], &[0], &[0, 1, 0, 0, 0], &[9, 0, 0, 0, 0], &[0, 255, 255, 255, 255, 1]] {
        assert_eq!(code(&refused(engine.count(packed))), "INVALID_ARGUMENT", "{packed:?}");
    }
    for revision in [-1.0, 0.5, f64::NAN, f64::INFINITY, 9_007_199_254_740_992.0] {
        assert_eq!(code(&refused(engine.snapshot(revision))), "INVALID_ARGUMENT", "{revision}");
        assert_eq!(code(&refused(engine.compact(revision))), "INVALID_ARGUMENT", "{revision}");
        assert_eq!(code(&refused(engine.get(b"a", revision))), "INVALID_ARGUMENT", "{revision}");
    }
    for options in [object(&[("durability", "maybe".into())]), object(&[("pageBytes", (-1).into())])] {
        assert_eq!(code(&refused(Engine::new(None, options))), "INVALID_ARGUMENT");
    }
}

#[wasm_bindgen_test]
fn a_closed_store_says_so() {
    let engine = engine();
    engine.put(b"a", b"1").unwrap();
    let snapshot = engine.snapshot(0.0).unwrap();
    engine.close().unwrap();
    assert_eq!(code(&refused(engine.get(b"a", 0.0))), "CLOSED");
    assert_eq!(code(&refused(engine.put(b"a", b""))), "CLOSED");
    assert_eq!(code(&refused(engine.close())), "CLOSED");
    assert_eq!(snapshot.get(b"a").unwrap().unwrap(), b"1", "a snapshot lives on");
}

/// A storage in JavaScript on an array of bytes, with `code` run first in `write`.
fn storage(code: &str) -> StorageObject {
    let make = format!(
        "let bytes = new Uint8Array();
         const resize = length => {{ const next = new Uint8Array(length); next.set(bytes.subarray(0, length)); bytes = next }};
         return {{
           read(offset, buffer) {{ const part = bytes.subarray(offset, offset + buffer.length); buffer.set(part); return part.length }},
           write(offset, part) {{
             {code};
             if (offset + part.length > bytes.length) resize(offset + part.length);
             bytes.set(part, offset);
             return part.length
           }},
           sync() {{}},
           length() {{ return bytes.length }},
           truncate(length) {{ resize(length) }},
         }}"
    );
    Function::new_no_args(&make).call0(&JsValue::UNDEFINED).unwrap().unchecked_into()
}

#[wasm_bindgen_test]
fn a_storage_in_javascript_keeps_a_store() {
    let object = storage("");
    let again: StorageObject = JsValue::from(&object).unchecked_into();
    let engine = Engine::new(Some(object), self::object(&[])).unwrap();
    engine.put(b"a", &[7; 100_000]).unwrap();
    engine.close().unwrap();
    let engine = Engine::new(Some(again), self::object(&[])).unwrap();
    assert_eq!(engine.get(b"a", 0.0).unwrap().unwrap(), [7; 100_000]);
    assert_eq!(engine.revision().unwrap(), 2.0);
}

#[wasm_bindgen_test]
fn what_a_storage_throws_or_leaves_out_is_an_error() {
    for (code_, says) in [
        ("if (globalThis.isFull) throw new Error('no room')", "no room"),
        ("if (globalThis.isFull) throw 'no room'", "no room"),
        ("if (globalThis.isFull) return part.length - 1", "bytes were transferred"),
        ("if (globalThis.isFull) return", "bytes were transferred"),
    ] {
        let full = |full: bool| Reflect::set(&js_sys::global(), &"isFull".into(), &full.into()).unwrap();
        full(false);
        let engine = Engine::new(Some(storage(code_)), object(&[])).unwrap();
        full(true);
        engine.put(b"a", b"1").unwrap();
        let error = refused(engine.flush());
        full(false);
        assert_eq!(code(&error), "STORAGE");
        assert_eq!(field(&error, "operation").as_string().unwrap(), "write");
        let reason = field(&error, "reason").as_string().unwrap();
        assert!(reason.contains(says), "{reason}");
        assert_eq!(code(&refused(engine.put(b"a", b"1"))), "WRITES_REFUSED");
    }
}

#[wasm_bindgen_test]
fn background_work_says_when_it_wants_to_run_again() {
    let options = object(&[("durability", "relaxed".into()), ("compactionPause", 5.into())]);
    let engine = Engine::new(None, options).unwrap();
    assert_eq!(field(&engine.run(2.0).unwrap(), "when"), JsValue::from("idle"));
    for value in 0..2500_u32 {
        engine.put(b"a", &value.to_le_bytes()).unwrap();
    }
    let next = engine.run(2.0).unwrap();
    assert_eq!(field(&next, "when"), JsValue::from("at"));
    let now = Function::new_no_args("return performance.now()").call0(&JsValue::UNDEFINED).unwrap();
    let wait = number(&next, "at") - now.as_f64().unwrap();
    assert!((0.0..=100.0).contains(&wait), "{wait} ms");
    assert_eq!(engine.durable_revision().unwrap(), 1.0);
    assert_eq!(engine.flush().unwrap(), 2501.0);

    assert!(engine.compaction().unwrap().is_undefined());
    assert_eq!(engine.compact(2501.0).unwrap(), 2501.0);
    let mut runs = 0;
    while field(&engine.compaction().unwrap(), "finished") != JsValue::TRUE {
        engine.run(2.0).unwrap();
        runs += 1;
        assert!(runs < 1_000_000, "it comes to an end");
    }
    let progress = engine.compaction().unwrap();
    assert_eq!((number(&progress, "removed"), number(&progress, "total")), (2499.0, 2499.0));
    assert_eq!(number(&engine.status().unwrap(), "records"), 1.0);
    assert_eq!(number(&engine.check().unwrap(), "records"), 1.0);
}

/// A program in Rust may name any moment, and its store come here.
#[wasm_bindgen_test]
fn a_pin_that_ends_beyond_all_exact_numbers_is_told_rounded() {
    let options = Options { store_id: Some(1), ..Options::default() };
    let mut store = Store::open(MemoryStorage::new(), options).unwrap();
    store.put("a", "1").unwrap();
    store.pin_until("late", 0, WallTime::from_millis(u64::MAX)).unwrap();
    let importer = Importer::new(None, object(&[])).unwrap();
    store.export().for_each(|chunk| importer.feed(&chunk.unwrap()).unwrap());
    let engine = importer.finish().unwrap();
    for list in [engine.pins().unwrap(), engine.holders().unwrap()] {
        let pin = Array::from(&list).get(0);
        assert_eq!((field(&pin, "name"), number(&pin, "expires")), ("late".into(), u64::MAX as f64));
    }
    assert_eq!(number(&engine.status().unwrap(), "pins"), 1.0);
}
