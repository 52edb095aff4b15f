//! A store beside its model: each action is done to both, and everything that can be seen of both must be the same.

use std::fmt::Debug;

use palimpsest_kv::{Budget, Compare, Error, Keys, Op, OpOutcome, Options, Revision, Snapshot, Store, Time};

use crate::action::{Action, Form, Found, Query, Transaction};
use crate::medium::Medium;
use crate::model::{Committed, Expected, Horizon, Limits, Model, Numbers, StepOutcome, limited};
use crate::rng::Rng;
use crate::sim::{SimClock, run_until_idle, try_run_until_idle};

/// Past revisions compared in full by one [`Checked::verify`], besides the oldest and the newest.
const SAMPLED_REVISIONS: usize = 5;

/// A store, its model, and what a host would have beside it.
pub struct Checked<M: Medium> {
    medium: M,
    options: Options,
    clock: SimClock,
    /// `None` only while it is being reopened.
    store: Option<Store<M::Storage>>,
    model: Model,
    snapshots: Vec<Held<M>>,
}

/// A snapshot, the revision it reads, and what could be read when it was taken.
struct Held<M: Medium> {
    snapshot: Snapshot<M::Storage>,
    revision: u64,
    horizon: Horizon,
}

/// The store's answer and the model's must be the same; of several errors that apply, the store may give any.
#[track_caller]
fn agree<T: Debug + PartialEq>(answer: Result<T, Error>, expected: Expected<T>) {
    match (answer, expected) {
        (Ok(answer), Ok(expected)) => assert_eq!(answer, expected, "the store's answer, then the model's"),
        (Err(error), Err(errors)) => assert!(errors.contains(&error), "{error:?}, not one of {errors:?}"),
        (answer, expected) => panic!("the store answered {answer:?}, the model {expected:?}"),
    }
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

fn all_found<'a>(entries: impl IntoIterator<Item = &'a palimpsest_kv::Entry>) -> Vec<Found> {
    entries.into_iter().map(Found::from).collect()
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
        Self { medium, options, clock, store: Some(store), model, snapshots: Vec::new() }
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The medium, with the store on it open.
    pub fn medium(&self) -> &M {
        &self.medium
    }

    /// How many snapshots are open.
    pub fn snapshots(&self) -> usize {
        self.snapshots.len()
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
        match action {
            Action::Put(key, value) => {
                let answer = self.store().put(key, value).map(|written| written.revision.get());
                agree(answer, self.model.put(key, value));
            }
            Action::Delete(keys) => {
                let answer = self.store().delete(keys).map(|done| (done.revision.get(), done.deleted));
                agree(answer, self.model.delete(keys));
            }
            Action::Commit(transaction) => self.commit(transaction),
            Action::Get(key, revision) => self.get(key, *revision),
            Action::Range(query) => self.range(query),
            Action::OpenSnapshot(revision) => self.open_snapshot(*revision),
            Action::ReadSnapshot(place, query) => self.read_snapshot(*place, query),
            Action::DropSnapshot(place) => drop(self.snapshots.swap_remove(*place)),
            Action::Compact(revision) => {
                let answer = self.store().compact(*revision).map(|compaction| compaction.revision.get());
                agree(answer, self.model.compact(*revision));
            }
            Action::Run(budget) => self.run(*budget),
            Action::RunUntilIdle => self.run_until_idle(),
            Action::Flush => {
                let revision = self.store().flush().expect("a flush succeeds").get();
                assert_eq!(revision, self.model.revision(), "what a flush made durable");
            }
            Action::Checkpoint => self.store().checkpoint().expect("a checkpoint succeeds"),
            Action::Reopen => self.reopen(),
            Action::CutPower(seed) => self.cut_power(*seed),
            Action::CutPowerDuring(action, changes, seed) => {
                self.medium.break_after(*changes);
                self.cut_power_during(action, *seed);
            }
        }
        self.compare_revisions();
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
        if self.options.durability == palimpsest_kv::Durability::Strict {
            assert_eq!(durable, revision, "strict writes are durable at once");
        }
    }

    fn commit(&mut self, transaction: &Transaction) {
        let mut txn = self.store().txn();
        for condition in &transaction.conditions {
            txn = txn.when(Compare::from(condition));
        }
        let answer = txn
            .then(transaction.then.iter().map(Op::from))
            .otherwise(transaction.otherwise.iter().map(Op::from))
            .commit();
        let answer = answer.map(|outcome| Committed {
            succeeded: outcome.succeeded,
            revision: outcome.revision.get(),
            outcomes: outcome.outcomes.iter().map(step_outcome).collect(),
        });
        agree(answer, self.model.commit(transaction));
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
        let request = || {
            let request = store.range(&query.keys);
            query.revision.into_iter().fold(request, |request, revision| request.at(revision))
        };
        compare_range(&self.model, request, &Asked { query, revision, current: self.model.revision() });
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
        let request = || {
            let request = snapshot.range(&query.keys);
            query.revision.into_iter().fold(request, |request, revision| request.at(revision))
        };
        compare_range(&self.model, request, &Asked { query, revision: asked, current: horizon.newest });
        if let Some(key) = query.keys.single() {
            let answer = snapshot.get(key).map(|entry| entry.as_ref().map(Found::from));
            let expected = read_of(&query.keys, Ok(*revision));
            agree(answer, expected.map(|revision| self.model.at(&query.keys, revision).pop()));
        }
    }

    fn run(&mut self, budget: Budget) {
        let store = self.store.as_mut().expect("the store is open");
        let next = store.run(&self.clock, budget).expect("background work succeeds");
        if let palimpsest_kv::Next::At(time) = next {
            let never = Time::from_micros(u64::MAX);
            assert!(time < never, "background work that waits for ever");
        }
    }

    fn run_until_idle(&mut self) {
        let store = self.store.as_mut().expect("the store is open");
        run_until_idle(store, &self.clock, Budget::millis(2));
        let status = store.status().expect("a store tells its status");
        assert_eq!(status.finished, status.scheduled, "nothing is left to do, so the compaction is finished");
        assert_eq!(status.durable_revision, status.revision, "nothing is left to do, so all is durable");
    }

    fn reopen(&mut self) {
        self.snapshots.clear();
        let store = self.store.take().expect("the store is open");
        let storage = store.close().expect("closing succeeds");
        self.medium.closed(storage.expect("no snapshot holds the storage"));
        self.open();
    }

    /// Does the action to both without comparing: the medium breaks in the middle, so that the store may have done it or not.
    fn attempt(&mut self, action: &Action) -> Result<(), Error> {
        let store = self.store.as_mut().expect("the store is open");
        match action {
            Action::Put(key, value) => {
                let expected = self.model.put(key, value);
                store.put(key, value).map(|_| ()).or_else(|error| refused(error, expected))
            }
            Action::Delete(keys) => {
                let expected = self.model.delete(keys);
                store.delete(keys).map(|_| ()).or_else(|error| refused(error, expected))
            }
            Action::Compact(revision) => {
                let expected = self.model.compact(*revision);
                store.compact(*revision).map(|_| ()).or_else(|error| refused(error, expected))
            }
            Action::Flush => store.flush().map(|_| ()),
            Action::Checkpoint => store.checkpoint(),
            _ => try_run_until_idle(store, &self.clock, Budget::millis(2)).map(|_| ()),
        }
    }

    fn cut_power_during(&mut self, action: &Action, seed: u64) {
        let compacted = self.model.compacted();
        let attempted = self.attempt(action);
        if let Err(error) = &attempted {
            assert!(matches!(error, Error::Storage { .. }), "a broken medium was answered with {error:?}");
            self.compare_reads_of_a_broken_store();
        }
        self.lose_power(seed);
        if attempted.is_err() && self.store().compacted().map(Revision::get) == compacted {
            self.model.undo_compaction(compacted);
        }
        self.compare_revisions();
        self.verify(&mut Rng::new(seed));
    }

    /// What was durable stays readable when the medium fails to take more.
    fn compare_reads_of_a_broken_store(&mut self) {
        let durable = self.store().durable_revision().get();
        if self.model.readable(Some(durable)).is_ok() {
            self.range(&everything(Some(durable), Form::Lazy));
        }
        let refused = self.store().put("key", "value");
        assert!(matches!(refused, Err(Error::WritesRefused { .. })), "a broken store answered {refused:?}");
    }

    fn cut_power(&mut self, seed: u64) {
        self.lose_power(seed);
        self.compare_revisions();
        self.verify(&mut Rng::new(seed));
    }

    /// Cuts the power and opens the store again; the model forgets what the store may and did forget.
    fn lose_power(&mut self, seed: u64) {
        let durable = self.store().durable_revision().get();
        self.snapshots.clear();
        self.store = None;
        self.medium.power_cut(&mut Rng::new(seed));
        self.open();
        let revision = self.store().revision().get();
        let newest = self.model.revision();
        assert!(
            (durable..=newest).contains(&revision),
            "{revision} came back of {durable} (durable) to {newest}"
        );
        self.model.roll_back_to(revision);
        assert_eq!(self.store().durable_revision().get(), revision, "what came back is durable");
    }

    fn open(&mut self) {
        let storage = self.medium.storage().expect("the medium can be used again");
        let store = Store::open(storage, self.options.clone()).expect("a store that was left can be opened");
        self.store = Some(store);
    }

    /// Compares everything that can be seen: the store's own check, the numbers, and the full contents of many readable revisions
    /// and of every snapshot.
    ///
    /// # Panics
    /// If anything differs.
    pub fn verify(&mut self, rng: &mut Rng) {
        self.compare_numbers();
        let newest = self.model.revision();
        let oldest = self.model.compacted().unwrap_or(0).max(1);
        let sampled = (0..SAMPLED_REVISIONS).map(|_| oldest + rng.below(newest + 1 - oldest));
        for revision in [oldest, newest].into_iter().chain(sampled) {
            self.range(&everything(Some(revision), Form::Collected));
        }
        self.range(&everything(None, Form::Lazy));
        (0..self.snapshots.len())
            .for_each(|place| self.read_snapshot(place, &everything(None, Form::Collected)));
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
        let most = self.model.numbers(status.finished.map(Revision::get));
        let least = self.model.numbers(self.model.compacted());
        let within = |seen: u64, least: u64, most: u64| (least..=most).contains(&seen);
        assert!(
            seen.live_keys == most.live_keys
                && within(seen.keys, least.keys, most.keys)
                && within(seen.records, least.records, most.records)
                && within(seen.dead, least.dead, most.dead),
            "the store counts {seen:?}, the model from {least:?} to {most:?}"
        );
        assert_eq!(status.snapshots, self.snapshots.len() as u64, "open snapshots");
    }
}

