//! Small stores with some of everything, and what can be read in them: what tests of damage begin with.

use std::collections::BTreeMap;
use std::time::Duration;

use palimpsest_kv::storage::Storage;
use palimpsest_kv::{Budget, Durability, Keys, LeaseId, Op, Options, Put, Revision, Store, Time};

use crate::action::Found;
use crate::faulty::FaultyStorage;
use crate::sim::{SimClock, run_until_idle};

/// Bytes in a page of every sample.
pub const PAGE_BYTES: usize = 512;

/// How samples are made and opened.
#[must_use]
pub fn options() -> Options {
    Options {
        page_bytes: PAGE_BYTES,
        store_id: Some(7),
        cache_bytes: 64 * 1024,
        compaction_batch_limit: 4,
        compaction_pause: Duration::ZERO,
        ..Options::default()
    }
}

/// What is there at each revision that can be read; the first is the oldest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// The newest revision.
    pub revision: Revision,
    /// The revision compacted to.
    pub compacted: Option<Revision>,
    /// All keys at each revision.
    pub contents: Vec<Vec<Found>>,
    /// The leases: number, time in seconds, and keys.
    pub leases: Vec<(u64, u64, Vec<Vec<u8>>)>,
}

/// Everything that can be read, by both ways of reading.
///
/// # Errors
/// The first that any of it answers.
///
/// # Panics
/// If the two ways of reading disagree.
pub fn read_all<S: Storage>(store: &Store<S>) -> palimpsest_kv::Result<Answers> {
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
    let leases = store.leases().into_iter().filter_map(|id| {
        let status = store.lease(id, Time::from_micros(0))?;
        Some((id.get(), status.ttl.as_secs(), store.lease_keys(id)))
    });
    Ok(Answers { revision, compacted, contents, leases: leases.collect() })
}

/// A store as bytes, and what is in it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The storage's bytes.
    pub bytes: Vec<u8>,
    /// What can be read.
    pub answers: Answers,
    /// Every value that was ever there, by key and revision.
    pub history: BTreeMap<(Vec<u8>, u64), Found>,
    /// The storage's bytes as they were at some moments before.
    pub earlier: Vec<Vec<u8>>,
    /// Whether it was left without being closed, so that it has a log.
    pub is_left: bool,
    /// What could be read at these moments and others, as far as a loss of power may lead back to them.
    pub undone: Vec<Answers>,
}

impl Sample {
    /// The same without the keys' leases: salvage keeps those that there are, which is looked at by itself.
    #[must_use]
    pub fn detached(mut self) -> Self {
        let answers = self.undone.iter_mut().chain([&mut self.answers]);
        let found = answers.flat_map(|answers| answers.contents.iter_mut().flatten());
        found.chain(self.history.values_mut()).for_each(|found| found.lease = 0);
        self
    }
}

fn lease(number: u64) -> LeaseId {
    LeaseId::new(number).expect("a number that a lease can have")
}

/// A store that is being made into a sample.
struct Maker {
    disk: FaultyStorage,
    store: Store<FaultyStorage>,
    history: BTreeMap<(Vec<u8>, u64), Found>,
    earlier: Vec<Vec<u8>>,
    undone: Vec<Answers>,
}

impl Maker {
    fn new() -> Self {
        let disk = FaultyStorage::new();
        let store = Store::open(disk.clone(), options()).expect("an empty disk becomes a store");
        Self { disk, store, history: BTreeMap::new(), earlier: Vec::new(), undone: Vec::new() }
    }

    /// Does something to the store and remembers how it is then.
    fn step(&mut self, step: impl FnOnce(&mut Store<FaultyStorage>) -> palimpsest_kv::Result<()>) {
        step(&mut self.store).expect("a sample can be made");
        let answers = read_all(&self.store).expect("a sample can be read");
        for found in answers.contents.iter().flatten() {
            self.history.insert((found.key.clone(), found.modified), found.clone());
        }
        self.undone.push(answers);
        let bytes = self.disk.to_bytes();
        if self.earlier.last() != Some(&bytes) {
            self.earlier.push(bytes);
        }
    }

    /// Some revisions of a few keys, enough leaves for two levels of branches, long keys and values, deletes.
    fn fill(&mut self) {
        for round in 0..9u8 {
            self.step(|store| {
                let put = |number: u8| {
                    Op::put(format!("key{number:02}"), format!("{round} {number} {}", "x".repeat(44)))
                };
                store.with_durability(Durability::Relaxed).txn().then((0..14).map(put)).commit().map(drop)
            });
        }
        self.step(|store| store.grant_lease_as(lease(5), Duration::from_secs(60)).map(drop));
        self.step(|store| store.put_with(&Put::new("session", "of a lease").lease(lease(5))).map(drop));
        self.step(|store| store.put("large", vec![b'a'; 900]).map(drop));
        self.step(|store| store.put(vec![b'k'; 300], vec![b'v'; 300]).map(drop));
        self.step(|store| store.delete("key03").map(drop));
        self.step(|store| store.put("large", vec![b'b'; 1_200]).map(drop));
        self.step(|store| store.delete(vec![b'k'; 300]).map(drop));
    }

    fn finish(self) -> Sample {
        let answers = read_all(&self.store).expect("a sample can be read");
        let Self { disk, store, history, earlier, undone } = self;
        drop(store);
        Sample { bytes: disk.to_bytes(), answers, history, earlier, is_left: false, undone }
    }
}

/// A store that was closed: compacted, with some revisions after that.
///
/// # Panics
/// If it can't be made.
#[must_use]
pub fn closed() -> Sample {
    let mut maker = Maker::new();
    maker.fill();
    maker.step(|store| store.compact(3).map(drop));
    maker.step(|store| {
        run_until_idle(store, &SimClock::ticking(1), Budget::millis(2));
        store.put("key01", "newest").map(drop)
    });
    maker.step(Store::checkpoint);
    maker.finish()
}

/// A store that was left without being closed: a checkpoint with a compaction half done, and a log of several commits after it.
///
/// # Panics
/// If it can't be made.
#[must_use]
pub fn left() -> Sample {
    let mut maker = Maker::new();
    maker.fill();
    maker.step(|store| store.compact(3).map(drop));
    maker.step(|store| store.run(&SimClock::ticking(1_000), Budget::micros(1)).map(drop));
    maker.step(Store::checkpoint);
    maker.step(|store| store.put("key01", "newer").map(drop));
    maker.step(|store| store.grant_lease_as(lease(6), Duration::from_secs(7)).map(drop));
    maker.step(|store| store.put_with(&Put::new("another", "session").lease(lease(6))).map(drop));
    maker.step(|store| store.revoke_lease(lease(5)).map(drop));
    maker.step(|store| store.put("long", vec![b'l'; 700]).map(drop));
    maker.step(|store| store.delete("key02").map(drop));
    maker.step(|store| {
        store
            .txn()
            .then((0..5).map(|number| Op::put(format!("more{number}"), "m".repeat(90))))
            .commit()
            .map(drop)
    });
    maker.step(|store| store.compact(4).map(drop));
    maker.step(|store| store.put("key04", "newest").map(drop));
    Sample { is_left: true, ..maker.finish() }
}
