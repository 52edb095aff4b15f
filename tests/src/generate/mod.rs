//! Random actions, chosen as a swarm: each run leaves some kinds out and favours others wildly, so that runs differ in what
//! they are about and rare combinations come up.

use std::time::Duration;

use palimpsest_kv::{Budget, Durability, Options};

use crate::action::Action;
use crate::checked::Open;
use crate::faulty::{Fault, Lasting, Operation};
use crate::medium::Power;
use crate::model::Model;
use crate::rng::Rng;

mod lasting;
mod values;
mod writes;

/// The longest key that the generated options allow, in bytes: longer than several of the smallest pages.
const MAX_KEY_BYTES: usize = 3_000;
/// The longest value that the generated options allow, in bytes.
const MAX_VALUE_BYTES: usize = 120_000;
/// Open snapshots at most.
const MAX_SNAPSHOTS: usize = 6;
/// Watchers at most.
const MAX_WATCHERS: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Put,
    Delete,
    Commit,
    Get,
    Range,
    OpenSnapshot,
    ReadSnapshot,
    DropSnapshot,
    Grant,
    Revoke,
    KeepAlive,
    Pin,
    Unpin,
    Retention,
    Pass,
    Watch,
    Poll,
    Cancel,
    Quota,
    Compact,
    Run,
    RunUntilIdle,
    Flush,
    Checkpoint,
    Shrink,
    Reopen,
    CutPower,
    CutPowerDuring,
    FailDuring,
}

/// Every kind, and how often it comes compared with the others before the swarm has its say. Those at the end cost as much as
/// hundreds of the others.
const KINDS: [(Kind, u64); 29] = [
    (Kind::Put, 400),
    (Kind::Delete, 60),
    (Kind::Commit, 100),
    (Kind::Get, 100),
    (Kind::Range, 40),
    (Kind::OpenSnapshot, 10),
    (Kind::ReadSnapshot, 20),
    (Kind::DropSnapshot, 8),
    (Kind::Grant, 16),
    (Kind::Revoke, 6),
    (Kind::KeepAlive, 8),
    (Kind::Pin, 12),
    (Kind::Unpin, 8),
    (Kind::Retention, 2),
    (Kind::Pass, 20),
    (Kind::Watch, 10),
    (Kind::Poll, 60),
    (Kind::Cancel, 4),
    (Kind::Quota, 2),
    (Kind::Compact, 12),
    (Kind::Run, 100),
    (Kind::RunUntilIdle, 4),
    (Kind::Flush, 20),
    (Kind::Checkpoint, 6),
    (Kind::Shrink, 6),
    (Kind::Reopen, 2),
    (Kind::CutPower, 3),
    (Kind::CutPowerDuring, 6),
    (Kind::FailDuring, 4),
];

/// How the keys of one run look.
#[derive(Clone, Copy, Debug)]
enum KeyStyle {
    /// `k017`.
    Numbered,
    /// Few letters, so that keys are prefixes of others; with the least and the greatest byte among them.
    Letters,
    /// A long common prefix, then a number.
    Long,
    /// Of any length up to the limit, and any bytes.
    Wild,
}

/// What a run is about.
#[derive(Clone, Debug)]
pub struct Swarm {
    weights: Vec<(Kind, u64)>,
    style: KeyStyle,
    distinct_keys: u64,
    value_bytes: usize,
    budget_micros: u64,
    /// Of so many puts one is not plain; 0 if all are.
    special_one_in: u64,
}

/// Options for a run with this page size.
pub fn options(rng: &mut Rng, page_bytes: usize) -> Options {
    Options {
        page_bytes,
        cache_bytes: rng.one_of(&[0, page_bytes, 10_000, 100_000, Options::default().cache_bytes]),
        durability: rng.one_of(&[Durability::Strict, Durability::Relaxed]),
        flush_interval: Duration::from_millis(rng.one_of(&[0, 1, 100])),
        compaction_batch_limit: rng.one_of(&[1, 3, 20, 1_000]),
        compaction_pause: Duration::from_micros(rng.one_of(&[0, 100, 10_000])),
        max_key_bytes: MAX_KEY_BYTES,
        max_value_bytes: MAX_VALUE_BYTES,
        max_txn_ops: rng.one_of(&[1, 4, 128]),
        store_id: Some(rng.bits()),
        ..Options::default()
    }
}

