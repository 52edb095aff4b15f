//! Power that goes at every write and every sync: whole transactions come back, nothing that was durable is missing, and what was
//! undone stays undone.

use std::time::Duration;

use palimpsest_kv::{Budget, Durability, Keys, Next, Options, Revision, Store};
use palimpsest_kv_tests::action::Found;
use palimpsest_kv_tests::faulty::{Fault, FaultyStorage};
use palimpsest_kv_tests::sim::{SimClock, run_until_idle};

fn options(durability: Durability) -> Options {
    Options {
        page_bytes: 512,
        durability,
        flush_interval: Duration::from_secs(3_600),
        compaction_batch_limit: 3,
        compaction_pause: Duration::ZERO,
        store_id: Some(5),
        ..Options::default()
    }
}

fn contents(store: &Store<FaultyStorage>, revision: Revision) -> Vec<Found> {
    let result = store.range(Keys::all()).at(revision).collect().unwrap();
    result.entries.iter().map(Found::from).collect()
}

/// One step of the work that is interrupted.
type Step = fn(&mut Store<FaultyStorage>) -> palimpsest_kv::Result<()>;

/// A bit of everything that writes: small and large values, deletes, a transaction, compactions in the middle of writes, checkpoints.
const WORK: [Step; 16] = [
    |store| store.put("a", "1").map(drop),
    |store| store.put("b", vec![b'b'; 700]).map(drop),
    |store| store.txn().then(["a", "c", "d"].map(|key| palimpsest_kv::Op::put(key, "2"))).commit().map(drop),
    Store::checkpoint,
    |store| store.put("b", vec![b'B'; 1_500]).map(drop),
    |store| store.delete("c").map(drop),
    |store| (0..12).try_for_each(|number| store.put(format!("key{number}"), vec![b'k'; 60]).map(drop)),
    |store| store.compact(6).map(drop),
    |store| store.run(&SimClock::ticking(100), Budget::micros(250)).map(drop),
    |store| store.put("a", "3").map(drop),
    |store| store.flush().map(drop),
    |store| (0..12).try_for_each(|number| store.put(format!("key{number}"), vec![b'K'; 60]).map(drop)),
    |store| store.compact(store.revision()).map(drop),
    |store| store.run(&SimClock::ticking(100), Budget::micros(450)).map(drop),
    |store| store.put("last", "one").map(drop),
    |store| store.checkpoint().and_then(|()| store.put("very last", "one").map(drop)),
];

/// What is there at each revision that the whole work makes.
fn expected() -> Vec<Vec<Found>> {
    let mut store = Store::open(FaultyStorage::new(), options(Durability::Strict)).unwrap();
    let mut contents_at = vec![Vec::new(), Vec::new()];
    for step in WORK {
        step(&mut store).unwrap();
        // Later steps compact, so each revision is read as soon as it is there.
        for revision in contents_at.len() as u64..=store.revision().get() {
            contents_at.push(contents(&store, Revision::new(revision)));
        }
    }
    contents_at
}

/// Does the work on a disk that breaks after so many changes. Answers the disk, what is durable on it, and whether it broke.
fn interrupted(durability: Durability, changes: u64) -> (FaultyStorage, Revision, bool) {
    let disk = FaultyStorage::new();
    disk.fail_after(changes);
    let Ok(mut store) = Store::open(disk.clone(), options(durability)) else {
        return (disk, Revision::FIRST, true);
    };
    let broke = WORK.iter().any(|step| step(&mut store).is_err());
    let durable = store.durable_revision();
    (disk, durable, broke)
}

