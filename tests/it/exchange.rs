//! Exports and imports: what comes out of a store is that store, and what is damaged is nothing.

use std::time::Duration;

use palimpsest_kv::sabotage::{Sabotage, with};
use palimpsest_kv::storage::{MemoryStorage, Storage};
use palimpsest_kv::{Budget, Durability, Error, Import, LeaseId, Op, Options, Put, Store};
use palimpsest_kv_tests::copying::{exported, imported, imported_in_pieces, seal, sections};
use palimpsest_kv_tests::faulty::FaultyStorage;
use palimpsest_kv_tests::fuzzing::varied;
use palimpsest_kv_tests::rng::Rng;
use palimpsest_kv_tests::sample::{self, options, read_all};
use palimpsest_kv_tests::sim::{SimClock, run_until_idle};

/// The bytes of a storage on which nothing was ever put.
const VACANT: [u8; 512] = [0; 512];

/// A small store with some of everything, exported.
fn small() -> Vec<u8> {
    let sample = sample::left();
    let mut store = Store::open(FaultyStorage::from_bytes(&sample.bytes), options()).unwrap();
    let clock = SimClock::ticking(1);
    let oldest = store.compacted().unwrap_or(store.revision());
    store.pin("oldest", oldest).unwrap();
    store.pin_until("newest", 0, clock.calendar().after(Duration::from_hours(1))).unwrap();
    for number in 0..3 {
        store.note_time(&clock);
        store.put("timed", format!("{number}")).unwrap();
        clock.advance(10_000_000);
    }
    exported(&store).unwrap()
}

#[track_caller]
fn assert_refused(bytes: &[u8]) {
    let disk = FaultyStorage::new();
    let answer = imported(bytes, disk.clone(), options()).map(drop);
    assert!(
        matches!(answer, Err(Error::InvalidSource { .. } | Error::NewerFormat { .. })),
        "{} bytes: {answer:?}",
        bytes.len()
    );
    assert!(disk.to_bytes() == VACANT, "something is left");
    assert_eq!(Store::open(disk, options()).unwrap().revision().get(), 1, "the storage can be used");
}

#[test]
fn a_copy_has_all_that_can_be_read_and_the_work_that_is_left_undone_is_not_in_it() {
    for sample in [sample::closed(), sample::left()] {
        let store = Store::open(FaultyStorage::from_bytes(&sample.bytes), options()).unwrap();
        let copy = imported(&exported(&store).unwrap(), MemoryStorage::new(), options()).unwrap();
        assert_eq!(read_all(&copy).unwrap(), sample.answers);
        copy.check().unwrap();
    }
}

#[test]
fn a_store_without_anything_can_be_copied() {
    let store = Store::open(MemoryStorage::new(), options()).unwrap();
    let bytes = exported(&store).unwrap();
    let mut copy = imported(&bytes, MemoryStorage::new(), options()).unwrap();
    assert_eq!((copy.revision().get(), copy.compacted()), (1, None));
    assert_eq!(copy.put("a", "1").unwrap().revision.get(), 2);
}

#[test]
fn a_copy_can_be_opened_again_and_written_to() {
    let disk = FaultyStorage::new();
    let sample = sample::closed();
    drop(imported(&small(), disk.clone(), options()).unwrap());
    let mut store = Store::open(disk, options()).unwrap();
    assert!(store.revision() > sample.answers.revision);
    store.put("key01", "after").unwrap();
    store.compact(store.revision()).unwrap();
    run_until_idle(&mut store, &SimClock::ticking(1), Budget::millis(2));
    store.check().unwrap();
}

