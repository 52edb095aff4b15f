//! What only the inside of the crate can arrange: failing media, threads, damage under a running store.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;
use core::cell::Cell;
use core::time::Duration;

use super::*;
use crate::scheduler::{Budget, Next, Time};
use crate::storage::MemoryStorage;

fn options(durability: Durability) -> Options {
    Options { page_bytes: 512, durability, compaction_pause: Duration::ZERO, ..Options::default() }
}

fn open(storage: MemoryStorage) -> Store<MemoryStorage> {
    Store::open(storage, options(Durability::Relaxed)).unwrap()
}

/// A clock that moves on by a microsecond whenever it is looked at.
fn ticking() -> impl Fn() -> Time {
    let now = Cell::new(0);
    move || {
        now.set(now.get() + 1);
        Time::from_micros(now.get())
    }
}

fn run_until_idle<S: Storage>(store: &mut Store<S>) {
    let clock = ticking();
    while store.run(&clock, Budget::millis(1)).unwrap() == Next::Now {}
}

#[test]
fn snapshots_and_entries_can_be_sent_and_shared() {
    fn check<T: Send + Sync>() {}
    check::<Snapshot<MemoryStorage>>();
    check::<Snapshot<crate::storage::FileStorage>>();
    check::<Store<MemoryStorage>>();
    check::<Entry>();
}

#[test]
fn readers_on_other_threads_see_their_revision_while_the_store_is_written_and_compacted() {
    let mut store = open(MemoryStorage::new());
    for round in 0..20u32 {
        for key in 0..50u32 {
            store.put(format!("{key}"), format!("{round}")).unwrap();
        }
    }
    let snapshot = store.snapshot();
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            for _ in 0..200 {
                let entries = snapshot.range(Keys::all()).collect().unwrap().entries;
                assert_eq!(entries.len(), 50);
                assert!(entries.iter().all(|entry| entry.value() == b"19"));
            }
        });
        while !reader.is_finished() {
            for key in 0..50u32 {
                store.put(format!("{key}"), "later").unwrap();
            }
            store.compact(store.revision()).unwrap();
            run_until_idle(&mut store);
        }
        reader.join().unwrap();
    });
    store.checkpoint().unwrap();
    store.check().unwrap();
    assert_eq!(store.status().unwrap().pending_pages, 0, "the snapshot's pages came back");
}

#[test]
fn compactions_finish_in_the_order_they_were_asked_for() {
    let mut store = open(MemoryStorage::new());
    for value in 0..300u32 {
        store.put("key", format!("{value}")).unwrap();
    }
    store.compact(100).unwrap();
    store.compact(200).unwrap();
    let clock = ticking();
    let mut finished = BTreeSet::new();
    while store.run(&clock, Budget::micros(3)).unwrap() == Next::Now {
        store.check().unwrap();
        finished.extend(store.status().unwrap().finished);
    }
    finished.extend(store.status().unwrap().finished);
    assert_eq!(finished.into_iter().map(Revision::get).collect::<Vec<_>>(), [100, 200]);
}

#[test]
fn a_store_closed_with_a_snapshot_alive_keeps_its_storage() {
    let mut store = open(MemoryStorage::new());
    store.put("key", "value").unwrap();
    let snapshot = store.snapshot();
    assert!(store.close().unwrap().is_none());
    assert_eq!(snapshot.get("key").unwrap().unwrap().value(), b"value");
}

/// Writes that creating a store takes: one for each meta slot.
const CREATING_WRITES: u32 = 2;

/// A medium that fails to write once it has written so many times.
struct Failing {
    memory: MemoryStorage,
    writes_left: Cell<u32>,
}

impl Failing {
    fn after(writes: u32) -> Self {
        Self { memory: MemoryStorage::new(), writes_left: Cell::new(writes) }
    }
}

impl Storage for Failing {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.memory.read(offset, buffer)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let left = self.writes_left.get().checked_sub(1);
        let left = left.ok_or_else(|| Error::Storage { operation: "write", reason: "it is full".into() })?;
        self.writes_left.set(left);
        self.memory.write(offset, bytes)
    }

    fn sync(&self) -> Result<()> {
        self.memory.sync()
    }

    fn len(&self) -> Result<u64> {
        self.memory.len()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.memory.set_len(len)
    }
}

