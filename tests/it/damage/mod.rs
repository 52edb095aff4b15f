//! Bytes that are not what the store wrote: an error or the right answer, never a panic and never a wrong value; and opening
//! never changes them.

use palimpsest_kv::limits::FORMAT_VERSION;
use palimpsest_kv::storage::FileStorage;
use palimpsest_kv::{Error, Store};
use palimpsest_kv_tests::faulty::FaultyStorage;
use palimpsest_kv_tests::rng::Rng;
use palimpsest_kv_tests::sample::{Answers, PAGE_BYTES, Sample, closed, left, options, read_all};

mod hostile;
mod pages;
mod salvaged;

/// Opens these bytes and reads everything. Answers the error, if there was one; else it was all right.
#[track_caller]
fn check(bytes: &[u8], answers: &Answers, what: &str) -> Option<Error> {
    check_any(bytes, &[answers], what)
}

/// The same, where any of several answers is right.
#[track_caller]
fn check_any(bytes: &[u8], right: &[&Answers], what: &str) -> Option<Error> {
    let disk = FaultyStorage::from_bytes(bytes);
    let store = Store::open(disk.clone(), options());
    let seen = store.as_ref().map_err(Error::clone).and_then(read_all);
    match &seen {
        Ok(seen) => assert!(right.contains(&seen), "{what}: {seen:?} instead of {:?}", right[0]),
        Err(error) => assert!(is_typed(error), "{what}: {error:?}"),
    }
    match &store {
        Ok(store) if seen.is_ok() => {
            _ = store.check().unwrap_or_else(|error| panic!("{what}: it can be read, but {error}"));
        }
        Ok(_) => {}
        Err(_) => assert!(disk.to_bytes() == bytes, "{what}: opening changed what it refused"),
    }
    seen.err()
}

/// Whether an error is one that damage may be answered with.
fn is_typed(error: &Error) -> bool {
    matches!(error, Error::Corrupt { .. } | Error::NotAStore { .. } | Error::NewerFormat { .. })
}

/// The answers that are right when a page of a sample is damaged: those of the sample, and those before its last commit if the
/// page belongs to that, since a crash may have torn it.
fn right_answers(sample: &Sample, page: usize) -> Vec<&Answers> {
    let place = page * PAGE_BYTES..(page + 1) * PAGE_BYTES;
    let before = &sample.earlier[sample.earlier.len() - 2];
    let is_newest = before.get(place.clone()) != sample.bytes.get(place);
    let undone = sample.undone.iter().rev().nth(1).filter(|_| is_newest && sample.is_left);
    std::iter::once(&sample.answers).chain(undone).collect()
}

#[test]
fn a_store_that_is_whole_reads_as_it_was() {
    for Sample { bytes, answers, .. } in [closed(), left()] {
        assert_eq!(check(&bytes, &answers, "whole"), None);
        assert!(answers.contents.len() >= 6 && answers.contents.iter().all(|contents| contents.len() > 5));
    }
}

/// Changes every byte of some pages in a few ways, one at a time, and answers how many of the changes were found.
fn flip_bytes(sample: &Sample, pages: impl Iterator<Item = usize>) -> usize {
    let mut found = 0;
    let mut damaged = sample.bytes.clone();
    for page in pages {
        let right = right_answers(sample, page);
        for place in page * PAGE_BYTES..(page + 1) * PAGE_BYTES {
            // One bit of every byte, and all bits of every third.
            for mask in [1 << (place % 8), 0xFF].into_iter().take(if place % 3 == 0 { 2 } else { 1 }) {
                damaged[place] ^= mask;
                let what = format!("byte {place} (page {page}) changed by {mask:#x}");
                found += usize::from(check_any(&damaged, &right, &what).is_some());
                damaged[place] ^= mask;
            }
        }
    }
    found
}

#[test]
fn a_changed_byte_is_found_or_does_not_matter() {
    for sample in [closed(), left()] {
        let pages = sample.bytes.len() / PAGE_BYTES;
        let found = std::thread::scope(|scope| {
            let second = scope.spawn(|| flip_bytes(&sample, (1..pages).step_by(2)));
            flip_bytes(&sample, (0..pages).step_by(2)) + second.join().unwrap()
        });
        assert!(found > 10_000, "only {found} changed bytes were found");
    }
}

#[test]
fn a_truncated_store_is_refused_at_every_length() {
    let Sample { bytes, answers, .. } = closed();
    for len in 1..bytes.len() {
        let error = check(&bytes[..len], &answers, &format!("{len} of {} bytes", bytes.len()));
        let is_typed = matches!(error, Some(Error::Corrupt { .. } | Error::NotAStore { .. }));
        assert!(is_typed, "{len} of {} bytes: {error:?}", bytes.len());
    }
}

/// A store that has no checkpoint yet is refused as well when it was cut off, and is not taken for one that has just been made.
#[test]
fn a_truncated_young_store_is_refused_at_every_length() {
    let disk = FaultyStorage::new();
    let mut store = Store::open(disk.clone(), options()).unwrap();
    (0..5).for_each(|number| _ = store.put(format!("{number}"), "value").unwrap());
    let answers = read_all(&store).unwrap();
    drop(store);
    let bytes = disk.to_bytes();
    for len in 1..bytes.len().min(18 * PAGE_BYTES) {
        let error = check(&bytes[..len], &answers, &format!("{len} of {} bytes", bytes.len()));
        let is_typed = matches!(error, Some(Error::Corrupt { .. } | Error::NotAStore { .. }));
        assert!(is_typed, "{len} of {} bytes: {error:?}", bytes.len());
    }
}

#[test]
fn a_truncated_file_is_refused_and_stays_as_it_is() {
    let Sample { bytes, .. } = closed();
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
    let Sample { bytes, answers, .. } = closed();
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
    let Sample { bytes, answers, .. } = closed();
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