#[test]
fn the_same_history_gives_the_same_bytes_however_far_compaction_is() {
    let make = |store: &mut Store<MemoryStorage>| {
        for round in 0..30 {
            let put = |number: usize| Op::put(format!("key{number}"), format!("{round}"));
            store.txn().then((0..10).map(put)).commit().unwrap();
            if round % 7 == 3 {
                store.delete(format!("key{}", round % 10).as_str()).unwrap();
            }
        }
        // Later looks at the calendar find nothing new.
        store.note_time(&SimClock::ticking(1));
        store.compact(25).unwrap();
    };
    let export = |run: &dyn Fn(&mut Store<MemoryStorage>)| {
        let mut store = Store::open(MemoryStorage::new(), options()).unwrap();
        make(&mut store);
        run(&mut store);
        exported(&store).unwrap()
    };
    let half = |store: &mut Store<MemoryStorage>| {
        let _more_to_do = store.run(&SimClock::ticking(1_000), Budget::micros(1)).unwrap();
    };
    let whole = |store: &mut Store<MemoryStorage>| {
        run_until_idle(store, &SimClock::ticking(1), Budget::millis(2));
    };
    let differ = || {
        let exports = [export(&|_| ()), export(&half), export(&whole)];
        exports.iter().any(|other| *other != exports[0])
    };
    assert!(!differ());
    assert!(with(Sabotage::DeadExported, differ), "what is not removed yet would be noticed");
}

#[test]
fn a_copy_is_of_one_moment_though_everything_goes_on() {
    let mut store = Store::open(MemoryStorage::new(), options()).unwrap();
    let clock = SimClock::ticking(20);
    for number in 0..3_000u32 {
        let durable = store.with_durability(Durability::Relaxed);
        durable.put(format!("key{:03}", number % 700), format!("{number} {}", "v".repeat(60))).unwrap();
    }
    store.grant_lease_as(LeaseId::new(9).unwrap(), Duration::from_secs(60)).unwrap();
    store.put_with(&Put::new("leased", "value").lease(LeaseId::new(9).unwrap())).unwrap();
    store.compact(1_000).unwrap();
    let expected = exported(&store).unwrap();

    let mut export = store.export();
    assert_eq!(export.revision(), store.revision());
    let (mut bytes, mut number) = (Vec::new(), 0);
    for chunk in export.by_ref() {
        bytes.extend(chunk.unwrap());
        for _ in 0..100 {
            number += 1;
            let durable = store.with_durability(Durability::Relaxed);
            durable.put(format!("key{:03}", number % 700), "other").unwrap();
        }
        if number == 200 {
            store.delete(palimpsest_kv::Keys::prefix("key0")).unwrap();
            store.revoke_lease(LeaseId::new(9).unwrap()).unwrap();
            store.compact(store.revision()).unwrap();
            store.shrink();
        }
        let _next = store.run(&clock, Budget::millis(1)).unwrap();
    }
    drop(export);
    assert!(number > 300, "the export has many chunks");
    assert!(bytes == expected, "what happened meanwhile is in the copy");
    run_until_idle(&mut store, &clock, Budget::millis(2));
    store.check().unwrap();
}

#[test]
fn long_keys_and_values_go_over_many_sections() {
    let mut store = Store::open(MemoryStorage::new(), Options::default()).unwrap();
    let value: Vec<u8> = (0..1_500_000u32).map(|at| (at * 7 % 251) as u8).collect();
    store.put("a", &value).unwrap();
    store.put("k".repeat(60_000), &value[..300_000]).unwrap();
    store.delete("k".repeat(60_000).as_str()).unwrap();
    store.put("b", vec![1; 32 * 1024]).unwrap();
    let chunks: Vec<Vec<u8>> = store.export().map(Result::unwrap).collect();
    assert!(chunks.iter().all(|chunk| chunk.len() <= 70_000), "no chunk is long");
    let copy = imported_in_pieces(&chunks.concat(), Options::default(), &mut Rng::new(1)).unwrap();
    copy.check().unwrap();
    assert_eq!(read_all(&copy).unwrap(), read_all(&store).unwrap());
}

#[test]
fn every_byte_that_is_damaged_is_noticed_and_nothing_is_left() {
    let bytes = small();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        assert_refused(&damaged);
    }
}

