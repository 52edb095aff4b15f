//! Salvage of a store that is whole gives that store again; of a damaged one, all that can be read.

use std::fmt::Debug;

use palimpsest_kv::{
    Damage, Keys, LeaseId, Options, PageKind, Revision, Salvaged, Store, Time, examine, salvage,
};
use palimpsest_kv_tests::action::{Action, Found};
use palimpsest_kv_tests::checked::Checked;
use palimpsest_kv_tests::faulty::FaultyStorage;
use palimpsest_kv_tests::generate::{Swarm, options};
use palimpsest_kv_tests::medium::Medium;
use palimpsest_kv_tests::model::Model;
use palimpsest_kv_tests::replay::{Plan, episodes};
use palimpsest_kv_tests::rng::Rng;
use palimpsest_kv_tests::sim::SimClock;

/// After so many steps the store is salvaged.
const BATCH_STEPS: usize = 150;

fn contents(store: &Store<FaultyStorage>, revision: u64) -> Vec<Found> {
    let result = store.range(Keys::all()).at(revision).collect().unwrap();
    result.entries.iter().map(Found::from).collect()
}

/// What a store remembers besides its records: leases with their times and keys, pins, and when each revision was there that is not
/// compacted. Opening forgets what it needs not know of older ones, and salvage does not.
fn remembered(store: &Store<FaultyStorage>) -> impl PartialEq + Debug {
    let now = Time::from_micros(0);
    let oldest = store.compacted().map_or(1, |compacted| compacted.get() + 1);
    let lease = |id| (store.lease(id, now), store.lease_keys(id));
    let leases: Vec<_> = store.leases().into_iter().map(lease).collect();
    let times: Vec<_> = (oldest..=store.revision().get()).map(|revision| store.time_of(revision)).collect();
    (leases, store.pins(), times)
}

/// Salvages a disk, which must not be touched by that. Answers the report and the new disk.
fn salvaged(disk: &FaultyStorage) -> (Salvaged, FaultyStorage) {
    let (bytes, new) = (disk.to_bytes(), FaultyStorage::new());
    let report = salvage(disk, new.clone(), Options::default()).expect("a store with a meta slot");
    assert!(disk.to_bytes() == bytes && disk.unsynced() == 0, "salvage changed what it read");
    (report, new)
}

/// A whole store: found to be sound, and salvaged to one that is the same in all that can be seen.
fn check_whole(model: &Model, bytes: &[u8]) {
    let disk = FaultyStorage::from_bytes(bytes);
    let examined = examine(&disk).expect("a store");
    // A loss of power may have torn the one meta slot that the store does not rely on.
    let spare = |damage: &Damage| damage.kind == PageKind::Meta;
    assert!(examined.damage.len() <= 1 && examined.damage.iter().all(spare), "{:?}", examined.damage);
    let (report, new) = salvaged(&disk);
    assert!(report.is_complete() && report.damage == examined.damage, "{report:?}");
    assert_eq!(disk.to_bytes(), bytes, "nothing was written");

    let old = Store::open(disk, Options::default()).unwrap();
    let sound = examined.sound.expect("it is sound");
    let mut store = Store::open(new, Options::default()).unwrap();
    store.check().unwrap();
    let numbers = |store: &Store<FaultyStorage>| {
        let status = store.status().unwrap();
        let revisions = (status.revision, status.compacted, status.page_bytes);
        (revisions, (status.keys, status.live_keys, status.records, status.dead_records))
    };
    assert_eq!(numbers(&store), numbers(&old));
    assert_eq!((sound.revision, sound.compacted), (old.revision(), old.compacted()));
    assert_eq!((sound.keys, sound.records), (report.keys, report.records_saved));
    assert_eq!((report.revision, report.compacted), (old.revision(), old.compacted()));
    assert_eq!(remembered(&store), remembered(&old));
    assert_eq!((report.leases, report.pins), (old.leases().len() as u64, old.pins().len() as u64));
    for pin in old.pins() {
        let at = pin.revision.get();
        let seen = |store| {
            contents(store, at).into_iter().map(|found| Found { lease: 0, ..found }).collect::<Vec<_>>()
        };
        assert_eq!(seen(&store), seen(&old), "pinned revision {at}");
    }
    let leases: Vec<u64> = old.leases().into_iter().map(LeaseId::get).collect();
    for revision in store.compacted().map_or(1, Revision::get).max(1)..=model.revision() {
        // A version whose lease is gone names none.
        let known = |found: Found| Found {
            lease: if leases.contains(&found.lease) { found.lease } else { 0 },
            ..found
        };
        let expected: Vec<Found> = model.at(&Keys::all(), revision).into_iter().map(known).collect();
        assert_eq!(contents(&store, revision), expected, "revision {revision}");
    }
    let next = store.put("after", "salvage").unwrap().revision.get();
    assert_eq!(next, model.revision() + 1);
}

fn run(rng: &mut Rng, steps: usize, page_bytes: usize) {
    let options = options(rng, page_bytes);
    let swarm = Swarm::new(rng, FaultyStorage::POWER);
    let mut checked =
        Checked::new(FaultyStorage::new(), options, SimClock::ticking(rng.one_of(&[0, 1, 20, 700])));
    for step in 1..=steps {
        let action = swarm.next(rng, (checked.model(), checked.open_things()));
        checked.apply(&action);
        if step % BATCH_STEPS == 0 {
            checked.apply(&if rng.once_in(3) { Action::Reopen } else { Action::Flush });
            check_whole(checked.model(), &checked.medium().to_bytes());
        }
    }
}

#[test]
fn a_whole_store_is_salvaged_as_it_is() {
    for (seed, page_bytes) in [(1, 512), (2, 1_024), (3, 4_096), (4, 65_536)] {
        let plan = Plan { seed, episodes: 6, steps: 600 };
        episodes(plan, |rng, steps| run(rng, steps, page_bytes));
    }
}
