//! What is done to a store to find out whether it has one of the known bugs. A scenario panics if it has.

use std::time::Duration;

use palimpsest_kv::{Budget, Delete, Durability, Entry, Error, Keys, Next, Op, Options, Put, Store, Watched};
use palimpsest_kv_tests::faulty::{Fault, FaultyStorage, Lasting, Operation};
use palimpsest_kv_tests::hostile::Image;
use palimpsest_kv_tests::rng::Rng;
use palimpsest_kv_tests::script::check_roomy;
use palimpsest_kv_tests::sim::{SimClock, run_until_idle};

pub(super) const PAGE_BYTES: usize = 512;
const META_BYTES: usize = 512;

pub(super) fn options() -> Options {
    Options {
        page_bytes: PAGE_BYTES,
        cache_bytes: 0,
        compaction_pause: Duration::ZERO,
        store_id: Some(9),
        ..Options::default()
    }
}

fn open(medium: &FaultyStorage) -> Store<FaultyStorage> {
    Store::open(medium.clone(), options()).unwrap()
}

/// Keys and values as they are now.
fn contents(store: &Store<FaultyStorage>) -> palimpsest_kv::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let pair = |entry: &Entry| (entry.key().to_vec(), entry.value().to_vec());
    Ok(store.range(Keys::all()).collect()?.entries.iter().map(pair).collect())
}

/// Writes each of 40 keys once more, with another value.
fn round(store: &mut Store<FaultyStorage>, number: u32) {
    for key in 0..40 {
        store.put(format!("key{key:02}"), format!("value {number} of {key}")).unwrap();
    }
}

fn compact(store: &mut Store<FaultyStorage>) {
    store.compact(store.revision()).unwrap();
    run_until_idle(store, &SimClock::ticking(1), Budget::millis(2));
}

/// A medium with a store that was closed after some rounds and a compaction.
fn closed_store() -> FaultyStorage {
    let medium = FaultyStorage::new();
    let mut store = open(&medium);
    (1..4).for_each(|number| round(&mut store, number));
    compact(&mut store);
    round(&mut store, 4);
    store.close().unwrap().expect("no snapshot holds the storage");
    medium
}

pub(super) fn a_snapshot_outlives_compactions() {
    let mut store = open(&FaultyStorage::new());
    round(&mut store, 0);
    let snapshot = store.snapshot();
    let before = snapshot.range(Keys::all()).collect().unwrap();
    for number in 1..10 {
        round(&mut store, number);
        compact(&mut store);
    }
    let after = snapshot.range(Keys::all()).collect().unwrap();
    let values = |entries: &[Entry]| entries.iter().map(|entry| entry.value().to_vec()).collect::<Vec<_>>();
    assert_eq!(values(&after.entries), values(&before.entries));
    drop((after, snapshot));
    store.check().unwrap();
}

pub(super) fn every_bit_of_a_meta_slot_flipped() {
    let medium = closed_store();
    let expected = contents(&open(&medium)).unwrap();
    let image = medium.to_bytes();
    for slot in [0, PAGE_BYTES] {
        for bit in 0..META_BYTES * 8 {
            let damaged = FaultyStorage::from_bytes(&image);
            damaged.flip(slot + bit / 8, 1 << (bit % 8));
            assert_eq!(contents(&open(&damaged)).unwrap(), expected, "bit {bit} of the slot at {slot}");
        }
    }
}

pub(super) fn every_byte_of_a_meta_slot_changed_and_its_checksum_zero() {
    let medium = closed_store();
    let expected = contents(&open(&medium)).unwrap();
    let image = medium.to_bytes();
    for slot in [0, PAGE_BYTES] {
        for at in 0..META_BYTES - 8 {
            let mut bytes = image.clone();
            bytes[slot + at] ^= 1;
            bytes[slot + META_BYTES - 8..slot + META_BYTES].fill(0);
            let damaged = FaultyStorage::from_image(bytes);
            assert_eq!(contents(&open(&damaged)).unwrap(), expected, "byte {at} of the slot at {slot}");
        }
    }
}

pub(super) fn a_medium_that_runs_full() {
    let empty = open(&FaultyStorage::new()).close().unwrap().expect("no snapshot holds the storage");
    for capacity in (empty.len_bytes()..empty.len_bytes() * 6).step_by(PAGE_BYTES) {
        let medium = FaultyStorage::new();
        medium.arm(Fault::Full(capacity));
        let mut store = open(&medium);
        let put = |store: &mut Store<FaultyStorage>, number: u32| store.put(format!("{number}"), [b'v'; 200]);
        let written = (0..).find(|number| put(&mut store, *number).is_err()).unwrap();
        assert!(matches!(put(&mut store, 0), Err(Error::WritesRefused { .. })), "{capacity} bytes");
        drop(store);
        let medium = medium.after_kill();
        medium.arm(Fault::Full(medium.len_bytes()));
        let seen = contents(&open(&medium)).unwrap().len();
        assert!((written..=written + 1).contains(&(seen as u32)), "{seen} of {written}, {capacity} bytes");
        medium.heal();
        let mut store = open(&medium);
        put(&mut store, written + 1).unwrap();
        store.check().unwrap();
    }
}