/// What comes back must be what was there at some revision that is not older than the durable one; and it goes on from there.
fn check(image: &FaultyStorage, (durable, expected): (Revision, &[Vec<Found>]), what: &str) {
    let mut store = Store::open(image.clone(), options(Durability::Strict))
        .unwrap_or_else(|error| panic!("{what}: it does not open: {error}"));
    store.check().unwrap_or_else(|error| panic!("{what}: {error}"));
    let back = store.revision();
    assert!(back >= durable, "{what}: {back} came back, and {durable} was durable");
    let oldest = store.compacted().unwrap_or(Revision::FIRST).max(Revision::FIRST);
    for revision in oldest.get()..=back.get() {
        let seen = contents(&store, Revision::new(revision));
        assert_eq!(Some(&seen), expected.get(revision as usize), "{what}: revision {revision} of {back}");
    }
    run_until_idle(&mut store, &SimClock::ticking(1), Budget::millis(2));
    store.put("after", "the crash").unwrap();
    store.check().unwrap_or_else(|error| panic!("{what}, and gone on: {error}"));
    drop(store);
    let again = Store::open(image.with_unsynced(|_| false), options(Durability::Strict)).unwrap();
    let after: Vec<u8> = again.get("after").unwrap().unwrap().value().to_vec();
    assert_eq!(
        (again.revision().get(), after.as_slice()),
        (back.get() + 1, b"the crash".as_slice()),
        "{what}"
    );
}

#[test]
fn power_that_goes_at_any_change_loses_no_durable_transaction() {
    let expected = expected();
    for durability in [Durability::Strict, Durability::Relaxed] {
        let mut changes = 0;
        loop {
            let (disk, durable, broke) = interrupted(durability, changes);
            let unsynced = disk.unsynced();
            let what =
                |kept: &str| format!("{durability:?}, {changes} changes, {kept} of {unsynced} unsynced");
            check(&disk.with_unsynced(|_| false), (durable, &expected), &what("none"));
            check(&disk.with_unsynced(|_| true), (durable, &expected), &what("all"));
            for one in 0..unsynced {
                check(&disk.with_unsynced(|place| place == one), (durable, &expected), &what("one"));
                check(&disk.with_unsynced(|place| place != one), (durable, &expected), &what("all but one"));
            }
            if !broke {
                break;
            }
            changes += 1;
        }
        assert!(changes > 30, "{durability:?}: the work was interrupted at {changes} places");
    }
}

/// A store whose last two commits are written and not synced: a chunk of a compaction wrote the first, a flush that has not yet synced the second.
fn two_unsynced_commits() -> FaultyStorage {
    let disk = FaultyStorage::new();
    let mut store = Store::open(disk.clone(), options(Durability::Relaxed)).unwrap();
    store.put("a", "1").unwrap();
    store.put("a", "2").unwrap();
    store.compact(3).unwrap();
    store.put("b", "undone").unwrap();
    assert_eq!(store.run(&SimClock::ticking(0), Budget::micros(0)).unwrap(), Next::Now);
    store.put("c", "undone").unwrap();
    let writes = disk.unsynced();
    assert!(writes > 0, "the chunk has written a commit");
    // The moment before the flush's sync: a sync that does nothing leaves it for us to look at.
    disk.arm(Fault::LyingSyncs);
    store.flush().unwrap();
    assert!(disk.unsynced() > writes, "the flush has written another");
    disk
}

#[test]
fn a_commit_that_a_loss_of_power_undid_is_never_taken_up_again() {
    let disk = two_unsynced_commits();
    let unsynced = disk.unsynced();
    assert!(unsynced < 12, "few enough to try every combination: {unsynced}");
    for kept in 0..1_u32 << unsynced {
        let image = disk.with_unsynced(|place| kept & (1 << place) != 0);
        let mut store = Store::open(image.clone(), options(Durability::Strict)).unwrap();
        let back = store.range(Keys::all()).count().unwrap();
        let is_undone = store.get("b").unwrap().is_none();
        store.put("d", "new").unwrap();
        drop(store);
        let again = Store::open(image.with_unsynced(|_| false), options(Durability::Strict)).unwrap();
        assert_eq!(again.range(Keys::all()).count().unwrap(), back + 1, "kept {kept:b}");
        assert_eq!(again.get("b").unwrap().is_none(), is_undone, "kept {kept:b}");
        again.check().unwrap();
    }
}
