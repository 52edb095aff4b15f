//! Automatic compaction on a clock of the test's own: when it happens and to which revision, as etcd's compactors have it.

use std::time::Duration;

use palimpsest_kv::storage::MemoryStorage;
use palimpsest_kv::{AutoCompaction, Budget, Clock, Error, Options, Revision, Store};
use palimpsest_kv_tests::sim::SimClock;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// What happens to a store in one stretch of time.
enum Stretch {
    /// So many steps of so many seconds each, with so many puts after each.
    Steps { steps: u64, seconds: u64, puts: u64 },
    /// The policy is changed.
    Policy(AutoCompaction),
    /// Somebody compacts.
    Compact(u64),
    /// The store is closed and opened again.
    Reopen,
}

use Stretch::{Compact, Policy, Reopen, Steps};

struct Case {
    what: &'static str,
    policy: AutoCompaction,
    /// The revision that the store begins at.
    revision: u64,
    stretches: &'static [Stretch],
    /// When it compacted by itself, in seconds, and to which revision.
    expected: &'static [(u64, u64)],
    /// The same where the clock knows the calendar, if that differs.
    with_calendar: Option<&'static [(u64, u64)]>,
}

const CASES: &[Case] = &[
    Case {
        what: "a period of two hours is sampled every six minutes, and compacted to every hour after the first two",
        policy: AutoCompaction::Periodic(Duration::from_secs(2 * HOUR)),
        revision: 1,
        stretches: &[Steps { steps: 50, seconds: 6 * MINUTE, puts: 1 }],
        expected: &[(2 * HOUR, 1), (3 * HOUR, 10), (4 * HOUR, 20), (5 * HOUR, 30)],
        with_calendar: None,
    },
    Case {
        what: "a period of five minutes is sampled every half minute, and compacted to every five",
        policy: AutoCompaction::Periodic(Duration::from_secs(5 * MINUTE)),
        revision: 1,
        stretches: &[Steps { steps: 40, seconds: 30, puts: 1 }],
        expected: &[(5 * MINUTE, 1), (10 * MINUTE, 10), (15 * MINUTE, 20), (20 * MINUTE, 30)],
        with_calendar: None,
    },
    Case {
        what: "a revision that has not changed is not compacted to again, and the next is as soon as there is one",
        policy: AutoCompaction::Periodic(Duration::from_secs(5 * MINUTE)),
        revision: 100,
        stretches: &[
            Steps { steps: 60, seconds: 30, puts: 0 },
            Steps { steps: 1, seconds: 30, puts: 7 },
            Steps { steps: 25, seconds: 30, puts: 0 },
        ],
        // 107 is first seen at 31 minutes, and is the oldest sample five and a half minutes later.
        expected: &[(5 * MINUTE, 100), (36 * MINUTE + 30, 107)],
        with_calendar: None,
    },
    Case {
        what: "a host that slept through many samples compacts once, to the oldest of them",
        policy: AutoCompaction::Periodic(Duration::from_secs(5 * MINUTE)),
        revision: 50,
        stretches: &[
            Steps { steps: 3, seconds: 30, puts: 1 },
            Steps { steps: 1, seconds: 2 * HOUR, puts: 1 },
            Steps { steps: 1, seconds: 30, puts: 1 },
        ],
        expected: &[(90 + 2 * HOUR, 50)],
        with_calendar: None,
    },
    Case {
        what: "revisions are counted every five minutes, and nothing is done where nothing was written",
        policy: AutoCompaction::Revisions(10),
        revision: 99,
        stretches: &[
            Steps { steps: 9, seconds: MINUTE, puts: 0 },
            Steps { steps: 1, seconds: MINUTE, puts: 100 },
            Steps { steps: 20, seconds: MINUTE, puts: 0 },
        ],
        expected: &[(5 * MINUTE, 89), (15 * MINUTE, 189)],
        with_calendar: None,
    },
    Case {
        what: "a store with fewer revisions than are to be kept is left alone",
        policy: AutoCompaction::Revisions(1_000),
        revision: 99,
        stretches: &[Steps { steps: 30, seconds: MINUTE, puts: 1 }],
        expected: &[],
        with_calendar: None,
    },
    Case {
        what: "nothing is compacted where it is off, and nothing to keep is as good as off",
        policy: AutoCompaction::Revisions(0),
        revision: 99,
        stretches: &[
            Steps { steps: 30, seconds: MINUTE, puts: 1 },
            Policy(AutoCompaction::Periodic(Duration::ZERO)),
            Steps { steps: 30, seconds: MINUTE, puts: 1 },
        ],
        expected: &[],
        with_calendar: None,
    },
    Case {
        what: "a policy that is changed begins anew",
        policy: AutoCompaction::Periodic(Duration::from_secs(5 * MINUTE)),
        revision: 1,
        stretches: &[
            Steps { steps: 8, seconds: 30, puts: 1 },
            Policy(AutoCompaction::Off),
            Steps { steps: 20, seconds: 30, puts: 1 },
            Policy(AutoCompaction::Revisions(5)),
            Steps { steps: 11, seconds: 30, puts: 1 },
        ],
        // 28 puts while it was off; it looks first a step after it was changed, and five minutes after that.
        expected: &[(14 * MINUTE + 30 + 5 * MINUTE, 35)],
        with_calendar: None,
    },
    Case {
        what: "a store that is opened again waits for a whole period, as etcd does, unless it knows what was before",
        policy: AutoCompaction::Periodic(Duration::from_secs(5 * MINUTE)),
        revision: 1,
        stretches: &[
            Steps { steps: 9, seconds: 30, puts: 1 },
            Reopen,
            Steps { steps: 12, seconds: 30, puts: 1 },
        ],
        expected: &[(5 * MINUTE + 5 * MINUTE, 11)],
        // It looks first half a minute after it was opened, and half a minute after that the period is over.
        with_calendar: Some(&[(5 * MINUTE + 30, 1), (10 * MINUTE + 30, 11)]),
    },
    Case {
        what: "what somebody else has compacted is as good, and the next goes on from there",
        policy: AutoCompaction::Revisions(10),
        revision: 99,
        stretches: &[
            Compact(95),
            Steps { steps: 6, seconds: MINUTE, puts: 0 },
            Steps { steps: 6, seconds: MINUTE, puts: 10 },
        ],
        expected: &[(10 * MINUTE, 119)],
        with_calendar: None,
    },
];

