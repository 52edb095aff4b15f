//! Damage never makes the engine take more memory than the storage is large, beyond fixed bounds.
//!
//! A program of its own, since its allocator counts for the whole process; one test, so that nothing else runs beside it.

use std::alloc::System;

use cap::Cap;
use palimpsest_kv::storage::MemoryStorage;
use palimpsest_kv::{Durability, HashCheck, Keys, Result, Store, examine, import_etcd, salvage};
use palimpsest_kv_tests::fuzzing::varied;
use palimpsest_kv_tests::hostile::Image;
use palimpsest_kv_tests::rng::Rng;
use palimpsest_kv_tests::sample::{PAGE_BYTES, closed, left, options};
use palimpsest_kv_tests::{bolt, copying};

/// Far more than anything here may take, and little enough for any machine: the program ends there.
const MOST_BYTES: usize = 256 * 1024 * 1024;

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, MOST_BYTES);

/// What opening, reading or salvaging may hold, for each byte of the storage. Most of it is the index: some 130 bytes a key.
const TIMES: usize = 4;
/// What it may hold besides: the cache, the storage that salvage writes to, which grows by whole chunks, and what fits in no page.
const FIXED_BYTES: usize = 64 * 1024 + 512 * 1024 + 64 * 1024;
/// Stores made of each sample by changing what pages say.
const SEEDS: u64 = 400;

/// Runs something and checks that it has held no more than it may. The allocator tells the most that was ever held, and what each of
/// these stores may take differs little, so that the first to take too much is found.
fn bounded(bytes: &[u8], what: &str, run: impl FnOnce(&MemoryStorage)) {
    let storage = MemoryStorage::from_bytes(bytes);
    let most = HEAP.allocated() + TIMES * bytes.len() + FIXED_BYTES;
    run(&storage);
    let held = HEAP.max_allocated();
    assert!(held <= most, "{what}: {held} bytes were held, {most} are allowed");
}

fn open_and_read(storage: &MemoryStorage) -> Result<()> {
    let store = Store::open(storage, options())?;
    let oldest = store.compacted().map_or(1, |revision| revision.get());
    for revision in [0, oldest] {
        for entry in store.read_at(revision)?.range(Keys::all()).limit(200) {
            entry?;
        }
    }
    store.check().map(drop)
}

/// Small snapshots of etcd of which any bytes are changed, and which are believed.
fn import_damaged(snapshot: &[u8], seed: u64) {
    let mut damaged = snapshot.to_vec();
    let mut rng = Rng::new(seed);
    for _ in 0..1 + rng.below(3) {
        let at = rng.index(damaged.len());
        let other = rng.one_of(&[0, 1, 0x7F, 0xFF]);
        damaged.get_mut(at).into_iter().for_each(|byte| *byte = other);
    }
    bolt::seal(&mut damaged);
    bounded(&damaged, &format!("snapshot, seed {seed}"), |_| {
        _ = import_etcd(damaged.as_slice(), MemoryStorage::new(), options(), HashCheck::Required);
    });
}

/// An export, its sections sealed anew after some of their bytes were changed.
fn import_changed(export: &[u8], seed: u64) {
    let mut changed = varied(export, &mut Rng::new(seed));
    copying::seal(&mut changed);
    bounded(&changed, &format!("export, seed {seed}"), |_| {
        _ = copying::imported(&changed, MemoryStorage::new(), options());
    });
}

/// A store much larger than what its export may hold.
fn large() -> Result<Store<MemoryStorage>> {
    let mut store = Store::open(MemoryStorage::new(), options())?;
    for number in 0..20_000 {
        store.with_durability(Durability::Relaxed).put(format!("key{number}"), [7; 100])?;
    }
    store.flush()?;
    Ok(store)
}

/// An export holds a few chunks of a store that is much larger.
fn export_large() -> Result<()> {
    let store = large()?;
    let ballast = vec![1u8; HEAP.max_allocated().saturating_sub(HEAP.allocated())];
    let (before, mut bytes) = (HEAP.allocated(), 0);
    for chunk in store.export() {
        bytes += chunk?.len();
    }
    assert!(bytes > 2_000_000, "{bytes} bytes");
    let held = HEAP.max_allocated() - before;
    assert!(held < 512 * 1024, "an export has held {held} bytes");
    drop(ballast);
    Ok(())
}

fn all(bytes: &[u8], what: &str) {
    bounded(bytes, what, |storage| _ = open_and_read(storage));
    bounded(bytes, what, |storage| _ = examine(storage));
    bounded(bytes, what, |storage| _ = salvage(storage, MemoryStorage::new(), options()));
}

#[test]
fn damage_takes_no_more_memory_than_there_are_bytes() {
    let samples = [closed(), left()];
    // Held so that what is held now is the most that ever was.
    let ballast = vec![1u8; HEAP.max_allocated() - HEAP.allocated()];
    for sample in &samples {
        all(&sample.bytes, "whole");
        for seed in 0..SEEDS {
            let mut rng = Rng::new(seed);
            let mut image = Image::new(&sample.bytes);
            let what: Vec<String> = (0..1 + rng.below(3)).map(|_| image.change(&mut rng)).collect();
            all(image.bytes(), &format!("seed {seed}: {}", what.join("; ")));
        }
        let mut damaged = sample.bytes.clone();
        for at in (0..damaged.len()).step_by(PAGE_BYTES / 4 + 1) {
            damaged[at] ^= 0xFF;
            all(&damaged, &format!("byte {at} changed"));
            damaged[at] ^= 0xFF;
        }
    }
    let snapshot = bolt::small().snapshot(512);
    let export = Store::open(MemoryStorage::from_bytes(&samples[1].bytes), options())
        .and_then(|store| copying::exported(&store))
        .unwrap();
    for seed in 0..SEEDS {
        import_damaged(&snapshot, seed);
        import_changed(&export, seed);
    }
    drop(ballast);
    export_large().unwrap();
}
