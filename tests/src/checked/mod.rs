//! A store beside its model: each action is done to both, and everything that can be seen of both must be the same.

use palimpsest_kv::{Durability, Error, Keys, Options, Revision, Snapshot, Store, Time};

use crate::action::{Action, Form, Found, Query};
use crate::medium::Medium;
use crate::model::{Horizon, Limits, Model, Numbers, Rule};
use crate::rng::Rng;
use crate::sim::SimClock;

mod compare;
mod copying;
mod leasing;
mod past;
mod pinning;
mod timing;
mod trouble;
mod watching;
mod writing;

pub use pinning::pins_of;

use compare::{Asked, Place, agree, compare_range, everything, read_of};
use watching::Watching;

/// Past revisions compared in full by one [`Checked::verify`], besides the oldest and the newest.
const SAMPLED_REVISIONS: usize = 5;
/// Times of revisions that are compared.
const SAMPLED_TIMES: usize = 4;
/// One in so many times the hash of the history is compared too, which costs reading all of it.
const HASHED_ONE_IN: u64 = 4;
/// One in so many times the store is copied, and the copy compared.
const COPIED_ONE_IN: u64 = 6;

/// A store, its model, and what a host would have beside it.
pub struct Checked<M: Medium> {
    medium: M,
    options: Options,
    clock: SimClock,
    /// `None` only while it is being reopened.
    store: Option<Store<M::Storage>>,
    model: Model,
    snapshots: Vec<Held<M>>,
    /// How the present write is to be made durable.
    durability: Durability,
    /// The newest revision that the store has called durable.
    durable: u64,
    watchers: Vec<Watching>,
    /// What the last write that found no space would have needed.
    refused: Option<u64>,
    /// Compaction has waited for a watcher since the store last had nothing to do, or rules of retention have changed: what was held may still
    /// be there.
    has_held: bool,
    /// Between which moments the clock was last looked at by the store, if it was.
    looked: Option<(Time, Time)>,
    /// How many actions were compared.
    turn: u64,
}

/// How many snapshots and watchers there are.
#[derive(Clone, Copy, Debug)]
pub struct Open {
    /// Snapshots that are open.
    pub snapshots: usize,
    /// Watchers that were not ended.
    pub watchers: usize,
}

/// A snapshot, the revision it reads, and what could be read when it was taken.
struct Held<M: Medium> {
    snapshot: Snapshot<M::Storage>,
    revision: u64,
    horizon: Horizon,
}

impl From<&Options> for Limits {
    fn from(options: &Options) -> Self {
        Self {
            key_bytes: options.max_key_bytes,
            value_bytes: options.max_value_bytes,
            txn_ops: options.max_txn_ops,
        }
    }
}

