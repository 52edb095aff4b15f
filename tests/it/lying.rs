//! A medium that lies: it loses a write that it has acknowledged, writes it elsewhere, answers with older bytes, or calls synced what is not.
//! The store may refuse to go on, and may be at an earlier revision if nothing later vouched for what was lost; it is never wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use palimpsest_kv::{Budget, Error, Keys, Options, Result, Revision, Store};
use palimpsest_kv_tests::action::Found;
use palimpsest_kv_tests::faulty::{Fault, FaultyStorage};
use palimpsest_kv_tests::rng::Rng;
use palimpsest_kv_tests::sim::{SimClock, try_run_until_idle};

const SEEDS: u64 = 700;
/// Steps before the lie, and as many after it.
const STEPS: u64 = 60;
/// Writes or reads that go well at most before the lie.
const HONEST_WRITES: u64 = 150;
const HONEST_READS: u64 = 60;

fn options() -> Options {
    Options {
        page_bytes: 512,
        cache_bytes: 0,
        compaction_pause: Duration::ZERO,
        store_id: Some(11),
        ..Options::default()
    }
}

/// What was there at each revision.
type History = BTreeMap<u64, Vec<Found>>;

fn contents(store: &Store<FaultyStorage>, revision: Revision) -> Result<Vec<Found>> {
    Ok(store.range(Keys::all()).at(revision).collect()?.entries.iter().map(Found::from).collect())
}

/// Whether the work gives up history.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Past {
    Compacted,
    Kept,
}

/// Puts and deletes for a while, and compacts now and then.
fn work(rng: &mut Rng, store: &mut Store<FaultyStorage>, past: Past) -> Result<()> {
    for _ in 0..STEPS {
        let (key, len) = (format!("key{:02}", rng.below(12)), rng.one_of(&[5, 40, 40, 900]));
        let (kind, byte) = (rng.below(12), rng.bits().to_le_bytes()[0]);
        match kind {
            0 => store.delete(key.as_str()).map(drop)?,
            1 if past == Past::Compacted => {
                let _compacted_before = store.compact(store.revision());
                try_run_until_idle(store, &SimClock::ticking(1), Budget::millis(2)).map(drop)?;
            }
            1 => {}
            _ => store.put(key.as_str(), vec![byte; len]).map(drop)?,
        }
    }
    Ok(())
}

/// What the work leaves at each of its revisions, from a store that keeps all of them on an honest medium.
fn truth(seed: u64) -> History {
    let mut store = Store::open(FaultyStorage::new(), options()).unwrap();
    let mut rng = Rng::new(seed);
    for _ in 0..2 {
        work(&mut rng, &mut store, Past::Kept).unwrap();
    }
    let revisions = 1..=store.revision().get();
    revisions.map(|revision| (revision, contents(&store, Revision::new(revision)).unwrap())).collect()
}

/// Whatever can be read must have been there.
fn check(store: &Store<FaultyStorage>, history: &History, what: &str) {
    let oldest = store.compacted().unwrap_or(Revision::FIRST).max(Revision::FIRST);
    for revision in oldest.get()..=store.revision().get() {
        match contents(store, Revision::new(revision)) {
            Ok(seen) => assert_eq!(Some(&seen), history.get(&revision), "{what}: revision {revision}"),
            Err(Error::Corrupt { .. } | Error::Storage { .. }) => {}
            Err(error) => panic!("{what}: revision {revision}: {error}"),
        }
    }
}

fn lie(rng: &mut Rng) -> Fault {
    let writes = rng.below(HONEST_WRITES);
    match rng.below(4) {
        0 => Fault::LostWrite(writes),
        1 => Fault::MisdirectedWrite(writes, rng.index(100) * 512),
        2 => Fault::StaleRead(rng.below(HONEST_READS)),
        _ => Fault::LyingSyncs,
    }
}

/// Works on a medium that lies, loses power or not, and opens the store again. Answers whether the lie was found out.
fn is_found_out(seed: u64) -> bool {
    let history = truth(seed);
    let mut rng = Rng::new(!seed);
    let fault = lie(&mut rng);
    let what = format!("seed {seed}, {fault:?}");
    let medium = FaultyStorage::new();
    let mut store = Store::open(medium.clone(), options()).unwrap();
    let mut choices = Rng::new(seed);
    work(&mut choices, &mut store, Past::Compacted).unwrap();
    medium.arm(fault);
    let worked = work(&mut choices, &mut store, Past::Compacted);
    check(&store, &history, &what);
    if rng.once_in(2) {
        // What closing fails with does not matter here.
        let _closed = store.close();
    } else {
        drop(store);
    }
    let left = if rng.once_in(2) { medium.without_power(&mut rng) } else { medium.after_kill() };
    match Store::open(left, options()) {
        Ok(store) => {
            check(&store, &history, &what);
            worked.is_err() || store.check().is_err()
        }
        Err(Error::Corrupt { .. } | Error::NotAStore { .. }) => true,
        Err(error) => panic!("{what}: {error}"),
    }
}

#[test]
fn a_lying_medium_leads_to_an_error_or_to_an_earlier_revision_and_never_to_a_wrong_answer() {
    let found_out = (0..SEEDS).filter(|seed| is_found_out(*seed)).count();
    // Many lies hurt nothing: what was lost is written over or never read.
    assert!(found_out > 100, "{found_out} lies of {SEEDS} were found out");
}
