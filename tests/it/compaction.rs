//! Compaction as it is promised: asked for at once, done in bounded chunks, at the cost of what is dead, and never lost.

use std::time::Duration;

use palimpsest_kv::storage::Storage;
use palimpsest_kv::{Budget, Durability, Error, Keys, Next, Options, Revision, Store};
use palimpsest_kv_tests::action::Found;
use palimpsest_kv_tests::faulty::{Counts, FaultyStorage};
use palimpsest_kv_tests::rng::Rng;
use palimpsest_kv_tests::sim::{SimClock, run_until_idle};

fn options() -> Options {
    Options { page_bytes: 512, cache_bytes: 0, store_id: Some(1), ..Options::default() }
}

fn open(disk: &FaultyStorage) -> Store<FaultyStorage> {
    Store::open(disk.clone(), options()).unwrap()
}

fn key(number: usize) -> String {
    format!("key{number:06}")
}

/// Puts keys by their numbers, all in one revision each hundred, with values that tell the round.
fn put_all(store: &mut Store<FaultyStorage>, numbers: impl IntoIterator<Item = usize>, round: &str) {
    let numbers: Vec<usize> = numbers.into_iter().collect();
    for some in numbers.chunks(100) {
        let puts =
            some.iter().map(|number| palimpsest_kv::Op::put(key(*number), format!("{round} of {number}")));
        store.txn().then(puts).commit().unwrap();
    }
}

/// A store with so many live records, of which every so manieth has a dead one before it.
fn store_with(disk: &FaultyStorage, live: usize, one_dead_in: usize) -> Store<FaultyStorage> {
    let mut store = open(disk);
    put_all(&mut store, 0..live, "first");
    put_all(&mut store, (0..live).step_by(one_dead_in), "second");
    store.checkpoint().unwrap();
    store
}

fn finish(store: &mut Store<FaultyStorage>) {
    run_until_idle(store, &SimClock::ticking(1), Budget::millis(2));
}

fn contents(store: &Store<FaultyStorage>, revision: u64) -> Vec<Found> {
    store.range(Keys::all()).at(revision).collect().unwrap().entries.iter().map(Found::from).collect()
}

/// Everything that can still be read, revision by revision.
fn everything(store: &Store<FaultyStorage>) -> Vec<Vec<Found>> {
    let oldest = store.compacted().map_or(1, Revision::get).max(1);
    (oldest..=store.revision().get()).map(|revision| contents(store, revision)).collect()
}

#[test]
fn asking_for_a_compaction_costs_the_same_whatever_there_is_to_remove() {
    let cost = |live: usize| {
        let disk = FaultyStorage::new();
        let mut store = store_with(&disk, live, 1);
        let before = disk.counts();
        store.compact(store.revision()).unwrap();
        assert_eq!(store.status().unwrap().dead_records, live as u64, "nothing is removed yet");
        disk.counts().since(before)
    };
    let small = cost(100);
    assert_eq!((small.reads, small.syncs), (0, 1), "it is one commit: {small:?}");
    assert!(small.writes <= 2, "{small:?}");
    let large = cost(10_000);
    assert_eq!(Counts { written_bytes: 0, ..large }, Counts { written_bytes: 0, ..small });
}

#[test]
fn earlier_revisions_are_refused_as_soon_as_compaction_is_asked_for() {
    let mut store = store_with(&FaultyStorage::new(), 300, 1);
    let revision = store.revision();
    let requested = Revision::new(revision.get() - 1);
    assert!(store.read_at(requested).is_ok());
    store.compact(revision).unwrap();
    let compacted = Error::Compacted { requested, compacted: revision };
    assert_eq!(store.read_at(requested).err(), Some(compacted.clone()));
    assert_eq!(store.range(Keys::all()).at(requested).collect().err(), Some(compacted.clone()));
    assert_eq!(store.range(Keys::all()).at(requested).count().err(), Some(compacted.clone()));
    assert_eq!(store.range(Keys::all()).at(requested).into_iter().next(), Some(Err(compacted)));
    assert_eq!(contents(&store, revision.get()).len(), 300);
}

