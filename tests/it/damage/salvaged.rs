//! What is saved of a damaged store: nothing that was not there, and everything that the damage does not touch.

use palimpsest_kv::storage::Storage;
use palimpsest_kv::{Error, Lost, Salvaged, Store, examine, salvage};
use palimpsest_kv_tests::action::Found;
use palimpsest_kv_tests::faulty::FaultyStorage;
use palimpsest_kv_tests::sample::{Answers, PAGE_BYTES, Sample, closed, left, options, read_all};

use super::pages::{place, with_other_pages};
use super::right_answers;

/// What a page of a sample is, by its own first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A meta slot, a branch, or a page of the map of used pages: nothing is in it that is not elsewhere as well.
    Guide,
    /// A leaf with so many records.
    Leaf(u64),
    /// It holds a part of a value, or is free.
    Other,
}

fn kind(sample: &Sample, page: usize) -> Kind {
    let bytes = &sample.bytes[place(page)];
    let seed = 7 ^ (page as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let is_sealed = xxhash_rust::xxh64::xxh64(&bytes[8..], seed).to_le_bytes() == bytes[..8];
    match bytes[8] {
        _ if page < 2 => Kind::Guide,
        1 | 4 if is_sealed => Kind::Guide,
        2 if is_sealed => Kind::Leaf(u64::from(u16::from_le_bytes([bytes[10], bytes[11]]))),
        _ => Kind::Other,
    }
}

/// Whether the report says that some change of these revisions is lost.
fn tells(report: &Salvaged, revisions: std::ops::RangeInclusive<u64>) -> bool {
    report.lost.iter().any(|lost| match lost {
        Lost::Record { revision, .. } => revisions.contains(&revision.get()),
        Lost::Revisions { from, to, .. } => from.get() <= *revisions.end() && to.get() >= *revisions.start(),
        _ => false,
    })
}

/// Every difference between what is there and what should be is told.
fn compare(seen: &Answers, expected: &Answers, report: &Salvaged, what: &str) {
    let find = |contents: &[Found], key: &[u8]| contents.iter().find(|found| found.key == key).cloned();
    let oldest = |answers: &Answers| answers.compacted.map_or(1, |revision| revision.get()).max(1);
    if seen.revision < expected.revision {
        let newest = seen.revision.get() + 1..=expected.revision.get();
        assert!(tells(report, newest), "{what}: the newest revisions are missing: {report:?}");
    }
    // That a compaction was scheduled may be lost as well.
    let more = usize::try_from(oldest(expected) - oldest(seen)).unwrap();
    let revisions = oldest(expected)..=expected.revision.get();
    for ((revision, seen), expected) in revisions.zip(seen.contents.iter().skip(more)).zip(&expected.contents)
    {
        for found in seen.iter().filter(|found| find(expected, &found.key).is_none()) {
            let is_told = tells(report, found.modified + 1..=revision);
            assert!(is_told, "{what}: {found:?} is back at revision {revision}: {report:?}");
        }
        for found in expected.iter().filter(|found| find(seen, &found.key).as_ref() != Some(found)) {
            let is_told = tells(report, found.modified..=found.modified);
            assert!(is_told, "{what}: {found:?} is not there at revision {revision}: {report:?}");
        }
    }
}

/// A store is found sound exactly if it can be opened and read.
fn check_examine(disk: &FaultyStorage, what: &str) {
    let Ok(examined) = examine(disk) else { return };
    assert_eq!(disk.unsynced(), 0, "{what}: examining changed what it read");
    let opened = Store::open(disk.clone(), options());
    let read = opened.as_ref().map_err(Error::clone).and_then(read_all);
    match (examined.sound, read) {
        (Some(sound), Ok(read)) => assert_eq!(sound.revision, read.revision, "{what}"),
        (None, Err(_)) => assert!(!examined.damage.is_empty(), "{what}: damage is not told"),
        (sound, read) => panic!("{what}: {sound:?} {:?} {:?}", examined.damage, read.map(drop)),
    }
}

/// Salvages a sample of which one page is damaged, and checks what was saved.
fn check(sample: &Sample, (bytes, page): (&[u8], usize), what: &str) {
    let (disk, new) = (FaultyStorage::from_bytes(bytes), FaultyStorage::new());
    check_examine(&disk, what);
    let report = match salvage(&disk, new.clone(), options()) {
        Ok(report) => report,
        Err(Error::NotAStore { .. }) if page < 2 => return,
        Err(error) => panic!("{what}: {error}"),
    };
    assert!(disk.to_bytes() == bytes, "{what}: salvage changed what it read");
    check_saved(sample, (&report, page), &new, what);
}

/// Leases and what is attached to them are as they were at some moment, unless something is told to be missing. Takes them away from what
/// is seen.
fn check_leases(seen: &mut Answers, sample: &Sample, report: &Salvaged, what: &str) {
    let known = sample.undone.iter().chain([&sample.answers]).any(|answers| answers.leases == seen.leases);
    assert!(known || !report.is_complete(), "{what}: {:?} of {:?}", seen.leases, sample.answers.leases);
    seen.leases.clone_from(&sample.answers.leases);
    seen.contents.iter_mut().flatten().for_each(|found| found.lease = 0);
}

/// Checks what was saved of a sample of which one page is damaged.
fn check_saved(sample: &Sample, (report, page): (&Salvaged, usize), new: &FaultyStorage, what: &str) {
    let store = Store::open(new.clone(), options()).unwrap_or_else(|error| panic!("{what}: {error}"));
    store.check().unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut seen = read_all(&store).unwrap_or_else(|error| panic!("{what}: {error}"));
    check_leases(&mut seen, sample, report, what);
    for found in seen.contents.iter().flatten() {
        let known = sample.history.get(&(found.key.clone(), found.modified));
        assert_eq!(Some(found), known, "{what}: something that never was");
    }
    let right = right_answers(sample, page);
    if right.iter().any(|right| **right == seen) {
        return;
    }
    compare(&seen, &sample.answers, report, what);
    match kind(sample, page) {
        Kind::Guide => panic!("{what}: something is missing: {report:?}"),
        Kind::Leaf(most) => assert!(report.records_lost <= most, "{what}: more than {most}: {report:?}"),
        Kind::Other => assert!(report.records_lost <= 1, "{what}: more than one: {report:?}"),
    }
}

#[test]
fn what_is_outside_of_another_page_is_saved() {
    for sample in [closed(), left()].map(Sample::detached) {
        with_other_pages(&sample, |bytes, page, what| check(&sample, (bytes, page), what));
    }
}

#[test]
fn what_is_outside_of_a_changed_byte_is_saved() {
    for sample in [closed(), left()].map(Sample::detached) {
        let mut damaged = sample.bytes.clone();
        for at in (0..damaged.len()).step_by(13) {
            damaged[at] ^= 0x10;
            check(&sample, (&damaged, at / PAGE_BYTES), &format!("byte {at} changed"));
            damaged[at] ^= 0x10;
        }
    }
}

#[test]
fn what_is_before_the_end_of_a_cut_off_store_is_saved() {
    for sample in [closed(), left()].map(Sample::detached) {
        for len in 1..sample.bytes.len() / PAGE_BYTES {
            let (disk, new) =
                (FaultyStorage::from_bytes(&sample.bytes[..len * PAGE_BYTES]), FaultyStorage::new());
            let what = format!("{len} pages are left");
            let report =
                salvage(&disk, new.clone(), options()).unwrap_or_else(|error| panic!("{what}: {error}"));
            let mut seen = read_all(&Store::open(new, options()).unwrap()).unwrap();
            check_leases(&mut seen, &sample, &report, &what);
            for found in seen.contents.iter().flatten() {
                let known = sample.history.get(&(found.key.clone(), found.modified));
                assert_eq!(Some(found), known, "{what}: something that never was");
            }
            if !report.is_complete() {
                compare(&seen, &sample.answers, &report, &what);
            }
        }
    }
}

/// A disk of which one page can't be read.
struct BadSector(FaultyStorage, usize);

impl Storage for BadSector {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> palimpsest_kv::Result<()> {
        let (start, bad) = (usize::try_from(offset).unwrap(), place(self.1));
        if start < bad.end && start + buffer.len() > bad.start {
            return Err(Error::Storage { operation: "read", reason: "a bad sector".into() });
        }
        self.0.read(offset, buffer)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> palimpsest_kv::Result<()> {
        self.0.write(offset, bytes)
    }

    fn sync(&self) -> palimpsest_kv::Result<()> {
        self.0.sync()
    }

    fn len(&self) -> palimpsest_kv::Result<u64> {
        self.0.len()
    }

    fn set_len(&self, len: u64) -> palimpsest_kv::Result<()> {
        self.0.set_len(len)
    }
}

#[test]
fn what_is_outside_of_a_page_that_can_not_be_read_is_saved() {
    for sample in [closed(), left()].map(Sample::detached) {
        for page in 0..sample.bytes.len() / PAGE_BYTES {
            let what = format!("page {page} can't be read");
            let disk = BadSector(FaultyStorage::from_bytes(&sample.bytes), page);
            let new = FaultyStorage::new();
            let report =
                salvage(&disk, new.clone(), options()).unwrap_or_else(|error| panic!("{what}: {error}"));
            check_saved(&sample, (&report, page), &new, &what);
            examine(&disk).unwrap_or_else(|error| panic!("{what}: {error}"));
        }
    }
}
