//! Pins: what they keep readable, what that costs, and how they end.

use std::time::Duration;

use palimpsest_kv::{
    Budget, Durability, Error, Keys, Next, Op, Options, Pin, Read, Revision, Store, WallTime, Watched,
};
use palimpsest_kv_tests::faulty::FaultyStorage;
use palimpsest_kv_tests::sim::{CALENDAR_START, SimClock, run_until_idle};

fn options() -> Options {
    Options { page_bytes: 512, store_id: Some(1), compaction_pause: Duration::ZERO, ..Options::default() }
}

fn open(disk: &FaultyStorage) -> Store<FaultyStorage> {
    Store::open(disk.clone(), options()).unwrap()
}

fn new() -> Store<FaultyStorage> {
    open(&FaultyStorage::new())
}

/// Writes as the words say, each in a revision of its own from 2 on: `a1` puts 1 under a, `-a` deletes a.
fn write(store: &mut Store<FaultyStorage>, script: &str) {
    for word in script.split_whitespace() {
        match word.strip_prefix('-') {
            Some(key) => drop(store.delete(key).unwrap()),
            None => drop(store.put(&word[..1], &word[1..]).unwrap()),
        }
    }
}

fn rest(store: &mut Store<FaultyStorage>) {
    run_until_idle(store, &SimClock::ticking(1), Budget::millis(2));
    store.check().unwrap();
}

/// What is there at a revision, as the words of a script.
fn contents(store: &Store<FaultyStorage>, revision: u64) -> Result<String, Error> {
    let entries = store.range(Keys::all()).at(revision).collect()?.entries;
    let word = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let words = entries.iter().map(|entry| word(entry.key()) + &word(entry.value()));
    Ok(words.collect::<Vec<_>>().join(" "))
}

fn held(store: &Store<FaultyStorage>) -> Vec<u64> {
    store.pins().iter().map(|pin| pin.held_records).collect()
}

/// What is written, the pinned revisions, the compaction; then what is there at each pinned revision, how many records are stored, how
/// many of them each pin holds, and how many are stored when the pins are gone.
type Case = (&'static str, &'static [u64], u64, &'static [&'static str], u64, &'static [u64], u64);

const CASES: [Case; 17] = [
    // A version that is replaced later.
    ("a1 a2 a3", &[2], 4, &["a1"], 2, &[1], 1),
    ("a1 a2 a3", &[3], 4, &["a2"], 2, &[1], 1),
    ("a1 a2 a3", &[2, 3], 4, &["a1", "a2"], 3, &[1, 1], 1),
    // A pin of the newest, or of what is compacted to, holds nothing more.
    ("a1 a2 a3", &[4], 4, &["a3"], 1, &[0], 1),
    // What several see is counted once, for the earliest.
    ("a1 b1 b2 b3 a2", &[2, 4], 6, &["a1", "a1 b2"], 4, &[1, 1], 2),
    // Before the first write there is nothing to hold.
    ("a1 a2 a3", &[1], 4, &[""], 1, &[0], 1),
    // The tombstone stays as long as what it ends.
    ("a1 -a b1", &[2], 4, &["a1"], 3, &[1], 1),
    ("a1 -a b1", &[3], 4, &[""], 2, &[1], 1),
    ("a1 -a b1", &[2, 3], 4, &["a1", ""], 3, &[1, 1], 1),
    // Until a newer version ends it instead.
    ("a1 -a a2", &[2], 4, &["a1"], 2, &[1], 1),
    ("a1 -a a2 -a a3 -a a4", &[2], 8, &["a1"], 2, &[1], 1),
    // Unless somebody must find the key deleted between the two.
    ("a1 -a b1 a2", &[2, 4], 5, &["a1", "b1"], 4, &[1, 1], 2),
    ("a1 -a b1 a2", &[4], 5, &["b1"], 2, &[0], 2),
    // A key that is deleted for good needs one tombstone, however often that happened.
    ("a1 -a a2 -a a3 -a b1", &[2], 8, &["a1"], 3, &[1], 1),
    ("a1 -a a2 -a a3 -a b1", &[4], 8, &["a2"], 3, &[1], 1),
    ("a1 -a a2 -a a3 -a b1", &[2, 4, 5], 8, &["a1", "a2", ""], 5, &[1, 1, 1], 1),
    // Compacted to the very tombstone.
    ("a1 a2 -a", &[2], 4, &["a1"], 2, &[1], 1),
];

