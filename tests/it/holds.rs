//! Watchers that compaction waits for.

use std::time::Duration;

use palimpsest_kv::{
    Budget, Durability, Error, Hold, HoldBound, Keys, Options, Previous, Store, WatchBatch, Watched, Watcher,
};
use palimpsest_kv_tests::faulty::FaultyStorage;
use palimpsest_kv_tests::sim::{SimClock, run_until_idle};

type Faulty = Store<FaultyStorage>;

fn options() -> Options {
    Options { page_bytes: 512, store_id: Some(1), compaction_pause: Duration::ZERO, ..Options::default() }
}

fn relaxed() -> Options {
    Options { durability: Durability::Relaxed, ..options() }
}

fn new() -> Faulty {
    Store::open(FaultyStorage::new(), options()).unwrap()
}

fn rest(store: &mut Faulty) {
    run_until_idle(store, &SimClock::ticking(1), Budget::millis(2));
    store.check().unwrap();
}

fn compact(store: &mut Faulty) {
    store.compact(store.revision()).unwrap();
    rest(store);
}

fn batch(store: &mut Faulty, watcher: &Watcher) -> WatchBatch {
    match store.poll(watcher).unwrap() {
        Watched::Batch(batch) => batch,
        other => panic!("{other:?}, though there is something to tell"),
    }
}

#[test]
fn compaction_keeps_what_a_watcher_was_not_told_of() {
    let mut store = new();
    store.put("a", "0").unwrap();
    let watcher = store.watch(Keys::prefix("a")).previous().hold(Hold::revisions(100)).start().unwrap();
    for value in ["1", "2"] {
        store.put("a", value).unwrap();
        store.put("b", value).unwrap();
    }
    store.delete("a").unwrap();
    store.put("b", "3").unwrap();
    compact(&mut store);
    store.put("a", "4").unwrap();
    compact(&mut store);
    let told = batch(&mut store, &watcher);
    let values: Vec<&[u8]> = told.events.iter().map(|event| event.entry.value()).collect();
    assert_eq!(values, [&b"1"[..], b"2", b"", b"4"]);
    let before = |event: &palimpsest_kv::Event| match &event.previous {
        Previous::Entry(entry) => entry.value().to_vec(),
        other => format!("{other:?}").into_bytes(),
    };
    let before: Vec<Vec<u8>> = told.events.iter().map(before).collect();
    assert_eq!(before, [&b"0"[..], b"1", b"2", b"Nothing"], "what was there before is kept too");
    rest(&mut store);
    assert_eq!(store.status().unwrap().records, 2, "what nobody needs any more is gone");
    assert!(store.read_at(3).is_err(), "it can be read by nobody else");
}

/// What the bound is, what is written, and how far behind one is who is over it.
type Case = (Hold, usize, Option<(HoldBound, u64, u64)>);

#[test]
fn a_watcher_beyond_its_bound_is_told_so_and_holds_nothing() {
    let cases: [Case; 6] = [
        (Hold::revisions(4), 4, None),
        (Hold::revisions(4), 5, Some((HoldBound::Revisions, 4, 5))),
        (Hold::revisions(0), 1, Some((HoldBound::Revisions, 0, 1))),
        (Hold::bytes(40), 4, None),
        (Hold::bytes(40), 5, Some((HoldBound::Bytes, 40, 50))),
        (Hold::revisions(100).and_bytes(9), 1, Some((HoldBound::Bytes, 9, 10))),
    ];
    for (hold, writes, over) in cases {
        let mut store = new();
        let watcher = store.watch("key").hold(hold).start().unwrap();
        (0..writes).for_each(|_| drop(store.put("key", "7 bytes").unwrap()));
        compact(&mut store);
        let records = store.status().unwrap().records;
        match over {
            None => {
                assert_eq!(batch(&mut store, &watcher).events.len(), writes);
                assert_eq!(records, writes as u64);
            }
            Some((bound, limit, behind)) => {
                let error = Error::HoldExceeded { watcher: watcher.id(), bound, limit, behind };
                assert_eq!(store.poll(&watcher), Err(error.clone()), "{hold:?}");
                assert_eq!(store.poll(&watcher), Err(error), "once more");
                assert_eq!(records, 1, "{hold:?}: nothing is held for it");
            }
        }
    }
}