#[test]
fn what_is_cut_off_or_goes_on_is_noticed() {
    let bytes = small();
    (0..bytes.len()).step_by(7).for_each(|length| assert_refused(&bytes[..length]));
    assert_refused(&bytes[..bytes.len() - 1]);
    assert_refused(&[&bytes[..], b"x"].concat());
    assert_refused(b"");
    let starts = sections(&bytes);
    assert_eq!(starts.last(), Some(&bytes.len()));
    for window in starts.windows(2) {
        let mut without = bytes.clone();
        drop(without.drain(window[0]..window[1]));
        assert_refused(&without);
        let twice = [&bytes[..window[1]], &bytes[window[0]..]].concat();
        assert_refused(&twice);
    }
}

#[test]
fn a_section_of_an_unknown_kind_is_left_out_only_if_it_says_so() {
    let bytes = small();
    let end = sections(&bytes)[sections(&bytes).len() - 2];
    let with_section = |kind: u16, flags: u16| {
        let mut bytes =
            [&bytes[..end], &kind.to_le_bytes(), &flags.to_le_bytes(), &3u32.to_le_bytes(), b"abc"].concat();
        bytes.extend([0; 8]);
        bytes.extend(&small()[end..]);
        // The end tells how many bytes there are before it.
        let length = bytes.len();
        let told = postcard::to_allocvec(&((end + 19) as u64)).unwrap();
        bytes[length - 8 - told.len()..length - 8].copy_from_slice(&told);
        seal(&mut bytes);
        bytes
    };
    assert_refused(&with_section(0x200, 0));
    imported(&with_section(0x200, 1), MemoryStorage::new(), options()).unwrap().check().unwrap();
    // Out of order.
    assert_refused(&with_section(3, 1));
}

#[test]
fn whatever_is_sealed_makes_a_sound_store_or_none() {
    let bytes = small();
    let mut taken = 0;
    for seed in 0..4_000 {
        let mut varied = varied(&bytes, &mut Rng::new(seed));
        seal(&mut varied);
        let disk = FaultyStorage::new();
        match imported(&varied, disk.clone(), options()) {
            Ok(store) => {
                store.check().unwrap_or_else(|error| panic!("variation {seed}: {error}"));
                taken += 1;
            }
            Err(_) => assert!(disk.to_bytes() == VACANT, "variation {seed}: something is left"),
        }
    }
    assert!(taken > 10, "some variations are only of values: {taken}");
}

#[test]
fn only_a_storage_that_holds_nothing_is_taken() {
    let disk = FaultyStorage::from_bytes(&sample::closed().bytes);
    let before = disk.to_bytes();
    let refused = Import::begin(disk.clone(), options()).map(drop);
    assert!(matches!(refused, Err(Error::InvalidOption { option: "into", .. })), "{refused:?}");
    assert!(disk.to_bytes() == before);
}

#[test]
fn who_gives_up_leaves_nothing() {
    let disk = FaultyStorage::new();
    let mut import = Import::begin(disk.clone(), options()).unwrap();
    import.feed(&small()[..2_000]).unwrap();
    import.cancel();
    assert!(disk.to_bytes() == VACANT);
}

/// More than is in memory before some of it is written.
fn many() -> Vec<u8> {
    let mut store = Store::open(MemoryStorage::new(), options()).unwrap();
    for number in 0..1_500 {
        store
            .with_durability(Durability::Relaxed)
            .put(format!("key{:03}", number % 90), "v".repeat(40))
            .unwrap();
    }
    exported(&store).unwrap()
}

