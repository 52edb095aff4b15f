//! What crosses of etcd's model besides plain keys: options of puts and ranges, transactions within transactions, leases, watchers.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails where it is wrong")]

use js_sys::{Array, Object, Reflect, Uint8Array};
use palimpsest_kv_wasm::{Engine, Relation, Transaction};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

/// Bytes before an entry's key.
const HEAD: usize = 40;

fn object(fields: &[(&str, JsValue)]) -> JsValue {
    let object = Object::new();
    for (name, value) in fields {
        Reflect::set(&object, &(*name).into(), value).unwrap();
    }
    object.into()
}

fn engine() -> Engine {
    Engine::new(None, object(&[("durability", "relaxed".into())])).unwrap()
}

fn one(key: &[u8]) -> Vec<u8> {
    let length = u32::try_from(key.len()).unwrap();
    [&[0], length.to_le_bytes().as_slice(), key].concat()
}

const ALL: &[u8] = &[4, 0, 0, 0, 0];

fn field(value: &JsValue, name: &str) -> JsValue {
    Reflect::get(value, &name.into()).unwrap()
}

fn number(value: &JsValue, name: &str) -> f64 {
    field(value, name).as_f64().unwrap_or_else(|| panic!("{name} of {value:?}"))
}

fn bytes(value: &JsValue, name: &str) -> Vec<u8> {
    field(value, name).unchecked_into::<Uint8Array>().to_vec()
}

#[track_caller]
fn refused<T>(result: Result<T, JsValue>, code: &str) -> JsValue {
    let error = result.err().expect("it is refused");
    assert_eq!(field(&error, "code"), JsValue::from(code));
    error
}

fn float(block: &[u8], at: usize) -> f64 {
    f64::from_le_bytes(block[at..at + 8].try_into().unwrap())
}

#[wasm_bindgen_test]
fn a_put_has_options_and_tells_what_was_there() {
    let engine = engine();
    engine.put(b"a", b"1").unwrap();
    let lease = number(&engine.grant_lease(2500.0, Some(77.0)).unwrap(), "id");
    let put = object(&[("lease", lease.into()), ("previous", true.into())]);
    let answer = engine.put_with(b"a", Some(b"2".to_vec()), put).unwrap();
    assert_eq!(number(&answer, "revision"), 3.0);
    let previous = bytes(&answer, "previous");
    assert_eq!((previous.len(), float(&previous, 8), float(&previous, 24)), (HEAD + 2, 2.0, 0.0));
    let entry = engine.entry(b"a", 0.0).unwrap().unwrap();
    assert_eq!((float(&entry, 16), float(&entry, 24)), (2.0, 77.0));
    let fresh = engine.put_with(b"b", Some(vec![]), object(&[("previous", true.into())])).unwrap();
    assert!(field(&fresh, "previous").is_undefined());
    let keeping = object(&[("keepLease", true.into())]);
    engine.put_with(b"a", None, keeping.clone()).unwrap();
    assert_eq!(float(&engine.entry(b"a", 0.0).unwrap().unwrap(), 24), 77.0);
    let unknown = refused(engine.put_with(b"x", None, keeping), "KEY_NOT_FOUND");
    assert_eq!(bytes(&unknown, "key"), b"x");
    for lease in [0.0, -1.0, 0.5, f64::INFINITY] {
        let put = object(&[("lease", lease.into())]);
        refused(engine.put_with(b"a", None, put), "INVALID_ARGUMENT");
    }
    let deleted = engine.delete_with_previous(ALL).unwrap();
    assert_eq!((number(&deleted, "deleted"), bytes(&deleted, "previous").len()), (2.0, 2 * HEAD + 3));
}