impl Swarm {
    /// What a new run is about.
    pub fn new(rng: &mut Rng, power: Power) -> Self {
        let mut weights: Vec<(Kind, u64)> = KINDS.to_vec();
        weights.retain(|(kind, _)| *kind == Kind::Put || !rng.once_in(3));
        let cuts_power =
            |kind: Kind| matches!(kind, Kind::CutPower | Kind::CutPowerDuring | Kind::FailDuring);
        weights.retain(|(kind, _)| power == Power::Unreliable || !cuts_power(*kind));
        weights.iter_mut().for_each(|(_, weight)| *weight = (*weight << rng.below(6)) >> rng.below(4));
        if rng.once_in(4) {
            // Hardly open, gone again: what one loss of power leaves behind is there at the next.
            weights.iter_mut().filter(|(kind, _)| cuts_power(*kind)).for_each(|(_, weight)| *weight = 60);
        }
        Self {
            weights,
            style: rng.one_of(&[KeyStyle::Numbered, KeyStyle::Letters, KeyStyle::Long, KeyStyle::Wild]),
            distinct_keys: rng.one_of(&[1, 5, 30, 150]),
            value_bytes: rng.one_of(&[0, 12, 12, 100, 100, 400, 3_000]),
            budget_micros: rng.one_of(&[0, 1, 50, 2_000]),
            special_one_in: rng.one_of(&[0, 3, 10]),
        }
    }

    /// The next action on a store that the model describes and of which so much is open.
    pub fn next(&self, rng: &mut Rng, (model, open): (&Model, Open)) -> Action {
        let Open { snapshots, watchers } = open;
        match self.kind(rng) {
            Kind::Put => durably(rng, |rng| Action::Put(self.putting(rng, model))),
            Kind::Delete => durably(rng, |rng| Action::Delete(self.deleting(rng))),
            Kind::Commit => durably(rng, |rng| Action::Commit(self.transaction(rng, model))),
            Kind::Get => Action::Get(self.key_or_bad(rng), revision(rng, model)),
            Kind::Range => {
                let revision = revision(rng, model);
                Action::Range(self.query(rng, (revision, model)))
            }
            Kind::OpenSnapshot if snapshots < MAX_SNAPSHOTS => Action::OpenSnapshot(revision(rng, model)),
            Kind::ReadSnapshot if snapshots > 0 => {
                let revision = if rng.once_in(3) { revision(rng, model) } else { None };
                Action::ReadSnapshot(rng.index(snapshots), self.query(rng, (revision, model)))
            }
            Kind::DropSnapshot if snapshots > 0 => Action::DropSnapshot(rng.index(snapshots)),
            Kind::Watch if watchers < MAX_WATCHERS => Action::Watch(self.wish(rng, model)),
            Kind::Poll if watchers > 0 => Action::Poll(rng.index(watchers)),
            Kind::Cancel if watchers > 0 => Action::Cancel(rng.index(watchers)),
            other => self.next_on_the_store(rng, (model, other)),
        }
    }

    /// The next action if it is about nothing that must be open.
    fn next_on_the_store(&self, rng: &mut Rng, (model, kind): (&Model, Kind)) -> Action {
        match kind {
            Kind::Grant => self.grant(rng),
            Kind::Revoke => Action::Revoke(lasting::lease(rng, model)),
            Kind::KeepAlive => Action::KeepAlive(lasting::lease(rng, model)),
            Kind::Pass => lasting::pass(rng),
            Kind::Pin => lasting::pin(rng, model),
            Kind::Unpin => Action::Unpin(lasting::pin_name(rng, model)),
            Kind::Retention => self.retention(rng),
            Kind::Quota => Action::Quota(rng.one_of(&[None, None, Some(3_000), Some(20_000), Some(100_000)])),
            Kind::Compact => Action::Compact(compact_revision(rng, model)),
            Kind::RunUntilIdle => Action::RunUntilIdle,
            Kind::Flush => Action::Flush,
            Kind::Checkpoint => Action::Checkpoint,
            Kind::Shrink => Action::Shrink,
            Kind::Reopen => Action::Reopen,
            Kind::CutPower => Action::CutPower(rng.bits()),
            Kind::CutPowerDuring => {
                let (action, changes) = self.interrupted(rng, model);
                Action::CutPowerDuring(action, changes, rng.bits())
            }
            Kind::FailDuring => {
                let (action, operations) = self.interrupted(rng, model);
                Action::FailDuring(action, fault(rng, operations), rng.bits())
            }
            _ => Action::Run(Budget::micros(self.budget_micros)),
        }
    }

