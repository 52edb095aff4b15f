//! When revisions were there, as a host sees it.

use std::cell::Cell;
use std::time::Duration;

use palimpsest_kv::storage::{MemoryStorage, Storage};
use palimpsest_kv::{
    Budget, Clock, Durability, Error, Keys, Next, Options, Read, Result, Revision, Store, Transaction,
    WallTime,
};
use palimpsest_kv_tests::sim::SimClock;

const YEAR: Duration = Duration::from_hours(365 * 24);

/// A storage that counts writes and syncs.
#[derive(Default)]
struct Counting {
    storage: MemoryStorage,
    writes: Cell<u64>,
    syncs: Cell<u64>,
}

impl Storage for Counting {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.storage.read(offset, buffer)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.writes.set(self.writes.get() + 1);
        self.storage.write(offset, bytes)
    }

    fn sync(&self) -> Result<()> {
        self.syncs.set(self.syncs.get() + 1);
        self.storage.sync()
    }

    fn len(&self) -> Result<u64> {
        self.storage.len()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.storage.set_len(len)
    }
}

fn put(store: &mut Store<impl Storage>, clock: &SimClock) -> (Revision, WallTime) {
    let revision = store.put("key", format!("at {:?}", clock.calendar())).unwrap().revision;
    let _next = store.run(clock, Budget::millis(2)).unwrap();
    let time = clock.calendar();
    clock.advance(1_500_000);
    (revision, time)
}

#[test]
fn a_store_is_read_as_of_a_time() {
    let mut store = Store::open(MemoryStorage::new(), Options::default()).unwrap();
    let clock = SimClock::ticking(0);
    let before = clock.calendar().before(Duration::from_millis(1));
    let written: Vec<_> = (0..5).map(|_| put(&mut store, &clock)).collect();
    for (revision, time) in &written {
        let value = store.read_at(*revision).unwrap().get("key").unwrap();
        let at = store.range("key").at_time(time.after(Duration::from_millis(700))).collect().unwrap();
        assert_eq!(at.entries, value.iter().cloned().collect::<Vec<_>>());
        assert_eq!(store.read_at_time(*time).unwrap().get("key").unwrap(), value);
        assert_eq!(store.snapshot().range("key").at_time(*time).collect().unwrap().entries, at.entries);
        let read = Read::new("key").at_time(*time);
        let outcome = store.commit(&Transaction::new().then([read.into()])).unwrap();
        assert!(format!("{outcome:?}").contains(&format!("mod_revision: {revision}")), "{outcome:?}");
    }
    let unknown = Error::TimeUnknown { millis: before.as_millis() };
    assert_eq!(store.range(Keys::all()).at_time(before).count(), Err(unknown));
    store.compact(written[3].0).unwrap();
    let too_old = store.range(Keys::all()).at_time(written[1].1).count();
    assert!(matches!(too_old, Err(Error::Compacted { .. } | Error::TimeUnknown { .. })), "{too_old:?}");
    assert_eq!(store.range(Keys::all()).at_time(written[3].1).count(), Ok(1));
}

/// Times ride along with commits that happen anyway: no commit and no sync is made for one, and an idle store comes to rest.
#[test]
fn a_time_costs_no_commit_of_its_own() {
    let cost = |calendar: bool| {
        let storage = Counting::default();
        let options = Options { durability: Durability::Strict, store_id: Some(1), ..Options::default() };
        let mut store = Store::open(&storage, options).unwrap();
        let clock = SimClock::ticking(0);
        let run = |store: &mut Store<&Counting>| {
            let now = || clock.now();
            let next = match calendar {
                true => store.run(&clock, Budget::millis(2)),
                false => store.run(&now, Budget::millis(2)),
            };
            next.unwrap()
        };
        for _ in 0..50 {
            store.put("key", "value").unwrap();
            let _next = run(&mut store);
            clock.advance(3_000_000);
        }
        let seen = (storage.writes.get(), storage.syncs.get());
        let idle: Vec<Next> = (0..50).map(|_| run(&mut store)).collect();
        assert!(idle.iter().all(|next| *next == Next::Idle), "{idle:?}");
        assert_eq!((storage.writes.get(), storage.syncs.get()), seen, "an idle store writes nothing");
        seen
    };
    assert_eq!(cost(true), cost(false));
}

#[test]
fn a_closed_store_knows_the_times_of_its_revisions() {
    let storage = MemoryStorage::new();
    let mut store = Store::open(&storage, Options::default()).unwrap();
    let clock = SimClock::ticking(0);
    let written: Vec<_> = (0..100).map(|_| put(&mut store, &clock)).collect();
    let last = store.put("key", "last").unwrap().revision;
    store.note_time(&clock);
    store.close().unwrap();
    let store = Store::open(&storage, Options::default()).unwrap();
    for (revision, time) in written {
        assert_eq!((store.revision_at(time), store.time_of(revision)), (Some(revision), Some(time)));
    }
    assert_eq!(store.time_of(last), Some(clock.calendar()));
}

/// If all that a store knows of was taken from a calendar that was ahead, that calendar was wrong, and not the one that there is now.
#[test]
fn a_calendar_that_was_ahead_from_the_beginning_is_forgotten() {
    let storage = MemoryStorage::new();
    let mut store = Store::open(&storage, Options::default()).unwrap();
    let clock = SimClock::ticking(0);
    let now = clock.calendar();
    clock.set_calendar(now.after(80 * YEAR));
    let (first, _) = put(&mut store, &clock);
    clock.set_calendar(now);
    let (second, time) = put(&mut store, &clock);
    for _ in 0..2 {
        let known = (store.revision_at(clock.calendar()), store.time_of(first), store.time_of(second));
        assert_eq!(known, (Some(second), Some(time), Some(time)));
        assert_eq!(store.read_at_time(time).unwrap().revision(), second);
        store.close().unwrap();
        store = Store::open(&storage, Options::default()).unwrap();
    }
    // A machine without a battery begins in the past, and what is new then must not be old as soon as it knows better.
    for wrong in [0, 1_000_000_000_000] {
        clock.set_calendar(WallTime::from_millis(wrong));
        let (third, _) = put(&mut store, &clock);
        assert_eq!((store.time_of(second), store.time_of(third)), (Some(time), None), "at {wrong}");
    }
}