/// The revision at which these keys can be read: none where the only key is empty, besides what else may be wrong.
fn read_of(keys: &Keys, revision: Expected<u64>) -> Expected<u64> {
    if !keys.single().is_some_and(<[u8]>::is_empty) {
        return revision;
    }
    Err([vec![Error::EmptyKey], revision.err().unwrap_or_default()].concat())
}

fn everything(revision: Option<u64>, form: Form) -> Query {
    Query { keys: Keys::all(), revision, limit: None, form }
}

/// An error that the model expects is no failure.
fn refused<T>(error: Error, expected: Expected<T>) -> Result<(), Error> {
    if expected.is_err_and(|errors| errors.contains(&error)) { Ok(()) } else { Err(error) }
}

fn step_outcome(outcome: &OpOutcome) -> StepOutcome {
    match outcome {
        OpOutcome::Put => StepOutcome::Put,
        OpOutcome::Deleted(count) => StepOutcome::Deleted(*count),
        OpOutcome::Read(result) => {
            StepOutcome::Read(all_found(&result.entries), result.more, result.revision.get())
        }
    }
}

/// A read, the revision that it must answer from, and the one that it must call the current one.
struct Asked<'a> {
    query: &'a Query,
    revision: Expected<u64>,
    current: u64,
}

/// Asks in the form that the query wants, and compares with the model as of the revision that must be read.
fn compare_range<'a, S: palimpsest_kv::storage::Storage + 'a>(
    model: &Model,
    request: impl Fn() -> palimpsest_kv::RangeRequest<'a, S>,
    asked: &Asked<'_>,
) {
    let Asked { query, revision, current } = asked;
    let all = read_of(&query.keys, revision.clone()).map(|revision| model.at(&query.keys, revision));
    let limit = |request: palimpsest_kv::RangeRequest<'a, S>| {
        query.limit.into_iter().fold(request, |request, limit| request.limit(limit))
    };
    match query.form {
        Form::Count => agree(limit(request()).count(), all.map(|entries| entries.len() as u64)),
        Form::Lazy => {
            let answer = limit(request()).iter().and_then(Iterator::collect::<Result<Vec<_>, _>>);
            agree(
                answer.map(|entries| all_found(&entries)),
                all.map(|entries| limited(entries, query.limit).0),
            );
        }
        Form::Collected => {
            let answer = limit(request()).collect();
            let answer =
                answer.map(|result| (all_found(&result.entries), result.more, result.revision.get()));
            let expected = all.map(|entries| limited(entries, query.limit));
            agree(answer, expected.map(|(entries, more)| (entries, more, *current)));
        }
        Form::KeysOnly => {
            let answer = limit(request().keys_only()).collect();
            let answer = answer.map(|result| (all_found(&result.entries), result.more));
            let without_value = |found: Found| Found { value: Vec::new(), ..found };
            let expected = all.map(|entries| limited(entries, query.limit));
            agree(answer, expected.map(|(all, more)| (all.into_iter().map(without_value).collect(), more)));
        }
    }
}
