//! Looking at damaged stores and salvaging them, as JavaScript meets it.
#![expect(clippy::unwrap_used, reason = "a test fails where it is wrong")]

use js_sys::{Array, Function, Object, Reflect, Uint8Array};
use palimpsest_kv_wasm::{Engine, StorageObject, examine, salvage};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

/// A storage in JavaScript that counts what changes it. Each call gives another object on the same bytes.
struct Shared(Function);

impl Shared {
    fn new() -> Self {
        let make = "let bytes = new Uint8Array(); const counts = { changes: 0 };
            const resize = length => { const next = new Uint8Array(length); next.set(bytes.subarray(0, length)); bytes = next };
            return () => ({
              counts,
              flip(at) { bytes[at] ^= 1 },
              read(offset, buffer) { const part = bytes.subarray(offset, offset + buffer.length); buffer.set(part); return part.length },
              write(offset, part) {
                counts.changes += 1;
                if (offset + part.length > bytes.length) resize(offset + part.length);
                bytes.set(part, offset);
                return part.length
              },
              sync() {},
              length() { return bytes.length },
              truncate(length) { counts.changes += 1; resize(length) },
            })";
        Self(Function::new_no_args(make).call0(&JsValue::UNDEFINED).unwrap().unchecked_into())
    }

    fn storage(&self) -> StorageObject {
        self.0.call0(&JsValue::UNDEFINED).unwrap().unchecked_into()
    }

    fn flip(&self, at: f64) {
        let storage = self.storage();
        let flip: Function = field(&storage, "flip").unchecked_into();
        flip.call1(&storage, &at.into()).unwrap();
    }

    fn changes(&self) -> f64 {
        number(&field(&self.storage(), "counts"), "changes")
    }
}

fn field(value: &JsValue, name: &str) -> JsValue {
    Reflect::get(value, &name.into()).unwrap()
}

fn number(value: &JsValue, name: &str) -> f64 {
    field(value, name).as_f64().unwrap_or_else(|| panic!("{name} of {value:?}"))
}

fn open(storage: &Shared) -> Engine {
    Engine::new(Some(storage.storage()), Object::new().into()).unwrap()
}

/// A closed store with a value of `bytes` bytes, which is long enough for pages of its own, and a short one.
fn sample() -> Shared {
    let storage = Shared::new();
    let engine = open(&storage);
    engine.put(b"large", &[7; 9_000]).unwrap();
    engine.put(b"small", b"one").unwrap();
    engine.close().unwrap();
    storage
}

/// A byte of the large value.
fn place_of_value(storage: &Shared) -> f64 {
    let js = "let buffer = new Uint8Array(storage.length()); storage.read(0, buffer); return buffer.findIndex((_, at) => \
              buffer.subarray(at, at + 100).every(byte => byte === 7)) + 50";
    let find = Function::new_with_args("storage", js);
    find.call1(&JsValue::UNDEFINED, &storage.storage()).unwrap().as_f64().unwrap()
}

#[wasm_bindgen_test]
fn a_sound_store_is_told_in_numbers() {
    let storage = sample();
    let before = storage.changes();
    let examined = examine(storage.storage()).unwrap();
    assert!(field(&examined, "sound").is_truthy());
    let numbers = ["revision", "keys", "records", "moreDamage"].map(|name| number(&examined, name));
    assert_eq!(numbers, [3.0, 2.0, 2.0, 0.0]);
    let page_bytes = number(&examined, "pageBytes");
    assert_eq!(number(&examined, "pages") * page_bytes, number(&examined, "fileBytes"));
    assert_eq!(storage.changes(), before, "nothing was written");
}

#[wasm_bindgen_test]
fn what_is_damaged_is_told_and_the_rest_is_saved() {
    let storage = sample();
    storage.flip(place_of_value(&storage));
    let before = storage.changes();
    let examined = examine(storage.storage()).unwrap();
    assert!(!field(&examined, "sound").is_truthy() && field(&examined, "revision").is_undefined());
    let damage: Array = field(&examined, "damage").unchecked_into();
    assert_eq!(damage.length(), 1);
    assert_eq!(field(&damage.get(0), "kind").as_string().unwrap(), "overflow");

    let new = Shared::new();
    let saved = salvage(storage.storage(), new.storage()).unwrap();
    assert_eq!(storage.changes(), before, "nothing was written");
    let numbers = ["recordsSaved", "recordsLost", "keys", "revision", "damagedPages"];
    assert_eq!(numbers.map(|name| number(&saved, name)), [1.0, 1.0, 1.0, 3.0, 1.0]);
    let lost: Array = field(&saved, "lost").unchecked_into();
    let key: Uint8Array = field(&lost.get(0), "key").dyn_into().unwrap();
    assert_eq!((key.to_vec().as_slice(), number(&lost.get(0), "revision")), (b"large".as_slice(), 2.0));
    let engine = open(&new);
    assert_eq!(engine.get(b"small", 0.0).unwrap().unwrap(), b"one");
    assert_eq!(engine.get(b"large", 0.0).unwrap(), None);
}

#[wasm_bindgen_test]
fn what_is_no_store_and_what_is_not_empty_are_refused() {
    let code = |error: JsValue| field(&error, "code").as_string().unwrap();
    assert_eq!(code(examine(Shared::new().storage()).unwrap_err()), "NOT_A_STORE");
    assert_eq!(code(salvage(Shared::new().storage(), Shared::new().storage()).unwrap_err()), "NOT_A_STORE");
    let (storage, other) = (sample(), sample());
    let before = other.changes();
    assert_eq!(code(salvage(storage.storage(), other.storage()).unwrap_err()), "INVALID_ARGUMENT");
    assert_eq!(other.changes(), before);
}