#[test]
fn what_is_pinned_stays_and_nothing_else() {
    for (script, pins, compacted, seen, records, held_by, left) in CASES {
        let what = format!("{script:?} with {pins:?} compacted to {compacted}");
        let disk = FaultyStorage::new();
        let mut store = open(&disk);
        write(&mut store, script);
        for pin in pins {
            store.pin(&format!("of {pin}"), *pin).unwrap();
        }
        store.compact(compacted).unwrap();
        for is_done in [false, true] {
            for revision in 1..compacted {
                let expected = pins.iter().zip(seen).find(|(pin, _)| **pin == revision);
                let answer = contents(&store, revision);
                match expected {
                    Some((_, expected)) => assert_eq!(answer.unwrap(), **expected, "{what}: at {revision}"),
                    None => assert!(matches!(answer, Err(Error::Compacted { .. })), "{what}: {answer:?}"),
                }
            }
            if !is_done {
                rest(&mut store);
            }
        }
        assert_eq!(store.status().unwrap().records, records, "{what}: records");
        assert_eq!(held(&store), held_by, "{what}: held");
        drop(store);
        let mut store = open(&disk);
        store.check().unwrap();
        assert_eq!(
            (store.status().unwrap().records, held(&store)),
            (records, held_by.to_vec()),
            "{what}: opened"
        );
        assert!(!store.status().unwrap().is_compacting, "{what}: nothing is left to do");
        for pin in pins {
            store.unpin(&format!("of {pin}")).unwrap();
            store.check().unwrap();
        }
        rest(&mut store);
        assert_eq!(store.status().unwrap().records, left, "{what}: left without pins");
    }
}

/// A delete at the very end is there until the next compaction, as it is without pins.
#[test]
fn a_key_that_lives_only_under_a_pin_goes_with_it() {
    let mut store = new();
    write(&mut store, "a1 -a b1");
    store.pin("pin", 2).unwrap();
    store.compact(4).unwrap();
    rest(&mut store);
    assert_eq!(store.status().unwrap().keys, 2);
    assert!(store.get("a").unwrap().is_none());
    store.unpin("pin").unwrap();
    rest(&mut store);
    assert_eq!(store.status().unwrap().keys, 1);
}

#[test]
fn everything_reads_at_a_pinned_revision() {
    let mut store = new();
    write(&mut store, "a1 b1 a2 -b");
    let pinned = store.pin("pin", 3).unwrap();
    store.compact(5).unwrap();
    rest(&mut store);
    assert_eq!(store.read_at(pinned).unwrap().get("a").unwrap().unwrap().value(), b"1");
    assert_eq!(store.range(Keys::all()).at(pinned).count().unwrap(), 2);
    assert_eq!(store.read(&Read::new("b").at(pinned)).unwrap().entries.len(), 1);
    let outcome =
        store.txn().then([Op::Read(Read::new("a").at(pinned)), Op::put("c", "1")]).commit().unwrap();
    assert!(
        matches!(&outcome.outcomes[0], palimpsest_kv::OpOutcome::Read(read) if read.entries[0].value() == b"1")
    );
    let snapshot = store.read_at(0).unwrap();
    assert_eq!(snapshot.range(Keys::all()).at(pinned).count().unwrap(), 2);
    // An etcd has no such hash, and what came after the pinned revision is gone.
    assert!(matches!(store.hash_kv(pinned), Err(Error::Compacted { .. })));
    assert!(matches!(store.watch("a").from(pinned).start(), Err(Error::Compacted { .. })));
    store.unpin("pin").unwrap();
    rest(&mut store);
    assert!(matches!(store.read_at(pinned), Err(Error::Compacted { .. })));
    assert_eq!(snapshot.range(Keys::all()).at(pinned).count().unwrap(), 2, "a snapshot goes on reading it");
}