/// Writes, compacts and checkpoints until the medium fails. Answers how many puts were reported durable.
fn use_until_it_fails(store: &mut Store<Failing>) -> (u64, Error) {
    let clock = ticking();
    let mut durable = 0;
    loop {
        let value = alloc::vec![b'v'; if durable % 7 == 0 { 1500 } else { 20 }];
        let step = store.put(format!("{}", durable % 10), value).and_then(|written| {
            durable += 1;
            if durable % 20 == 0 {
                store.compact(written.revision)?;
            }
            store.run(&clock, Budget::millis(1)).map(|_| ())
        });
        if let Err(error) = step {
            return (durable, error);
        }
    }
}

#[test]
fn a_failed_write_reaches_its_caller_and_what_was_durable_stays() {
    for writes in CREATING_WRITES..400 {
        let mut store = Store::open(Failing::after(writes), options(Durability::Strict)).unwrap();
        let (durable, error) = use_until_it_fails(&mut store);
        assert!(matches!(error, Error::Storage { operation: "write", .. }), "{writes}: {error}");
        assert!(matches!(store.put("key", "value"), Err(Error::WritesRefused { .. })));
        assert!(matches!(store.checkpoint(), Err(Error::WritesRefused { .. })));
        assert!(durable < 10 || store.range(Keys::all()).count().unwrap() == 10, "it can still be read");

        let bytes = store.pager.pages().storage().memory.to_bytes();
        let reopened = Store::open(MemoryStorage::from_bytes(&bytes), options(Durability::Strict)).unwrap();
        reopened.check().unwrap();
        let revision = reopened.revision().get();
        assert!(
            (durable + 1..=durable + 2).contains(&revision),
            "{writes}: {durable} durable, reopened at {revision}"
        );
    }
}

#[test]
fn a_compaction_that_meets_damage_says_so_once_and_writes_go_on() {
    let mut store = open(MemoryStorage::new());
    for value in 0..500u32 {
        store.put(format!("{}", value % 20), format!("{value}")).unwrap();
    }
    let mut store = open(store.close().unwrap().unwrap());
    let leaf = store.records.tree().leaves().nth(3).copied().unwrap();
    let offset = u64::from(leaf.place.page) * 512 + 100;
    store.pager.pages().storage().write(offset, &[0xFF; 4]).unwrap();
    store.pager.pages().forget_all();

    store.compact(store.revision()).unwrap();
    let clock = ticking();
    let mut errors = Vec::new();
    for _ in 0..1000 {
        errors.extend(store.run(&clock, Budget::millis(1)).err());
    }
    assert!(
        matches!(errors.as_slice(), [Error::Corrupt { page, .. }] if *page == leaf.place.page),
        "{errors:?}"
    );
    store.put("key", "value").unwrap();
    assert_eq!(store.get("key").unwrap().unwrap().value(), b"value");
}

#[test]
fn a_crash_that_undoes_the_growth_but_not_the_commit_is_no_damage() {
    let mut store = Store::open(MemoryStorage::new(), options(Durability::Strict)).unwrap();
    let mut grown = 0;
    while grown < 3 {
        let before = store.pager.pages().storage().len().unwrap();
        let written = store.put("key", "value").unwrap();
        let mut bytes = store.pager.pages().storage().to_bytes();
        if bytes.len() as u64 > before {
            grown += 1;
            bytes.truncate(usize::try_from(before).unwrap());
            let reopened = open(MemoryStorage::from_bytes(&bytes));
            assert!(reopened.revision().get() + 1 >= written.revision.get());
            reopened.check().unwrap();
        }
    }
}

#[test]
fn leases_are_durable_as_their_writer_says() {
    let mut store = Store::open(MemoryStorage::new(), options(Durability::Strict)).unwrap();
    let leases_after_a_crash = |store: &Store<MemoryStorage>| {
        open(MemoryStorage::from_bytes(&store.pager.pages().storage().to_bytes())).leases()
    };
    let strict = store.grant_lease(Duration::from_secs(60)).unwrap().id;
    let relaxed = store.with_durability(Durability::Relaxed).grant_lease(Duration::from_secs(60)).unwrap().id;
    assert_eq!(leases_after_a_crash(&store), [strict]);
    assert_eq!(
        store.with_durability(Durability::Relaxed).keep_alive(relaxed).unwrap(),
        Duration::from_secs(60)
    );
    store.flush().unwrap();
    assert_eq!(leases_after_a_crash(&store), store.leases());
    store.with_durability(Durability::Relaxed).revoke_lease(strict).unwrap();
    assert_eq!(leases_after_a_crash(&store).len(), 2);
    let again = store.with_durability(Durability::Strict).grant_lease_as(strict, Duration::ZERO).unwrap();
    assert_eq!((again.ttl, leases_after_a_crash(&store).len()), (Duration::from_secs(2), 2));
}
