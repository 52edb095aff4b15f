//! Bytes that are not what the store wrote: an error or the right answer, never a panic and never a wrong value; and opening
//! never changes them.

use std::time::Duration;

use palimpsest_kv::limits::FORMAT_VERSION;
use palimpsest_kv::storage::FileStorage;
use palimpsest_kv::{Budget, Error, Keys, Options, Revision, Store};
use palimpsest_kv_tests::action::Found;
use palimpsest_kv_tests::faulty::FaultyStorage;
use palimpsest_kv_tests::rng::Rng;
use palimpsest_kv_tests::sim::{SimClock, run_until_idle};

fn options() -> Options {
    Options { page_bytes: 512, store_id: Some(7), compaction_pause: Duration::ZERO, ..Options::default() }
}

/// The bytes of a small store with some of everything, and everything that can be read in it.
#[derive(Clone)]
struct Sample {
    bytes: Vec<u8>,
    answers: Answers,
}

/// What is there at each revision that can be read; the first is the oldest.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answers {
    revision: Revision,
    compacted: Option<Revision>,
    contents: Vec<Vec<Found>>,
}

/// Everything that can be read, by both ways of reading.
///
/// # Errors
/// The first that any of it answers.
fn read_all(store: &Store<FaultyStorage>) -> palimpsest_kv::Result<Answers> {
    let (revision, compacted) = (store.revision(), store.compacted());
    let oldest = compacted.map_or(1, Revision::get).max(1);
    let mut contents = Vec::new();
    for at in oldest..=revision.get() {
        let snapshot = store.read_at(at)?;
        let entries = snapshot.range(Keys::all()).collect()?.entries;
        for entry in &entries {
            let alone = snapshot.get(entry.key())?;
            assert_eq!(alone.as_ref(), Some(entry), "both ways of reading agree");
        }
        contents.push(entries.iter().map(Found::from).collect());
    }
    Ok(Answers { revision, compacted, contents })
}

fn sample() -> Sample {
    let disk = FaultyStorage::new();
    let mut store = Store::open(disk.clone(), options()).unwrap();
    for round in 0..3 {
        for number in 0..5 {
            store.put(format!("key{number}"), format!("value {number} of round {round}")).unwrap();
        }
        store.put("large", vec![b'a' + round; 900]).unwrap();
    }
    store.put(vec![b'k'; 700], "under a long key").unwrap();
    store.delete("key3").unwrap();
    store.compact(17).unwrap();
    run_until_idle(&mut store, &SimClock::ticking(1), Budget::millis(2));
    store.put("key1", "newest").unwrap();
    let answers = read_all(&store).unwrap();
    store.close().unwrap();
    Sample { bytes: disk.to_bytes(), answers }
}

/// Opens these bytes and reads everything. Answers the error, if there was one; else it was all right.
#[track_caller]
fn check(bytes: &[u8], answers: &Answers, what: &str) -> Option<Error> {
    let disk = FaultyStorage::from_bytes(bytes);
    let store = Store::open(disk.clone(), options());
    let seen = store.as_ref().map_err(Error::clone).and_then(read_all);
    if let Ok(seen) = &seen {
        let (revisions, expected) = ((seen.revision, seen.compacted), (answers.revision, answers.compacted));
        assert_eq!(revisions, expected, "{what}: the revisions, current and compacted");
        for (seen, expected) in seen.contents.iter().zip(&answers.contents) {
            assert_eq!(seen, expected, "{what}: the content of a revision");
        }
    }
    if store.is_err() {
        assert_eq!(disk.to_bytes(), bytes, "{what}: opening changed what it refused");
    }
    seen.err()
}

#[test]
fn a_store_that_is_whole_reads_as_it_was() {
    let Sample { bytes, answers } = sample();
    assert_eq!(check(&bytes, &answers, "whole"), None);
    assert!(answers.contents.len() >= 6 && answers.contents.iter().all(|contents| contents.len() > 5));
}

/// Flips every bit of the bytes from `start` to `end`, one at a time, and answers how many of the flips were found.
fn flip_bits(sample: &Sample, start: usize, end: usize) -> usize {
    let mut found = 0;
    let mut damaged = sample.bytes.clone();
    for place in start..end {
        for bit in 0..8 {
            damaged[place] ^= 1 << bit;
            let error = check(&damaged, &sample.answers, &format!("bit {bit} of byte {place}"));
            damaged[place] ^= 1 << bit;
            let is_typed = matches!(
                error,
                None | Some(Error::Corrupt { .. } | Error::NotAStore { .. } | Error::NewerFormat { .. })
            );
            assert!(is_typed, "bit {bit} of byte {place}: {error:?}");
            found += usize::from(error.is_some());
        }
    }
    found
}

#[test]
fn a_flipped_bit_is_found_or_does_not_matter() {
    let sample = sample();
    let middle = sample.bytes.len() / 2;
    let found = std::thread::scope(|scope| {
        let second = scope.spawn(|| flip_bits(&sample, middle, sample.bytes.len()));
        flip_bits(&sample, 0, middle) + second.join().unwrap()
    });
    assert!(found > 10_000, "only {found} flipped bits were found");
}