#[test]
fn a_snapshot_reads_on_while_its_records_are_compacted_and_free_pages_are_written() {
    let disk = FaultyStorage::new();
    let mut store = store_with(&disk, 500, 2);
    let old = Revision::new(4);
    let then = contents(&store, old.get());
    let now = contents(&store, store.revision().get());
    let (early, late) = (store.read_at(old).unwrap(), store.snapshot());
    for round in ["third", "fourth", "fifth"] {
        put_all(&mut store, 0..500, round);
        store.compact(store.revision()).unwrap();
        finish(&mut store);
        let read = |snapshot: &palimpsest_kv::Snapshot<FaultyStorage>| -> Vec<Found> {
            snapshot.range(Keys::all()).iter().unwrap().map(|entry| Found::from(&entry.unwrap())).collect()
        };
        assert_eq!(read(&early), then);
        assert_eq!(read(&late), now);
        store.check().unwrap();
    }
    let held = store.status().unwrap();
    drop((early, late));
    store.checkpoint().unwrap();
    store.checkpoint().unwrap();
    let released = store.status().unwrap();
    assert!(held.pending_pages > 100, "the snapshots hold pages: {held:?}");
    assert!(released.pending_pages < 20, "and let them go: {released:?}");
    store.check().unwrap();
}

#[test]
fn a_chunk_removes_about_the_batch_limit_and_then_pauses() {
    let disk = FaultyStorage::new();
    drop(store_with(&disk, 2_000, 1));
    let limited =
        Options { compaction_batch_limit: 50, compaction_pause: Duration::from_millis(7), ..options() };
    let mut store = Store::open(disk, limited).unwrap();
    store.compact(store.revision()).unwrap();
    let clock = SimClock::ticking(0);
    let mut removed = 0;
    let mut chunks = 0;
    while removed < 2_000 {
        let next = store.run(&clock, Budget::millis(1_000)).unwrap();
        let so_far = store.compaction().unwrap().removed;
        // A leaf is removed from as a whole, and none of 512 bytes holds 40 records.
        assert!((1..=50 + 40).contains(&(so_far - removed)), "{} records in one chunk", so_far - removed);
        (removed, chunks) = (so_far, chunks + 1);
        let Next::At(time) = next else { break };
        assert_eq!(
            time,
            clock.peek().after(Duration::from_millis(7)),
            "the pause starts when the chunk ends"
        );
        clock.advance(6_999);
        assert_eq!(store.run(&clock, Budget::millis(1_000)).unwrap(), Next::At(time), "the pause is kept");
        assert_eq!(store.compaction().unwrap().removed, removed, "nothing is removed in the pause");
        clock.advance_to(time);
    }
    assert!(chunks >= 2_000 / 90, "{chunks} chunks");
    finish(&mut store);
    assert_eq!(store.status().unwrap().dead_records, 0);
}

#[test]
fn a_run_ends_with_its_budget_and_does_a_bounded_amount_of_work() {
    let disk = FaultyStorage::new();
    let mut store = store_with(&disk, 5_000, 1);
    store.compact(store.revision()).unwrap();
    let clock = SimClock::ticking(100);
    let mut runs = 0;
    loop {
        let (start, looks, before) = (clock.peek(), clock.looks(), disk.counts());
        let next = store.run(&clock, Budget::millis(2)).unwrap();
        let work = disk.counts().since(before);
        let looks = clock.looks() - looks;
        runs += 1;
        // Twenty looks use up the budget; one page's work and the ends of the chunk and of the run may follow.
        assert!(looks <= 20 + 6, "{looks} looks at the clock");
        assert!(
            clock.peek().since(start) <= Duration::from_micros(2_600),
            "a run took {:?}",
            clock.peek().since(start)
        );
        assert!(work.reads + work.writes <= 4 * looks, "{work:?} between {looks} looks at the clock");
        match next {
            Next::Now => {}
            Next::At(time) => clock.advance_to(time),
            Next::Idle => break,
        }
    }
    assert!(runs > 15, "the work was done in {runs} runs");
    let status = store.status().unwrap();
    assert_eq!((status.dead_records, status.finished), (0, status.compacted));
}

