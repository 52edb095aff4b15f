//! The storage gets shorter while everyone goes on working.

use std::time::Duration;

use palimpsest_kv::storage::{FileStorage, MemoryStorage, Storage};
use palimpsest_kv::{Budget, Durability, Keys, LeaseId, Options, Put, Store};
use palimpsest_kv_tests::sim::SimClock;

fn options(page_bytes: usize) -> Options {
    Options {
        page_bytes,
        durability: Durability::Relaxed,
        compaction_pause: Duration::ZERO,
        store_id: Some(9),
        ..Options::default()
    }
}

/// What a store holds before most of it is deleted.
struct Case {
    what: &'static str,
    page_bytes: usize,
    keys: u32,
    value_bytes: usize,
    /// One key in so many is kept.
    kept: u32,
}

const CASES: &[Case] = &[
    Case { what: "small values", page_bytes: 4_096, keys: 20_000, value_bytes: 200, kept: 10 },
    Case {
        what: "small pages, inner nodes of several levels",
        page_bytes: 512,
        keys: 20_000,
        value_bytes: 60,
        kept: 7,
    },
    Case { what: "long values", page_bytes: 4_096, keys: 300, value_bytes: 30_000, kept: 5 },
    Case {
        what: "long values in small pages, lists of lists",
        page_bytes: 512,
        keys: 100,
        value_bytes: 60_000,
        kept: 3,
    },
    Case { what: "nothing is left", page_bytes: 4_096, keys: 5_000, value_bytes: 300, kept: u32::MAX },
];

fn key(number: u32) -> String {
    format!("key{number:08}")
}

fn value(case: &Case, number: u32) -> Vec<u8> {
    vec![number.to_le_bytes()[0]; case.value_bytes]
}

/// Fills the store and deletes most of it, so that what is kept lies scattered over the whole storage.
fn fill<S: Storage>(store: &mut Store<S>, case: &Case) {
    let lease = store.grant_lease(Duration::from_secs(1_000_000)).unwrap().id;
    for number in 0..case.keys {
        store.put_with(&Put::new(key(number), value(case, number)).lease(lease)).unwrap();
    }
    for number in (0..case.keys).filter(|number| number % case.kept != 1) {
        store.delete(key(number).as_str()).unwrap();
    }
    store.compact(store.revision()).unwrap();
}

fn run<S: Storage>(store: &mut Store<S>, clock: &SimClock) {
    let _next = store.run(clock, Budget::millis(1)).unwrap();
    clock.advance(1_000);
}

fn run_until_compacted<S: Storage>(store: &mut Store<S>, clock: &SimClock) {
    while store.status().unwrap().finished != store.compacted() {
        run(store, clock);
    }
}

/// Everything that was kept is there, and nothing else.
fn check<S: Storage>(store: &Store<S>, case: &Case) {
    store.check().unwrap_or_else(|error| panic!("{}: {error}", case.what));
    let kept = (0..case.keys).filter(|number| number % case.kept == 1);
    for number in kept.clone() {
        let entry = store.get(key(number)).unwrap();
        assert_eq!(entry.unwrap().value(), value(case, number), "{}: {}", case.what, key(number));
    }
    assert_eq!(store.range(Keys::all()).count().unwrap(), kept.count() as u64, "{}", case.what);
}

#[test]
fn it_ends_within_a_twentieth_of_what_is_in_use() {
    for case in CASES {
        let clock = SimClock::ticking(10);
        let mut store = Store::open(MemoryStorage::new(), options(case.page_bytes)).unwrap();
        fill(&mut store, case);
        let before = store.status().unwrap();
        run_until_compacted(&mut store, &clock);
        store.shrink();
        while store.is_shrinking() {
            run(&mut store, &clock);
        }
        let after = store.status().unwrap();
        check(&store, case);
        assert!(after.file_bytes < before.file_bytes / 2, "{}: {before:?} {after:?}", case.what);
        let most = (after.used_bytes * 105 / 100).max(after.used_bytes + 16 * case.page_bytes as u64);
        assert!(after.file_bytes <= most, "{}: {after:?}", case.what);
        let storage = store.close().unwrap().unwrap();
        assert_eq!(storage.len().unwrap(), after.file_bytes, "{}", case.what);
        check(&Store::open(storage, options(case.page_bytes)).unwrap(), case);
    }
}

