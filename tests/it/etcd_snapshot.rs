//! Snapshots of etcd become stores with the same history, and what is no sound snapshot becomes nothing.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use palimpsest_kv::storage::{MemoryStorage, ReadAt};
use palimpsest_kv::{
    Budget, Error, EtcdImport, EtcdImported, HashCheck, Keys, LeaseId, Options, Result, Revision, Store,
    Time, import_etcd,
};
use palimpsest_kv_tests::action::Found;
use palimpsest_kv_tests::bolt::{Contents, Version, lease, put, revision, seal, small, tombstone, with_hash};
use palimpsest_kv_tests::faulty::FaultyStorage;
use palimpsest_kv_tests::rng::Rng;
use palimpsest_kv_tests::sample::options;
use palimpsest_kv_tests::sim::{SimClock, run_until_idle};

/// What `etcdctl endpoint hashkv` has answered, by revision.
const HASHES: [(u64, u32); 10] = [
    (6, 3_274_551_816),
    (7, 4_271_932_331),
    (8, 3_403_747_261),
    (9, 334_234_332),
    (10, 3_509_213_364),
    (11, 2_525_762_152),
    (12, 2_592_815_913),
    (13, 2_730_597_161),
    (20, 1_577_117_884),
    (33, 1_137_297_044),
];

/// A key, the revisions of its creation and of its last change, and its version.
type Told = (&'static str, u64, u64, u64);

/// What `etcdctl get --rev` has answered, by revision.
const CONTENTS: [(u64, &[Told]); 4] = [
    (6, &[("config/host", 3, 3, 1), ("config/port", 2, 4, 2)]),
    (8, &[("config/debug", 7, 7, 1), ("config/port", 2, 7, 3), ("workers/1", 8, 8, 1)]),
    (11, &[("big", 10, 10, 1), ("config/host", 9, 9, 1), ("config/port", 2, 7, 3), ("workers/1", 8, 8, 1)]),
    (
        33,
        &[
            ("big", 10, 10, 1),
            ("config/host", 9, 9, 1),
            ("config/last", 33, 33, 1),
            ("config/port", 2, 12, 4),
            ("counter", 13, 32, 20),
            ("workers/1", 8, 8, 1),
        ],
    ),
];

const LEASE: u64 = 0x390d_a20f_c8f5_740b;

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots").join("etcd-3.4.23.db")
}

fn sample() -> Vec<u8> {
    std::fs::read(path()).unwrap()
}

fn import<R: ReadAt>(source: R) -> Result<EtcdImported<MemoryStorage>> {
    import_etcd(source, MemoryStorage::new(), options(), HashCheck::Required)
}

/// Nothing is made of these bytes.
#[track_caller]
fn assert_refused(bytes: &[u8], check: HashCheck) -> String {
    let disk = FaultyStorage::new();
    let answer = import_etcd(bytes, disk.clone(), options(), check).map(|imported| imported.records);
    let Err(Error::InvalidSource { what, .. }) = &answer else { panic!("{answer:?}") };
    assert!(disk.to_bytes().iter().all(|byte| *byte == 0) && disk.len_bytes() <= 512, "something is left");
    what.clone()
}

fn contents<S: palimpsest_kv::storage::Storage>(store: &Store<S>, revision: u64) -> Vec<Found> {
    let entries = store.range(Keys::all()).at(revision).collect().unwrap().entries;
    entries.iter().map(Found::from).collect()
}