#[wasm_bindgen_test]
fn a_cursor_has_an_order_bounds_and_a_count() {
    let engine = engine();
    for (key, value) in [("a", "3"), ("b", "1"), ("c", "2"), ("b", "4")] {
        engine.put(key.as_bytes(), value.as_bytes()).unwrap();
    }
    let keys = |options: &[(&str, JsValue)]| {
        let cursor = engine.cursor(ALL, object(options)).unwrap();
        let mut keys = Vec::new();
        while let Some(block) = cursor.next(1, usize::MAX).unwrap() {
            keys.push(char::from(block[HEAD]));
        }
        assert_eq!(cursor.count().unwrap(), 3.0);
        String::from_iter(keys)
    };
    let sort = |by: &str, order: &str| ("sort", object(&[("by", by.into()), ("order", order.into())]));
    assert_eq!(keys(&[sort("value", "ascending")]), "cab");
    assert_eq!(keys(&[sort("key", "descending"), ("limit", 2.into())]), "cb");
    assert_eq!(keys(&[sort("key", "ascending"), ("limit", 2.into())]), "ab");
    assert_eq!(keys(&[("minModRevision", 4.into())]), "bc");
    assert_eq!(keys(&[("maxCreateRevision", 3.into()), sort("modRevision", "descending")]), "ba");
    refused(engine.cursor(ALL, object(&[sort("size", "ascending")])), "INVALID_ARGUMENT");
    refused(
        engine.cursor(ALL, object(&[("minModRevision", 0.5.into())])).map(|it| it.next(1, 1)).unwrap(),
        "INVALID_ARGUMENT",
    );
}

#[wasm_bindgen_test]
fn a_transaction_stands_in_another() {
    let engine = engine();
    engine.put(b"a", b"1").unwrap();
    let inner = Transaction::new();
    inner.compare_lease(&one(b"a"), Relation::Equal, 0.0).unwrap();
    inner.put(b"b", Some(b"2".to_vec()), object(&[("previous", true.into())])).unwrap();
    inner.read(ALL, object(&[("countOnly", true.into())])).unwrap();
    let outer = Transaction::new();
    outer.delete_with_previous(&one(b"a")).unwrap();
    outer.nest(&inner);
    let answer = engine.commit(&outer).unwrap();
    let results = Array::from(&field(&answer.summary(), "results"));
    assert_eq!((number(&results.get(0), "deleted"), number(&results.get(0), "entries")), (1.0, 1.0));
    let nested = results.get(1);
    assert_eq!(field(&nested, "type"), JsValue::from("txn"));
    assert_eq!((field(&nested, "succeeded"), number(&nested, "revision")), (JsValue::TRUE, 3.0));
    let results = Array::from(&field(&nested, "results"));
    assert_eq!((number(&results.get(0), "entries"), number(&results.get(1), "count")), (0.0, 1.0));
    assert_eq!(answer.entries().len(), HEAD + 2);
    let empty = engine.commit(&inner).unwrap();
    assert_eq!(Array::from(&field(&empty.summary(), "results")).length(), 0, "it was taken out");
}

#[wasm_bindgen_test]
fn leases_cross_as_numbers_and_milliseconds() {
    let engine = engine();
    let granted = engine.grant_lease(2001.0, None).unwrap();
    let id = number(&granted, "id");
    assert_eq!((number(&granted, "ttl"), number(&granted, "revision")), (3000.0, 1.0));
    assert!((1.0..=9_007_199_254_740_991.0).contains(&id) && id.fract() == 0.0, "{id}");
    engine.put_with(b"k", Some(vec![]), object(&[("lease", id.into())])).unwrap();
    let status = engine.lease(id).unwrap();
    assert_eq!((number(&status, "ttl"), number(&status, "keys")), (3000.0, 1.0));
    assert!((2000.0..=3000.0).contains(&number(&status, "remaining")));
    assert_eq!(engine.lease_keys(id).unwrap()[0].to_vec(), b"k");
    assert_eq!(engine.leases().unwrap(), [id]);
    assert_eq!(engine.keep_alive(id).unwrap(), 3000.0);
    assert_eq!(number(&refused(engine.grant_lease(1.0, Some(id)), "LEASE_EXISTS"), "lease"), id);
    let long = refused(engine.grant_lease(1e15, None), "LEASE_TTL_TOO_LARGE");
    assert_eq!((number(&long, "seconds"), number(&long, "limit")), (1e12, 9e9));
    assert_eq!(number(&engine.revoke_lease(id).unwrap(), "deleted"), 1.0);
    assert_eq!(number(&refused(engine.revoke_lease(id), "LEASE_NOT_FOUND"), "lease"), id);
    refused(engine.keep_alive(id), "LEASE_NOT_FOUND");
    assert!(engine.lease(id).unwrap().is_undefined());
    refused(engine.grant_lease(-1.0, None), "INVALID_ARGUMENT");
    refused(engine.lease(0.0), "INVALID_ARGUMENT");
}

