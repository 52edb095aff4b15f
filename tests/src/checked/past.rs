//! Histories of keys, differences between revisions, and the dry run of a compaction.

use palimpsest_kv::storage::Storage;
use palimpsest_kv::{
    Difference, Differences, Error, Holder, Keys, Order, Result, Revision, Snapshot, Store, Time, Version,
    Versions,
};

use super::Checked;
use super::compare::agree;
use crate::action::Found;
use crate::medium::Medium;
use crate::model::{Differing, Horizon, Model, Past};
use crate::rng::Rng;

fn past_of(version: &Version) -> Past {
    (version.kind, Found::from(&version.entry))
}

fn differing(difference: &Difference) -> Differing {
    let Difference { key, before, after } = difference;
    (key.clone(), before.as_ref().map(Found::from), after.as_ref().map(Found::from))
}

/// What a history is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    order: Order,
    from: u64,
    limit: Option<usize>,
}

/// All of it.
const WHOLE: Wanted = Wanted { order: Order::Ascending, from: 0, limit: None };

impl Wanted {
    fn random(rng: &mut Rng, newest: u64) -> Self {
        Self {
            order: rng.one_of(&[Order::Ascending, Order::Descending]),
            from: if rng.once_in(2) { 0 } else { rng.below(newest + 2) },
            limit: if rng.once_in(2) { None } else { Some(rng.index(6)) },
        }
    }

    /// Those that are wanted of all, which are in order.
    fn of(self, mut all: Vec<Past>) -> (Vec<Past>, bool) {
        match self.order {
            Order::Ascending => all.retain(|(_, found)| found.modified >= self.from),
            Order::Descending => {
                all.retain(|(_, found)| self.from == 0 || found.modified <= self.from);
                all.reverse();
            }
        }
        let limit = self.limit.unwrap_or(all.len());
        let more = all.len() > limit;
        all.truncate(limit);
        (all, more)
    }
}

/// What has a history.
pub(super) enum State<'a, S: Storage> {
    Store(&'a Store<S>),
    Snapshot(&'a Snapshot<S>),
}

impl<S: Storage> State<'_, S> {
    fn history(&self, key: &[u8], wanted: Wanted) -> Result<Versions> {
        let request = match self {
            Self::Store(store) => store.history(key),
            Self::Snapshot(snapshot) => snapshot.history(key),
        };
        let request = request.order(wanted.order).from(wanted.from);
        wanted.limit.into_iter().fold(request, palimpsest_kv::HistoryRequest::limit).collect()
    }

    fn diff(&self, from: u64, to: u64, (keys, limit): (&Keys, Option<usize>)) -> Result<Differences> {
        let request = match self {
            Self::Store(store) => store.diff(from, to),
            Self::Snapshot(snapshot) => snapshot.diff(from, to),
        };
        let request = request.keys(keys);
        limit.into_iter().fold(request, palimpsest_kv::DiffRequest::limit).collect()
    }

    /// Compares a key's history until a revision.
    pub(super) fn compare_history(
        &self,
        model: &Model,
        (key, wanted): (&[u8], Wanted),
        seen: (&Horizon, u64),
    ) {
        let (horizon, until) = seen;
        let answer = self.history(key, wanted);
        let answer = answer.map(|found| (found.versions.iter().map(past_of).collect::<Vec<_>>(), found.more));
        let expected = wanted.of(model.versions(key, horizon, until));
        agree(answer, if key.is_empty() { Err(vec![Error::EmptyKey]) } else { Ok(expected) });
    }

    fn compare_diff(&self, model: &Model, (from, to): (u64, u64), seen: (&Horizon, Option<usize>)) {
        let (horizon, limit) = seen;
        let keys = Keys::all();
        let answer = self.diff(from, to, (&keys, limit));
        let answer =
            answer.map(|found| (found.differences.iter().map(differing).collect::<Vec<_>>(), found.more));
        let expected = match (horizon.readable(Some(from)), horizon.readable(Some(to))) {
            (Ok(from), Ok(to)) => {
                let mut all = model.differing(&keys, from, to);
                let more = limit.is_some_and(|limit| all.len() > limit);
                all.truncate(limit.unwrap_or(usize::MAX));
                Ok((all, more))
            }
            (from, to) => Err([from.err(), to.err()].into_iter().flatten().flatten().collect()),
        };
        agree(answer, expected);
    }
}

