//! One crash: a medium as a loss of power could leave it, opened and compared with what the model knows.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;

use palimpsest_kv::{Budget, Durability, Keys, LeaseId, Options, Revision, Store, Time};

use crate::action::Found;
use crate::checked::pins_of;
use crate::faulty::{FaultyStorage, Moment};
use crate::model::{Model, Numbers, Rule};
use crate::rng::Rng;
use crate::sim::{SimClock, run_until_idle};

/// Of so many crashes one is looked at further, in each of several ways.
const ONE_IN: u64 = 8;

/// What the model knows about a store that has crashed somewhere between two moments of its run.
pub struct Expectation<'a> {
    model: &'a Model,
    options: Options,
    /// Everything up to this revision had been called durable.
    durable: u64,
    /// The compaction that was asked for before the crash; that of the model may have been asked for by then.
    compacted: Option<u64>,
    /// Contents by revision, as the model has them.
    contents: RefCell<BTreeMap<u64, Vec<Found>>>,
}

fn must<T, E: Debug>(result: Result<T, E>, what: &str) -> T {
    result.unwrap_or_else(|error| panic!("after the crash {what}: {error:?}"))
}

impl<'a> Expectation<'a> {
    /// What is to be expected of crashes after `durable` and `compacted` were told and before the model was as it is now.
    #[must_use]
    pub fn new(model: &'a Model, options: &Options, told: (u64, Option<u64>)) -> Self {
        let options = Options { durability: Durability::Strict, quota_bytes: None, ..options.clone() };
        let (durable, compacted) = told;
        Self { model, options, durable, compacted, contents: RefCell::default() }
    }

    /// Opens what a crash has left and compares it with the model; goes on with it in one of several ways. Answers how many
    /// crashes that were: opening can crash too.
    ///
    /// # Panics
    /// If anything is lost, half there, or wrong.
    pub fn check(&self, image: Vec<u8>, rng: &mut Rng) -> u64 {
        let medium = FaultyStorage::from_image(image);
        let way = rng.below(ONE_IN);
        let start = (way == 0).then(|| medium.record());
        let mut store = must(Store::open(medium.clone(), self.options.clone()), "the store does not open");
        if let Some(start) = start {
            let store_told = store.durable_revision().get();
            return 1 + self.check_opening(start, &medium, (store_told, rng));
        }
        self.compare(&store);
        self.compare_time(&store, store.revision().get());
        let of_lease = |id| store.lease(id, Time::from_micros(0)).expect("the lease is there");
        let is_longer = store.leases().into_iter().map(of_lease).find(|lease| lease.remaining > lease.ttl);
        assert_eq!(is_longer, None, "after the crash a lease has more than its whole time left");
        must(store.check(), "the store is not sound");
        match way {
            1 => self.finish(&mut store),
            2 => self.go_on(store, &medium),
            3 => return 1 + self.kill_and_cut(store, &medium, rng),
            _ => {}
        }
        1
    }

    fn compare(&self, store: &Store<FaultyStorage>) {
        let revision = store.revision().get();
        let newest = self.model.revision();
        let durable = self.durable;
        assert!(
            (durable..=newest).contains(&revision),
            "after the crash the store is at revision {revision}, of {durable} (durable) to {newest}"
        );
        assert_eq!(store.durable_revision().get(), revision, "what came back is durable");
        let compacted = store.compacted().map(Revision::get);
        assert!(
            compacted == self.compacted || compacted == self.model.compacted(),
            "after the crash the store is compacted to {compacted:?}, neither {:?} nor {:?}",
            self.compacted,
            self.model.compacted()
        );
        self.compare_leases(store, revision);
        let pins = pins_of(store);
        let states = self.model.pins().states();
        assert!(
            states.explain(revision, &pins),
            "after the crash revision {revision} has the pins {pins:?}, of {states:?}"
        );
        // One of them, since each is as dear as all the rest.
        let pinned = pins.values().nth(revision as usize % pins.len().max(1));
        pinned.into_iter().for_each(|(revision, _)| self.compare_contents(store, *revision));
        let oldest = compacted.unwrap_or(0).max(1);
        for revision in [oldest, revision] {
            self.compare_contents(store, revision);
        }
    }

    /// The leases are those that there were at this revision: a revocation has happened with the deletes of its keys, or not at all.
    fn compare_leases(&self, store: &Store<FaultyStorage>, revision: u64) {
        let status = |id| store.lease(id, Time::from_micros(0)).expect("the lease is there");
        let leases: Vec<_> = store.leases().into_iter().map(status).collect();
        let seconds = leases.iter().map(|lease| (lease.id.get(), lease.ttl.as_secs())).collect();
        let states = self.model.leases().states();
        assert!(
            states.explain(revision, &seconds),
            "after the crash revision {revision} has the leases {seconds:?}, of {states:?}"
        );
    }