const BOTH: AutoCompaction = AutoCompaction::Both { period: Duration::from_secs(10 * MINUTE), revisions: 50 };

const CASES_OF_BOTH: &[Case] = &[
    Case {
        what: "of two policies the one decides that keeps more: the age, where much is written",
        policy: BOTH,
        revision: 100,
        stretches: &[Steps { steps: 21, seconds: MINUTE, puts: 100 }],
        expected: &[(10 * MINUTE, 100), (20 * MINUTE, 900)],
        with_calendar: None,
    },
    Case {
        what: "the number, where little is written, also when it is counted next",
        policy: BOTH,
        revision: 100,
        stretches: &[Steps { steps: 21, seconds: MINUTE, puts: 1 }],
        expected: &[(10 * MINUTE, 59), (15 * MINUTE, 64), (20 * MINUTE, 69)],
        with_calendar: None,
    },
    Case {
        what: "neither, where there are not as many revisions",
        policy: BOTH,
        revision: 10,
        stretches: &[Steps { steps: 30, seconds: MINUTE, puts: 1 }],
        expected: &[],
        with_calendar: None,
    },
    Case {
        what: "a condition of nothing is none",
        policy: AutoCompaction::Both { period: Duration::ZERO, revisions: 10 },
        revision: 99,
        stretches: &[Steps { steps: 6, seconds: MINUTE, puts: 0 }],
        expected: &[(5 * MINUTE, 89)],
        with_calendar: None,
    },
];

fn options(policy: AutoCompaction) -> Options {
    Options {
        auto_compaction: policy,
        store_id: Some(1),
        compaction_pause: Duration::ZERO,
        ..Options::default()
    }
}

/// A store and what it compacted to by itself, with the seconds since the beginning.
struct Run {
    store: Store<MemoryStorage>,
    clock: SimClock,
    /// Whether the clock knows the calendar.
    has_calendar: bool,
    policy: AutoCompaction,
    seen: Vec<(u64, u64)>,
}

impl Run {
    fn put(&mut self, puts: u64) {
        for put in 0..puts {
            self.store.put(format!("key{}", put % 3), "value").unwrap();
        }
    }

    fn host(&mut self) {
        let before = self.store.compacted();
        let now = || self.clock.now();
        let next = match self.has_calendar {
            true => self.store.run(&self.clock, Budget::millis(2)),
            false => self.store.run(&now, Budget::millis(2)),
        };
        next.map(drop).unwrap();
        if let Some(compacted) = self.store.compacted().filter(|after| before != Some(*after)) {
            self.seen.push((self.clock.peek().as_micros() / 1_000_000, compacted.get()));
        }
    }

    fn pass(mut self, stretch: &Stretch) -> Self {
        match stretch {
            Steps { steps, seconds, puts } => {
                for _ in 0..*steps {
                    self.clock.advance(seconds * 1_000_000);
                    self.host();
                    self.put(*puts);
                }
            }
            Policy(policy) => self.store.set_auto_compaction(*policy),
            Compact(revision) => self.store.compact(*revision).map(drop).unwrap(),
            Reopen => {
                let storage = self.store.close().unwrap().expect("no snapshot holds the storage");
                self.store = Store::open(storage, options(self.policy)).unwrap();
            }
        }
        self
    }
}

#[test]
fn stores_compact_by_themselves_when_they_are_to() {
    for case in CASES.iter().chain(CASES_OF_BOTH) {
        let Case { what, policy, revision, stretches, expected, with_calendar } = case;
        for has_calendar in [false, true] {
            let store = Store::open(MemoryStorage::new(), options(*policy)).unwrap();
            let clock = SimClock::ticking(0);
            let mut run = Run { store, clock, has_calendar, policy: *policy, seen: Vec::new() };
            run.put(revision - 1);
            run.host();
            run.put(u64::from(*revision == 1));
            let run = stretches.iter().fold(run, Run::pass);
            let expected = with_calendar.filter(|_| has_calendar).unwrap_or(expected);
            assert_eq!(run.seen, *expected, "{what}; with a calendar: {has_calendar}");
        }
    }
}

#[test]
fn a_store_that_compacts_by_itself_asks_for_its_turn() {
    let policy = AutoCompaction::Periodic(Duration::from_secs(HOUR));
    let mut store = Store::open(MemoryStorage::new(), options(policy)).unwrap();
    let clock = SimClock::ticking(0);
    let next = store.run(&clock, Budget::millis(2)).unwrap();
    let in_six_minutes = palimpsest_kv::Time::from_micros(6 * MINUTE * 1_000_000);
    assert_eq!(next, palimpsest_kv::Next::At(in_six_minutes));
    store.set_auto_compaction(AutoCompaction::Off);
    assert_eq!(store.run(&clock, Budget::millis(2)).unwrap(), palimpsest_kv::Next::Idle);
    assert!(matches!(store.compact(Revision::new(9)), Err(Error::FutureRevision { .. })));
}
