//! Writes the inputs that the fuzzers begin with, those that are missing; see `tests/fuzz/README.md`.
//!
//! ```text
//! cargo run -p palimpsest-kv-tests --example make_corpus
//! ```

use std::path::Path;

use palimpsest_kv::Store;
use palimpsest_kv_tests::bolt::{Contents, Version, lease, put, revision, tombstone};
use palimpsest_kv_tests::copying::exported;
use palimpsest_kv_tests::faulty::FaultyStorage;
use palimpsest_kv_tests::golden::GOLDEN;
use palimpsest_kv_tests::hostile::Image;
use palimpsest_kv_tests::rng::Rng;
use palimpsest_kv_tests::sample::{closed, left, options};

/// The largest golden file that is worth varying, in bytes.
const MAX_BYTES: usize = 20 * 1024;
/// Inputs of random bytes.
const RANDOM: u64 = 16;

/// Storages, each behind a byte that says whether its pages are to be sealed anew.
fn images() -> Vec<(String, Vec<u8>)> {
    let small = GOLDEN.iter().map(|golden| (golden.name.to_owned(), golden.make()));
    let mut images: Vec<(String, Vec<u8>)> = small.filter(|(_, bytes)| bytes.len() <= MAX_BYTES).collect();
    let mut inputs: Vec<(String, Vec<u8>)> =
        images.iter().map(|(name, bytes)| (format!("{name}-as-it-is"), [&[0], &**bytes].concat())).collect();
    images.push(("closed-with-some-of-everything".to_owned(), closed().bytes));
    images.push(("left-with-some-of-everything".to_owned(), left().bytes));
    inputs.extend(
        images.iter().map(|(name, bytes)| (format!("{name}-sealed-anew"), [&[1], &**bytes].concat())),
    );
    for (seed, (name, bytes)) in (0..).zip(&images) {
        let mut image = Image::new(bytes);
        _ = image.change(&mut Rng::new(seed));
        inputs.push((format!("{name}-says-what-can-not-be"), [&[0], image.bytes()].concat()));
    }
    inputs
}

/// Random bytes, which choose the page size with the first two of them.
fn operations() -> Vec<(String, Vec<u8>)> {
    let input = |seed: u64| {
        let mut rng = Rng::new(seed);
        let (place, page_bytes) = match seed % 3 {
            0 => (0, 512),
            1 => (1, 1_024),
            _ => (2, 4_096),
        };
        let len = 200 + 150 * seed;
        let mut bytes: Vec<u8> = (0..len).map(|_| rng.bits().to_le_bytes()[0]).collect();
        bytes.splice(..2, [place, 0]);
        (format!("random-{len}-bytes-in-pages-of-{page_bytes}"), bytes)
    };
    (0..RANDOM).map(input).collect()
}

/// Exports, each behind a byte that says whether its sections are to be sealed anew.
fn exports() -> Vec<(String, Vec<u8>)> {
    let small = GOLDEN.iter().map(|golden| (golden.name.to_owned(), golden.make()));
    let mut images: Vec<(String, Vec<u8>)> = small.filter(|(_, bytes)| bytes.len() <= MAX_BYTES).collect();
    images.push(("closed-with-some-of-everything".to_owned(), closed().bytes));
    images.push(("left-with-some-of-everything".to_owned(), left().bytes));
    let mut inputs = Vec::new();
    for (name, bytes) in images {
        let store = Store::open(FaultyStorage::from_image(bytes), options()).expect("it is a store");
        let bytes = exported(&store).expect("a store can be exported");
        inputs.push((format!("{name}-as-it-is"), [&[0], &*bytes].concat()));
        inputs.push((format!("{name}-sealed-anew"), [&[1], &*bytes].concat()));
    }
    inputs
}

/// Small files of etcd, each behind a byte that says whether it is to be sealed anew.
fn snapshots() -> Vec<(String, Vec<u8>)> {
    let version = |main: u64, value| Version { key: "key", value, created: 2, version: main - 1, lease: 0 };
    let long = "v".repeat(1_300);
    let puts = |to: u64| (2..to).map(|main| put((main, 0), version(main, "value")));
    let contents = |records| Contents { records, ..Contents::default() };
    let leased = Version { key: "leased", value: "", created: 9, version: 1, lease: 7 };
    let kinds = [
        ("nothing", Contents::default()),
        ("one-page", contents(puts(5).collect())),
        ("branches", contents(puts(120).collect())),
        ("a-long-value", contents(vec![put((2, 0), version(2, &long)), tombstone((3, 0), "key")])),
        ("a-mark", contents(vec![(revision(1_000, 0), Vec::new())]).with_meta("scheduledCompactRev", 1_000)),
        (
            "leases-and-a-compaction",
            Contents {
                records: vec![put((9, 0), leased)],
                leases: vec![lease(7, 60, 5)],
                ..Contents::default()
            }
            .with_meta("finishedCompactRev", 3)
            .with_meta("scheduledCompactRev", 9),
        ),
    ];
    let mut inputs = Vec::new();
    for (name, contents) in kinds {
        for page_bytes in [512, 1_024] {
            let bytes = contents.snapshot(page_bytes);
            inputs.push((format!("{name}-in-pages-of-{page_bytes}-as-it-is"), [&[0], &*bytes].concat()));
            inputs.push((format!("{name}-in-pages-of-{page_bytes}-sealed-anew"), [&[1], &*bytes].concat()));
        }
    }
    inputs
}

fn main() -> std::io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join("corpus");
    let targets =
        [("export", exports()), ("image", images()), ("operations", operations()), ("snapshot", snapshots())];
    for (target, inputs) in targets {
        let folder = corpus.join(target);
        std::fs::create_dir_all(&folder)?;
        for (name, bytes) in inputs {
            let path = folder.join(name);
            if !path.exists() {
                std::fs::write(&path, bytes)?;
                eprintln!("{} is new", path.display());
            }
        }
    }
    Ok(())
}
