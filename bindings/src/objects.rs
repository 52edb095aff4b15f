//! Options and results as plain objects.

use core::time::Duration;

use palimpsest_kv::{
    AutoCompaction, CheckReport, CompactionProgress, Deleted, Durability, HashKv, Next, Options,
    RetentionRule, Revoked, Status, Thinning,
};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;

use crate::clock::as_millis;
use crate::errors::{JsResult, invalid};
use crate::keys::exact;

/// Reads a plain object. Fields that are not asked for are not seen: the package checks names before.
pub(crate) fn from_js<T: for<'de> Deserialize<'de>>(object: JsValue) -> JsResult<T> {
    serde_wasm_bindgen::from_value(object).map_err(|error| invalid(&error.to_string()))
}

/// Makes a plain object; a value that is not there is `undefined`.
pub(crate) fn to_js(value: &impl Serialize) -> JsResult<JsValue> {
    Ok(serde_wasm_bindgen::to_value(value)?)
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum DurabilityName {
    Strict,
    Relaxed,
}

/// How a store is opened; what is absent has the engine's default. Times are in milliseconds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OpenOptions {
    page_bytes: Option<usize>,
    cache_bytes: Option<usize>,
    durability: Option<DurabilityName>,
    flush_interval: Option<f64>,
    compaction_batch_limit: Option<usize>,
    compaction_pause: Option<f64>,
    max_key_bytes: Option<usize>,
    max_value_bytes: Option<usize>,
    max_txn_ops: Option<usize>,
    auto_compaction: Option<AutoCompactionObject>,
    thinning: Option<ThinningObject>,
    retention: Option<Vec<RuleObject>>,
    quota_bytes: Option<f64>,
}

/// Which history a store gives up by itself: what is older than some milliseconds, and more than some revisions ago, if it says so; none
/// if it says neither.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct AutoCompactionObject {
    periodic: Option<f64>,
    revisions: Option<f64>,
}

impl AutoCompactionObject {
    pub(crate) fn policy(self) -> JsResult<AutoCompaction> {
        Ok(match (self.periodic, self.revisions) {
            (Some(millis), Some(count)) => {
                AutoCompaction::Both { period: as_duration("periodic", millis)?, revisions: exact(count)? }
            }
            (Some(millis), None) => AutoCompaction::Periodic(as_duration("periodic", millis)?),
            (None, Some(count)) => AutoCompaction::Revisions(exact(count)?),
            (None, None) => AutoCompaction::Off,
        })
    }
}

/// How history gets thinner with age; times are in milliseconds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ThinningObject {
    all_for: f64,
    steps: Vec<ThinningStepObject>,
}

/// One revision of each interval, until it is so old.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThinningStepObject {
    every: f64,
    keep_for: f64,
}

impl ThinningObject {
    pub(crate) fn thinning(self) -> JsResult<Thinning> {
        let all = Thinning::keep_all_for(as_duration("thinning.allFor", self.all_for)?);
        self.steps.into_iter().try_fold(all, |thinning, step| {
            let every = as_duration("thinning.every", step.every)?;
            Ok(thinning.then_one_every(every, as_duration("thinning.keepFor", step.keep_for)?))
        })
    }
}

/// A rule of retention; the time is in milliseconds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RuleObject {
    #[serde(with = "serde_bytes")]
    prefix: Vec<u8>,
    newest: Option<f64>,
    for_at_least: Option<f64>,
}

/// The rules that JavaScript says.
pub(crate) fn rules(rules: Vec<RuleObject>) -> JsResult<Vec<RetentionRule>> {
    let rule = |rule: RuleObject| {
        let mut all = RetentionRule::of(&rule.prefix);
        if let Some(versions) = rule.newest {
            all = all.newest(exact(versions)?);
        }
        if let Some(time) = rule.for_at_least {
            all = all.for_at_least(as_duration("retention.forAtLeast", time)?);
        }
        Ok(all)
    };
    rules.into_iter().map(rule).collect()
}

/// A duration that JavaScript says in milliseconds.
pub(crate) fn as_duration(what: &str, millis: f64) -> JsResult<Duration> {
    Duration::try_from_secs_f64(millis / 1000.0).map_err(|_| {
        invalid(&format!("the option {what} is invalid: {millis} is not a duration in milliseconds"))
    })
}

/// A duration as JavaScript says it: in milliseconds.
pub(crate) fn duration_millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn millis(option: &str, value: Option<f64>, default: Duration) -> JsResult<Duration> {
    value.map_or(Ok(default), |millis| as_duration(option, millis))
}

