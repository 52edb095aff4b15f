//! The simulation for JavaScript: what a seed does natively, it does in WebAssembly.
#![cfg(target_arch = "wasm32")]

use palimpsest_kv_tests::simulation;
use wasm_bindgen::prelude::wasm_bindgen;

/// What the simulation of a seed has done: operations, crashes, and a number for all that was left on its medium. A failure is a
/// trap, after a message on the console.
#[wasm_bindgen]
#[must_use]
pub fn simulate(seed: u64) -> Vec<u64> {
    console_error_panic_hook::set_once();
    let tally = simulation::simulate(seed, simulation::Looks::Sampled);
    vec![tally.operations, tally.crashes, tally.digest]
}