impl<M: Medium> Checked<M> {
    /// A new store on an empty medium.
    ///
    /// # Panics
    /// If it can't be opened.
    pub fn new(medium: M, options: Options, clock: SimClock) -> Self {
        let storage = medium.storage().expect("an empty medium can be used");
        let store = Store::open(storage, options.clone()).expect("an empty medium becomes a store");
        let model = Model::new(Limits::from(&options));
        let durability = options.durability;
        Self {
            medium,
            options,
            clock,
            store: Some(store),
            model,
            snapshots: Vec::new(),
            durability,
            durable: 1,
            watchers: Vec::new(),
            refused: None,
            has_held: false,
            looked: None,
            turn: 0,
        }
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The medium, with the store on it open.
    pub fn medium(&self) -> &M {
        &self.medium
    }

    /// What the store is opened with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The newest revision that the store has called durable.
    pub fn durable(&self) -> u64 {
        self.durable
    }

    /// How many of what can be chosen from there are.
    pub fn open_things(&self) -> Open {
        Open { snapshots: self.snapshots.len(), watchers: self.watchers.len() }
    }

    /// The store.
    ///
    /// # Panics
    /// If reopening it failed.
    pub fn store(&mut self) -> &mut Store<M::Storage> {
        self.store.as_mut().expect("a store is there unless it is being reopened")
    }

    /// Does an action to both and compares all that they answer.
    ///
    /// # Panics
    /// If they differ.
    pub fn apply(&mut self, action: &Action) {
        self.model.begin();
        match action {
            Action::Put(..) | Action::Delete(_) | Action::Commit(_) => {
                self.write(self.options.durability, action);
            }
            Action::Durably(durability, write) => self.write(*durability, write),
            Action::Get(key, revision) => self.get(key, *revision),
            Action::Range(query) => self.range(query),
            Action::OpenSnapshot(revision) => self.open_snapshot(*revision),
            Action::ReadSnapshot(place, query) => self.read_snapshot(*place, query),
            Action::DropSnapshot(place) => drop(self.snapshots.swap_remove(*place)),
            Action::Grant(..) | Action::Revoke(_) | Action::KeepAlive(_) => self.change_lease(action),
            Action::Pin(..) | Action::Unpin(_) => self.change_pin(action),
            Action::Pass(micros) => self.clock.advance(*micros),
            Action::SetCalendar(by) => self.set_calendar(*by),
            Action::Watch(wish) => self.watch(wish),
            Action::Poll(place) => self.poll(*place),
            Action::Cancel(place) => self.cancel(*place),
            Action::Quota(quota) => {
                self.options.quota_bytes = *quota;
                self.store().set_quota(*quota);
            }
            other => self.keep_up(other),
        }
        self.compare_revisions();
        self.compare_some_past();
    }

    /// What is done to the store besides reading and writing.
    fn keep_up(&mut self, action: &Action) {
        match action {
            Action::Compact(revision) => {
                let answer = self.store().compact(*revision).map(|compaction| compaction.revision.get());
                if answer.is_ok() {
                    self.model.settled();
                }
                agree(answer, self.model.compact(*revision));
            }
            Action::Run(budget) => self.run(*budget),
            Action::RunUntilIdle => self.run_until_idle(),
            Action::Retention(rules) => self.set_retention(rules),
            Action::Flush => {
                let revision = self.store().flush().expect("a flush succeeds").get();
                assert_eq!(revision, self.model.revision(), "what a flush made durable");
                self.model.settled();
            }
            Action::Checkpoint => {
                self.store().checkpoint().expect("a checkpoint succeeds");
                self.model.settled();
                self.model.times_mut().settled();
            }
            Action::Shrink => self.store().shrink(),
            Action::Reopen => self.reopen(),
            Action::CutPower(seed) => self.cut_power(*seed),
            Action::CutPowerDuring(action, changes, seed) => {
                self.medium.break_after(*changes);
                self.cut_power_during(action, *seed);
            }
            Action::FailDuring(action, fault, seed) => self.fail_during(action, fault, *seed),
            other => panic!("{other:?} is done elsewhere"),
        }
    }

    fn compare_revisions(&mut self) {
        let store = self.store();
        let revision = store.revision().get();
        let seen = (revision, store.compacted().map(Revision::get));
        let durable = store.durable_revision().get();
        assert_eq!(
            seen,
            (self.model.revision(), self.model.compacted()),
            "the revisions: current, compacted"
        );
        assert!(durable <= revision, "revision {durable} is durable, but {revision} is the current one");
        assert!(durable >= self.durable, "{} was durable, and now only {durable} is", self.durable);
        self.durable = durable;
    }

    fn get(&mut self, key: &[u8], revision: Option<u64>) {
        let store = self.store();
        let answer = match revision {
            None => store.get(key),
            Some(revision) => store.read_at(revision).and_then(|snapshot| snapshot.get(key)),
        };
        let keys = Keys::one(key);
        let expected = read_of(&keys, self.model.readable(revision));
        let expected = expected.map(|revision| self.model.at(&keys, revision).pop());
        agree(answer.map(|entry| entry.as_ref().map(Found::from)), expected);
    }

    fn range(&mut self, query: &Query) {
        let revision = self.model.readable(query.revision);
        let store = self.store.as_ref().expect("the store is open");
        let asked = Asked { query, revision, current: self.model.revision() };
        compare_range(&self.model, &Place::Store(store), &asked);
    }

    fn open_snapshot(&mut self, revision: Option<u64>) {
        let store = self.store();
        let snapshot = match revision {
            None => Ok(store.snapshot()),
            Some(revision) => store.read_at(revision),
        };
        let answer = snapshot.as_ref().map(|snapshot| snapshot.revision().get()).map_err(Error::clone);
        agree(answer, self.model.readable(revision));
        if let Ok(snapshot) = snapshot {
            let revision = snapshot.revision().get();
            self.snapshots.push(Held { snapshot, revision, horizon: self.model.horizon() });
        }
    }

    fn read_snapshot(&self, place: usize, query: &Query) {
        let Held { snapshot, revision, horizon } =
            self.snapshots.get(place).expect("an action names an open snapshot");
        // A snapshot reads its own revision, and on request all that could be read when it was taken.
        let asked = match query.revision {
            None => Ok(*revision),
            revision => horizon.readable(revision),
        };
        let asked = Asked { query, revision: asked, current: horizon.newest };
        compare_range(&self.model, &Place::Snapshot(snapshot), &asked);
        if let Some(key) = query.keys.single() {
            let answer = snapshot.get(key).map(|entry| entry.as_ref().map(Found::from));
            let expected = read_of(&query.keys, Ok(*revision));
            agree(answer, expected.map(|revision| self.model.at(&query.keys, revision).pop()));
        }
    }

    fn reopen(&mut self) {
        self.snapshots.clear();
        let store = self.store.take().expect("the store is open");
        let storage = store.close().expect("closing succeeds");
        self.medium.closed(storage.expect("no snapshot holds the storage"));
        self.model.settled();
        self.model.times_mut().settled();
        self.open();
        self.compare_times_kept();
        self.watch_again();
    }

    fn open(&mut self) {
        let storage = self.medium.storage().expect("the medium can be used again");
        let store = Store::open(storage, self.options.clone()).expect("a store that was left can be opened");
        self.store = Some(store);
        self.refused = None;
    }

    /// Compares everything that can be seen: the store's own check, the numbers, and the full contents of many readable revisions
    /// and of every snapshot.
    ///
    /// # Panics
    /// If anything differs.
    pub fn verify(&mut self, rng: &mut Rng) {
        self.compare_numbers();
        self.compare_leases();
        self.compare_past(rng);
        (0..SAMPLED_TIMES).for_each(|_| self.compare_times(rng.index(1 << 30)));
        self.compare_pins();
        let newest = self.model.revision();
        let oldest = self.model.compacted().unwrap_or(0).max(1);
        let sampled = (0..SAMPLED_REVISIONS).map(|_| oldest + rng.below(newest + 1 - oldest));
        for revision in [oldest, newest].into_iter().chain(sampled) {
            self.range(&everything(Some(revision), Form::Collected));
        }
        self.range(&everything(None, Form::Lazy));
        for revision in self.model.pins().revisions() {
            self.range(&everything(Some(revision), Form::Collected));
        }
        (0..self.snapshots.len())
            .for_each(|place| self.read_snapshot(place, &everything(None, Form::Collected)));
        if rng.once_in(HASHED_ONE_IN) {
            let revision = rng.one_of(&[newest, oldest + rng.clone().below(newest + 1 - oldest)]);
            let answer = self.store().hash_kv(revision).map(|found| found.hash);
            agree(answer, self.model.readable(Some(revision)).map(|revision| self.model.hash(revision)));
        }
        if rng.once_in(COPIED_ONE_IN) {
            self.verify_copy(rng);
        }
    }

    /// The model's numbers once the compaction that the store has finished has removed everything it can, or at most that, and at
    /// least what the scheduled one leaves, while that is still at work.
    fn compare_numbers(&mut self) {
        let status = self.store().status().expect("a store tells its status");
        let report = self.store().check().expect("the store is sound");
        let seen = Numbers {
            live_keys: status.live_keys,
            keys: status.keys,
            records: status.records,
            dead: status.dead_records,
        };
        assert_eq!((report.keys, report.records), (status.keys, status.records), "the check and the status");
        assert_eq!(status.scheduled.map(Revision::get), self.model.compacted(), "the scheduled revision");
        assert!(
            status.finished <= status.scheduled,
            "finished {:?} of {:?}",
            status.finished,
            status.scheduled
        );
        let (pins, finished) = (self.model.pins(), status.finished.map(Revision::get));
        let removed = finished.filter(|_| !self.has_held);
        let least = self.model.rule(self.model.compacted());
        let most = Rule { compacted: removed, pinned: pins.revisions_and_loose(), ..least.clone() };
        let (most, least) = (self.model.numbers(&most), self.model.numbers(&least));
        let within = |seen: u64, least: u64, most: u64| (least..=most).contains(&seen);
        assert!(
            seen.live_keys == most.live_keys
                && within(seen.keys, least.keys, most.keys)
                && within(seen.records, least.records, most.records)
                && within(seen.dead, least.dead, most.dead),
            "the store counts {seen:?}, the model from {least:?} to {most:?}"
        );
        assert_eq!(status.snapshots, self.snapshots.len() as u64, "open snapshots");
        assert_eq!(status.watchers, self.watchers.len() as u64, "watchers");
        assert_eq!(status.pins, self.model.pins().all().len() as u64, "pins");
        assert_eq!(status.leases, self.model.leases().all().len() as u64, "leases");
    }
}
