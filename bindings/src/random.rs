//! Random numbers, from the host.

use wasm_bindgen::prelude::*;

use crate::errors::{JsResult, coded};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues, catch)]
    fn get_random_values(buffer: &mut [u8]) -> Result<JsValue, JsValue>;
}

/// A number that tells a new store from every other.
pub(crate) fn random_id() -> JsResult<u64> {
    let mut bytes = [0; 8];
    get_random_values(&mut bytes).map_err(|_| {
        coded("UNSUPPORTED", "this host has no crypto.getRandomValues, which a store's id is taken from")
    })?;
    Ok(u64::from_le_bytes(bytes))
}