impl OpenOptions {
    /// The engine's options, for a store that gets this id if it is created now.
    pub(crate) fn engine(self, store_id: u64) -> JsResult<Options> {
        let default = Options::default();
        Ok(Options {
            page_bytes: self.page_bytes.unwrap_or(default.page_bytes),
            cache_bytes: self.cache_bytes.unwrap_or(default.cache_bytes),
            durability: match self.durability {
                Some(DurabilityName::Strict) => Durability::Strict,
                Some(DurabilityName::Relaxed) => Durability::Relaxed,
                None => default.durability,
            },
            flush_interval: millis("flushInterval", self.flush_interval, default.flush_interval)?,
            compaction_batch_limit: self.compaction_batch_limit.unwrap_or(default.compaction_batch_limit),
            compaction_pause: millis("compactionPause", self.compaction_pause, default.compaction_pause)?,
            max_key_bytes: self.max_key_bytes.unwrap_or(default.max_key_bytes),
            max_value_bytes: self.max_value_bytes.unwrap_or(default.max_value_bytes),
            max_txn_ops: self.max_txn_ops.unwrap_or(default.max_txn_ops),
            auto_compaction: self.auto_compaction.unwrap_or_default().policy()?,
            retention: rules(self.retention.unwrap_or_default())?,
            thinning: self.thinning.map(ThinningObject::thinning).transpose()?,
            quota_bytes: self.quota_bytes.map(exact).transpose()?,
            store_id: Some(store_id),
        })
    }
}

/// What a delete answers, or the end of a lease.
#[derive(Serialize)]
pub(crate) struct DeletedObject {
    revision: u64,
    deleted: u64,
}

impl From<Deleted> for DeletedObject {
    fn from(deleted: Deleted) -> Self {
        Self { revision: deleted.revision.get(), deleted: deleted.deleted }
    }
}

impl From<Revoked> for DeletedObject {
    fn from(revoked: Revoked) -> Self {
        Self { revision: revoked.revision.get(), deleted: revoked.deleted }
    }
}

/// The hash of a store's history.
#[derive(Serialize)]
pub(crate) struct HashObject {
    hash: u32,
    compacted: Option<u64>,
    revision: u64,
}

impl From<HashKv> for HashObject {
    fn from(hashed: HashKv) -> Self {
        let compacted = hashed.compacted.map(|revision| revision.get());
        Self { hash: hashed.hash, compacted, revision: hashed.revision.get() }
    }
}

/// When the engine wants to run again; `at` is on the scale of `performance.now()`.
#[derive(Serialize)]
#[serde(tag = "when", rename_all = "lowercase")]
pub(crate) enum NextObject {
    Now,
    At { at: f64 },
    Idle,
}

impl From<Next> for NextObject {
    fn from(next: Next) -> Self {
        match next {
            Next::Now => Self::Now,
            Next::At(time) => Self::At { at: as_millis(time) },
            Next::Idle => Self::Idle,
        }
    }
}

/// How far a compaction is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProgressObject {
    revision: u64,
    removed: u64,
    total: u64,
    pages_freed: u64,
    held: u64,
    finished: bool,
}

impl From<CompactionProgress> for ProgressObject {
    fn from(progress: CompactionProgress) -> Self {
        Self {
            revision: progress.revision.get(),
            removed: progress.removed,
            total: progress.total,
            pages_freed: progress.pages_freed,
            held: progress.held,
            finished: progress.is_finished,
        }
    }
}

/// The store in numbers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusObject {
    revision: u64,
    durable_revision: u64,
    compacted: Option<u64>,
    scheduled: Option<u64>,
    finished: Option<u64>,
    live_keys: u64,
    keys: u64,
    records: u64,
    dead_records: u64,
    page_bytes: usize,
    file_bytes: u64,
    used_bytes: u64,
    quota_bytes: Option<u64>,
    is_out_of_space: bool,
    is_shrinking: bool,
    is_compacting: bool,
    retention_rules: u64,
    leases: u64,
    pins: u64,
    watchers: u64,
    free_pages: u64,
    pending_pages: u64,
    snapshots: u64,
    checkpoints: u64,
    cache_bytes: u64,
    longest_step_ms: f64,
}

impl From<Status> for StatusObject {
    fn from(status: Status) -> Self {
        Self {
            revision: status.revision.get(),
            durable_revision: status.durable_revision.get(),
            compacted: status.compacted.map(|revision| revision.get()),
            scheduled: status.scheduled.map(|revision| revision.get()),
            finished: status.finished.map(|revision| revision.get()),
            live_keys: status.live_keys,
            keys: status.keys,
            records: status.records,
            dead_records: status.dead_records,
            page_bytes: status.page_bytes,
            file_bytes: status.file_bytes,
            used_bytes: status.used_bytes,
            quota_bytes: status.quota_bytes,
            is_out_of_space: status.is_out_of_space,
            is_shrinking: status.is_shrinking,
            is_compacting: status.is_compacting,
            retention_rules: status.retention_rules,
            leases: status.leases,
            pins: status.pins,
            watchers: status.watchers,
            free_pages: status.free_pages,
            pending_pages: status.pending_pages,
            snapshots: status.snapshots,
            checkpoints: status.checkpoints,
            cache_bytes: status.cache_bytes,
            longest_step_ms: status.longest_step_micros as f64 / 1000.0,
        }
    }
}

/// What a check of the whole store has seen.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CheckObject {
    keys: u64,
    records: u64,
    reachable_pages: u64,
    pending_pages: u64,
    free_pages: u64,
}

impl From<CheckReport> for CheckObject {
    fn from(report: CheckReport) -> Self {
        Self {
            keys: report.keys,
            records: report.records,
            reachable_pages: report.reachable_pages,
            pending_pages: report.pending_pages,
            free_pages: report.free_pages,
        }
    }
}
