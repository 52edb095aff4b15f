//! Bad arguments: each gets its own error with the values in it, and changes nothing.

use palimpsest_kv::storage::{FileStorage, MemoryStorage};
use palimpsest_kv::{Compare, Error, Keys, Op, Options, Read, Revision, Store};
use palimpsest_kv_tests::faulty::FaultyStorage;

const KEY_LIMIT: usize = 100;
const VALUE_LIMIT: usize = 2_000;
const OPS_LIMIT: usize = 4;

fn options() -> Options {
    Options {
        max_key_bytes: KEY_LIMIT,
        max_value_bytes: VALUE_LIMIT,
        max_txn_ops: OPS_LIMIT,
        store_id: Some(1),
        ..Options::default()
    }
}

/// A store at revision 5, compacted to 3.
fn store(disk: &FaultyStorage) -> Store<FaultyStorage> {
    let mut store = Store::open(disk.clone(), options()).unwrap();
    for value in ["1", "2", "3", "4"] {
        store.put("key", value).unwrap();
    }
    store.compact(3).unwrap();
    store
}

/// The call must be refused with this error, and nothing may have changed.
#[track_caller]
fn check<T: std::fmt::Debug>(
    call: impl FnOnce(&mut Store<FaultyStorage>) -> palimpsest_kv::Result<T>,
    expected: Error,
) {
    let disk = FaultyStorage::new();
    let mut store = store(&disk);
    let before = (disk.to_bytes(), disk.counts(), store.status().unwrap());
    let error = call(&mut store).expect_err("a bad argument is refused");
    assert_eq!(error, expected);
    assert_eq!((disk.to_bytes(), disk.counts(), store.status().unwrap()), before, "nothing has changed");
    assert_eq!(store.get("key").unwrap().unwrap().value(), b"4");
    store.put("key", "5").expect("and the store goes on");
    store.check().unwrap();
}

#[test]
fn an_empty_key_is_refused() {
    check(|store| store.put("", "value"), Error::EmptyKey);
    check(|store| store.delete(""), Error::EmptyKey);
    check(|store| store.get(""), Error::EmptyKey);
    check(|store| store.range("").collect(), Error::EmptyKey);
    check(|store| store.range("").count(), Error::EmptyKey);
    check(|store| store.range("").into_iter().collect::<palimpsest_kv::Result<Vec<_>>>(), Error::EmptyKey);
    check(|store| store.snapshot().get(""), Error::EmptyKey);
    check(|store| store.txn().then([Op::put("a", "1"), Op::put("", "1")]).commit(), Error::EmptyKey);
    check(|store| store.txn().then([Op::put("a", "1"), Op::delete("")]).commit(), Error::EmptyKey);
    check(|store| store.txn().otherwise([Op::get("")]).commit(), Error::EmptyKey);
    let compare = Compare::version("").equals(0);
    check(|store| store.txn().when(compare).then([Op::put("a", "1")]).commit(), Error::EmptyKey);
}

#[test]
fn a_key_over_the_limit_is_refused() {
    let error = || Error::KeyTooLarge { bytes: KEY_LIMIT + 1, limit: KEY_LIMIT };
    let long = vec![b'k'; KEY_LIMIT + 1];
    check(|store| store.put(&long, "value"), error());
    check(|store| store.txn().then([Op::put("a", "1"), Op::put(&long, "1")]).commit(), error());
    check(|store| store.txn().otherwise([Op::put(&long, "1")]).commit(), error());
    let mut store = store(&FaultyStorage::new());
    let longest = vec![b'k'; KEY_LIMIT];
    store.put(&longest, "value").unwrap();
    assert_eq!(store.get(&longest).unwrap().unwrap().key(), longest);
    assert_eq!(store.range(Keys::prefix("kk")).count().unwrap(), 1);
}

#[test]
fn a_value_over_the_limit_is_refused() {
    let error = || Error::ValueTooLarge { bytes: VALUE_LIMIT + 1, limit: VALUE_LIMIT };
    let long = vec![b'v'; VALUE_LIMIT + 1];
    check(|store| store.put("key", &long), error());
    check(|store| store.txn().then([Op::put("a", "1"), Op::put("b", &long)]).commit(), error());
    check(|store| store.txn().otherwise([Op::put("b", &long)]).commit(), error());
    let mut store = store(&FaultyStorage::new());
    let longest = vec![b'v'; VALUE_LIMIT];
    store.put("key", &longest).unwrap();
    assert_eq!(store.get("key").unwrap().unwrap().value(), longest);
}