#[wasm_bindgen_test]
fn a_watcher_is_polled_by_its_number() {
    let engine = engine();
    engine.put(b"a", b"1").unwrap();
    let told = object(&[("from", 2.into()), ("previous", true.into())]);
    let watcher = engine.watch(&one(b"a"), told).unwrap();
    assert_eq!(engine.ready_watchers().unwrap(), [watcher]);
    assert_eq!(engine.watch_progress(watcher).unwrap(), None);
    engine.delete(&one(b"a")).unwrap();
    engine.put(b"b", b"").unwrap();
    let batch = engine.poll(watcher).unwrap();
    assert_eq!((field(&batch, "state"), number(&batch, "revision")), ("batch".into(), 4.0));
    let events = bytes(&batch, "events");
    // A put with nothing before it, a delete without a value, and what it has deleted.
    let (put, delete) = (2 + HEAD + 2, 2 + HEAD + 1);
    assert_eq!(events.len(), put + delete + HEAD + 2);
    assert_eq!((&events[..2], &events[put..put + 2]), (&[0, 1][..], &[1, 2][..]));
    assert_eq!((float(&events, put + 2), float(&events, put + 10)), (0.0, 3.0));
    assert_eq!(float(&events, put + delete + 8), 2.0);
    assert_eq!(field(&engine.poll(watcher).unwrap(), "state"), JsValue::from("idle"));
    assert_eq!(engine.watch_progress(watcher).unwrap(), Some(4.0));
    assert!(engine.ready_watchers().unwrap().is_empty());

    engine.compact(4.0).unwrap();
    let old = refused(engine.watch(&one(b"a"), object(&[("from", 2.into())])), "COMPACTED");
    assert_eq!((number(&old, "requested"), number(&old, "compacted")), (2.0, 4.0));
    refused(engine.watch(&[2, 1, 0, 0, 0, b'b', b'a'], object(&[])), "EMPTY_INTERVAL");
    engine.cancel_watcher(watcher).unwrap();
    assert_eq!(number(&refused(engine.poll(watcher), "WATCH_NOT_FOUND"), "watcher"), watcher);
}

#[wasm_bindgen_test]
fn strict_engines_tell_watchers_of_what_is_durable() {
    let engine = Engine::new(None, object(&[("durability", "strict".into())])).unwrap();
    let watcher = engine.watch(ALL, object(&[("deletes", false.into())])).unwrap();
    engine.put(b"a", b"1").unwrap();
    assert_eq!(engine.durable_revision().unwrap(), 1.0, "writes wait for a flush");
    assert_eq!(field(&engine.poll(watcher).unwrap(), "state"), JsValue::from("idle"));
    engine.flush().unwrap();
    assert_eq!(number(&engine.poll(watcher).unwrap(), "revision"), 2.0);
}

#[wasm_bindgen_test]
fn policies_and_quotas_cross() {
    let options = [("autoCompaction", object(&[("periodic", 1000.into())])), ("quotaBytes", 100_000.into())];
    let engine = Engine::new(None, object(&options)).unwrap();
    refused(engine.put(b"a", &[0; 200_000]), "NO_SPACE");
    let status = engine.status().unwrap();
    assert_eq!((number(&status, "quotaBytes"), field(&status, "isOutOfSpace")), (1e5, JsValue::FALSE));
    let filled = Engine::new(None, object(&[("quotaBytes", 100_000.into())])).unwrap();
    filled.put(b"a", &[0; 40_000]).unwrap();
    let full = refused(filled.put(b"b", &[0; 40_000]), "NO_SPACE");
    assert_eq!(number(&full, "quota"), 100_000.0);
    assert_eq!(field(&filled.status().unwrap(), "isOutOfSpace"), JsValue::TRUE);
    assert_eq!((number(&status, "leases"), number(&status, "watchers")), (0.0, 0.0));
    assert_eq!(field(&engine.run(2.0).unwrap(), "when"), JsValue::from("at"), "it samples");
    engine.set_auto_compaction(object(&[])).unwrap();
    engine.set_quota(None).unwrap();
    assert_eq!(field(&engine.run(2.0).unwrap(), "when"), JsValue::from("idle"));
    engine.put(b"a", b"1").unwrap();
    let hash = engine.hash_kv(0.0).unwrap();
    assert_eq!((number(&hash, "hash"), number(&hash, "revision")), (2_587_454_935.0, 2.0));
    refused(engine.set_auto_compaction(object(&[("periodic", (-1).into())])), "INVALID_ARGUMENT");
    refused(engine.set_quota(Some(0.5)), "INVALID_ARGUMENT");
}
