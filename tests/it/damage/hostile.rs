//! Damage with checksums that are right: an error or an answer, never a panic, an endless loop, or more memory than there are bytes.

use palimpsest_kv::{Budget, Keys, Result, Store, examine, salvage};
use palimpsest_kv_tests::faulty::FaultyStorage;
use palimpsest_kv_tests::hostile::Image;
use palimpsest_kv_tests::rng::Rng;
use palimpsest_kv_tests::sample::{closed, left, options};
use palimpsest_kv_tests::sim::{SimClock, try_run_until_idle};

/// Stores made of each sample.
const SEEDS: u64 = 1_500;

/// Reads of the disk that any of it may make, for each page there is: far more than reading everything takes.
const READS_PER_PAGE: u64 = 200;

/// Does everything to a store that can be done to it.
fn use_it(disk: &FaultyStorage) -> Result<()> {
    let mut store = Store::open(disk.clone(), options())?;
    let oldest = store.compacted().map_or(1, |revision| revision.get());
    for revision in [0, oldest, oldest.saturating_add(1)] {
        let Ok(snapshot) = store.read_at(revision) else { continue };
        for entry in snapshot.range(Keys::all()).limit(200) {
            _ = entry.and_then(|entry| snapshot.get(entry.key()));
        }
    }
    _ = store.check();
    store.put("key00", "after all")?;
    store.delete(Keys::prefix("key0"))?;
    _ = store.compact(store.revision());
    _ = try_run_until_idle(&mut store, &SimClock::ticking(1), Budget::millis(2))?;
    store.close().map(drop)
}

/// Says which seed it was when a panic unwinds past it.
struct Doing<'a>(u64, &'a str);

impl Drop for Doing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}: {}", self.0, self.1);
        }
    }
}

#[test]
fn a_store_that_says_what_can_not_be_is_refused_or_read() {
    for sample in [closed(), left()] {
        for seed in 0..SEEDS {
            let mut rng = Rng::new(seed);
            let mut image = Image::new(&sample.bytes);
            let what: Vec<String> = (0..1 + rng.below(3)).map(|_| image.change(&mut rng)).collect();
            let what = what.join("; ");
            let _doing = Doing(seed, &what);
            let most = READS_PER_PAGE * (image.bytes().len() / options().page_bytes) as u64;
            let disk = FaultyStorage::from_bytes(image.bytes());
            _ = examine(&disk);
            _ = salvage(&disk, FaultyStorage::new(), options());
            assert!(disk.to_bytes() == image.bytes(), "{what}: looking at it changed it");
            _ = use_it(&disk);
            assert!(disk.counts().reads < most, "{what}: {:?}", disk.counts());
        }
    }
}
