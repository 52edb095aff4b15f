//! The storage gets shorter while everyone goes on working.

use std::time::Duration;

use palimpsest_kv::storage::{FileStorage, MemoryStorage, Storage};
use palimpsest_kv::{Budget, Durability, Error, Keys, LeaseId, Next, Options, Put, Status, Store};
use palimpsest_kv_tests::faulty::FaultyStorage;
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

/// Makes the storage shorter, until that is done.
fn shrink<S: Storage>(store: &mut Store<S>, clock: &SimClock) -> Status {
    store.shrink();
    while store.is_shrinking() {
        run(store, clock);
    }
    store.status().unwrap()
}

/// The storage is hardly longer than what is in use.
fn check_length(what: &str, status: &Status) {
    let Status { used_bytes, file_bytes, page_bytes, .. } = *status;
    let most = (used_bytes * 105 / 100).max(used_bytes + 16 * page_bytes as u64);
    assert!(file_bytes <= most, "{what}: {file_bytes} bytes for {used_bytes}");
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
        let after = shrink(&mut store, &clock);
        check(&store, case);
        assert!(after.file_bytes < before.file_bytes / 2, "{}: {before:?} {after:?}", case.what);
        check_length(case.what, &after);
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
    shrink(&mut store, &clock);
    store.check().unwrap();
    let storage = store.close().unwrap().unwrap();
    let store = Store::open(storage, options(512)).unwrap();
    assert_eq!(store.leases().len(), 500);
    assert_eq!(store.lease_keys(LeaseId::new(7).unwrap()), [b"of7".to_vec()]);
    store.check().unwrap();
}

#[test]
fn a_long_value_moves_however_large_a_part_of_the_store_it_is() {
    // Where it is put twice, a part of it stands in front already.
    let cases = [
        (4_096, 300_000, 1),
        (4_096, 1_500_000, 1),
        (512, 400_000, 1),
        (4_096, 1_500_000, 2),
        (512, 400_000, 2),
    ];
    for (page_bytes, value_bytes, puts) in cases {
        let what = format!("{value_bytes} bytes, put {puts} times, pages of {page_bytes} bytes");
        let clock = SimClock::ticking(10);
        let mut store = Store::open(MemoryStorage::new(), options(page_bytes)).unwrap();
        if puts == 1 {
            (0..2_000).for_each(|number| drop(store.put(key(number), [1; 1_000]).unwrap()));
        }
        (0..puts).for_each(|_| drop(store.put("long", vec![7; value_bytes]).unwrap()));
        store.delete(Keys::prefix("key")).unwrap();
        store.put("last", "value").unwrap();
        store.compact(store.revision()).unwrap();
        run_until_compacted(&mut store, &clock);
        let after = shrink(&mut store, &clock);
        check_length(&what, &after);
        assert!(after.file_bytes < value_bytes as u64 * 5 / 4, "{what}: {after:?}");
        store.check().unwrap();
        assert_eq!(store.get("long").unwrap().unwrap().value(), vec![7; value_bytes], "{what}");
    }
}

#[test]
fn pages_that_wait_for_a_checkpoint_are_not_in_its_way() {
    let clock = SimClock::ticking(10);
    let mut store = Store::open(MemoryStorage::new(), options(4_096)).unwrap();
    fill(&mut store, &CASES[4]);
    run_until_compacted(&mut store, &clock);
    for number in 0..120 {
        store.put(format!("again{}", number % 4), "value").unwrap();
        store.flush().unwrap();
    }
    assert!(store.status().unwrap().pending_pages > 100);
    check_length("superseded pages of the log", &shrink(&mut store, &clock));
}

#[test]
fn it_goes_on_by_itself_when_a_snapshot_that_was_in_its_way_is_gone() {
    let case = &CASES[0];
    let clock = SimClock::ticking(10);
    let mut store = Store::open(MemoryStorage::new(), options(case.page_bytes)).unwrap();
    fill(&mut store, case);
    run_until_compacted(&mut store, &clock);
    let snapshot = store.snapshot();
    (0..2_000).for_each(|_| run(&mut store, &clock));
    assert!(!store.is_shrinking(), "it does not wait for the snapshot");
    let held = store.status().unwrap().file_bytes;
    drop(snapshot);
    (0..2_000).for_each(|_| run(&mut store, &clock));
    let after = store.status().unwrap().file_bytes;
    assert!(after < held / 3, "{held} bytes became {after}");
    check(&store, case);
}

#[test]
fn writers_that_leave_it_no_room_do_not_end_it_for_good() {
    let case = &CASES[0];
    let clock = SimClock::ticking(10);
    let mut store = Store::open(MemoryStorage::new(), options(case.page_bytes)).unwrap();
    fill(&mut store, case);
    run_until_compacted(&mut store, &clock);
    for _ in 0..600 {
        let _next = store.run(&clock, Budget::micros(1)).unwrap();
        for number in 0..20 {
            store.put("busy", [number; 10]).unwrap();
            store.flush().unwrap();
        }
    }
    clock.advance(100_000_000);
    (0..2_000).for_each(|_| run(&mut store, &clock));
    let Status { free_pages, file_bytes, page_bytes, .. } = store.status().unwrap();
    let free_bytes = free_pages * page_bytes as u64;
    assert!(free_bytes <= (1 << 20).max(file_bytes / 4), "{free_bytes} of {file_bytes} bytes are free");
    store.delete("busy").unwrap();
    check(&store, case);
}

#[test]
fn a_step_moves_no_more_than_a_few_long_values() {
    let clock = SimClock::ticking(10);
    let mut store = Store::open(MemoryStorage::new(), options(4_096)).unwrap();
    for name in ["gone", "kept"] {
        (0..60).for_each(|number| drop(store.put(format!("{name}{number}"), vec![1; 200_000]).unwrap()));
    }
    store.delete(Keys::prefix("gone")).unwrap();
    store.compact(store.revision()).unwrap();
    let (mut most, mut next) = (0, Next::Now);
    while next.is_ready() {
        let before = store.status().unwrap();
        next = store.run(&clock, Budget::micros(1)).unwrap();
        let after = store.status().unwrap();
        if !before.is_compacting {
            most = most.max(after.pending_pages.saturating_sub(before.pending_pages));
        }
    }
    check_length("long values", &store.status().unwrap());
    // What a step moves lets go of as many pages: half a megabyte, and the value with which it was reached.
    assert!((1..=190).contains(&most), "{most} pages in one step");
    store.check().unwrap();
}

#[test]
fn asking_again_after_damage_waits_for_nothing() {
    let case = &CASES[0];
    let clock = SimClock::ticking(10);
    let medium = FaultyStorage::new();
    let options = Options { cache_bytes: 0, ..options(case.page_bytes) };
    let mut store = Store::open(medium.clone(), options).unwrap();
    fill(&mut store, case);
    run_until_compacted(&mut store, &clock);
    let pages = medium.len_bytes() / case.page_bytes;
    (pages / 2..pages).for_each(|page| medium.flip(page * case.page_bytes + 2_000, 1));
    store.shrink();
    let damage = (0..2_000).find_map(|_| store.run(&clock, Budget::millis(1)).err());
    assert!(matches!(damage, Some(Error::Corrupt { .. })), "{damage:?}");
    store.shrink();
    assert!(!store.is_shrinking(), "there is nothing that would end it");
    store.put("key", "value").unwrap();
}
