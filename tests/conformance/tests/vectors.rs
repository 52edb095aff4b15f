//! The engine answers what etcd has answered.

use palimpsest_kv_conformance::engine::Engine;
use palimpsest_kv_conformance::vectors;

/// What the engine does in between must not matter.
const SEEDS: u64 = 8;

#[test]
fn the_engine_answers_what_etcd_has_answered() {
    let vectors = vectors::read_all().unwrap();
    assert!(vectors.len() >= 24, "there are only {} vectors", vectors.len());
    let mut steps = 0;
    for (name, vector) in &vectors {
        assert_eq!(vector.format, vectors::FORMAT, "{name}");
        for seed in 0..SEEDS {
            let mut engine = Engine::new(seed).unwrap();
            steps += vectors::replay(vector, &mut engine).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
    assert!(steps as u64 / SEEDS > 500, "the vectors have only {steps} steps");
}