#[test]
fn a_real_snapshot_has_the_history_that_etcd_tells() {
    let imported = import(File::open(path()).unwrap()).unwrap();
    assert_eq!((imported.leases, imported.missing_leases, imported.marks), (1, 0, 0));
    let mut store = imported.store;
    let check = |store: &Store<MemoryStorage>| {
        assert_eq!((store.revision().get(), store.compacted().map(Revision::get)), (33, Some(5)));
        for (revision, hash) in HASHES {
            assert_eq!(store.hash_kv(revision).unwrap().hash, hash, "revision {revision}");
        }
        for (revision, expected) in CONTENTS {
            let found = contents(store, revision);
            let found: Vec<_> = found
                .iter()
                .map(|found| {
                    (str::from_utf8(&found.key).unwrap(), found.create, found.modified, found.version)
                })
                .collect();
            assert_eq!(found, expected, "revision {revision}");
        }
        store.check().unwrap();
    };
    check(&store);
    let id = LeaseId::new(LEASE).unwrap();
    assert_eq!(store.lease_keys(id), [b"workers/1"]);
    assert_eq!(store.lease(id, Time::from_micros(0)).unwrap().remaining, Duration::from_secs(3_600));
    assert_eq!(store.get("big").unwrap().unwrap().value(), [b'v'; 5_000]);
    assert!(matches!(store.get("config/port").unwrap(), Some(entry) if entry.value() == b"443"));
    run_until_idle(&mut store, &SimClock::ticking(1), Budget::millis(2));
    check(&store);
    assert_eq!(store.put("config/port", "1").unwrap().revision.get(), 34);
    assert_eq!(store.revoke_lease(id).unwrap().deleted, 1);
}

#[test]
fn a_snapshot_without_its_hash_is_taken_only_if_that_is_asked_for() {
    let bytes = sample();
    let database = &bytes[..bytes.len() - 32];
    let words = assert_refused(database, HashCheck::Required);
    assert!(words.contains("no hash"), "{words}");
    for bytes in [database, &bytes] {
        let imported = import_etcd(bytes, MemoryStorage::new(), options(), HashCheck::Skipped).unwrap();
        assert_eq!(imported.store.hash_kv(0).unwrap().hash, 1_137_297_044);
    }
    // A member's own file is longer than its pages.
    let longer = [database, &[0; 8_192]].concat();
    import_etcd(longer.as_slice(), MemoryStorage::new(), options(), HashCheck::Skipped).unwrap();
}

#[test]
fn every_damaged_byte_is_noticed_by_the_hash() {
    let bytes = sample();
    for at in (0..bytes.len()).step_by(13).chain(bytes.len() - 33..bytes.len()) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        assert_eq!(
            assert_refused(&damaged, HashCheck::Required),
            "its bytes do not have the SHA-256 at its end"
        );
    }
}

#[test]
fn what_is_cut_off_is_noticed_with_the_hash_and_without() {
    let bytes = sample();
    for length in [0, 1, 31, 32, 100, 511, 512, 544, 4_096, 4_128, 8_192, 20_000, 48_640, 49_152, 49_183] {
        assert_refused(&bytes[..length], HashCheck::Required);
        if length < 49_152 {
            assert_refused(&bytes[..length], HashCheck::Skipped);
        }
    }
    assert_refused(&[0; 8_192], HashCheck::Skipped);
    assert_refused(&with_hash(vec![0; 8_192]), HashCheck::Required);
    assert_refused(&[7; 544], HashCheck::Skipped);
}

#[test]
fn a_hostile_snapshot_whose_hash_fits_makes_a_sound_store_or_none() {
    let bytes = small().snapshot(512);
    assert!(import(bytes.as_slice()).is_ok());
    let mut taken = 0;
    for at in 0..bytes.len() - 32 {
        for bits in [0x01, 0x80, 0xFF] {
            let mut damaged = bytes.clone();
            damaged[at] ^= bits;
            seal(&mut damaged);
            if let Ok(imported) = import(damaged.as_slice()) {
                imported.store.check().unwrap_or_else(|error| panic!("byte {at}: {error}"));
                taken += 1;
            }
        }
    }
    assert!(taken > 1_000, "values and padding can be anything: {taken}");
}

