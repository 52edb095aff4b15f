//! What a watcher knows at the edges: before the first revision that it wants, at the end of a fragment, and where compaction has taken
//! half of a transaction.

use palimpsest_kv::{Budget, Keys, Op, Options, Store, Transaction, WatchBatch, Watched, Watcher};
use palimpsest_kv_tests::faulty::FaultyStorage;
use palimpsest_kv_tests::sim::{SimClock, run_until_idle};

type Disk = FaultyStorage;

fn open() -> Store<Disk> {
    Store::open(FaultyStorage::new(), Options { page_bytes: 512, ..Options::default() }).unwrap()
}

fn batch(store: &mut Store<Disk>, watcher: &Watcher) -> WatchBatch {
    match store.poll(watcher).unwrap() {
        Watched::Batch(batch) => batch,
        other => panic!("{other:?} is no batch"),
    }
}

fn progress(store: &Store<Disk>, watcher: &Watcher) -> Option<u64> {
    store.progress(watcher).unwrap().map(|revision| revision.get())
}

/// One that began again after a progress of before its first revision would be told of what it never asked for.
#[test]
fn who_waits_for_a_future_revision_is_told_of_no_progress_before_it() {
    let mut store = open();
    store.put("a", "1").unwrap();
    let every = core::time::Duration::from_secs(1);
    let watcher = store.watch("a").from(6).progress(every).start().unwrap();
    let clock = SimClock::ticking(1);
    for revision in 3..=7 {
        assert_eq!(progress(&store, &watcher), None, "before revision {revision}");
        let _ = store.run(&clock, Budget::millis(1)).unwrap();
        clock.advance(1_100_000);
        let _ = store.run(&clock, Budget::millis(1)).unwrap();
        if revision < 6 {
            assert_eq!(store.poll(&watcher).unwrap(), Watched::Idle, "before revision {revision}");
        }
        store.put(if revision == 7 { "a" } else { "b" }, "1").unwrap();
        if revision >= 5 {
            break;
        }
    }
    // Revision 5 is the one before the first that it wants: from there on there is something to tell.
    assert_eq!(progress(&store, &watcher), Some(5));
    let told = batch(&mut store, &watcher);
    assert_eq!((told.events.len(), told.revision.get()), (0, 5));
    store.put("a", "2").unwrap();
    let told = batch(&mut store, &watcher);
    assert_eq!((told.events.len(), told.revision.get()), (1, 6));
}

/// Else who collects the fragments of a revision would wait for the rest for ever.
#[test]
fn a_fragment_is_only_one_if_there_is_another() {
    let mut store = open();
    store.commit(&Transaction::new().then([Op::put("a", "1"), Op::put("b", "1")])).unwrap();
    store
        .commit(&Transaction::new().then([Op::put("a", "2"), Op::put("b", "2"), Op::put("c", "2")]))
        .unwrap();
    let watcher = store.watch(Keys::interval("a", "c")).from(2).fragments(1).start().unwrap();
    let mut told = Vec::new();
    while let Watched::Batch(batch) = store.poll(&watcher).unwrap() {
        told.push((batch.events.len(), batch.is_fragment, batch.revision.get()));
    }
    assert_eq!(told, [(1, true, 1), (2, true, 2), (1, false, 3)]);
    let alone = store.watch("a").from(3).fragments(1).start().unwrap();
    let told = batch(&mut store, &alone);
    assert_eq!((told.events.len(), told.is_fragment, told.revision.get()), (1, false, 3));
}

/// Of two changes of one key in one transaction, compaction to its revision removes the first. Who wanted only that has missed nothing.
#[test]
fn what_its_own_transaction_has_replaced_holds_no_watcher_back() {
    let mut store = open();
    store.put("x", "1").unwrap();
    let puts = store.watch("k").without_deletes().start().unwrap();
    let inner = |op: Op| Op::from(Transaction::new().then([op]));
    store.commit(&Transaction::new().then([inner(Op::put("k", "1")), inner(Op::delete("k"))])).unwrap();
    store.compact(3).unwrap();
    run_until_idle(&mut store, &SimClock::ticking(1), Budget::millis(2));
    assert_eq!(store.poll(&puts).unwrap(), Watched::Idle, "the put is gone");
    assert_eq!(store.ready_watchers(), [], "there is nothing left to ask for");
    store.put("k", "2").unwrap();
    store.compact(4).unwrap();
    let told = batch(&mut store, &puts);
    assert_eq!(told.events.len(), 1, "and the next one is told");
}
