//! The fuzzer of `palimpsest_kv_tests::fuzzing::snapshot`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| palimpsest_kv_tests::fuzzing::snapshot(input));