/// Whether at some moment of an import a crash could leave a store that is not whole, or something into which it could not be imported again.
fn can_be_harmed_by_a_crash(disk: &FaultyStorage) -> bool {
    let bytes = many();
    let start = disk.record();
    drop(imported(&bytes, disk.clone(), options()).unwrap());
    let events = disk.recorded();
    let mut rng = Rng::new(3);
    let mut moment = start;
    let mut is_harmed = false;
    for event in events {
        moment.pass(&event);
        for seed in 0..6 {
            let image = if seed == 0 { moment.with(|_| true) } else { moment.torn(&mut rng) };
            let left = image.clone();
            let mut is_none = true;
            if let Ok(store) = Store::open(FaultyStorage::from_image(image), options()) {
                is_none = store.revision().get() == 1;
                is_harmed |= !is_none && exported(&store).is_ok_and(|other| other != bytes);
                is_harmed |= is_none && store.status().unwrap().records > 0;
            }
            if is_none {
                let again = imported(&bytes, FaultyStorage::from_image(left), options());
                is_harmed |= !again.is_ok_and(|again| exported(&again).is_ok_and(|other| other == bytes));
            }
        }
    }
    is_harmed
}

#[test]
fn no_crash_leaves_half_a_store_or_a_dead_end() {
    assert!(!can_be_harmed_by_a_crash(&FaultyStorage::new()));
    assert!(!can_be_harmed_by_a_crash(&cut_short()), "nor where another import was cut short before");
    let harmed = || can_be_harmed_by_a_crash(&FaultyStorage::new());
    assert!(with(Sabotage::FilledInTheOpen, harmed), "half a store would be noticed");
}

/// What is left of an import that did not come to its end.
fn cut_short() -> FaultyStorage {
    let disk = FaultyStorage::new();
    let bytes = many();
    let mut import = Import::begin(disk.clone(), options()).unwrap();
    import.feed(&bytes[..bytes.len() / 2]).unwrap();
    drop(import);
    let opened = Store::open(disk.clone(), options()).map(drop);
    assert!(matches!(opened, Err(Error::NotAStore { .. })), "{opened:?}");
    disk
}

#[test]
fn a_storage_that_fails_leaves_no_store() {
    let bytes = small();
    for changes in 0.. {
        let disk = FaultyStorage::new();
        disk.fail_after(changes);
        let answer = imported(&bytes, disk.clone(), options()).map(drop);
        disk.heal();
        if answer.is_ok() {
            assert!(changes > 10);
            break;
        }
        assert!(matches!(answer, Err(Error::Storage { .. })), "{answer:?}");
        if let Ok(store) = Store::open(disk, options()) {
            assert!(store.revision().get() == 1 || exported(&store).unwrap() == bytes);
        }
    }
}

#[test]
fn a_damaged_store_says_so_and_not_a_part_of_it_is_exported_as_the_whole() {
    let sample = sample::closed();
    let disk = FaultyStorage::from_bytes(&sample.bytes);
    let store = Store::open(disk.clone(), Options { cache_bytes: 0, ..options() }).unwrap();
    (1_024..disk.len_bytes()).step_by(97).for_each(|at| disk.flip(at, 1));
    let chunks: Vec<_> = store.export().collect();
    assert!(matches!(chunks.last(), Some(Err(Error::Corrupt { .. }))), "it ends with the error");
}

#[test]
fn errors_say_where_and_what() {
    let mut bytes = small();
    let at = sections(&bytes)[1];
    bytes[at + 9] ^= 1;
    let error = imported(&bytes, MemoryStorage::new(), options()).map(drop).unwrap_err();
    let words = format!("at byte {at}: a section's checksum does not match");
    assert!(error.to_string().ends_with(&words), "{error}");
    assert_eq!(error.code(), "INVALID_SOURCE");

    let mut import = Import::begin(MemoryStorage::new(), options()).unwrap();
    assert_eq!(import.feed(&bytes), Err(error.clone()));
    assert_eq!(import.feed(b"more"), Err(error.clone()));
    assert_eq!(import.finish().map(drop), Err(error));
}

#[test]
fn storages_can_be_of_any_kind() {
    fn is_send<T: Send>(_: &T) {}
    let store = Store::open(MemoryStorage::new(), options()).unwrap();
    let export = store.export();
    is_send(&export);
    let bytes = std::thread::spawn(move || export.map(Result::unwrap).collect::<Vec<_>>().concat());
    let copy = imported(&bytes.join().unwrap(), &MemoryStorage::new() as &dyn Storage, options()).map(drop);
    copy.unwrap();
}