/// A store without a quota fills its medium, and is emptied there.
pub(super) fn a_full_medium_gets_room_again() {
    // A quota that is larger than the medium, as a browser's is, does not tell where the medium ends.
    for quota_bytes in [None, Some(100_000_000)] {
        let options = || Options { quota_bytes, ..options() };
        let open = |medium: &FaultyStorage| Store::open(medium.clone(), options()).unwrap();
        let empty = open(&FaultyStorage::new()).close().unwrap().expect("no snapshot holds the storage");
        for capacity in (empty.len_bytes() + 60 * PAGE_BYTES..empty.len_bytes() + 260 * PAGE_BYTES)
            .step_by(PAGE_BYTES * 3)
        {
            let medium = FaultyStorage::new();
            medium.arm(Fault::Full(capacity));
            let mut store = open(&medium);
            let put = |store: &mut Store<FaultyStorage>, number: u32| {
                store.put(format!("{}", number % 20), [b'v'; 200])
            };
            let written = (0..).find(|number| put(&mut store, *number).is_err()).unwrap();
            drop(store);
            for round in 0..3 {
                let mut store = open(&medium);
                let compacted = store.compact(store.revision());
                assert!(compacted.is_ok(), "{compacted:?}, {capacity} bytes, {quota_bytes:?}, round {round}");
                run_until_idle(&mut store, &SimClock::ticking(1), Budget::millis(2));
                store.check().unwrap();
                let more = (0..written).take_while(|number| put(&mut store, *number).is_ok()).count();
                assert!(more > 5, "{more} puts after a compaction, {capacity} bytes, round {round}");
            }
        }
    }
}

pub(super) fn a_crash_in_a_checkpoint_beside_a_damaged_slot() {
    for slot in [0, PAGE_BYTES] {
        let medium = closed_store();
        let expected = contents(&open(&medium)).unwrap();
        medium.flip(slot + 100, 1);
        let mut store = open(&medium);
        let mut moment = medium.record();
        store.checkpoint().unwrap();
        drop(store);
        for event in medium.recorded() {
            moment.pass(&event);
            for seed in 0..200 {
                let left = FaultyStorage::from_image(moment.torn(&mut Rng::new(seed)));
                assert_eq!(contents(&open(&left)).unwrap(), expected, "slot {slot}, seed {seed}");
            }
        }
    }
}

/// A store that was killed: everything is in the log and durable, nothing was closed.
fn killed_store(puts: u32) -> FaultyStorage {
    let medium = FaultyStorage::new();
    let mut store = open(&medium);
    store.checkpoint().unwrap();
    for number in 0..puts {
        store.put(format!("key{number}"), vec![b'v'; 100]).unwrap();
    }
    FaultyStorage::from_image(medium.moment().durable)
}

pub(super) fn decay_in_the_log() {
    let medium = killed_store(30);
    let image = medium.to_bytes();
    let (all, revision) = {
        let store = open(&medium);
        (contents(&store).unwrap(), store.revision())
    };
    let mut found = 0;
    for page in 2..image.len() / PAGE_BYTES {
        let damaged = FaultyStorage::from_bytes(&image);
        damaged.flip(page * PAGE_BYTES + 200, 0x10);
        match Store::open(damaged, options()) {
            Ok(store) => {
                // Nothing vouches for the newest commit: it may as well have been torn.
                let is_newest = store.revision().get() + 1 == revision.get();
                assert!(is_newest || contents(&store).unwrap() == all, "page {page}: {}", store.revision());
            }
            Err(Error::Corrupt { page: named, what, .. }) => {
                assert_eq!(named as usize, page, "the damaged page is named: {what}");
                found += 1;
            }
            Err(error) => panic!("page {page}: {error}"),
        }
    }
    assert!(found > 20, "damage was found in {found} pages");
}

