//! What the fuzzers run, and the tests that run it on kept and on random input.
//!
//! A target is a function from bytes to nothing: it panics if something is wrong, whatever the bytes are.

use palimpsest_kv::{Budget, Error, HashCheck, Keys, Result, Store, examine, import_etcd, salvage};

use crate::bolt;
use crate::checked::Checked;
use crate::copying;
use crate::faulty::FaultyStorage;
use crate::generate::{self, Swarm};
use crate::hostile::Image;
use crate::medium::Medium;
use crate::rng::Rng;
use crate::sample::options;
use crate::sim::{SimClock, try_run_until_idle};

/// Images of more bytes are not looked at: they say nothing that small ones can't.
const MAX_IMAGE_BYTES: usize = 96 * 1024;
/// Reads of the disk that anything may make, for each sector there is and for 64 more: far more than reading everything takes.
const READS_PER_SECTOR: u64 = 200;
/// Operations of one run at most.
const MAX_OPERATIONS: usize = 300;

/// A target.
pub type Target = fn(&[u8]);

/// The targets, by the names of their folders in `fuzz/corpus`.
pub const TARGETS: [(&str, Target); 4] =
    [("export", export), ("image", image), ("operations", operations), ("snapshot", snapshot)];

/// Does everything to a store that can be done to it.
fn use_it(disk: &FaultyStorage) -> Result<()> {
    let mut store = Store::open(disk.clone(), options())?;
    let oldest = store.compacted().map_or(1, |revision| revision.get());
    for revision in [0, oldest, oldest.saturating_add(1)] {
        let Ok(snapshot) = store.read_at(revision) else { continue };
        for entry in snapshot.range(Keys::all()).limit(200) {
            _ = entry.and_then(|entry| snapshot.get(entry.key()));
        }
    }
    // What it finds does not end this: a program does not check its store before it writes.
    _ = store.check();
    store.put("key00", "after all")?;
    store.delete(Keys::prefix("key0"))?;
    _ = store.compact(store.revision());
    _ = try_run_until_idle(&mut store, &SimClock::ticking(1), Budget::millis(2))?;
    store.close().map(drop)
}

/// Does everything to a storage of these bytes that can be done to it. Answers what using it as a store answered.
///
/// # Errors
/// Those of a store, which are as good an answer as any other.
///
/// # Panics
/// If looking at the storage changes it, if what is salvaged from it is no sound store, or if it is read without end.
pub fn exercise(bytes: &[u8]) -> Result<()> {
    let disk = FaultyStorage::from_bytes(bytes);
    let examined = examine(&disk);
    let new = FaultyStorage::new();
    if salvage(&disk, new.clone(), options()).is_ok() {
        let store = Store::open(new, options()).expect("what is salvaged can be opened");
        store.check().expect("what is salvaged is sound");
    }
    assert!(disk.to_bytes() == bytes, "looking at it changed it");
    let used = use_it(&disk);
    if examined.is_ok_and(|examined| examined.sound.is_some()) {
        let is_read = !matches!(used, Err(Error::Corrupt { .. } | Error::NotAStore { .. }));
        assert!(is_read, "found to be sound, and used: {used:?}");
    }
    let (reads, most) = (disk.counts().reads, READS_PER_SECTOR * (64 + bytes.len() as u64 / 512));
    assert!(reads < most, "{reads} reads");
    used
}

/// A storage of arbitrary bytes. If the first byte is odd its pages are sealed anew, so that what they say is believed; the rest is
/// the storage.
pub fn image(input: &[u8]) {
    let Some((mode, bytes)) = input.split_first().filter(|(_, bytes)| bytes.len() <= MAX_IMAGE_BYTES) else {
        return;
    };
    if mode % 2 == 0 {
        _ = exercise(bytes);
        return;
    }
    let mut image = Image::new(bytes);
    image.seal_all();
    _ = exercise(image.bytes());
}

/// What was made of some bytes on a disk: a sound store, or nothing.
fn check_made(made: Result<Store<FaultyStorage>>, disk: &FaultyStorage) {
    match made {
        Ok(store) => {
            let report = store.check().expect("what is imported is sound");
            assert_eq!(report.records, store.status().expect("a store has a status").records);
        }
        Err(error) => {
            let is_vacant = disk.len_bytes() <= 512 && disk.to_bytes().iter().all(|byte| *byte == 0);
            assert!(is_vacant, "an import fails and leaves something: {error}");
        }
    }
}

/// Arbitrary bytes as an export. If the first byte is odd their sections are sealed anew, so that what they say is believed.
pub fn export(input: &[u8]) {
    let Some((mode, bytes)) = input.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if mode % 2 == 1 {
        copying::seal(&mut bytes);
    }
    let disk = FaultyStorage::new();
    check_made(copying::imported(&bytes, disk.clone(), options()), &disk);
}

/// Arbitrary bytes as a snapshot of etcd. If the first byte is odd they get the hash and the checksums that they should have, else no
/// hash is asked for.
pub fn snapshot(input: &[u8]) {
    let Some((mode, bytes)) = input.split_first().filter(|(_, bytes)| bytes.len() <= MAX_IMAGE_BYTES) else {
        return;
    };
    let (mut bytes, mut check) = (bytes.to_vec(), HashCheck::Skipped);
    if mode % 2 == 1 {
        bolt::seal(&mut bytes);
        check = HashCheck::Required;
    }
    let disk = FaultyStorage::new();
    let made = import_etcd(bytes.as_slice(), disk.clone(), options(), check);
    check_made(made.map(|imported| imported.store), &disk);
}

/// Arbitrary operations on a store and on its model, which must agree.
pub fn operations(input: &[u8]) {
    let mut rng = Rng::of_bytes(input);
    let page_bytes = rng.one_of(&[512, 1_024, 4_096]);
    let options = generate::options(&mut rng, page_bytes);
    let swarm = Swarm::new(&mut rng, FaultyStorage::POWER);
    let clock = SimClock::ticking(rng.one_of(&[0, 1, 20, 700]));
    let mut checked = Checked::new(FaultyStorage::new(), options, clock);
    for _ in 0..MAX_OPERATIONS {
        if rng.is_spent() {
            break;
        }
        let action = swarm.next(&mut rng, (checked.model(), checked.open_things()));
        checked.apply(&action);
    }
    checked.verify(&mut rng);
}

/// A random variation of some bytes: some changed, some left out, some there twice.
#[must_use]
pub fn varied(bytes: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut varied = bytes.to_vec();
    for _ in 0..1 + rng.below(4) {
        if varied.is_empty() {
            break;
        }
        let at = rng.index(varied.len());
        let end = (at + 1 + rng.index(32)).min(varied.len());
        match rng.below(8) {
            0 => drop(varied.drain(at..end)),
            1 => {
                let part = varied.get(at..end).unwrap_or(&[]).to_vec();
                varied.splice(at..at, part);
            }
            2 => {
                let part = varied.get(at..end).unwrap_or(&[]).to_vec();
                let to = rng.index(varied.len() - part.len() + 1);
                varied.splice(to..to + part.len(), part);
            }
            _ => {
                let other = rng.one_of(&[0, 1, 0x7F, 0xFF, rng.clone().bits().to_le_bytes()[0]]);
                varied.get_mut(at).into_iter().for_each(|byte| *byte = other);
            }
        }
    }
    varied
}
