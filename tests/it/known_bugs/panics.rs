//! A medium whose code panics, and a program that goes on all the same.

use palimpsest_kv::{Durability, Options, Result, Store};
use palimpsest_kv_tests::faulty::{Fault, FaultyStorage, Operation};
use palimpsest_kv_tests::rng::Rng;
use palimpsest_kv_tests::sim::{SimClock, run_until_idle};

use super::panics;
use super::scenarios::{PAGE_BYTES, options};

/// Puts before the medium panics, and after it has.
const PUTS: u32 = 24;
const PUTS_AFTERWARDS: u32 = 4;

/// A program with its store, and what it was told.
struct Program {
    medium: FaultyStorage,
    store: Option<Store<FaultyStorage>>,
    /// Puts of this and all smaller numbers are acknowledged, as durable.
    acknowledged: u32,
}

impl Program {
    fn open(&mut self) -> Result<()> {
        let strict = Options { durability: Durability::Strict, ..options() };
        self.store = Some(Store::open(self.medium.clone(), strict)?);
        Ok(())
    }

    /// Puts the next key, with some of the values longer than a page.
    fn put(&mut self) -> Result<()> {
        let Some(store) = &mut self.store else { return Ok(()) };
        let number = self.acknowledged;
        store.put(key(number), value(number))?;
        self.acknowledged += 1;
        Ok(())
    }

    /// Everything that changes a medium: creation, commits, compaction, shrinking, and checkpoints.
    fn work(&mut self) {
        self.open().unwrap();
        for _ in 0..PUTS {
            self.put().unwrap();
            let Some(store) = self.store.as_mut().filter(|store| store.revision().get() % 8 == 0) else {
                continue;
            };
            store.put("again", [b'a'; PAGE_BYTES * 3]).unwrap();
            store.compact(store.revision()).unwrap();
            store.shrink();
            run_until_idle(store, &SimClock::ticking(1), palimpsest_kv::Budget::millis(2));
        }
        self.close();
    }

    fn close(&mut self) {
        // A store that refuses to write can't be closed in order, and says so.
        let _refused = self.store.take().map(Store::close);
    }

    /// Goes on after the panic as if nothing had been.
    fn go_on(&mut self) {
        let _refused = (0..PUTS_AFTERWARDS).try_for_each(|_| self.put());
        self.close();
    }

    /// Everything that was acknowledged is there after power is lost too, and nothing is damaged.
    fn verify(&self, what: &str) {
        for seed in 0..4 {
            let left = self.medium.without_power(&mut Rng::new(seed));
            let store = Store::open(left, options()).unwrap();
            store.check().unwrap();
            for number in 0..self.acknowledged {
                let found = store.get(key(number)).unwrap();
                let found = found.as_ref().map(palimpsest_kv::Entry::value);
                assert_eq!(found, Some(&value(number)[..]), "{what}: put {number} was acknowledged");
            }
        }
    }
}

fn key(number: u32) -> String {
    format!("key{number:02}")
}

fn value(number: u32) -> Vec<u8> {
    let byte = b'a' + (number % 26) as u8;
    vec![byte; if number % 5 == 4 { PAGE_BYTES * 2 } else { 40 }]
}

/// Each call to the medium panics once.
pub(super) fn a_medium_that_panics() {
    for operation in [Operation::Read, Operation::Write, Operation::Resize, Operation::Sync] {
        let mut panicked = 0;
        while panics_at(operation, panicked) {
            panicked += 1;
        }
        assert!(panicked > 0, "no {operation:?} panicked");
    }
}

/// Whether there are so many calls that one panics after them; and if so, that the program loses nothing.
fn panics_at(operation: Operation, after: u64) -> bool {
    let medium = FaultyStorage::new();
    medium.arm(Fault::Panicking(operation, after));
    let mut program = Program { medium, store: None, acknowledged: 0 };
    if !panics(|| program.work()) {
        return false;
    }
    let what = format!("{operation:?} {after}");
    let _panicked = panics(|| program.go_on());
    program.verify(&what);
    true
}
