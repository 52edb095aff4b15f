//! The allocator: how linear memory grows, and what is said when it can't.
#![cfg(target_family = "wasm")]
#![expect(clippy::unwrap_used, reason = "a test fails where it is wrong")]

use js_sys::Reflect;
use palimpsest_kv_wasm::{failure, linear_memory};
use wasm_bindgen_test::wasm_bindgen_test;

fn memory_bytes() -> f64 {
    let buffer = Reflect::get(&linear_memory(), &"buffer".into()).unwrap();
    Reflect::get(&buffer, &"byteLength".into()).unwrap().as_f64().unwrap()
}

#[wasm_bindgen_test]
fn linear_memory_grows_in_large_steps() {
    let mut held = Vec::new();
    let mut before = memory_bytes();
    let mut growths = 0;
    for _ in 0..2000 {
        held.push(vec![1_u8; 50_000]);
        let after = memory_bytes();
        if after > before {
            let least = (before / 4.0 / 65536.0).floor() * 65536.0;
            assert!(after - before >= least.max(1_048_576.0), "from {before} to {after}");
            growths += 1;
        }
        before = after;
    }
    assert!(growths <= 25, "{growths} growths for 100 MB");
    assert!(held.iter().all(|block| block.iter().all(|byte| *byte == 1)));
}

#[wasm_bindgen_test]
fn memory_that_can_not_be_had_is_told() {
    assert_eq!(failure(), None);
    let half = isize::MAX as usize;
    // Two halves of the address space can't both be had: the module itself has a part of it.
    let mut blocks = [Vec::<u8>::new(), Vec::new()];
    let had = blocks.each_mut().map(|block| block.try_reserve_exact(half).is_ok());
    assert!(!(had[0] && had[1]));
    assert_eq!(
        failure().unwrap(),
        format!("out of memory: linear memory could not grow for an allocation of {half} bytes")
    );
}