#[test]
fn bad_pins_are_refused_with_nothing_changed() {
    let mut store = new();
    write(&mut store, "a1 a2 a3");
    store.pin("kept", 3).unwrap();
    store.compact(4).unwrap();
    let revision = Revision::new;
    let long = "n".repeat(256);
    let cases = [
        ("", 0, Error::EmptyPinName),
        (&long, 0, Error::PinNameTooLong { bytes: 256, limit: 255 }),
        ("$mine", 0, Error::PinNameReserved { name: "$mine".into() }),
        ("late", 5, Error::FutureRevision { requested: revision(5), current: revision(4) }),
        ("early", 2, Error::Compacted { requested: revision(2), compacted: revision(4) }),
    ];
    for (name, at, expected) in cases {
        assert_eq!(store.pin(name, at).unwrap_err(), expected);
    }
    for name in ["", &long, "$mine", "late"] {
        assert_eq!(store.unpin(name).unwrap_err(), Error::PinNotFound { name: name.into() });
    }
    assert_eq!(store.pins().len(), 1);
    assert_eq!(store.pin(&long[1..], 3), Ok(revision(3)), "what is pinned can be pinned once more");
    assert_eq!(store.pin("newest", 0), Ok(revision(4)));
}

#[test]
fn a_pin_moves_and_two_can_be_of_one_revision() {
    let mut store = new();
    write(&mut store, "a1 a2 a3 a4");
    store.pin("one", 2).unwrap();
    store.pin("two", 2).unwrap();
    store.compact(4).unwrap();
    rest(&mut store);
    store.pin("one", 5).unwrap();
    rest(&mut store);
    assert_eq!((contents(&store, 2).unwrap(), held(&store)), ("a1".into(), vec![0, 1]));
    store.pin("two", 0).unwrap();
    assert!(contents(&store, 2).is_err());
    rest(&mut store);
    assert_eq!(store.status().unwrap().records, 2);
}

/// Letting go of a revision that holds nothing is nothing to look at.
#[test]
fn a_pin_that_moves_and_holds_nothing_costs_no_checkpoint() {
    for is_compacted in [false, true] {
        let mut store = new();
        write(&mut store, "a1 a2");
        if is_compacted {
            store.compact(3).unwrap();
            rest(&mut store);
        }
        let before = store.status().unwrap().checkpoints;
        for _ in 0..100 {
            write(&mut store, "b1");
            store.pin("newest", 0).unwrap();
            rest(&mut store);
            assert!(!store.status().unwrap().is_compacting);
        }
        let checkpoints = store.status().unwrap().checkpoints - before;
        assert!(checkpoints < 10, "{checkpoints} checkpoints, compacted before: {is_compacted}");
    }
}

/// A pin that goes while a compaction is under way, which still files what it sees under it.
#[test]
fn a_pin_that_goes_during_a_compaction_leaves_nothing() {
    for runs in 0..40 {
        let (mut store, clock) = (new(), SimClock::ticking(1));
        (0..150).for_each(|key| drop(store.put(format!("key{key}"), "value").unwrap()));
        store.pin("old", 0).unwrap();
        store.delete(Keys::all()).unwrap();
        store.put("other", "value").unwrap();
        store.compact(store.revision()).unwrap();
        (0..runs).for_each(|_| assert!(store.run(&clock, Budget::micros(1)).is_ok()));
        store.unpin("old").unwrap();
        store.check().unwrap();
        rest(&mut store);
        assert_eq!(store.status().unwrap().records, 1, "after {runs} runs");
    }
}

/// What one pin has held is found again under the next that sees it.
#[test]
fn a_later_pin_takes_over() {
    let mut store = new();
    write(&mut store, "a1 b1 b2 c1 -c a2");
    store.pin("early", 2).unwrap();
    store.pin("late", 5).unwrap();
    store.compact(7).unwrap();
    rest(&mut store);
    assert_eq!(held(&store), [1, 1]);
    store.unpin("early").unwrap();
    rest(&mut store);
    assert_eq!((held(&store), contents(&store, 5).unwrap()), (vec![2], "a1 b2 c1".into()));
}