    /// What is known of when the newest revisions were there, was seen.
    fn compare_time(&self, store: &Store<FaultyStorage>, revision: u64) {
        for revision in revision.saturating_sub(3)..=revision {
            let Some(time) = store.time_of(revision) else { continue };
            let is_known = self.model.times().had_seen(time.as_millis(), revision);
            assert!(is_known, "after the crash revision {revision} is of {time:?}, which was never seen");
        }
    }

    fn compare_contents(&self, store: &Store<FaultyStorage>, revision: u64) {
        let mut contents = self.contents.borrow_mut();
        let expected =
            contents.entry(revision).or_insert_with(|| self.model.at(&Keys::all(), revision)).as_slice();
        let range = store.range(Keys::all()).at(revision);
        let seen = must(range.collect(), "a revision can't be read").entries;
        let is_same = |(entry, found): (&palimpsest_kv::Entry, &Found)| {
            entry.key() == found.key
                && entry.value() == found.value
                && entry.create_revision().get() == found.create
                && entry.mod_revision().get() == found.modified
                && entry.version() == found.version
                && entry.lease().map_or(0, LeaseId::get) == found.lease
        };
        if seen.len() != expected.len() || !seen.iter().zip(expected).all(is_same) {
            let seen: Vec<Found> = seen.iter().map(Found::from).collect();
            panic!("after the crash revision {revision} has {seen:?}, not {expected:?}");
        }
    }

    /// An unfinished compaction ends with what it would have ended with without the crash.
    fn finish(&self, store: &mut Store<FaultyStorage>) {
        // Else those that have hardly any time left would end meanwhile.
        for lease in store.leases() {
            must(store.keep_alive(lease), "a lease can't be renewed");
        }
        run_until_idle(store, &SimClock::ticking(20).without_calendar(), Budget::millis(2));
        let status = must(store.status(), "the store has no status");
        assert_eq!(status.finished, status.scheduled, "the resumed compaction is finished");
        let seen = Numbers {
            live_keys: status.live_keys,
            keys: status.keys,
            records: status.records,
            dead: status.dead_records,
        };
        let compacted = status.compacted.map(Revision::get);
        let pinned = store.pins().iter().map(|pin| pin.revision.get()).collect();
        assert_eq!(
            seen,
            self.model.numbers_at(status.revision.get(), &Rule { pinned, ..self.model.rule(compacted) }),
            "after the resumed compaction"
        );
        self.compare(store);
        let hash = must(store.hash_kv(0), "the history has no hash").hash;
        let expected = self.model.hash_of(status.revision.get(), compacted);
        assert_eq!(hash, expected, "the hash of the history after the crash");
        must(store.check(), "the store that went on is not sound");
    }

    /// The store goes on as if nothing had happened, and what it then calls durable is so.
    fn go_on(&self, mut store: Store<FaultyStorage>, medium: &FaultyStorage) {
        let written = must(store.put("after", "the crash"), "nothing can be written").revision;
        must(store.check(), "the store that was written to is not sound");
        drop(store);
        let left = medium.with_unsynced(|_| false);
        let again = must(Store::open(left, self.options.clone()), "the store does not open again");
        assert_eq!(again.revision(), written, "a strict write after the crash is there after the next");
        self.compare_contents(&again, written.get() - 1);
    }

    /// The process that has opened the store is killed, another one opens it, and then the power goes.
    fn kill_and_cut(&self, store: Store<FaultyStorage>, medium: &FaultyStorage, rng: &mut Rng) -> u64 {
        drop(store);
        let medium = medium.after_kill();
        let store = must(Store::open(medium.clone(), self.options.clone()), "the store does not open again");
        let told = (store.durable_revision().get(), store.compacted().map(Revision::get));
        drop(store);
        let later = Expectation::new(self.model, &self.options, told);
        let store = must(
            Store::open(medium.without_power(rng), self.options.clone()),
            "the store does not open after the second crash",
        );
        later.compare(&store);
        1
    }

    /// Crashes at every change that opening the store makes.
    fn check_opening(&self, start: Moment, medium: &FaultyStorage, rest: (u64, &mut Rng)) -> u64 {
        let (told, rng) = rest;
        let mut moment = start;
        let mut crashes = 0;
        let events = medium.recorded();
        for (place, event) in events.iter().enumerate() {
            moment.pass(event);
            let store = must(
                Store::open(FaultyStorage::from_image(moment.torn(rng)), self.options.clone()),
                "the store does not open when opening it has crashed",
            );
            self.compare(&store);
            if place + 1 == events.len() {
                assert!(store.revision().get() >= told, "what opening called durable is there after a crash");
            }
            crashes += 1;
        }
        crashes
    }
}
