//! What a store counts once it has removed what a compaction does not keep, and nothing holds.

use std::collections::BTreeSet;

use super::{Model, Version};

/// What a store that has removed everything dead must count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Keys that exist now.
    pub live_keys: u64,
    /// Keys with any history.
    pub keys: u64,
    /// Versions and tombstones.
    pub records: u64,
    /// Those that some compaction, now or later, could remove: everything replaced, and every tombstone.
    pub dead: u64,
}

/// What removes and what holds.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// The revision that is compacted to.
    pub compacted: Option<u64>,
    /// The revisions that are pinned.
    pub pinned: BTreeSet<u64>,
}

impl Rule {
    /// Which of a key's versions are kept, oldest first.
    pub(super) fn keeps(&self, history: &[Version]) -> Vec<bool> {
        let compacted = self.compacted.unwrap_or(0);
        let is_pinned = |from: u64, end: u64| from < end && self.pinned.range(from..end).next().is_some();
        let mut kept: Vec<bool> = Vec::with_capacity(history.len());
        for (place, version) in history.iter().enumerate() {
            let (main, next) = (version.main, history.get(place + 1).map_or(u64::MAX, |next| next.main));
            // The time in which the version, or that there is none, can be seen.
            let is_seen = next > compacted || is_pinned(main, next);
            kept.push(match version.record {
                Some(_) => is_seen,
                None => {
                    main + 1 > compacted || is_pinned(main, main + 1) || (is_seen && kept.contains(&true))
                }
            });
        }
        kept
    }
}

impl Model {
    /// What removes and what holds when the store is compacted to a revision, with the pins there are.
    #[must_use]
    pub fn rule(&self, compacted: Option<u64>) -> Rule {
        Rule { compacted, pinned: self.pins.revisions() }
    }

    /// What a store counts that is compacted to a revision, if any, while these revisions are pinned.
    #[must_use]
    pub fn numbers(&self, rule: &Rule) -> Numbers {
        self.numbers_at(self.revision, rule)
    }

    /// The same as of an earlier revision.
    #[must_use]
    pub fn numbers_at(&self, revision: u64, rule: &Rule) -> Numbers {
        let mut numbers = Numbers::default();
        for history in self.histories.values() {
            let end = history.partition_point(|version| version.main <= revision);
            let history = history.get(..end).unwrap_or(history);
            let kept = rule.keeps(history).into_iter().filter(|is_kept| *is_kept).count() as u64;
            if kept == 0 {
                continue;
            }
            let lives = u64::from(history.last().is_some_and(|last| last.record.is_some()));
            numbers.live_keys += lives;
            numbers.keys += 1;
            numbers.records += kept;
            numbers.dead += kept - lives;
        }
        numbers
    }
}
