//! Where the two stores may differ, and nowhere else.
//!
//! An [`Exemption`] is either a place where the etcd at hand is older than the one that the engine follows, or a place where etcd's answer
//! is not determined, or is no answer. Each is counted.

use std::collections::BTreeMap;

use crate::answer::{Answer, Committed, Event, EventKind, KeyValue, Ranged};
use crate::bytes::Bytes;
use crate::generate::View;
use crate::operation::{Operation, Range, SortTarget, Step, Txn};

/// What was not compared, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exemption {
    /// Up to 3.5, etcd refuses a hash at exactly the compacted revision; from 3.6 on only before it.
    HashAtCompacted,
    /// Before 3.4.34, 3.5.16 and 3.6.0, etcd removes a tombstone at exactly the compacted revision, so that a watcher from there misses
    /// the delete.
    TombstoneAtCompacted,
    /// The newest etcd looks at the operations of a transaction in their order, and of a put at the lease before the key. Older ones look at
    /// all puts first, and of each at the key first. Where there are several reasons to refuse it, they name another one.
    OrderOfChecks,
    /// etcd sorts with an algorithm that is not stable: entries of the same rank come in any order, and where the limit cuts through them
    /// any of them are left.
    EqualRanks,
    /// In etcd, a nested transaction's answer has a header without a revision.
    NestedHeader,
    /// etcd leaves out what was there before a change if that is compacted; the engine may still have it.
    PreviousCompacted,
}

/// Reasons to refuse a transaction that depend on the store's state.
pub(crate) const OF_THE_STATE: [&str; 4] =
    ["KEY_NOT_FOUND", "LEASE_NOT_FOUND", "COMPACTED", "FUTURE_REVISION"];

/// How often something was not compared.
pub type Exemptions = BTreeMap<Exemption, u64>;

impl Exemption {
    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::HashAtCompacted => "hash at the compacted revision, which this etcd refuses",
            Self::TombstoneAtCompacted => "delete at the compacted revision, which this etcd forgets",
            Self::OrderOfChecks => "which of several reasons a transaction is refused for",
            Self::EqualRanks => "order of entries of the same rank",
            Self::NestedHeader => "revision of a nested transaction, which etcd does not tell",
            Self::PreviousCompacted => "value before a change, which etcd has compacted",
        }
    }

    /// Whether a newer etcd answers otherwise, so that what this one says is not to be kept.
    #[must_use]
    pub fn is_of_an_old_version(self) -> bool {
        matches!(self, Self::HashAtCompacted | Self::TombstoneAtCompacted | Self::OrderOfChecks)
    }
}

/// Compares answers to one operation, of which the first is etcd's.
pub struct Comparison<'a> {
    /// The state before the operation.
    view: &'a View,
    exemptions: &'a mut Exemptions,
}

impl<'a> Comparison<'a> {
    /// A comparison in a state, which counts what it does not compare.
    pub fn new(view: &'a View, exemptions: &'a mut Exemptions) -> Self {
        Self { view, exemptions }
    }

    /// Whether both say the same.
    pub fn is_same(&mut self, operation: &Operation, etcd: &Answer, engine: &Answer) -> bool {
        match (operation, etcd, engine) {
            (Operation::Step(step), _, _) => self.step(step, etcd, engine),
            (Operation::HashKv { revision }, Answer::Failed { code }, Answer::Hash { .. })
                if code == "COMPACTED" && *revision == self.view.compacted =>
            {
                self.exempt(Exemption::HashAtCompacted)
            }
            (
                Operation::Watched { .. },
                Answer::Watched { revision, events },
                Answer::Watched { revision: other_revision, events: others },
            ) => revision == other_revision && self.events(events, others),
            _ => etcd == engine,
        }
    }

    /// Notes that something is not compared.
    fn exempt(&mut self, exemption: Exemption) -> bool {
        *self.exemptions.entry(exemption).or_default() += 1;
        true
    }