pub(super) fn undone_commits_stay_undone() {
    let relaxed = || Options { durability: Durability::Relaxed, compaction_batch_limit: 3, ..options() };
    let medium = FaultyStorage::new();
    let mut store = Store::open(medium.clone(), relaxed()).unwrap();
    store.put("a", "1").unwrap();
    store.put("a", "2").unwrap();
    store.compact(3).unwrap();
    store.put("b", "undone").unwrap();
    assert_eq!(store.run(&SimClock::ticking(0), Budget::micros(0)).unwrap(), Next::Now);
    store.put("c", "undone").unwrap();
    // The moment before the flush's sync: a sync that does nothing leaves it for us to look at.
    medium.arm(Fault::LyingSyncs);
    store.flush().unwrap();
    let unsynced = medium.unsynced();
    for kept in 0..1_u32 << unsynced {
        let left = medium.with_unsynced(|place| kept & (1 << place) != 0);
        let mut store = open(&left);
        let back = contents(&store).unwrap();
        store.put("d", "new").unwrap();
        drop(store);
        let again = open(&left.with_unsynced(|_| false));
        let expected: Vec<_> = back.into_iter().chain([(b"d".to_vec(), b"new".to_vec())]).collect();
        assert_eq!(contents(&again).unwrap(), expected, "kept {kept:b}");
    }
}

pub(super) fn a_storage_cut_off() {
    let image = closed_store().to_bytes();
    for len in (PAGE_BYTES..image.len()).step_by(PAGE_BYTES) {
        let cut = FaultyStorage::from_bytes(image.get(..len).unwrap());
        match Store::open(cut, options()) {
            Err(Error::Corrupt { .. } | Error::NotAStore { .. }) => {}
            Err(error) => panic!("{len} bytes are left: {error}"),
            Ok(store) => panic!("{len} bytes are left, and revision {}", store.revision()),
        }
    }
}

pub(super) fn every_page_replaced_by_an_older_version() {
    let medium = FaultyStorage::new();
    let mut versions: Vec<Vec<u8>> = Vec::new();
    let mut store = open(&medium);
    for number in 0..6 {
        round(&mut store, number);
        compact(&mut store);
        versions.push(medium.to_bytes());
    }
    let expected = contents(&store).unwrap();
    store.close().unwrap();
    let image = medium.to_bytes();
    for older in &versions {
        for (page, old) in older.chunks(PAGE_BYTES).enumerate() {
            let mut bytes = image.clone();
            bytes.get_mut(page * PAGE_BYTES..(page + 1) * PAGE_BYTES).unwrap().copy_from_slice(old);
            let read = Store::open(FaultyStorage::from_image(bytes), options()).and_then(|store| {
                store.check()?;
                contents(&store)
            });
            match read {
                Ok(seen) => assert_eq!(seen, expected, "page {page}"),
                Err(Error::Corrupt { .. }) => {}
                Err(error) => panic!("page {page}: {error}"),
            }
        }
    }
}

pub(super) fn a_freelist_that_says_all_pages_are_free() {
    let mut image = Image::new(&closed_store().to_bytes());
    image.free_all();
    match Store::open(FaultyStorage::from_bytes(image.bytes()), options()) {
        Err(Error::Corrupt { .. }) => {}
        Err(error) => panic!("{error}"),
        Ok(mut store) => {
            round(&mut store, 5);
            panic!("it was opened and written to: {:?}", store.check());
        }
    }
}

pub(super) fn a_read_that_fails_within_a_range() {
    let medium = closed_store();
    let store = open(&medium);
    let mut failures = 0;
    for reads in 0..60 {
        medium.arm(Fault::Failing(Operation::Read, reads, Lasting::Once));
        let mut entries = store.range(Keys::all()).iter().unwrap();
        let seen = entries.by_ref().take_while(Result::is_ok).count();
        if seen < 40 {
            failures += 1;
            assert!(entries.next().is_none(), "after the error of read {reads} there is nothing more");
        }
        drop(entries);
        medium.heal();
    }
    assert!(failures > 10, "{failures} ranges have failed");
}

/// Each read of a transaction fails once, also those that come when it has changed something already. What it told is then what is
/// there after the power went.
pub(super) fn a_read_that_fails_within_a_transaction() {
    let image = closed_store().to_bytes();
    let before = contents(&open(&FaultyStorage::from_bytes(&image))).unwrap();
    let mut failures = 0;
    for reads in 0..60 {
        let medium = FaultyStorage::from_bytes(&image);
        let mut store = open(&medium);
        medium.arm(Fault::Failing(Operation::Read, reads, Lasting::Once));
        let then = [Op::put("key01", "new"), Op::from(Delete::new(Keys::prefix("key2")).previous())];
        let watcher = store.watch("key01").start().unwrap();
        let answer = store.txn().then(then).commit();
        medium.heal();
        if answer.is_err() {
            assert_eq!(contents(&store).unwrap(), before, "read {reads}: what is seen is as it was");
            assert!(
                !matches!(store.poll(&watcher), Ok(Watched::Batch(_))),
                "read {reads}: nothing is told of"
            );
        }
        // What is written later may not carry the half of a transaction with it.
        let _refused = store.put("later", "value").and_then(|_| store.flush());
        drop(store);
        let seen = contents(&open(&medium.after_kill())).unwrap();
        let keys = |pairs: &[(Vec<u8>, Vec<u8>)]| pairs.iter().filter(|(key, _)| key != b"later").count();
        let is_new = seen.iter().any(|(key, value)| key == b"key01" && value == b"new");
        match answer {
            Ok(_) => assert!(is_new && keys(&seen) == before.len() - 10, "read {reads}: {seen:?}"),
            Err(error) => {
                failures += 1;
                assert!(!is_new && keys(&seen) == before.len(), "read {reads} failed with {error}: {seen:?}");
            }
        }
    }
    assert!(failures > 5, "{failures} transactions have failed");
}

