//! What a store counts once it has removed what a compaction does not keep, and nothing holds.

use std::collections::BTreeSet;

use super::{Model, Version};
use crate::action::Kept;

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
    /// How many versions are kept.
    pub retention: Retention,
}

/// How many versions of keys are kept.
#[derive(Clone, Debug, Default)]
pub struct Retention {
    /// By prefixes.
    pub rules: Vec<Kept>,
    /// How often that was changed.
    pub changes: u64,
}

impl Rule {
    /// Whether a version is not there whatever is kept.
    pub(super) fn has_removed(&self, version: &Version) -> bool {
        version.gone.is_some_and(|change| change <= self.retention.changes)
    }

    /// How many versions of a key are kept: as the rule of the longest prefix says.
    fn versions(&self, key: &[u8]) -> usize {
        let of_key = self.retention.rules.iter().filter(|(prefix, _)| key.starts_with(prefix));
        of_key.max_by_key(|(prefix, _)| prefix.len()).map_or(1, |(_, versions)| *versions as usize)
    }

    /// From which revision on a version is not kept for its own sake, if from any.
    fn death(history: &[&Version], place: usize, versions: usize) -> Option<u64> {
        let (version, later) = history.get(place..)?.split_first()?;
        if version.record.is_none() {
            return Some(version.main + 1);
        }
        let puts = later.iter().take_while(|version| version.record.is_some()).count();
        let by = later.get(puts.min(versions - 1))?;
        Some(by.main)
    }

    /// Which of a key's versions are kept, oldest first, and whether each has died.
    pub(super) fn keeps(&self, key: &[u8], history: &[&Version]) -> Vec<(bool, bool)> {
        let versions = self.versions(key);
        let compacted = self.compacted.unwrap_or(0);
        let is_pinned = |from: u64, end: u64| from < end && self.pinned.range(from..end).next().is_some();
        let mut kept: Vec<(bool, bool)> = Vec::with_capacity(history.len());
        for (place, version) in history.iter().enumerate() {
            let (main, next) = (version.main, history.get(place + 1).map_or(u64::MAX, |next| next.main));
            let death = Self::death(history, place, versions);
            let has_older = kept.iter().any(|(is_kept, _)| *is_kept);
            // A tombstone ends the time of older versions, until a newer one does; or all of it where versions are counted.
            let is_needed = versions > 1 || next > compacted || is_pinned(main, next);
            let is_kept = match version.record {
                Some(_) => death.is_none_or(|death| death > compacted) || is_pinned(main, next),
                None => main + 1 > compacted || is_pinned(main, main + 1) || (is_needed && has_older),
            };
            kept.push((is_kept, death.is_some()));
        }
        kept
    }
}

impl Model {
    /// What a store counts that is compacted to a revision, if any, while these revisions are pinned.
    #[must_use]
    pub fn numbers(&self, rule: &Rule) -> Numbers {
        self.numbers_at(self.revision, rule)
    }

    /// The same as of an earlier revision.
    #[must_use]
    pub fn numbers_at(&self, revision: u64, rule: &Rule) -> Numbers {
        let mut numbers = Numbers::default();
        for (key, history) in &self.histories {
            let is_there = |version: &&Version| version.main <= revision && !rule.has_removed(version);
            let history: Vec<&Version> = history.iter().filter(is_there).collect();
            let kept = rule.keeps(key, &history);
            let records = kept.iter().filter(|(is_kept, _)| *is_kept).count() as u64;
            numbers.live_keys += u64::from(history.last().is_some_and(|last| last.record.is_some()));
            numbers.keys += u64::from(records > 0);
            numbers.records += records;
            numbers.dead += kept.iter().filter(|(is_kept, is_dead)| *is_kept && *is_dead).count() as u64;
        }
        numbers
    }

    /// What decides about what a store keeps that is compacted to a revision, with the pins and rules there are.
    #[must_use]
    pub fn rule(&self, compacted: Option<u64>) -> Rule {
        Rule { compacted, pinned: self.pins.revisions(), retention: self.retention.clone() }
    }

    /// Sets rules of retention in a store that has removed what it can.
    pub fn set_retention(&mut self, retention: Vec<Kept>) {
        let (rule, changes) = (self.rule(self.compacted), self.retention.changes + 1);
        for (key, history) in &mut self.histories {
            let there: Vec<&Version> = history.iter().filter(|version| version.gone.is_none()).collect();
            let mut kept = rule.keeps(key, &there).into_iter();
            history.iter_mut().filter(|version| version.gone.is_none()).for_each(|version| {
                version.gone = kept.next().filter(|(is_kept, _)| !is_kept).map(|_| changes);
            });
        }
        self.retention = Retention { rules: retention, changes };
    }
}