/// The reads and writes of a compaction from being asked for to being durable.
fn cost_of_compacting(live: usize, dead: impl IntoIterator<Item = usize>) -> u64 {
    let disk = FaultyStorage::new();
    let mut store = open(&disk);
    put_all(&mut store, 0..live, "first");
    put_all(&mut store, dead, "second");
    store.checkpoint().unwrap();
    assert_eq!(store.status().unwrap().dead_records, 100);
    let before = disk.counts();
    store.compact(store.revision()).unwrap();
    finish(&mut store);
    assert_eq!(store.status().unwrap().dead_records, 0);
    let cost = disk.counts().since(before);
    cost.reads + cost.writes
}

#[test]
fn a_compaction_costs_what_is_dead_and_not_what_lives() {
    let (small, large) = (cost_of_compacting(1_000, 0..100), cost_of_compacting(20_000, 0..100));
    assert!(
        large <= small + small / 4,
        "neighbours: {small} page accesses, and {large} in a store 20 times as large"
    );
    let spread = |live: usize| cost_of_compacting(live, (0..live).step_by(live / 100));
    for live in [1_000, 20_000] {
        // Each dead record has its own leaf, which is read and written again, and few share a branch.
        let cost = spread(live);
        assert!(cost <= 100 * 4, "far apart: {cost} page accesses for 100 dead records among {live}");
    }
}

#[test]
fn freed_pages_are_written_again_before_the_file_grows() {
    let disk = FaultyStorage::new();
    let mut store = open(&disk);
    let mut lengths = Vec::new();
    for round in 0..30 {
        put_all(&mut store, 0..400, &format!("round {round} {}", "x".repeat(round % 7)));
        // One large value, which takes overflow pages.
        store.put("large", vec![b'v'; 20_000]).unwrap();
        store.compact(store.revision()).unwrap();
        finish(&mut store);
        lengths.push(disk.len().unwrap());
    }
    let settled = lengths[5];
    assert!(
        lengths[6..].iter().all(|length| *length <= settled + settled / 16),
        "the file grows: {lengths:?}"
    );
    store.check().unwrap();
}

#[test]
fn what_a_compaction_freed_takes_the_next_writes() {
    let disk = FaultyStorage::new();
    let mut store = store_with(&disk, 3_000, 1);
    store.compact(store.revision()).unwrap();
    finish(&mut store);
    store.checkpoint().unwrap();
    let before = store.status().unwrap();
    let free_bytes = before.free_pages * before.page_bytes as u64;
    assert!(
        free_bytes * 4 > before.file_bytes,
        "a compaction of half of all records frees pages: {before:?}"
    );
    let mut number = 10_000;
    let mut written = 0;
    while written < free_bytes / 2 {
        put_all(&mut store, number..number + 100, "new");
        number += 100;
        written += 100 * 40;
        let _ = store.run(&SimClock::ticking(1), Budget::millis(100)).unwrap();
    }
    let after = store.status().unwrap();
    assert_eq!(after.file_bytes, before.file_bytes, "half of what was free was written again");
    store.check().unwrap();
}

/// How a compaction is interrupted.
#[derive(Clone, Copy, Debug)]
enum Interruption {
    Close,
    Drop,
    PowerCut,
}

