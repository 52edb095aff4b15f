//! Why the engine stopped: the message of a panic, or that memory ran out.
//!
//! A panic in WebAssembly ends in a trap, which JavaScript sees as a `RuntimeError` without any message, while the instance
//! could still be called with its state half changed. The message kept here lets the package refuse every later call and say why.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use wasm_bindgen::prelude::*;

static PANIC: Mutex<Option<String>> = Mutex::new(None);
/// Bytes of the newest allocation that could not be had; 0 if none.
static STARVED_OF: AtomicUsize = AtomicUsize::new(0);

/// Notes an allocation that could not be had. It must not allocate.
#[cfg_attr(not(target_family = "wasm"), expect(dead_code, reason = "only the wasm allocator reports"))]
pub(crate) fn out_of_memory(bytes: usize) {
    STARVED_OF.store(bytes, Ordering::Relaxed);
}

/// Runs once, when the module is instantiated.
#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|info| {
        *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = Some(info.to_string());
    }));
}

/// Why the engine trapped: a panic's message with its place in the source, or that memory ran out; nothing if neither
/// happened.
#[wasm_bindgen]
#[must_use]
pub fn failure() -> Option<String> {
    let panic = PANIC.lock().unwrap_or_else(PoisonError::into_inner).clone();
    panic.or_else(|| match STARVED_OF.load(Ordering::Relaxed) {
        0 => None,
        bytes => {
            Some(format!("out of memory: linear memory could not grow for an allocation of {bytes} bytes"))
        }
    })
}
