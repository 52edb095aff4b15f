//! The hash of a store's history: etcd's own numbers, whatever the background work has done.

use std::time::Duration;

use palimpsest_kv::{Budget, Error, Options, Revision, Store};
use palimpsest_kv_tests::action::Action;
use palimpsest_kv_tests::checked::Checked;
use palimpsest_kv_tests::faulty::FaultyStorage;
use palimpsest_kv_tests::generate::{Swarm, options};
use palimpsest_kv_tests::medium::Power;
use palimpsest_kv_tests::replay::{Plan, episodes};
use palimpsest_kv_tests::sim::{SimClock, run_until_idle};

/// What etcd 3.6 answers for this history: a, b and c are put, a is deleted, d is put.
const OF_ETCD: [(u64, u32); 5] =
    [(2, 2_587_454_935), (3, 2_143_169_314), (4, 3_870_129_361), (5, 453_518_659), (6, 4_242_640_439)];
/// The same once it is compacted.
const OF_ETCD_COMPACTED: [(u64, u64, u32); 3] =
    [(5, 5, 3_757_344_854), (5, 6, 870_692_441), (6, 6, 870_692_441)];

fn history() -> Store<FaultyStorage> {
    let mut store = Store::open(FaultyStorage::new(), Options::default()).unwrap();
    for key in ["a", "b", "c"] {
        store.put(key, "1").unwrap();
    }
    store.delete("a").unwrap();
    store.put("d", "1").unwrap();
    store
}

#[track_caller]
fn check(store: &Store<FaultyStorage>, revision: u64, hash: u32) {
    let found = store.hash_kv(revision).unwrap();
    assert_eq!((found.hash, found.revision.get()), (hash, revision), "compacted to {:?}", store.compacted());
}

#[test]
fn the_hash_is_etcd_s() {
    let store = history();
    for (revision, hash) in OF_ETCD {
        check(&store, revision, hash);
    }
    assert_eq!(store.hash_kv(0).unwrap(), store.hash_kv(6).unwrap(), "0 is the newest");
    for (compacted, revision, hash) in OF_ETCD_COMPACTED {
        let mut store = history();
        store.compact(compacted).unwrap();
        check(&store, revision, hash);
        run_until_idle(&mut store, &SimClock::ticking(1), Budget::millis(2));
        check(&store, revision, hash);
    }
}

#[test]
fn a_compacted_and_a_future_revision_have_no_hash() {
    let mut store = history();
    store.compact(4).unwrap();
    assert!(store.hash_kv(4).is_ok(), "at the compacted revision there is one");
    let [old, new] = [3, 7].map(Revision::new);
    let compacted = Revision::new(4);
    assert_eq!(store.hash_kv(old), Err(Error::Compacted { requested: old, compacted }));
    assert_eq!(store.hash_kv(new), Err(Error::FutureRevision { requested: new, current: Revision::new(6) }));
}

/// Hashes at up to a dozen revisions that can be read.
fn hashes(store: &Store<FaultyStorage>) -> Vec<u32> {
    let oldest = store.compacted().map_or(1, Revision::get).max(1);
    let newest = store.revision().get();
    let step = usize::try_from((newest - oldest) / 12 + 1).unwrap();
    (oldest..=newest).step_by(step).map(|revision| store.hash_kv(revision).unwrap().hash).collect()
}

#[test]
fn background_work_and_reopening_change_no_hash() {
    let plan = Plan { seed: 3, episodes: 12, steps: 400 };
    episodes(plan, |rng, steps| {
        let options = Options { compaction_pause: Duration::from_millis(10), ..options(rng, 512) };
        let swarm = Swarm::new(rng, Power::Steady);
        let mut checked = Checked::new(FaultyStorage::new(), options, SimClock::ticking(20));
        for _ in 0..steps {
            let action = swarm.next(rng, (checked.model(), checked.open_things()));
            checked.apply(&action);
            if !rng.once_in(40) {
                continue;
            }
            let newest = checked.model().revision();
            checked.apply(&Action::Compact(newest - rng.below(newest).min(10)));
            let before = hashes(checked.store());
            checked.apply(&Action::Run(Budget::micros(50)));
            assert_eq!(hashes(checked.store()), before, "in the middle of the compaction");
            checked.apply(&Action::RunUntilIdle);
            assert_eq!(hashes(checked.store()), before, "after it");
            checked.apply(&Action::Reopen);
            assert_eq!(hashes(checked.store()), before, "opened again");
        }
    });
}