    /// What is interrupted, and after how many changes.
    fn interrupted(&self, rng: &mut Rng, model: &Model) -> (Box<Action>, u64) {
        let action = match rng.below(14) {
            0..2 => Action::Put(self.putting(rng, model)),
            2 => Action::Delete(self.deleting(rng)),
            3 => Action::Compact(compact_revision(rng, model)),
            4 => Action::Flush,
            5 => Action::Checkpoint,
            6 => Action::Commit(self.transaction(rng, model)),
            7 => Action::Revoke(lasting::lease(rng, model)),
            8 => Action::KeepAlive(lasting::lease(rng, model)),
            9 => Action::Grant(Some(lasting::lease(rng, model)), 10_000),
            10 => lasting::pin(rng, model),
            11 => Action::Unpin(lasting::pin_name(rng, model)),
            _ => Action::RunUntilIdle,
        };
        let changes = rng.one_of(&[2, 8, 40]);
        (Box::new(action), rng.below(changes))
    }

    fn kind(&self, rng: &mut Rng) -> Kind {
        let total = self.weights.iter().map(|(_, weight)| weight).sum();
        let mut place = rng.below(total);
        for (kind, weight) in &self.weights {
            if place < *weight {
                return *kind;
            }
            place -= weight;
        }
        Kind::Put
    }
}

/// A write, now and then with a durability that is not the store's.
fn durably(rng: &mut Rng, write: impl FnOnce(&mut Rng) -> Action) -> Action {
    let durability = rng.one_of(&[None, None, None, Some(Durability::Strict), Some(Durability::Relaxed)]);
    let write = write(rng);
    match durability {
        Some(durability) => Action::Durably(durability, Box::new(write)),
        None => write,
    }
}

/// Something that goes wrong after so many operations.
fn fault(rng: &mut Rng, operations: u64) -> Fault {
    let lasting = rng.one_of(&[Lasting::Once, Lasting::ForGood]);
    match rng.below(6) {
        0 => Fault::Failing(Operation::Write, operations, lasting),
        1 => Fault::Failing(Operation::Resize, 0, lasting),
        2 => Fault::Failing(Operation::Read, operations, lasting),
        3 => Fault::Full(rng.index(300_000)),
        _ => Fault::Failing(Operation::Sync, operations / 8, lasting),
    }
}

/// A revision to read: often now, mostly one that is there, sometimes compacted or in the future.
fn revision(rng: &mut Rng, model: &Model) -> Option<u64> {
    let (oldest, newest) = (model.compacted().unwrap_or(0), model.revision());
    match rng.below(20) {
        0..7 => None,
        7 => Some(0),
        8 => Some(newest + rng.below(3)),
        9..11 => Some((oldest + rng.below(3)).saturating_sub(1)),
        11 => Some(rng.below(newest + 3)),
        12..15 if !model.pins().all().is_empty() => {
            let pinned: Vec<u64> = model.pins().revisions().into_iter().collect();
            Some(rng.one_of(&pinned))
        }
        _ => Some(oldest + rng.below(newest + 1 - oldest)),
    }
}

/// A revision to compact to: mostly one that can be, sometimes one that is compacted already or in the future.
fn compact_revision(rng: &mut Rng, model: &Model) -> u64 {
    let (oldest, newest) = (model.compacted().unwrap_or(0), model.revision());
    match rng.below(12) {
        0 => rng.below(oldest + 1),
        1 => newest + 1 + rng.below(2),
        2..4 => newest,
        4..7 => oldest + rng.below((newest - oldest).min(20) + 1),
        _ => oldest + rng.below(newest + 1 - oldest),
    }
}