#[test]
fn pages_that_name_each_other_in_a_tangle_are_refused() {
    let bytes = small().database(512);
    let page = |number: usize| number * 512;
    let is_branch = |number: &usize| bytes[page(*number) + 8] == 1;
    let branch = (2..bytes.len() / 512).find(is_branch).expect("there is a branch");
    let child = page(branch) + 16 + 8;
    let damaged = |at: usize, with: u64| {
        let mut damaged = bytes.clone();
        damaged[at..at + 8].copy_from_slice(&with.to_le_bytes());
        assert_refused(&with_hash(damaged), HashCheck::Required)
    };
    // A branch that is its own child, two ways to one leaf, pages that there are not, a meta page.
    let second = u64::from_le_bytes(bytes[child + 16..child + 24].try_into().unwrap());
    assert!(damaged(child, branch as u64).contains("reached twice"));
    assert!(damaged(child + 32, second).contains("reached twice"));
    for page in [0, 1, u64::MAX, bytes.len() as u64 / 512] {
        assert!(damaged(child, page).contains("there is no page"), "page {page}");
    }
    // A page that goes on over its neighbours, or beyond the end.
    for overflow in [1u32, 3, 1_000, u32::MAX] {
        let mut damaged = bytes.clone();
        damaged[page(2) + 12..page(2) + 16].copy_from_slice(&overflow.to_le_bytes());
        let words = assert_refused(&with_hash(damaged), HashCheck::Required);
        assert!(words.contains("reached twice") || words.contains("beyond the end"), "{words}");
    }
    // More elements than a page has room for.
    let mut damaged = bytes.clone();
    damaged[page(2) + 10..page(2) + 12].copy_from_slice(&[0xFF, 0xFF]);
    assert_refused(&with_hash(damaged), HashCheck::Required);
}

#[test]
fn pages_of_every_size_are_read() {
    for page_bytes in [512, 1_024, 4_096, 16_384, 65_536] {
        let imported = import(small().snapshot(page_bytes).as_slice()).unwrap();
        assert_eq!(imported.records, 61, "{page_bytes}");
        imported.store.check().unwrap();
    }
}

#[test]
fn a_compaction_that_was_not_finished_goes_on() {
    let mut imported = import(small().snapshot(4_096).as_slice()).unwrap();
    let store = &mut imported.store;
    assert_eq!(store.compacted().map(Revision::get), Some(10));
    assert_eq!(store.status().unwrap().dead_records, 59);
    let before = store.hash_kv(20).unwrap();
    run_until_idle(store, &SimClock::ticking(1), Budget::millis(2));
    let status = store.status().unwrap();
    assert_eq!((status.records, status.finished), (53, status.scheduled), "what is before 10 is gone");
    assert_eq!(store.hash_kv(20).unwrap(), before);
    assert!(matches!(store.read_at(9).map(drop), Err(Error::Compacted { .. })));
}

#[test]
fn what_is_compacted_has_been_written_even_where_no_record_is_left_of_it() {
    let contents = Contents { records: vec![tombstone((5, 0), "a")], ..Contents::default() };
    let imported = import(contents.clone().with_meta("scheduledCompactRev", 9).snapshot(4_096).as_slice());
    let store = imported.unwrap().store;
    assert_eq!((store.revision().get(), store.compacted().map(Revision::get)), (9, Some(9)));
    let imported = import(contents.snapshot(4_096).as_slice()).unwrap();
    assert_eq!((imported.store.revision().get(), imported.store.compacted()), (5, None));
    let imported = import(Contents::default().snapshot(4_096).as_slice()).unwrap();
    assert_eq!((imported.store.revision().get(), imported.store.compacted()), (1, None));
}

#[test]
fn a_revision_that_was_marked_as_compacted_by_a_restore_is_the_newest() {
    let mut records = vec![put((2, 0), Version { key: "a", value: "1", created: 2, version: 1, lease: 0 })];
    records.push((revision(1_000_002, 0), Vec::new()));
    let contents = Contents { records, ..Contents::default() }.with_meta("scheduledCompactRev", 1_000_002);
    let mut imported = import(contents.snapshot(4_096).as_slice()).unwrap();
    assert_eq!((imported.records, imported.marks), (1, 1));
    assert_eq!(imported.store.revision().get(), 1_000_002);
    assert_eq!(imported.store.compacted().map(Revision::get), Some(1_000_002));
    assert_eq!(imported.store.get("a").unwrap().unwrap().value(), b"1");
    assert_eq!(imported.store.put("a", "2").unwrap().revision.get(), 1_000_003);
}

