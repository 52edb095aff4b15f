//! Power that goes at every write and every sync: whole transactions come back, nothing that was durable is missing, and what was
//! undone stays undone.

use std::time::Duration;

use palimpsest_kv::{Budget, Durability, Keys, LeaseId, Options, Put, Revision, Store};
use palimpsest_kv_tests::action::Found;
use palimpsest_kv_tests::faulty::FaultyStorage;
use palimpsest_kv_tests::sim::{SimClock, run_until_idle, try_run_until_idle};

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

/// A storage that is made shorter while somebody writes: leaves, inner nodes, long values, leases and the log move.
const SHRINKING: [Step; 12] = [
    |store| store.grant_lease_as(LeaseId::new(7).unwrap(), Duration::from_secs(60)).map(drop),
    |store| {
        (0..40).try_for_each(|number| relaxed(store).put(format!("key{number}"), vec![b'k'; 90]).map(drop))
    },
    |store| store.put_with(&Put::new("long", vec![b'l'; 900]).lease(LeaseId::new(7).unwrap())).map(drop),
    |store| {
        (0..20).try_for_each(|number| relaxed(store).put(format!("key{number}"), vec![b'K'; 90]).map(drop))
    },
    |store| relaxed(store).delete(Keys::interval("key0", "key35")).map(drop),
    |store| store.compact(store.revision()).map(drop),
    |store| {
        try_run_until_idle(store, &SimClock::ticking(1), Budget::millis(2))?;
        store.shrink();
        store.run(&SimClock::ticking(100), Budget::micros(250)).map(drop)
    },
    |store| store.put("meanwhile", "1").map(drop),
    |store| store.run(&SimClock::ticking(100), Budget::micros(450)).map(drop),
    |store| relaxed(store).put("meanwhile", vec![b'm'; 700]).map(drop),
    |store| {
        let length = store.status()?.file_bytes;
        while store.is_shrinking() {
            let _next = store.run(&SimClock::ticking(1), Budget::millis(2))?;
        }
        assert!(store.status()?.file_bytes < length, "the storage is shorter");
        Ok(())
    },
    |store| store.put("last", "one").map(drop),
];

/// Pins that are set, moved and removed around compactions, and what they held is removed after them.
const PINNING: [Step; 14] = [
    |store| {
        (0..8).try_for_each(|number| relaxed(store).put(format!("key{number}"), vec![b'k'; 60]).map(drop))
    },
    |store| store.put("long", vec![b'l'; 900]).map(drop),
    |store| store.pin("early", 0).map(drop),
    |store| {
        (0..8).try_for_each(|number| relaxed(store).put(format!("key{number}"), vec![b'K'; 60]).map(drop))
    },
    |store| store.delete(Keys::interval("key5", "m")).map(drop),
    |store| store.pin("late", 0).map(drop),
    |store| store.put("key6", "again").map(drop),
    |store| store.put("key0", "once more").map(drop),
    |store| store.compact(store.revision()).map(drop),
    |store| try_run_until_idle(store, &SimClock::ticking(1), Budget::millis(2)).map(drop),
    |store| store.unpin("early"),
    |store| try_run_until_idle(store, &SimClock::ticking(1), Budget::millis(2)).map(drop),
    |store| store.pin("late", 0).map(drop),
    |store| {
        try_run_until_idle(store, &SimClock::ticking(1), Budget::millis(2))?;
        assert_eq!(store.status()?.dead_records, 0, "nothing holds what is dead");
        store.put("last", "one").map(drop)
    },
];

fn relaxed(store: &mut Store<FaultyStorage>) -> palimpsest_kv::Writer<'_, FaultyStorage> {
    store.with_durability(Durability::Relaxed)
}

/// What is there at each revision that the whole work makes.
fn expected(work: &[Step]) -> Vec<Vec<Found>> {
    let mut store = Store::open(FaultyStorage::new(), options(Durability::Strict)).unwrap();
    let mut contents_at = vec![Vec::new(), Vec::new()];
    for step in work {
        step(&mut store).unwrap();
        // Later steps compact, so each revision is read as soon as it is there.
        for revision in contents_at.len() as u64..=store.revision().get() {
            contents_at.push(contents(&store, Revision::new(revision)));
        }
    }
    contents_at
}

/// Does the work on a disk that breaks after so many changes. Answers the disk, what is durable on it, and whether it broke.
fn interrupted(work: &[Step], durability: Durability, changes: u64) -> (FaultyStorage, Revision, bool) {
    let disk = FaultyStorage::new();
    disk.fail_after(changes);
    let Ok(mut store) = Store::open(disk.clone(), options(durability)) else {
        return (disk, Revision::FIRST, true);
    };
    let broke = work.iter().any(|step| step(&mut store).is_err());
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
    let pinned = store.pins().into_iter().map(|pin| pin.revision.get());
    for revision in pinned.chain(oldest.get()..=back.get()) {
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

/// Cuts the power at every change that the work makes.
fn cut_everywhere(work: &[Step]) {
    let expected = expected(work);
    for durability in [Durability::Strict, Durability::Relaxed] {
        let mut changes = 0;
        loop {
            let (disk, durable, broke) = interrupted(work, durability, changes);
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

#[test]
fn power_that_goes_at_any_change_loses_no_durable_transaction() {
    cut_everywhere(&WORK);
}

#[test]
fn power_that_goes_while_the_storage_gets_shorter_loses_nothing() {
    cut_everywhere(&SHRINKING);
}

#[test]
fn power_that_goes_while_revisions_are_pinned_and_let_go_loses_nothing_of_them() {
    cut_everywhere(&PINNING);
}
