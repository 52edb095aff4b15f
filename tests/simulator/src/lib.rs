//! The simulation for JavaScript: what a seed does natively, it does in WebAssembly.
#![cfg(target_arch = "wasm32")]

use palimpsest_kv_tests::simulation::{self, Looks};
use wasm_bindgen::prelude::wasm_bindgen;

/// What the simulation of a seed has done: operations, crashes, and a number for all that was left on its medium. A failure is a
/// trap, after a message on the console.
#[wasm_bindgen]
#[must_use]
pub fn simulate(seed: u64) -> Vec<u64> {
    look(seed, Looks::Sampled)
}

/// The same for a short run with a look at every change of the medium.
#[wasm_bindgen(js_name = simulateEvery)]
#[must_use]
pub fn simulate_every(seed: u64) -> Vec<u64> {
    look(seed, Looks::Every)
}

fn look(seed: u64, looks: Looks) -> Vec<u64> {
    console_error_panic_hook::set_once();
    let tally = simulation::simulate(seed, looks);
    vec![tally.operations, tally.crashes, tally.digest]
}
