//! The fuzzers' targets on the inputs that are kept, and on some thousand variations of these.

use std::path::Path;

use palimpsest_kv_tests::fuzzing::{TARGETS, varied};
use palimpsest_kv_tests::rng::Rng;

/// Variations of the inputs of each target.
const VARIATIONS: [(&str, u64); 4] =
    [("export", 3_000), ("image", 3_000), ("operations", 400), ("snapshot", 3_000)];

/// The inputs of a target, by name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join("corpus").join(target);
    let mut inputs: Vec<(String, Vec<u8>)> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|file| {
            let path = file.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap())
        })
        .collect();
    inputs.sort();
    inputs
}

/// Says what was run when a panic unwinds past it.
struct Doing<'a>(&'a str, Option<u64>);

impl Drop for Doing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("input {}, variation {:?}", self.0, self.1);
        }
    }
}

fn run(target: &str) {
    let (_, body) = TARGETS.iter().find(|(name, _)| *name == target).expect("it is a target");
    let inputs = corpus(target);
    assert!(inputs.len() >= 10, "only {} inputs for {target}", inputs.len());
    for (name, input) in &inputs {
        let _doing = Doing(name, None);
        body(input);
    }
    let (_, variations) = VARIATIONS.iter().find(|(name, _)| *name == target).expect("it is varied");
    for seed in 0..*variations {
        let mut rng = Rng::new(seed);
        let (name, input) = &inputs[rng.index(inputs.len())];
        let _doing = Doing(name, Some(seed));
        body(&varied(input, &mut rng));
    }
}

#[test]
fn arbitrary_images_do_no_harm() {
    run("image");
}

#[test]
fn arbitrary_exports_do_no_harm() {
    run("export");
}

#[test]
fn arbitrary_snapshots_of_etcd_do_no_harm() {
    run("snapshot");
}

#[test]
fn arbitrary_operations_agree_with_the_model() {
    run("operations");
}