#[test]
fn a_key_can_change_more_than_once_in_one_transaction() {
    let version = |value, version, created| Version { key: "a", value, created, version, lease: 0 };
    let records = vec![
        put((2, 0), version("1", 1, 2)),
        tombstone((2, 1), "a"),
        put((3, 0), version("2", 1, 3)),
        tombstone((4, 0), "a"),
        put((4, 1), version("3", 1, 4)),
    ];
    let store = import(Contents { records, ..Contents::default() }.snapshot(4_096).as_slice()).unwrap().store;
    store.check().unwrap();
    let values: Vec<Vec<Vec<u8>>> =
        (2..=4).map(|at| contents(&store, at).into_iter().map(|found| found.value).collect()).collect();
    assert_eq!(values, [vec![], vec![b"2".to_vec()], vec![b"3".to_vec()]]);
}

#[test]
fn leases_have_the_time_that_etcd_remembers() {
    let leased =
        |main, key, lease| put((main, 0), Version { key, value: "", created: main, version: 1, lease });
    let contents = Contents {
        records: vec![leased(2, "a", 5), leased(3, "b", i64::MAX as u64), leased(4, "c", 77)],
        leases: vec![lease(5, 100, 30), lease(6, 1, 0), lease(i64::MAX as u64, 9_000_000_000, 0)],
        ..Contents::default()
    };
    let imported = import(contents.snapshot(4_096).as_slice()).unwrap();
    assert_eq!((imported.leases, imported.missing_leases), (3, 1));
    let status = |id: u64| {
        let status = imported.store.lease(LeaseId::new(id).unwrap(), Time::from_micros(0)).unwrap();
        (status.ttl.as_secs(), status.remaining.as_secs(), status.keys)
    };
    assert_eq!(status(5), (100, 30, 1));
    assert_eq!(status(6), (2, 2, 0), "as long as a lease must be");
    assert_eq!(status(i64::MAX as u64), (9_000_000_000, 9_000_000_000, 1));
    assert_eq!(status(77), (9_000_000_000, 9_000_000_000, 1), "etcd would keep its keys for ever");
}

#[test]
fn records_that_are_no_history_are_refused() {
    let version = |value, created, version| Version { key: "a", value, created, version, lease: 0 };
    let check = |records: Vec<_>, words: &str| {
        let snapshot = Contents { records, ..Contents::default() }.snapshot(4_096);
        let what = assert_refused(&snapshot, HashCheck::Required);
        assert!(what.contains(words), "{what}, and not: {words}");
    };
    check(vec![put((1, 0), version("", 1, 1))], "1.0");
    check(vec![put((1 << 53, 0), version("", 2, 2))], "no revision");
    check(vec![put((u64::MAX, 0), version("", 2, 2))], "no revision");
    check(vec![put((2, 1 << 32), version("", 2, 1))], "no revision");
    check(vec![put((2, 0), version("", 3, 1))], "creation");
    check(vec![put((3, 0), version("", 0, 2))], "created at revision 0");
    check(vec![put((3, 0), version("", 2, 0))], "version");
    check(vec![put((2, 0), version("", 2, 1)), put((3, 0), version("", 2, 1))], "version");
    check(vec![put((2, 0), Version { key: "", ..version("x", 2, 1) })], "key is empty");
    check(vec![put((2, 0), Version { lease: u64::MAX, ..version("x", 2, 1) })], "lease");
    check(vec![tombstone((2, 0), "")], "key is empty");
    check(vec![(revision(2, 0), put((3, 0), version("", 2, 1)).1)], "revision 3");
    check(vec![(revision(2, 0), b"\xFF".to_vec())], "can't be read");
    check(vec![([revision(2, 0), b"x".to_vec()].concat(), tombstone((2, 0), "a").1)], "neither");
    check(vec![(b"short".to_vec(), Vec::new())], "too short");
    let bad_lease = |leases| Contents { leases, ..Contents::default() }.snapshot(4_096);
    assert_refused(&bad_lease(vec![lease(5, 9_000_000_001, 0)]), HashCheck::Required);
    assert_refused(&bad_lease(vec![(6u64.to_be_bytes().to_vec(), lease(5, 10, 0).1)]), HashCheck::Required);
    assert_refused(&bad_lease(vec![lease(1 << 63, 10, 0)]), HashCheck::Required);
}