/// Interrupts a compaction after so many runs of some looks at the clock; answers how it ended, and whether it was done before.
fn interrupted(runs: usize, interruption: Interruption) -> (Store<FaultyStorage>, bool) {
    let disk = FaultyStorage::new();
    let mut store = store_with(&disk, 400, 3);
    store.delete(Keys::interval(key(10), key(40))).unwrap();
    store.put(key(20), "again").unwrap();
    store.compact(store.revision()).unwrap();
    let clock = SimClock::ticking(100);
    for _ in 0..runs {
        if let Next::At(time) = store.run(&clock, Budget::micros(700)).unwrap() {
            clock.advance_to(time);
        }
    }
    let was_done = store.compaction().is_some_and(|progress| progress.is_finished);
    let disk = match interruption {
        Interruption::Close => {
            store.close().unwrap();
            disk
        }
        Interruption::Drop => {
            drop(store);
            disk
        }
        Interruption::PowerCut => {
            drop(store);
            disk.without_power(&mut Rng::new(runs as u64))
        }
    };
    let mut store = open(&disk);
    finish(&mut store);
    (store, was_done)
}

#[test]
fn an_interrupted_compaction_ends_as_one_that_was_not() {
    let (whole, _) = interrupted(0, Interruption::Drop);
    let (expected, numbers) = (everything(&whole), whole.status().unwrap());
    assert!(numbers.finished.is_some() && numbers.finished == numbers.compacted);
    for interruption in [Interruption::Close, Interruption::Drop, Interruption::PowerCut] {
        let mut runs = 0;
        loop {
            let (store, was_done) = interrupted(runs, interruption);
            let status = store.status().unwrap();
            let seen = (status.revision, status.compacted, status.finished, status.keys, status.live_keys);
            let whole =
                (numbers.revision, numbers.compacted, numbers.finished, numbers.keys, numbers.live_keys);
            assert_eq!(seen, whole, "{interruption:?} after {runs} runs");
            assert_eq!((status.records, status.dead_records), (numbers.records, numbers.dead_records));
            assert_eq!(everything(&store), expected, "{interruption:?} after {runs} runs");
            store.check().unwrap();
            runs += 1;
            if was_done {
                break;
            }
        }
        assert!(runs > 10, "the compaction was interrupted in the middle: {runs} runs");
    }
}

#[test]
fn what_was_asked_for_is_remembered_even_if_the_power_goes_at_once() {
    for durability in [Durability::Strict, Durability::Relaxed] {
        let disk = FaultyStorage::new();
        let mut store = Store::open(disk.clone(), Options { durability, ..options() }).unwrap();
        put_all(&mut store, 0..50, "first");
        put_all(&mut store, 0..50, "second");
        let revision = store.revision();
        store.compact(revision).unwrap();
        let mut cut = open(&disk.without_power(&mut Rng::new(0)));
        assert_eq!((cut.revision(), cut.compacted()), (revision, Some(revision)), "{durability:?}");
        finish(&mut cut);
        assert_eq!(cut.status().unwrap().finished, Some(revision));
    }
}

#[test]
fn a_lower_or_repeated_compaction_is_refused_and_changes_nothing() {
    let disk = FaultyStorage::new();
    let mut store = store_with(&disk, 100, 1);
    let revision = store.revision();
    let compacted = Revision::new(revision.get() - 1);
    store.compact(compacted).unwrap();
    for done in ["before its work", "after its work"] {
        let before = (disk.to_bytes(), store.status().unwrap(), store.compaction());
        for requested in [0, 1, compacted.get() - 1, compacted.get()] {
            let requested = Revision::new(requested);
            assert_eq!(
                store.compact(requested).err(),
                Some(Error::Compacted { requested, compacted }),
                "{done}"
            );
        }
        let requested = Revision::new(revision.get() + 1);
        assert_eq!(
            store.compact(requested).err(),
            Some(Error::FutureRevision { requested, current: revision })
        );
        assert_eq!((disk.to_bytes(), store.status().unwrap(), store.compaction()), before, "{done}");
        finish(&mut store);
    }
}