#[test]
fn a_file_gets_shorter_by_itself_and_is_there_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.plm");
    let case = &CASES[0];
    let clock = SimClock::ticking(10);
    let mut store = Store::open(FileStorage::open(&path).unwrap(), options(case.page_bytes)).unwrap();
    fill(&mut store, case);
    let before = std::fs::metadata(&path).unwrap().len();
    run_until_compacted(&mut store, &clock);
    (0..2_000).for_each(|_| run(&mut store, &clock));
    assert!(!store.is_shrinking(), "it has ended");
    let after = std::fs::metadata(&path).unwrap().len();
    assert!(after < before / 3, "{before} bytes became {after}");
    check(&store, case);
    drop(store);
    check(&Store::open(FileStorage::open(&path).unwrap(), options(case.page_bytes)).unwrap(), case);
}

#[test]
fn a_snapshot_keeps_what_it_reads_and_the_rest_goes_when_it_is_dropped() {
    let case = &CASES[0];
    let clock = SimClock::ticking(10);
    let mut store = Store::open(MemoryStorage::new(), options(case.page_bytes)).unwrap();
    for number in 0..case.keys {
        store.put(key(number), value(case, number)).unwrap();
    }
    store.checkpoint().unwrap();
    let snapshot = store.snapshot();
    store.delete(Keys::all()).unwrap();
    store.compact(store.revision()).unwrap();
    run_until_compacted(&mut store, &clock);
    store.shrink();
    (0..2_000).for_each(|_| run(&mut store, &clock));
    assert!(!store.is_shrinking(), "it does not wait for the snapshot");
    for number in (0..case.keys).step_by(97) {
        assert_eq!(snapshot.get(key(number)).unwrap().unwrap().value(), value(case, number));
    }
    let held = store.status().unwrap().file_bytes;
    drop(snapshot);
    store.checkpoint().unwrap();
    (0..2_000).for_each(|_| run(&mut store, &clock));
    let after = store.status().unwrap();
    assert!(after.file_bytes < held / 10, "{held} bytes became {}", after.file_bytes);
    store.check().unwrap();
}

#[test]
fn writers_go_on_and_take_what_room_they_need() {
    let case = &CASES[1];
    let clock = SimClock::ticking(10);
    let mut store = Store::open(MemoryStorage::new(), options(case.page_bytes)).unwrap();
    fill(&mut store, case);
    run_until_compacted(&mut store, &clock);
    store.shrink();
    let mut written = 0u32;
    while store.is_shrinking() {
        run(&mut store, &clock);
        for _ in 0..20 {
            store.put(format!("meanwhile{}", written % 5_000), vec![7; 100]).unwrap();
            written += 1;
        }
        if written.is_multiple_of(200) {
            store.check().unwrap();
        }
        assert!(written < 2_000_000, "it ends");
    }
    store.delete(Keys::prefix("meanwhile")).unwrap();
    check(&store, case);
    assert!(written > 100, "there was something to write beside");
}

#[test]
fn leases_and_what_they_hold_move_too() {
    let clock = SimClock::ticking(10);
    let mut store = Store::open(MemoryStorage::new(), options(512)).unwrap();
    for number in 1..=500u64 {
        let id = LeaseId::new(number).unwrap();
        store.grant_lease_as(id, Duration::from_secs(1_000)).unwrap();
        store.put("filler", vec![1; 2_000]).unwrap();
        store.put_with(&Put::new(format!("of{number}"), "lease").lease(id)).unwrap();
    }
    store.checkpoint().unwrap();
    store.compact(store.revision()).unwrap();
    run_until_compacted(&mut store, &clock);
    store.shrink();
    while store.is_shrinking() {
        run(&mut store, &clock);
    }
    store.check().unwrap();
    let storage = store.close().unwrap().unwrap();
    let store = Store::open(storage, options(512)).unwrap();
    assert_eq!(store.leases().len(), 500);
    assert_eq!(store.lease_keys(LeaseId::new(7).unwrap()), [b"of7".to_vec()]);
    store.check().unwrap();
}
