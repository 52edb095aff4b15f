//! The store's answers beside the model's.

use std::fmt::Debug;

use palimpsest_kv::storage::Storage;
use palimpsest_kv::{
    Error, Keys, OpOutcome, RangeRequest, RangeResult, Read, Result, Snapshot, Store, TxnOutcome,
};

use crate::action::{Form, Found, Query};
use crate::model::{Answer, Committed, Expected, Model, StepOutcome, limited, selected};

/// The store's answer and the model's must be the same; of several errors that apply, the store may give any.
#[track_caller]
pub(super) fn agree<T: Debug + PartialEq>(answer: Result<T>, expected: Expected<T>) {
    match (answer, expected) {
        (Ok(answer), Ok(expected)) => assert_eq!(answer, expected, "the store's answer, then the model's"),
        (Err(error), Err(errors)) => assert!(errors.contains(&error), "{error:?}, not one of {errors:?}"),
        (answer, expected) => panic!("the store answered {answer:?}, the model {expected:?}"),
    }
}

pub(super) fn all_found<'a>(entries: impl IntoIterator<Item = &'a palimpsest_kv::Entry>) -> Vec<Found> {
    entries.into_iter().map(Found::from).collect()
}

/// The revision at which these keys can be read: none where the only key is empty, besides what else may be wrong.
pub(super) fn read_of(keys: &Keys, revision: Expected<u64>) -> Expected<u64> {
    if !keys.single().is_some_and(<[u8]>::is_empty) {
        return revision;
    }
    Err([vec![Error::EmptyKey], revision.err().unwrap_or_default()].concat())
}

pub(super) fn everything(revision: Option<u64>, form: Form) -> Query {
    Query { form, ..Query::plain(Keys::all(), revision) }
}

/// An error that the model expects is no failure.
pub(super) fn refused<T>(error: Error, expected: Expected<T>) -> Result<()> {
    if expected.is_err_and(|errors| errors.contains(&error)) { Ok(()) } else { Err(error) }
}

pub(super) fn committed(outcome: &TxnOutcome) -> Committed {
    Committed {
        succeeded: outcome.succeeded,
        revision: outcome.revision.get(),
        outcomes: outcome.outcomes.iter().map(step_outcome).collect(),
    }
}

fn step_outcome(outcome: &OpOutcome) -> StepOutcome {
    match outcome {
        OpOutcome::Put(done) => {
            StepOutcome::Put(done.revision.get(), done.previous.as_ref().map(Found::from))
        }
        OpOutcome::Deleted(done) => {
            StepOutcome::Deleted(done.revision.get(), done.deleted, all_found(&done.previous))
        }
        OpOutcome::Read(result) => StepOutcome::Read(answer_of(result)),
        OpOutcome::Txn(outcome) => StepOutcome::Txn(committed(outcome)),
    }
}

fn answer_of(result: &RangeResult) -> Answer {
    let RangeResult { entries, more, count, revision } = result;
    Answer { entries: all_found(entries), more: *more, count: *count, revision: revision.get() }
}

/// What is read from.
pub(super) enum Place<'a, S: Storage> {
    Store(&'a Store<S>),
    Snapshot(&'a Snapshot<S>),
}

impl<'a, S: Storage> Place<'a, S> {
    /// The request that a query describes, all but its form.
    fn request(&self, query: &Query) -> RangeRequest<'a, S> {
        let mut request = match self {
            Self::Store(store) => store.range(&query.keys),
            Self::Snapshot(snapshot) => snapshot.range(&query.keys),
        };
        if let Some(revision) = query.revision {
            request = request.at(revision);
        }
        if let Some(limit) = query.limit {
            request = request.limit(limit);
        }
        if let Some((by, order)) = query.sort {
            request = request.sort(by, order);
        }
        let ((min, max), (first, last)) = (query.bounds.modified, query.bounds.created);
        request
            .min_mod_revision(min)
            .max_mod_revision(max)
            .min_create_revision(first)
            .max_create_revision(last)
    }

    /// All at once. The store answers to a description too.
    fn answer(&self, query: &Query) -> Result<RangeResult> {
        match (self, query.form) {
            (Self::Store(store), Form::Counted | Form::CountOnly) => store.read(&Read::from(query)),
            (Self::Snapshot(_), Form::Counted | Form::CountOnly) => {
                self.request(query).with_count().collect()
            }
            (_, Form::KeysOnly) => self.request(query).keys_only().collect(),
            (_, Form::Collected | Form::Lazy | Form::Count) => self.request(query).collect(),
        }
    }
}

/// A read, the revision that it must answer from, and the one that it must call the current one.
pub(super) struct Asked<'a> {
    pub(super) query: &'a Query,
    pub(super) revision: Expected<u64>,
    pub(super) current: u64,
}

/// Asks in the form that the query wants, and compares with the model as of the revision that must be read.
pub(super) fn compare_range<S: Storage>(model: &Model, place: &Place<'_, S>, asked: &Asked<'_>) {
    let Asked { query, revision, current } = asked;
    let at = read_of(&query.keys, revision.clone());
    match query.form {
        Form::Count => {
            let expected = at.map(|at| model.at(&query.keys, at).len() as u64);
            agree(place.request(query).count(), expected);
        }
        Form::Lazy => {
            let answer = place.request(query).iter().and_then(Iterator::collect::<Result<Vec<_>>>);
            let expected = at.map(|at| limited(selected(model.at(&query.keys, at), query), query.limit).0);
            agree(answer.map(|entries| all_found(&entries)), expected);
        }
        Form::Collected | Form::KeysOnly | Form::Counted | Form::CountOnly => {
            let answer = place.answer(query).map(|result| answer_of(&result));
            let is_snapshot = matches!(place, Place::Snapshot(_));
            // A snapshot can't be asked for a number alone.
            let query = match query.form {
                Form::CountOnly if is_snapshot => &Query { form: Form::Counted, ..(*query).clone() },
                _ => *query,
            };
            agree(answer, at.map(|at| Answer { revision: *current, ..model.answer(query, at) }));
        }
    }
}