#[test]
fn a_whole_page_of_zeros_or_of_another_place_is_found_or_does_not_matter() {
    let Sample { bytes, answers } = sample();
    let pages = bytes.len() / 512;
    let mut found = 0;
    for page in 0..pages {
        let place = page * 512..(page + 1) * 512;
        let mut damaged = bytes.clone();
        damaged[place.clone()].fill(0);
        found += u64::from(check(&damaged, &answers, &format!("page {page} of zeros")).is_some());
        for other in 0..pages {
            damaged[place.clone()].copy_from_slice(&bytes[other * 512..(other + 1) * 512]);
            let what = format!("page {page} with the content of page {other}");
            found += u64::from(check(&damaged, &answers, &what).is_some());
        }
    }
    assert!(found > 100, "only {found} exchanged pages were found");
}

#[test]
fn a_truncated_store_is_refused_at_every_length() {
    let Sample { bytes, answers } = sample();
    for len in 1..bytes.len() {
        let error = check(&bytes[..len], &answers, &format!("{len} of {} bytes", bytes.len()));
        let is_typed = matches!(error, Some(Error::Corrupt { .. } | Error::NotAStore { .. }));
        assert!(is_typed, "{len} of {} bytes: {error:?}", bytes.len());
    }
}

#[test]
fn a_truncated_file_is_refused_and_stays_as_it_is() {
    let Sample { bytes, .. } = sample();
    let folder = tempfile::tempdir().unwrap();
    for len in [0, 1, 511, 512, 513, 1_024, bytes.len() / 2, bytes.len() - 1] {
        let path = folder.path().join(format!("of {len} bytes"));
        std::fs::write(&path, &bytes[..len]).unwrap();
        let error = FileStorage::open(&path).and_then(|file| Store::open(file, options())).err();
        assert!(
            matches!(error, Some(Error::Corrupt { .. } | Error::NotAStore { .. })),
            "{len} bytes: {error:?}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), &bytes[..len]);
    }
}

#[test]
fn a_file_of_another_format_is_no_store() {
    let mut rng = Rng::new(3);
    let mut random = |len: usize| -> Vec<u8> { (0..len).map(|_| rng.bits().to_le_bytes()[0]).collect() };
    let text = b"A line of text, and another one.\n".repeat(100);
    let sqlite = [b"SQLite format 3\0".to_vec(), random(4_080)].concat();
    let zip = [b"PK\x03\x04".to_vec(), random(1_000)].concat();
    let samples = [
        random(1),
        random(100),
        random(512),
        random(5_000),
        text,
        sqlite,
        zip,
        vec![0; 4_096],
        vec![255; 600],
    ];
    for bytes in samples {
        let disk = FaultyStorage::from_bytes(&bytes);
        let error = Store::open(disk.clone(), options()).err();
        assert!(matches!(error, Some(Error::NotAStore { .. })), "{} bytes: {error:?}", bytes.len());
        assert_eq!(disk.to_bytes(), bytes, "it stays as it is");
    }
}

#[test]
fn random_bytes_behind_a_good_start_are_never_believed() {
    let Sample { bytes, answers } = sample();
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let mut damaged = bytes.clone();
        let start = rng.index(damaged.len());
        let end = start + 1 + rng.index(damaged.len() - start);
        damaged[start..end].iter_mut().for_each(|byte| *byte = rng.bits().to_le_bytes()[0]);
        check(&damaged, &answers, &format!("seed {seed}: random from {start} to {end}"));
    }
}

/// Seals a meta sector anew, as `core/FORMAT.md` says: xxh64 of all but its last 8 bytes, seeded with the store's id and the page.
fn seal_meta(sector: &mut [u8], page: u64) {
    let store_id = u64::from_le_bytes(sector[16..24].try_into().unwrap());
    let seed = store_id ^ page.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let checksum = xxhash_rust::xxh64::xxh64(&sector[..504], seed);
    sector[504..512].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn a_newer_format_is_refused_with_both_versions() {
    let Sample { bytes, answers } = sample();
    for slots in [vec![0], vec![1], vec![0, 1]] {
        let mut newer = bytes.clone();
        for slot in &slots {
            let sector = &mut newer[slot * 512..(slot + 1) * 512];
            sector[8..12].copy_from_slice(&(FORMAT_VERSION + 1).to_le_bytes());
            seal_meta(sector, *slot as u64);
        }
        let error = check(&newer, &answers, "a newer format");
        let expected = Error::NewerFormat { found: FORMAT_VERSION + 1, supported: FORMAT_VERSION };
        assert_eq!(error, Some(expected), "in slots {slots:?}");
    }
    let mut same = bytes.clone();
    seal_meta(&mut same[..512], 0);
    assert_eq!(same, bytes, "this test seals as the store does");
}