#[test]
fn a_revision_that_can_t_be_read_is_refused() {
    let compacted =
        |number| Error::Compacted { requested: Revision::new(number), compacted: Revision::new(3) };
    let future =
        |number| Error::FutureRevision { requested: Revision::new(number), current: Revision::new(5) };
    let cases = [
        (1, compacted(1)),
        (2, compacted(2)),
        (6, future(6)),
        (Revision::LAST.get(), future(Revision::LAST.get())),
        (u64::MAX, future(u64::MAX)),
    ];
    for (number, error) in cases {
        check(|store| store.read_at(number), error.clone());
        check(|store| store.range(Keys::all()).at(number).collect(), error.clone());
        check(|store| store.range(Keys::all()).at(number).count(), error.clone());
        check(|store| store.range("key").at(number).iter().map(Iterator::count), error.clone());
        let read = || Op::from(Read::new("key").at(number));
        check(|store| store.txn().then([Op::put("a", "1"), read()]).commit(), error.clone());
        check(|store| store.compact(number), error);
    }
    check(|store| store.compact(3), compacted(3));
    check(|store| store.compact(0), compacted(0));
}

#[test]
fn a_key_that_a_transaction_changes_twice_is_refused() {
    let cases = [
        vec![Op::put("a", "1"), Op::put("a", "1")],
        vec![Op::put("b", "1"), Op::put("a", "1"), Op::get("a"), Op::put("a", "2")],
        vec![Op::put("a", "1"), Op::delete("a")],
        vec![Op::delete("a"), Op::put("a", "1")],
        vec![Op::put("a", "1"), Op::delete(Keys::prefix("a"))],
        vec![Op::delete(Keys::all()), Op::put("a", "1")],
    ];
    for ops in cases {
        let error = || Error::DuplicateKey { key: b"a".to_vec() };
        check(|store| store.txn().then(ops.clone()).commit(), error());
        check(|store| store.txn().otherwise(ops.clone()).commit(), error());
    }
}

#[test]
fn a_transaction_with_too_many_operations_is_refused() {
    let error = || Error::TooManyOperations { operations: OPS_LIMIT + 1, limit: OPS_LIMIT };
    let puts = |count: usize| (0..count).map(|number| Op::put(format!("key{number}"), "1"));
    check(|store| store.txn().then(puts(OPS_LIMIT + 1)).commit(), error());
    check(|store| store.txn().otherwise(puts(OPS_LIMIT + 1)).commit(), error());
    let compare = || Compare::version("key").is_greater_than(0);
    check(|store| (0..=OPS_LIMIT).fold(store.txn(), |txn, _| txn.when(compare())).commit(), error());
    store(&FaultyStorage::new())
        .txn()
        .when(compare())
        .then(puts(OPS_LIMIT))
        .otherwise(puts(OPS_LIMIT))
        .commit()
        .unwrap();
}

#[test]
fn an_option_outside_its_range_is_refused_by_name() {
    type Set = fn(&mut Options, usize);
    let cases: [(&str, Set, &[usize]); 5] = [
        (
            "page_bytes",
            |options, value| options.page_bytes = value,
            &[0, 1, 256, 513, 4_095, 131_072, usize::MAX],
        ),
        ("compaction_batch_limit", |options, value| options.compaction_batch_limit = value, &[0]),
        ("max_key_bytes", |options, value| options.max_key_bytes = value, &[0, (1 << 20) + 1, usize::MAX]),
        ("max_value_bytes", |options, value| options.max_value_bytes = value, &[(1 << 30) + 1, usize::MAX]),
        ("max_txn_ops", |options, value| options.max_txn_ops = value, &[0, (1 << 20) + 1]),
    ];
    for (name, set, values) in cases {
        for value in values {
            let mut options = Options::default();
            set(&mut options, *value);
            let disk = FaultyStorage::new();
            for refused in [options.validate().err(), Store::open(disk.clone(), options.clone()).err()] {
                let is_named =
                    matches!(&refused, Some(Error::InvalidOption { option, .. }) if *option == name);
                assert!(is_named, "{name} = {value}: {refused:?}");
            }
            assert!(disk.to_bytes().is_empty(), "a store that can't be opened is not created");
        }
    }
}