#[test]
fn pins_end_by_the_calendar() {
    let (mut store, clock) = (new(), SimClock::ticking(1));
    write(&mut store, "a1 a2");
    let end = |seconds: u64| WallTime::from_millis(CALENDAR_START + seconds * 1000);
    store.pin_until("minute", 2, end(60)).unwrap();
    store.pin_until("hour", 2, end(3_600)).unwrap();
    store.pin("for good", 2).unwrap();
    store.compact(3).unwrap();
    let names = |store: &Store<_>| store.pins().into_iter().map(|pin: Pin| pin.name).collect::<Vec<_>>();
    run_until_idle(&mut store, &SimClock::ticking(1).without_calendar(), Budget::millis(2));
    assert_eq!(names(&store).len(), 3, "without a calendar nothing ends");
    clock.advance(61_000_000);
    run_until_idle(&mut store, &clock, Budget::millis(2));
    assert_eq!(names(&store), ["for good", "hour"]);
    clock.set_calendar(end(0));
    run_until_idle(&mut store, &clock, Budget::millis(2));
    store.pin_until("for good", 2, end(30)).unwrap();
    clock.set_calendar(end(4_000));
    run_until_idle(&mut store, &clock, Budget::millis(2));
    assert_eq!((names(&store).len(), store.status().unwrap().records), (0, 1));
}

/// Compactions after the first do not look again at what pins hold.
#[test]
fn what_is_held_costs_the_next_compaction_nothing() {
    let writes = |held: usize| {
        let disk = FaultyStorage::new();
        let mut store = open(&disk);
        let put = |store: &mut Store<FaultyStorage>, count: usize| {
            let writer = |store: &mut Store<FaultyStorage>, number: usize| {
                store.with_durability(Durability::Relaxed).put(format!("key{number}"), "value").unwrap();
            };
            (0..count).for_each(|number| writer(store, number));
        };
        put(&mut store, held);
        store.pin("pin", 0).unwrap();
        put(&mut store, held);
        store.compact(store.revision()).unwrap();
        rest(&mut store);
        assert_eq!(store.pins()[0].held_records, held as u64);
        put(&mut store, 20);
        store.compact(store.revision()).unwrap();
        store.checkpoint().unwrap();
        let before = disk.counts().writes;
        rest(&mut store);
        disk.counts().writes - before
    };
    let (few, many) = (writes(30), writes(3_000));
    assert!(many <= few + 20, "{many} writes with 3,000 records held, {few} with 30");
}

#[test]
fn watchers_from_the_present_see_nothing_of_what_is_held() {
    let mut store = new();
    write(&mut store, "a1 -a a2 a3");
    store.pin("pin", 2).unwrap();
    store.compact(5).unwrap();
    rest(&mut store);
    let watcher = store.watch(Keys::all()).from(5).start().unwrap();
    let Watched::Batch(batch) = store.poll(&watcher).unwrap() else { panic!("there is something to tell") };
    assert_eq!(batch.events.len(), 1);
}

/// What the sweep after an unpin has taken in hand is work that is left, though nothing else is, and nothing waits for a checkpoint.
#[test]
fn a_sweep_in_small_steps_is_not_left_lying() {
    let pause = Duration::from_millis(10);
    let options = Options { compaction_batch_limit: 1, compaction_pause: pause, ..options() };
    let mut store = Store::open(FaultyStorage::new(), options).unwrap();
    let clock = SimClock::ticking(1);
    (0..200).for_each(|number| drop(store.put(format!("key{number}"), "value").unwrap()));
    store.pin("old", 0).unwrap();
    store.delete(Keys::all()).unwrap();
    store.put("other", "value").unwrap();
    store.compact(store.revision()).unwrap();
    rest(&mut store);
    assert_eq!(store.status().unwrap().records, 401);
    store.unpin("old").unwrap();
    loop {
        while store.run(&clock, Budget::micros(1)).unwrap().is_ready() {}
        // In the pause after a chunk everything else is done, too; a host that is early asks again.
        store.checkpoint().unwrap();
        while store.run(&clock, Budget::micros(1)).unwrap().is_ready() {}
        match store.run(&clock, Budget::micros(1)).unwrap() {
            Next::Idle => break,
            Next::At(time) => clock.advance_to(time),
            Next::Now => {}
        }
    }
    assert_eq!(store.status().unwrap().records, 1, "the store said that it had nothing to do");
    store.check().unwrap();
}