#[test]
fn progress_goes_from_nothing_to_all_and_ends_finished() {
    let disk = FaultyStorage::new();
    let mut store = store_with(&disk, 1_000, 2);
    assert_eq!(store.compaction(), None);
    let revision = store.revision();
    store.compact(revision).unwrap();
    let clock = SimClock::ticking(100);
    let mut last = 0;
    let mut seen = 0;
    loop {
        let next = store.run(&clock, Budget::micros(500)).unwrap();
        let progress = store.compaction().unwrap();
        assert_eq!((progress.revision, progress.total), (revision, 500));
        assert!((last..=500).contains(&progress.removed), "{progress:?} after {last} removed");
        let finished = store.status().unwrap().finished == Some(revision);
        assert_eq!(progress.is_finished, finished, "{progress:?}");
        (last, seen) = (progress.removed, seen + 1);
        match next {
            Next::Now => {}
            Next::At(time) => clock.advance_to(time),
            Next::Idle => break,
        }
    }
    let progress = store.compaction().unwrap();
    assert!(progress.is_finished && progress.removed == 500 && progress.pages_freed > 0, "{progress:?}");
    assert!(seen > 10, "progress was seen {seen} times");
    store.close().unwrap();
    assert_eq!(open(&disk).compaction(), None, "a finished compaction is not resumed");
}

/// Of several that were asked for, it is the oldest unfinished one whose progress is told, also before it has begun.
#[test]
fn compactions_are_told_of_in_their_order() {
    let disk = FaultyStorage::new();
    let mut store = store_with(&disk, 2000, 1);
    let newest = store.revision().get();
    let told =
        |store: &Store<FaultyStorage>| store.compaction().map(|told| (told.revision.get(), told.is_finished));
    for revision in [newest - 10, newest - 5] {
        store.compact(revision).unwrap();
        assert_eq!(told(&store), Some((newest - 10, false)));
    }
    let clock = SimClock::ticking(100);
    let mut seen = Vec::new();
    while store.run(&clock, Budget::micros(100)).unwrap() != Next::Idle {
        seen.extend(told(&store));
        // Before the one that has removed all is durably finished.
        if store.compacted().unwrap().get() < newest && store.compaction().unwrap().removed > 0 {
            store.compact(newest).unwrap();
            seen.extend(told(&store));
        }
    }
    seen.dedup();
    let expected = [newest - 10, newest - 5, newest].map(|revision| [(revision, false), (revision, true)]);
    assert_eq!(seen, expected.as_flattened());
    // Each can be asked for by its revision afterwards, however many have ended in one step.
    let ended = |revision: u64| {
        let told = store.compaction_to(revision)?;
        (told.is_finished && told.removed == told.total).then_some(told.removed)
    };
    let removed: Vec<_> = [newest - 10, newest - 5, newest].map(ended).into();
    assert_eq!(removed, [Some(1000), Some(500), Some(500)], "as many as were put in these revisions");
    assert_eq!(store.compaction_to(newest - 1), None);
}

#[test]
fn a_compaction_that_is_resumed_is_told_of_at_once_when_another_is_asked_for() {
    let disk = FaultyStorage::new();
    let mut store = store_with(&disk, 2000, 1);
    let newest = store.revision().get();
    store.compact(newest - 10).unwrap();
    drop(store);
    let mut store = open(&disk);
    store.compact(newest).unwrap();
    assert_eq!(store.compaction().unwrap().revision.get(), newest - 10);
    finish(&mut store);
    for revision in [newest - 10, newest] {
        assert!(store.compaction_to(revision).unwrap().is_finished);
    }
}

#[test]
fn compactions_asked_for_one_after_the_other_are_all_done() {
    let disk = FaultyStorage::new();
    let mut store = store_with(&disk, 200, 1);
    let revision = store.revision().get();
    store.compact(revision - 2).unwrap();
    let _ = store.run(&SimClock::ticking(100), Budget::micros(500)).unwrap();
    store.compact(revision - 1).unwrap();
    store.compact(revision).unwrap();
    let newest = contents(&store, revision);
    finish(&mut store);
    let status = store.status().unwrap();
    assert_eq!((status.finished, status.dead_records), (Some(Revision::new(revision)), 0));
    assert_eq!((status.records, contents(&store, revision)), (200, newest));
    store.check().unwrap();
}