#[test]
fn a_file_without_keys_is_not_etcds() {
    let mut other = Contents::default().database(4_096);
    let names: Vec<usize> = (0..other.len() - 3).filter(|at| &other[*at..at + 3] == b"key").collect();
    names.into_iter().for_each(|at| other[at..at + 3].copy_from_slice(b"kez"));
    assert!(assert_refused(&with_hash(other), HashCheck::Required).contains("not etcd's"));
}

#[test]
fn an_import_can_be_done_in_steps_and_given_up() {
    let bytes = sample();
    let disk = FaultyStorage::new();
    let begin = || EtcdImport::begin(bytes.as_slice(), disk.clone(), options(), HashCheck::Required).unwrap();
    let mut import = begin();
    assert!(import.step().unwrap() && import.step().unwrap());
    import.cancel();
    assert_eq!(disk.to_bytes(), [0; 512]);
    let mut import = begin();
    let mut steps = 0;
    while import.step().unwrap() {
        steps += 1;
        assert!(Store::open(FaultyStorage::from_image(disk.to_bytes()), options()).is_err(), "step {steps}");
    }
    assert!(steps > 3);
    assert_eq!(import.finish().unwrap().store.revision().get(), 33);
    assert_eq!(Store::open(disk, options()).unwrap().revision().get(), 33);
}

#[test]
fn random_histories_are_taken_whole() {
    for seed in 0..40 {
        let mut rng = Rng::new(seed);
        let mut records = Vec::new();
        let mut living = [None::<(u64, u64)>; 6];
        let keys = ["a", "b", "c", "d", "e", "f"];
        for main in 2..2 + rng.below(400) {
            let at = rng.index(keys.len());
            match living[at] {
                Some(_) if rng.once_in(3) => {
                    living[at] = None;
                    records.push(tombstone((main, 0), keys[at]));
                }
                before => {
                    let (created, version) =
                        before.map_or((main, 1), |(created, version)| (created, version + 1));
                    living[at] = Some((created, version));
                    let value = "v".repeat(rng.index(rng.clone().one_of(&[3, 60, 3_000])));
                    let version = Version { key: keys[at], value: &value, created, version, lease: 0 };
                    records.push(put((main, 0), version));
                }
            }
        }
        let count = records.len() as u64;
        let page_bytes = rng.one_of(&[512, 1_024, 4_096]);
        let snapshot = Contents { records, ..Contents::default() }.snapshot(page_bytes);
        let imported = import(snapshot.as_slice()).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(imported.records, count, "seed {seed}");
        imported.store.check().unwrap();
        let expected = living.iter().filter(|living| living.is_some()).count() as u64;
        assert_eq!(imported.store.status().unwrap().live_keys, expected, "seed {seed}");
    }
}

#[test]
fn a_storage_in_use_is_refused_and_left_as_it_is() {
    let disk = FaultyStorage::new();
    drop(import_etcd(sample(), disk.clone(), options(), HashCheck::Required).unwrap());
    let before = disk.to_bytes();
    let again = import_etcd(sample(), disk.clone(), Options::default(), HashCheck::Required).map(drop);
    assert!(matches!(again, Err(Error::InvalidOption { option: "into", .. })), "{again:?}");
    assert!(disk.to_bytes() == before);
}
