//! The store's answers beside the model's.

use std::fmt::Debug;

use palimpsest_kv::storage::Storage;
use palimpsest_kv::{Error, Keys, OpOutcome, RangeRequest};

use crate::action::{Form, Found, Query};
use crate::model::{Expected, Model, StepOutcome, limited};

/// The store's answer and the model's must be the same; of several errors that apply, the store may give any.
#[track_caller]
pub(super) fn agree<T: Debug + PartialEq>(answer: Result<T, Error>, expected: Expected<T>) {
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
    Query { keys: Keys::all(), revision, limit: None, form }
}

/// An error that the model expects is no failure.
pub(super) fn refused<T>(error: Error, expected: Expected<T>) -> Result<(), Error> {
    if expected.is_err_and(|errors| errors.contains(&error)) { Ok(()) } else { Err(error) }
}

pub(super) fn step_outcome(outcome: &OpOutcome) -> StepOutcome {
    match outcome {
        OpOutcome::Put(_) => StepOutcome::Put,
        OpOutcome::Deleted(done) => StepOutcome::Deleted(done.deleted),
        OpOutcome::Read(result) => {
            StepOutcome::Read(all_found(&result.entries), result.more, result.revision.get())
        }
        OpOutcome::Txn(_) => unreachable!("these transactions have none within them"),
    }
}

/// A read, the revision that it must answer from, and the one that it must call the current one.
pub(super) struct Asked<'a> {
    pub(super) query: &'a Query,
    pub(super) revision: Expected<u64>,
    pub(super) current: u64,
}

/// Asks in the form that the query wants, and compares with the model as of the revision that must be read.
pub(super) fn compare_range<'a, S: Storage + 'a>(
    model: &Model,
    request: impl Fn() -> RangeRequest<'a, S>,
    asked: &Asked<'_>,
) {
    let Asked { query, revision, current } = asked;
    let all = read_of(&query.keys, revision.clone()).map(|revision| model.at(&query.keys, revision));
    let limit = |request: RangeRequest<'a, S>| {
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
