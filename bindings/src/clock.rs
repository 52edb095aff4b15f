//! The host's clocks.

use palimpsest_kv::{Clock, Time, WallTime};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
}

/// `performance.now()`, in microseconds since the program's start, and `Date.now()`.
pub(crate) struct HostClock;

impl Clock for HostClock {
    fn now(&self) -> Time {
        Time::from_micros((performance_now() * 1000.0) as u64)
    }

    fn wall(&self) -> Option<WallTime> {
        Some(WallTime::from_millis(js_sys::Date::now() as u64))
    }
}

/// A moment as JavaScript counts it: milliseconds, on the scale of `performance.now()`.
pub(crate) fn as_millis(time: Time) -> f64 {
    time.as_micros() as f64 / 1000.0
}