impl<M: Medium> Checked<M> {
    /// Compares the history of one key, another one each time, in the way whose turn it is; and the number of keys at some revision.
    pub(super) fn compare_some_past(&mut self) {
        self.turn += 1;
        let mut rng = Rng::new(self.turn);
        let keys = self.model.keys().count();
        let Some(key) = self.model.keys().nth(rng.index(keys.max(1))).map(<[u8]>::to_vec) else { return };
        let newest = self.model.revision();
        let (horizon, wanted) = (self.model.horizon(), Wanted::random(&mut rng, newest));
        let store = self.store.as_ref().expect("the store is open");
        State::Store(store).compare_history(&self.model, (&key, wanted), (&horizon, newest));
        let at = rng.below(newest + 1);
        let count = store.range(Keys::at_least(&key)).at(at).count();
        let expected = horizon.readable(Some(at));
        agree(count, expected.map(|at| self.model.at(&Keys::at_least(&key), at).len() as u64));
    }

    /// Compares the histories of all keys, differences between revisions, and what a compaction would free.
    pub(super) fn compare_past(&mut self, rng: &mut Rng) {
        let (model, newest) = (&self.model, self.model.revision());
        let store = self.store.as_ref().expect("the store is open");
        let (oldest, horizon) = (model.compacted().unwrap_or(1), model.horizon());
        let seen = (&horizon, newest);
        for key in model.keys() {
            State::Store(store).compare_history(model, (key, WHOLE), seen);
            State::Store(store).compare_history(model, (key, Wanted::random(rng, newest)), seen);
        }
        let between = |rng: &mut Rng| oldest + rng.below(newest + 1 - oldest.min(newest));
        for (from, to) in
            [(oldest, newest), (between(rng), between(rng)), (rng.below(newest + 2), between(rng))]
        {
            let limit = if rng.once_in(2) { None } else { Some(rng.index(5)) };
            State::Store(store).compare_diff(model, (from, to), (&horizon, limit));
        }
        for held in &self.snapshots {
            let state = State::Snapshot(&held.snapshot);
            for key in model.keys() {
                state.compare_history(model, (key, WHOLE), (&held.horizon, held.revision));
            }
            state.compare_diff(model, (held.revision, 0), (&held.horizon, None));
        }
        self.compare_dry_run(between(rng));
    }

    /// What a compaction would free is what one to here has left and one to there does not, or to where a watcher holds it up.
    fn compare_dry_run(&self, revision: u64) {
        let (model, store) = (&self.model, self.store.as_ref().expect("the store is open"));
        let answer = store.dry_run(revision).and_then(|run| run.by_prefix("0", 1).finish(store));
        let held = store.holders(Time::from_micros(0)).into_iter().filter_map(|holder| match holder {
            Holder::Watcher { revision, .. } => Some(revision.get()),
            _ => None,
        });
        let reached = model.compacted().max(held.chain([revision]).min());
        let expected = match model.clone().compact(revision) {
            Err(errors) => return agree(answer.map(|report| report.freed.records), Err(errors)),
            Ok(_) => {
                let left = |compacted| model.numbers(&model.rule(compacted)).records;
                left(model.compacted()) - left(reached)
            }
        };
        let report = answer.expect("a dry run succeeds");
        assert_eq!(report.revision, Revision::new(revision));
        let sum = |count: fn(&palimpsest_kv::Freed) -> u64| {
            report.prefixes.iter().map(|(_, freed)| count(freed)).sum::<u64>()
        };
        assert_eq!(
            (sum(|freed| freed.records), sum(|freed| freed.bytes)),
            (report.freed.records, report.freed.bytes),
            "what the prefixes add up to"
        );
        // One that its own transaction has changed once more may go with this compaction or with the one before.
        let forgotten = model.forgotten_at(model.compacted()) + model.forgotten_at(reached);
        let difference = report.freed.records.abs_diff(expected);
        assert!(difference <= forgotten, "{} records would go, not {expected}", report.freed.records);
    }
}