/// How much was written up to where a watcher is can't be known exactly of every revision: what is not known counts for the watcher, and is little.
#[test]
fn a_watcher_within_its_bound_holds_however_much_was_written_before() {
    let written = |first: usize, then: usize, bound: u64| {
        let mut store = Store::open(FaultyStorage::new(), relaxed()).unwrap();
        let _slower = store.watch(Keys::all()).hold(Hold::bytes(u64::MAX)).start().unwrap();
        let watcher = store.watch("a").hold(Hold::bytes(bound)).start().unwrap();
        for _ in 0..first {
            store.put("a", [1; 99]).unwrap();
            assert_eq!(batch(&mut store, &watcher).events.len(), 1);
        }
        (0..then).for_each(|_| drop(store.put("a", "1").unwrap()));
        store.check().unwrap();
        store.poll(&watcher)
    };
    let is_told = |first, then, bound| match written(first, then, bound) {
        Ok(Watched::Batch(_)) => true,
        Err(Error::HoldExceeded { behind, .. }) if behind > bound => false,
        other => panic!("{other:?}"),
    };
    for (first, then) in [(0, 5_000), (1_500, 1_100), (3_000, 500), (700, 6_000)] {
        let bytes = 2 * then as u64;
        assert!(is_told(first, then, bytes), "{then} puts after {first} are within their {bytes} bytes");
        assert!(!is_told(first, then, bytes - bytes / 32 - 100), "{then} puts after {first} hold for ever");
    }
}

#[test]
fn who_has_been_told_everything_is_not_behind() {
    let mut store = new();
    let watcher = store.watch("quiet").hold(Hold::revisions(2).and_bytes(10)).start().unwrap();
    (0..20).for_each(|_| drop(store.put("noise", "value").unwrap()));
    compact(&mut store);
    assert_eq!((store.poll(&watcher).unwrap(), store.status().unwrap().records), (Watched::Idle, 1));
    store.put("quiet", "1").unwrap();
    assert_eq!(batch(&mut store, &watcher).events.len(), 1);
}

#[test]
fn one_that_begins_in_the_past_holds_from_there() {
    let mut store = new();
    (0..5).for_each(|_| drop(store.put("key", "value").unwrap()));
    let watcher = store.watch("key").from(3).hold(Hold::revisions(10)).start().unwrap();
    compact(&mut store);
    assert_eq!(store.status().unwrap().records, 5, "with the one before it");
    assert_eq!(batch(&mut store, &watcher).events.len(), 4);
    store.cancel(watcher);
    rest(&mut store);
    assert_eq!(store.status().unwrap().records, 1);
    let late = store.watch("key").from(5).hold(Hold::revisions(10)).start();
    assert!(matches!(late, Err(Error::Compacted { .. })), "what is gone can't be held");
    let unbounded = store.watch("key").hold(Hold::default()).start();
    assert!(matches!(unbounded, Err(Error::InvalidOption { option: "hold", .. })));
}

/// What a pin lets go of is still kept for a watcher that was not told of it, whatever was filed anew meanwhile.
#[test]
fn rules_that_change_take_nothing_from_who_holds() {
    for changes in [0, 1, 2] {
        let mut store = new();
        store.put("a", "0").unwrap();
        let watcher = store.watch("a").hold(Hold::revisions(100)).start().unwrap();
        ["1", "2"].into_iter().for_each(|value| drop(store.put("a", value).unwrap()));
        store.put("b", "x").unwrap();
        store.pin("pin", 3).unwrap();
        compact(&mut store);
        (0..changes).for_each(|_| store.set_retention(Vec::new()).unwrap());
        store.check().unwrap();
        store.unpin("pin").unwrap();
        store.put("b", "y").unwrap();
        compact(&mut store);
        let told: Vec<u64> = batch(&mut store, &watcher).events.iter().map(mod_revision).collect();
        assert_eq!(told, [3, 4], "{changes} changes");
        rest(&mut store);
        assert_eq!(store.status().unwrap().records, 2, "{changes} changes: what nobody needs is gone");
    }
}

fn mod_revision(event: &palimpsest_kv::Event) -> u64 {
    event.entry.mod_revision().get()
}

/// A compaction does not wait for a watcher, which may wait for it: it is done without what is held, and says so.
#[test]
fn a_compaction_tells_what_a_watcher_holds() {
    let mut store = new();
    store.put("a", "0").unwrap();
    store.put("a", "1").unwrap();
    let watcher = store.watch("a").hold(Hold::revisions(1_000)).start().unwrap();
    (0..100).for_each(|_| drop(store.put("a", "2").unwrap()));
    let told = |store: &Faulty| {
        let progress = store.compaction().unwrap();
        (progress.removed, progress.total, progress.held, progress.is_finished)
    };
    store.compact(store.revision()).unwrap();
    assert_eq!(told(&store), (0, 1, 100, false));
    rest(&mut store);
    assert_eq!(told(&store), (1, 1, 100, true));
    assert_eq!(batch(&mut store, &watcher).events.len(), 100);
    rest(&mut store);
    assert_eq!((told(&store), store.status().unwrap().records), ((1, 1, 0, true), 1));
}
