//! The one place where the engine's errors become JavaScript's.
//!
//! Each is an `Error` with a stable `code` and the values of the engine's error as fields. Anything else that an export throws
//! is not an answer but a failure of the engine.

use js_sys::{Reflect, Uint8Array};
use palimpsest_kv::Error;
use wasm_bindgen::prelude::*;

/// What an export answers.
pub(crate) type JsResult<T> = Result<T, JsValue>;

/// An error with a code that the engine itself does not have.
pub(crate) fn coded(code: &str, message: &str) -> JsValue {
    let error = js_sys::Error::new(message).into();
    set(&error, "code", &code.into());
    error
}

/// The store was closed.
pub(crate) fn closed() -> JsValue {
    coded("CLOSED", "the store is closed")
}

/// A storage called back into the store that was calling it.
pub(crate) fn busy() -> JsValue {
    coded(
        "BUSY",
        "the store is in the middle of another call: a storage must not use the store that it serves",
    )
}

/// What the caller passed can't be translated.
pub(crate) fn invalid(message: &str) -> JsValue {
    coded("INVALID_ARGUMENT", message)
}

fn set(error: &JsValue, field: &str, value: &JsValue) {
    // A fresh, extensible object takes any property.
    let _always_true = Reflect::set(error, &field.into(), value);
}

/// The engine's error with its values as fields.
pub(crate) fn translated(error: Error) -> JsValue {
    let translation = coded(error.code(), &error.to_string());
    let number = |field: &str, value: u64| set(&translation, field, &(value as f64).into());
    let text = |field: &str, value: &str| set(&translation, field, &value.into());
    match &error {
        Error::Compacted { requested, compacted } => {
            number("requested", requested.get());
            number("compacted", compacted.get());
        }
        Error::FutureRevision { requested, current } => {
            number("requested", requested.get());
            number("current", current.get());
        }
        Error::TimeUnknown { millis } => number("time", *millis),
        Error::KeyTooLarge { bytes, limit }
        | Error::ValueTooLarge { bytes, limit }
        | Error::PinNameTooLong { bytes, limit } => {
            number("bytes", *bytes as u64);
            number("limit", *limit as u64);
        }
        Error::TooManyOperations { operations, limit } => {
            number("operations", *operations as u64);
            number("limit", *limit as u64);
        }
        Error::DuplicateKey { key } | Error::KeyNotFound { key } => {
            set(&translation, "key", &Uint8Array::from(key.as_slice()).into())
        }
        Error::LeaseNotFound { lease } | Error::LeaseExists { lease } => number("lease", *lease),
        Error::LeaseTtlTooLarge { seconds, limit } => {
            number("seconds", *seconds);
            number("limit", *limit);
        }
        Error::PinNameReserved { name } | Error::PinNotFound { name } => text("pin", name),
        Error::WatchNotFound { watcher } => number("watcher", *watcher),
        _ => set_of_the_store(&translation, &error),
    }
    translation
}

/// The values of an error that is about the store, its storage or its options, and not about one operation.
fn set_of_the_store(translation: &JsValue, error: &Error) {
    let number = |field: &str, value: u64| set(translation, field, &(value as f64).into());
    let text = |field: &str, value: &str| set(translation, field, &value.into());
    match error {
        Error::InvalidOption { option, reason } => {
            text("option", option);
            text("reason", reason);
        }
        Error::NotAStore { reason } | Error::WritesRefused { reason } => text("reason", reason),
        Error::NewerFormat { found, supported } => {
            number("found", u64::from(*found));
            number("supported", u64::from(*supported));
        }
        Error::Corrupt { page, kind, what } => {
            number("page", u64::from(*page));
            text("kind", &kind.to_string());
            text("what", what);
        }
        Error::InvalidSource { offset, what } => {
            number("offset", *offset);
            text("what", what);
        }
        Error::Storage { operation, reason } => {
            text("operation", operation);
            text("reason", reason);
        }
        Error::Locked { holder } => text("holder", holder),
        other => numbers(other).iter().for_each(|(field, value)| number(field, *value)),
    }
    if let Error::HoldExceeded { bound, .. } = &error {
        text("bound", &bound.to_string());
    }
}

/// The values of errors that are about several numbers.
fn numbers(error: &Error) -> Vec<(&'static str, u64)> {
    match error {
        Error::NoSpace { used, needed, quota } => {
            vec![("used", *used), ("needed", *needed), ("quota", *quota)]
        }
        Error::HoldExceeded { watcher, limit, behind, .. } => {
            vec![("watcher", *watcher), ("limit", *limit), ("behind", *behind)]
        }
        _ => Vec::new(),
    }
}
