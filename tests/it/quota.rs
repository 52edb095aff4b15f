//! A store that may use no more than its medium has: full, it can still delete, compact and get shorter, and then be written to again.

use std::time::Duration;

use palimpsest_kv::{Budget, Durability, Error, Keys, Options, Store};
use palimpsest_kv_tests::faulty::{Fault, FaultyStorage};
use palimpsest_kv_tests::sim::{SimClock, run_until_idle};

/// How a store gets full, and how it is emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// New keys; one half of them is deleted, each alone.
    Keys,
    /// New keys; all are deleted at once.
    AllAtOnce,
    /// The same few keys again and again: only history is in the way.
    History,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    way: Way,
    quota: usize,
    page_bytes: usize,
    value_bytes: usize,
    durability: Durability,
}

const fn case(way: Way, quota: usize, value_bytes: usize) -> Case {
    Case { way, quota, page_bytes: 4096, value_bytes, durability: Durability::Relaxed }
}

const CASES: &[Case] = &[
    case(Way::Keys, 4 << 20, 100),
    case(Way::Keys, 1 << 20, 900),
    case(Way::Keys, 4 << 20, 50_000),
    Case { durability: Durability::Strict, ..case(Way::Keys, 1 << 20, 100) },
    Case { page_bytes: 512, ..case(Way::Keys, 128 << 10, 40) },
    Case { page_bytes: 512, durability: Durability::Strict, ..case(Way::Keys, 128 << 10, 40) },
    case(Way::AllAtOnce, 4 << 20, 400),
    Case { durability: Durability::Strict, ..case(Way::AllAtOnce, 1 << 20, 5_000) },
    case(Way::History, 4 << 20, 100),
    case(Way::History, 1 << 20, 20_000),
    Case { durability: Durability::Strict, ..case(Way::History, 1 << 20, 100) },
    Case { page_bytes: 512, durability: Durability::Strict, ..case(Way::History, 128 << 10, 40) },
];

struct Full {
    case: Case,
    store: Store<FaultyStorage>,
    clock: SimClock,
    keys: u32,
    writes: u32,
}

impl Full {
    fn new(case: Case) -> Self {
        let medium = FaultyStorage::new();
        medium.arm(Fault::Full(case.quota));
        let options = Options {
            page_bytes: case.page_bytes,
            durability: case.durability,
            compaction_pause: Duration::ZERO,
            quota_bytes: Some(case.quota as u64),
            store_id: Some(3),
            ..Options::default()
        };
        let store = Store::open(medium, options).expect("an empty medium becomes a store");
        Self { case, store, clock: SimClock::ticking(20), keys: 0, writes: 0 }
    }

    fn key(&self) -> String {
        let number = if self.case.way == Way::History { self.writes % 7 } else { self.keys };
        format!("key{number:06}")
    }

    fn put(&mut self) -> Result<(), Error> {
        let value = vec![self.writes.to_le_bytes()[0]; self.case.value_bytes];
        self.store.put(self.key(), value)?;
        self.keys += 1;
        self.writes += 1;
        Ok(())
    }

    fn turn(&mut self) {
        let _next = self.store.run(&self.clock, Budget::millis(2)).expect("background work finds room");
        let status = self.store.status().expect("a store tells its status");
        assert!(status.used_bytes <= self.case.quota as u64, "{status:?}");
    }

    /// Writes until there is no space.
    fn fill(&mut self) {
        loop {
            match self.put() {
                Ok(()) => {}
                Err(Error::NoSpace { .. }) => break,
                Err(other) => panic!("{other}"),
            }
            if self.writes.is_multiple_of(8) {
                self.turn();
            }
        }
        assert!(self.store.status().expect("it tells").is_out_of_space);
    }

    fn empty(&mut self) {
        match self.case.way {
            Way::Keys => {
                let entries = self.store.range(Keys::all()).collect().expect("it can be read").entries;
                for entry in entries.iter().step_by(2) {
                    self.store.delete(entry.key()).expect("a full store can delete");
                    self.turn();
                }
            }
            Way::AllAtOnce => {
                self.store.delete(Keys::all()).expect("a full store can delete");
            }
            Way::History => {}
        }
        self.store.compact(self.store.revision()).expect("a full store can compact");
        run_until_idle(&mut self.store, &self.clock, Budget::millis(2));
        self.store.shrink();
        run_until_idle(&mut self.store, &self.clock, Budget::millis(2));
    }
}

#[test]
fn an_empty_store_raises_no_alarm_whatever_it_refuses() {
    for page_bytes in [512, 4096] {
        let quota = 60 * page_bytes;
        let mut full = Full::new(Case { page_bytes, ..case(Way::Keys, quota, 0) });
        let mut refused = 0;
        for value_bytes in (quota / 2..quota * 2).step_by(quota / 200) {
            match full.store.put("large", vec![1; value_bytes]) {
                Err(Error::NoSpace { .. }) => refused += 1,
                other => drop(other.expect("it is refused for no other reason")),
            }
            for key in ["large", "small"] {
                full.store.delete(key).expect("a store can delete");
                full.store.compact(full.store.revision()).expect("a store can compact");
                run_until_idle(&mut full.store, &full.clock, Budget::millis(2));
                full.store.put("small", "value").expect("there is room for it");
            }
            let status = full.store.status().expect("it tells");
            assert!(!status.is_out_of_space, "after a value of {value_bytes} bytes: {status:?}");
        }
        assert!(refused > 200, "only {refused} were refused");
    }
}

#[test]
fn what_never_fits_does_not_end_the_alarm_of_what_does() {
    let mut full = Full::new(case(Way::Keys, 1 << 20, 10_000));
    full.fill();
    assert!(matches!(full.store.put("large", vec![1; 1_400_000]), Err(Error::NoSpace { .. })));
    assert!(full.store.status().expect("it tells").is_out_of_space, "the store is as full as before");
    full.empty();
    assert!(!full.store.status().expect("it tells").is_out_of_space);
}

pub(crate) fn full_stores_get_room_again() {
    for case in CASES {
        println!("{case:?}");
        let mut full = Full::new(*case);
        let mut writes = Vec::new();
        for _ in 0..4 {
            let before = full.writes;
            full.fill();
            writes.push(full.writes - before);
            full.empty();
            assert!(!full.store.status().expect("it tells").is_out_of_space, "the alarm is over by itself");
            full.store.check().expect("it is sound");
        }
        println!("writes in each round: {writes:?}");
        let least = if case.way == Way::Keys { writes[0] / 4 } else { writes[0] / 2 };
        assert!(writes.iter().all(|count| *count >= least), "less room each time: {writes:?}");
        let bytes = u64::from(writes[0]) * case.value_bytes as u64;
        assert!(bytes >= case.quota as u64 / 3, "{bytes} bytes of values fill the store");
    }
}