/// A watcher is asked only after many more changes than its list holds.
pub(super) fn a_watcher_that_does_not_keep_up() {
    let options = Options { durability: Durability::Relaxed, ..Options::default() };
    let mut store = Store::open(FaultyStorage::new(), options).unwrap();
    let watcher = store.watch("key").start().unwrap();
    (0..700).for_each(|_| _ = store.put("key", "value").unwrap());
    let mut told = Vec::new();
    while let Watched::Batch(batch) = store.poll(&watcher).unwrap() {
        told.extend(batch.events.iter().map(|event| event.entry.mod_revision().get()));
    }
    assert!(told.into_iter().eq(2..=701), "all changes, each once and in order");
}

/// A script whose answers are etcd's as it is now.
pub(super) fn watchers_at_the_edges() {
    check_roomy(
        "
        put a 1                          => revision 2
        put a 2                          => revision 3
        compact 3                        => compacted 3
        watch past a from 3 previous     => watching
        poll past                        => a=2(2,3,2)<compacted>; up to 3
        watch future a from 5            => watching
        put a 3                          => revision 4
        poll future                      => idle
        watch whole *                    => watching
        txn then put a 4; put b 4; put c 4 => then put, put, put; revision 5
        poll future                      => a=4(2,5,4); up to 5
        poll whole                       => a=4(2,5,4) b=4(5,5,1) c=4(5,5,1); up to 5
        quota 1                          => set
        txn then { then put a 5 }        => NO_SPACE
        ",
    );
}

/// The power goes at any change that a revocation makes: lease and key are both there, or neither is.
pub(super) fn a_revocation_that_a_crash_interrupts() {
    let medium = FaultyStorage::new();
    let mut store = open(&medium);
    let lease = store.grant_lease(Duration::from_secs(60)).unwrap().id;
    store.put_with(&Put::new("key", "value").lease(lease)).unwrap();
    let mut moment = medium.record();
    store.revoke_lease(lease).unwrap();
    for event in medium.recorded() {
        moment.pass(&event);
        let left = open(&FaultyStorage::from_image(moment.durable.clone()));
        let (leases, keys) = (left.leases().len(), contents(&left).unwrap().len());
        assert_eq!(leases, keys, "a lease without its key, or a key without its lease");
    }
}

/// A lease that has lost time to a checkpoint is renewed, and then the power goes.
pub(super) fn a_renewal_before_a_crash() {
    let medium = FaultyStorage::new();
    let mut store = open(&medium);
    let lease = store.grant_lease(Duration::from_secs(60)).unwrap().id;
    let clock = SimClock::ticking(1);
    run_until_idle(&mut store, &clock, Budget::millis(1));
    clock.advance(50_000_000);
    run_until_idle(&mut store, &clock, Budget::millis(1));
    store.close().unwrap();
    let mut store = open(&medium);
    let remaining = |store: &Store<FaultyStorage>| store.lease(lease, clock.peek()).unwrap().remaining;
    assert!(remaining(&store) <= Duration::from_secs(10));
    store.keep_alive(lease).unwrap();
    let after = open(&medium.without_power(&mut Rng::new(1)));
    assert_eq!(remaining(&after), Duration::from_secs(60));
}

pub(super) fn a_time_before_a_crash() {
    let medium = FaultyStorage::new();
    let mut store = open(&medium);
    let clock = SimClock::ticking(0);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let revision = store.put("key", "value").unwrap().revision;
        let _next = store.run(&clock, Budget::millis(1)).unwrap();
        seen.push((revision, clock.calendar()));
        clock.advance(2_000_000);
    }
    // The commit of the last put has carried the time before it.
    let after = open(&medium.without_power(&mut Rng::new(1)));
    let known = |revision| after.time_of(revision);
    let times: Vec<_> = seen.iter().map(|(revision, _)| known(*revision)).collect();
    assert_eq!(times, [Some(seen[0].1), Some(seen[1].1), None]);
}
