//! Stores that earlier builds have written are read as they were, and go on.

use std::path::{Path, PathBuf};

use palimpsest_kv::storage::{FileStorage, Storage};
use palimpsest_kv::{Entry, Revision, Store, Time, WallTime, examine};
use palimpsest_kv_tests::golden::{GOLDEN, Golden};
use palimpsest_kv_tests::sim::CALENDAR_START;

/// The largest golden file, in bytes: a store of the default page size has at least 18 pages.
const MAX_BYTES: u64 = 72 * 1024;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn shape(entry: Option<Entry>) -> Option<(u8, usize, u64, u64, u64)> {
    let entry = entry?;
    let numbers = (entry.create_revision().get(), entry.mod_revision().get(), entry.version());
    let same = entry.value().iter().all(|byte| *byte == entry.value()[0]) || entry.value() == b"value";
    assert!(same, "the value of {:?} is not what it was", entry.key());
    Some((entry.value()[0], entry.value().len(), numbers.0, numbers.1, numbers.2))
}

/// Everything that the table says of a store.
fn compare<S: Storage>(store: &Store<S>, golden: &Golden) {
    let name = golden.name;
    let status = store.status().unwrap();
    let seen = (status.revision.get(), status.compacted.map(Revision::get), status.page_bytes);
    assert_eq!(seen, (golden.revision, golden.compacted, golden.page_bytes), "{name}");
    assert_eq!((status.keys, status.records), golden.counts, "{name}: keys and records");
    for value in golden.values {
        let entry = store.read_at(value.at).and_then(|snapshot| snapshot.get(value.key));
        let entry = entry.unwrap_or_else(|error| panic!("{name}: {value:?}: {error}"));
        assert_eq!(shape(entry), value.is, "{name}: {value:?}");
    }
    let leases: Vec<(u64, u64, Vec<Vec<u8>>)> = store
        .leases()
        .into_iter()
        .map(|id| {
            let status = store.lease(id, Time::from_micros(0)).expect("a lease that is listed");
            (id.get(), status.ttl.as_secs(), store.lease_keys(id))
        })
        .collect();
    let expected = golden.leases.iter().map(|(id, seconds, keys)| {
        (*id, *seconds, keys.iter().map(|key| key.as_bytes().to_vec()).collect::<Vec<_>>())
    });
    assert_eq!(leases, expected.collect::<Vec<_>>(), "{name}");
    for (revision, time) in golden.times {
        let expected = time.map(|time| WallTime::from_millis(CALENDAR_START + time));
        assert_eq!(store.time_of(*revision), expected, "{name}: the time of revision {revision}");
    }
    let pins = store.pins().into_iter().map(|pin| (pin.name, pin.revision.get(), pin.expires));
    let expected = golden
        .pins
        .iter()
        .map(|(name, revision, ends)| ((*name).to_owned(), *revision, ends.map(WallTime::from_millis)));
    assert_eq!(pins.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{name}");
    store.check().unwrap_or_else(|error| panic!("{name}: {error}"));
}

fn open(path: &Path, golden: &Golden) -> Store<FileStorage> {
    FileStorage::open(path)
        .and_then(|file| Store::open(file, golden.options()))
        .unwrap_or_else(|error| panic!("{}: {error}", golden.name))
}

#[test]
fn every_golden_file_holds_what_it_held_and_can_be_written_to() {
    let copies = tempfile::tempdir().unwrap();
    for golden in GOLDEN {
        let name = golden.name;
        let path = copies.path().join(name);
        std::fs::copy(folder().join(name).with_extension("plm"), &path)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let sound = examine(&FileStorage::open(&path).unwrap()).unwrap().sound;
        assert_eq!(sound.map(|sound| sound.revision.get()), Some(golden.revision), "{name} is sound");

        let mut store = open(&path, golden);
        compare(&store, golden);
        store.put("written", "later").unwrap();
        store.close().unwrap();
        let store = open(&path, golden);
        assert_eq!(store.revision().get(), golden.revision + 1, "{name}");
        assert_eq!(store.get("written").unwrap().unwrap().value(), b"later", "{name}");
        store.check().unwrap_or_else(|error| panic!("{name}, written to: {error}"));
    }
}

#[test]
fn the_folder_holds_what_the_table_names_and_each_file_is_small() {
    let files = std::fs::read_dir(folder()).unwrap().map(Result::unwrap);
    let mut names: Vec<String> = files
        .filter(|file| file.path().extension().is_some_and(|extension| extension == "plm"))
        .map(|file| {
            let bytes = file.metadata().unwrap().len();
            assert!(bytes <= MAX_BYTES, "{:?} has {bytes} bytes", file.path());
            file.path().file_stem().unwrap().to_str().unwrap().to_owned()
        })
        .collect();
    names.sort_unstable();
    let mut expected: Vec<&str> = GOLDEN.iter().map(|golden| golden.name).collect();
    expected.sort_unstable();
    assert_eq!(names, expected);
}

#[test]
fn this_build_makes_stores_that_hold_the_same() {
    for golden in GOLDEN {
        let storage = palimpsest_kv::storage::MemoryStorage::from_bytes(&golden.make());
        compare(&Store::open(storage, golden.options()).unwrap(), golden);
    }
}