    fn step(&mut self, step: &Step, etcd: &Answer, engine: &Answer) -> bool {
        match (step, etcd, engine) {
            (Step::Range(range), Answer::Range(etcd), Answer::Range(engine)) => {
                self.range(range, etcd, engine)
            }
            (Step::Txn(txn), Answer::Txn(etcd), Answer::Txn(engine)) => self.txn(txn, etcd, engine),
            (Step::Txn(_), Answer::Failed { code }, Answer::Failed { code: other })
                if code != other
                    && [code, other].iter().all(|code| OF_THE_STATE.contains(&code.as_str())) =>
            {
                self.exempt(Exemption::OrderOfChecks)
            }
            _ => etcd == engine,
        }
    }

    fn txn(&mut self, txn: &Txn, etcd: &Committed, engine: &Committed) -> bool {
        let is_same_revision = match etcd.revision {
            0 => self.exempt(Exemption::NestedHeader),
            revision => revision == engine.revision,
        };
        let steps = if etcd.succeeded { &txn.success } else { &txn.failure };
        let pairs = etcd.responses.iter().zip(&engine.responses);
        is_same_revision
            && etcd.succeeded == engine.succeeded
            && [etcd.responses.len(), engine.responses.len()] == [steps.len(); 2]
            && steps.iter().zip(pairs).all(|(step, (etcd, engine))| self.step(step, etcd, engine))
    }

    fn range(&mut self, range: &Range, etcd: &Ranged, engine: &Ranged) -> bool {
        // A read that does not count is one way to ask the engine.
        let is_same_count = etcd.count.zip(engine.count).is_none_or(|(count, other)| count == other);
        is_same_count
            && (etcd.revision, etcd.more) == (engine.revision, engine.more)
            && (etcd.kvs == engine.kvs || self.is_same_ranking(range, etcd, engine))
    }

    /// Whether both have the same entries but for the order of those of the same rank.
    fn is_same_ranking(&mut self, range: &Range, etcd: &Ranged, engine: &Ranged) -> bool {
        if range.sort_target == SortTarget::Key || etcd.kvs.len() != engine.kvs.len() {
            return false;
        }
        // Without the values nobody can tell which ranks they had.
        let rank = |kv: &KeyValue| match range.sort_target {
            SortTarget::Value if !range.keys_only => (0, kv.value.clone()),
            SortTarget::Key | SortTarget::Value => (0, Bytes::default()),
            SortTarget::Version => (kv.version, Bytes::default()),
            SortTarget::Create => (kv.create_revision, Bytes::default()),
            SortTarget::Mod => (kv.mod_revision, Bytes::default()),
        };
        let runs = |kvs: &[KeyValue]| -> Vec<Vec<KeyValue>> {
            let runs = kvs.chunk_by(|one, next| rank(one) == rank(next));
            let sorted = |run: &[KeyValue]| {
                let mut run = run.to_vec();
                run.sort();
                run
            };
            runs.map(sorted).collect()
        };
        let (mut one, mut other) = (runs(&etcd.kvs), runs(&engine.kvs));
        if etcd.more {
            // The limit may have cut through the last run: of it only the rank and the length must be the same.
            let (last, last_other) = (one.pop().unwrap_or_default(), other.pop().unwrap_or_default());
            if last.len() != last_other.len() || last.first().map(rank) != last_other.first().map(rank) {
                return false;
            }
        }
        one == other && self.exempt(Exemption::EqualRanks)
    }

    fn events(&mut self, etcd: &[Event], engine: &[Event]) -> bool {
        let compacted = self.view.compacted;
        let is_forgotten =
            |event: &&Event| event.kind == EventKind::Delete && event.kv.mod_revision == compacted;
        let (forgotten, forgotten_by_engine) =
            (etcd.iter().filter(is_forgotten).count(), engine.iter().filter(is_forgotten).count());
        let mut engine = engine.to_vec();
        if forgotten == 0 && forgotten_by_engine > 0 {
            self.exempt(Exemption::TombstoneAtCompacted);
            engine.retain(|event| !is_forgotten(&event));
        }
        for (event, other) in engine.iter_mut().zip(etcd) {
            if other.prev_kv.is_none() && event.prev_kv.is_some() && event.kv.mod_revision <= compacted {
                self.exempt(Exemption::PreviousCompacted);
                event.prev_kv = None;
            }
        }
        etcd == engine
    }
}