#[test]
fn options_at_the_ends_of_their_ranges_are_taken() {
    for page_bytes in [512, 65_536] {
        let smallest =
            Options { page_bytes, cache_bytes: 0, compaction_batch_limit: 1, max_key_bytes: 1, ..options() };
        let smallest = Options { max_value_bytes: 0, max_txn_ops: 1, ..smallest };
        let mut store = Store::open(MemoryStorage::new(), smallest).unwrap();
        store.put("k", "").unwrap();
        assert_eq!(store.get("k").unwrap().unwrap().value(), b"");
        let largest =
            Options { page_bytes, cache_bytes: usize::MAX, compaction_batch_limit: usize::MAX, ..options() };
        let largest =
            Options { max_key_bytes: 1 << 20, max_value_bytes: 1 << 30, max_txn_ops: 1 << 20, ..largest };
        let mut store = Store::open(MemoryStorage::new(), largest).unwrap();
        let (key, value) = (vec![b'k'; 1 << 20], vec![b'v'; 3 << 20]);
        store.put(&key, &value).unwrap();
        assert_eq!(store.get(&key).unwrap().unwrap().value(), value);
        assert_eq!(store.range(Keys::all()).keys_only().collect().unwrap().entries.len(), 1);
        store.check().unwrap();
    }
}

#[test]
fn a_failing_disk_fails_the_write_and_leaves_the_store_readable() {
    for healthy in 0..6 {
        let disk = FaultyStorage::new();
        let mut store = store(&disk);
        disk.fail_after(healthy);
        let mut written = Vec::new();
        let error = loop {
            match store.put("key", format!("after {}", written.len())) {
                Ok(done) => written.push(done.revision),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::Storage { .. }), "{error:?}");
        assert!(matches!(store.put("key", "more"), Err(Error::WritesRefused { .. })));
        assert!(matches!(store.delete("key"), Err(Error::WritesRefused { .. })));
        assert!(matches!(store.compact(4), Err(Error::WritesRefused { .. })));
        assert!(matches!(store.flush(), Err(Error::WritesRefused { .. })));
        assert!(matches!(store.checkpoint(), Err(Error::WritesRefused { .. })));
        assert_eq!(store.read_at(5).unwrap().get("key").unwrap().unwrap().value(), b"4");
        let durable = store.durable_revision();
        assert!(
            durable >= written.last().copied().unwrap_or(Revision::new(5)),
            "what was acknowledged is durable"
        );
        drop(store);
        let again = Store::open(FaultyStorage::from_bytes(&disk.to_bytes()), options()).unwrap();
        assert!(again.revision() >= durable && again.revision().get() <= durable.get() + 1);
        again.check().unwrap();
    }
}

#[test]
fn a_folder_an_empty_file_and_a_file_that_can_t_be_written_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(FileStorage::open(folder.path()), Err(Error::NotAStore { .. })));
    let empty = folder.path().join("empty");
    std::fs::write(&empty, b"").unwrap();
    assert!(matches!(FileStorage::open(&empty), Err(Error::NotAStore { .. })));
    assert_eq!(std::fs::read(&empty).unwrap(), b"");
    let blank = folder.path().join("blank");
    std::fs::write(&blank, [0; 64 * 1024]).unwrap();
    let reason = Store::open(FileStorage::open(&blank).unwrap(), Options::default()).unwrap_err().to_string();
    assert!(reason.contains("it never was one, or both of its meta pages are lost"), "{reason}");
    let nowhere = folder.path().join("no folder").join("store");
    assert!(matches!(FileStorage::open(nowhere), Err(Error::Storage { .. })));

    let read_only = folder.path().join("read-only");
    std::fs::write(&read_only, b"bytes").unwrap();
    let mut permissions = std::fs::metadata(&read_only).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&read_only, permissions).unwrap();
    // The system's administrator may write to a file that is marked read-only, but nobody to a program that runs.
    let candidates = [read_only, std::env::current_exe().unwrap()];
    let refused: Vec<_> = candidates
        .iter()
        .filter(|path| std::fs::OpenOptions::new().write(true).open(path).is_err())
        .collect();
    assert!(!refused.is_empty(), "the system refuses to write to one of {candidates:?}");
    for path in refused {
        let before = std::fs::metadata(path).unwrap().len();
        let error = FileStorage::open(path).err();
        assert!(matches!(error, Some(Error::Storage { operation: "open", .. })), "{path:?}: {error:?}");
        assert_eq!(std::fs::metadata(path).unwrap().len(), before);
    }
}

#[test]
fn a_second_opener_of_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut store = Store::open(FileStorage::open(&path).unwrap(), options()).unwrap();
    store.put("key", "value").unwrap();
    assert!(matches!(FileStorage::open(&path), Err(Error::Locked { .. })));
    let snapshot = store.snapshot();
    assert!(store.close().unwrap().is_none(), "the snapshot still has the storage");
    assert!(matches!(FileStorage::open(&path), Err(Error::Locked { .. })));
    assert_eq!(snapshot.get("key").unwrap().unwrap().value(), b"value");
    drop(snapshot);
    let store = Store::open(FileStorage::open(&path).unwrap(), options()).unwrap();
    assert_eq!(store.get("key").unwrap().unwrap().value(), b"value");
}
