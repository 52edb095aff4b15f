//! How a range is read.

use palimpsest_kv::{Keys, Order, RangeRequest, Read, Revision, SortBy, WallTime};
use serde::Deserialize;

use crate::errors::JsResult;
use crate::keys::{exact, revision};
use crate::storage::Medium;

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum SortName {
    Key,
    Version,
    CreateRevision,
    ModRevision,
    Value,
}

impl From<SortName> for SortBy {
    fn from(name: SortName) -> Self {
        match name {
            SortName::Key => Self::Key,
            SortName::Version => Self::Version,
            SortName::CreateRevision => Self::CreateRevision,
            SortName::ModRevision => Self::ModRevision,
            SortName::Value => Self::Value,
        }
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OrderName {
    Ascending,
    Descending,
}

#[derive(Clone, Copy, Deserialize)]
struct Sort {
    by: SortName,
    order: OrderName,
}

/// How a range is read; a revision that is absent, or 0, sets no bound. `at` is a time in place of a revision, for reads of a transaction.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RangeOptions {
    revision: Option<f64>,
    at: Option<f64>,
    limit: Option<usize>,
    keys_only: Option<bool>,
    count_only: Option<bool>,
    with_count: Option<bool>,
    sort: Option<Sort>,
    min_mod_revision: Option<f64>,
    max_mod_revision: Option<f64>,
    min_create_revision: Option<f64>,
    max_create_revision: Option<f64>,
}

/// A bound on revisions; 0 is none.
fn bound(number: Option<f64>) -> JsResult<u64> {
    exact(number.unwrap_or_default())
}

/// Applies what [`Read`] and [`RangeRequest`] have in common.
macro_rules! apply {
    ($options:expr, $read:expr) => {{
        let options = $options;
        let mut read = $read
            .min_mod_revision(bound(options.min_mod_revision)?)
            .max_mod_revision(bound(options.max_mod_revision)?)
            .min_create_revision(bound(options.min_create_revision)?)
            .max_create_revision(bound(options.max_create_revision)?);
        if let Some((by, order)) = options.order() {
            read = read.sort(by, order);
        }
        if options.keys_only == Some(true) { read.keys_only() } else { read }
    }};
}

impl RangeOptions {
    /// The revision to read at; `None` for the newest.
    pub(crate) fn revision(&self) -> JsResult<Option<Revision>> {
        revision(self.revision.unwrap_or_default())
    }

    /// How many entries at most.
    pub(crate) fn limit(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
    }

    /// The order that is asked for, if it is not the one that keys have anyway.
    pub(crate) fn order(&self) -> Option<(SortBy, Order)> {
        match self.sort? {
            Sort { by: SortName::Key, order: OrderName::Ascending } => None,
            Sort { by, order: OrderName::Ascending } => Some((by.into(), Order::Ascending)),
            Sort { by, order: OrderName::Descending } => Some((by.into(), Order::Descending)),
        }
    }

    /// A read within a transaction.
    pub(crate) fn read(&self, keys: Keys) -> JsResult<Read> {
        let read = self.revision()?.into_iter().fold(Read::new(keys), Read::at);
        let time = self.at.map(exact).transpose()?.map(WallTime::from_millis);
        let read = time.into_iter().fold(read, Read::at_time);
        let read = apply!(self, self.limit.into_iter().fold(read, Read::limit));
        let read = if self.with_count == Some(true) { read.with_count() } else { read };
        Ok(if self.count_only == Some(true) { read.count_only() } else { read })
    }

    /// A range with these bounds on revisions, in this order.
    pub(crate) fn range<'a>(
        &self,
        range: RangeRequest<'a, Medium>,
        limit: usize,
    ) -> JsResult<RangeRequest<'a, Medium>> {
        Ok(apply!(self, range.limit(limit)))
    }
}
