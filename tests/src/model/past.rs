//! Histories of keys, and what differs between two revisions.

use palimpsest_kv::{EventKind, Keys};

use super::{Horizon, Model, Rule, Version, found};
use crate::action::Found;

/// One version of a key: what happened, and what was put; of a delete only the key and its revision.
pub type Past = (EventKind, Found);

/// A key and what it was at two revisions.
pub type Differing = (Vec<u8>, Option<Found>, Option<Found>);

impl Model {
    /// The versions of a key that a state shows which can be read within a horizon, until a revision.
    #[must_use]
    pub fn versions(&self, key: &[u8], horizon: &Horizon, until: u64) -> Vec<Past> {
        let history = self.histories.get(key).map_or(&[][..], Vec::as_slice);
        let tombstone = |modified| Found {
            key: key.to_vec(),
            value: Vec::new(),
            create: 0,
            modified,
            version: 0,
            lease: 0,
        };
        // What was not there yet when the state was taken replaces nothing in it.
        let end = history.partition_point(|version| version.main <= horizon.newest);
        let Horizon { compacted, pinned, retention, .. } = horizon.clone();
        let rule = Rule { compacted, pinned, retention };
        let there = history.iter().take(end).filter(|version| !rule.has_removed(version));
        let history: Vec<&Version> = there.collect();
        let is_kept = rule.keeps(key, &history);
        let is_shown = |place: usize| {
            let next = history.get(place + 1).map(|next| next.main);
            // Of what one revision did to a key only the end is kept.
            let is_replaced = history.get(place).map(|version| version.main) == next;
            !is_replaced || next > horizon.compacted
        };
        let versions =
            history.iter().zip(is_kept).enumerate().filter(|(place, (version, (is_kept, _)))| {
                *is_kept && version.main <= until && is_shown(*place)
            });
        versions
            .map(|(_, (version, _))| version)
            .map(|version| match found(key, version) {
                Some(found) => (EventKind::Put, found),
                None => (EventKind::Delete, tombstone(version.main)),
            })
            .collect()
    }

    /// The keys that are not the same at two revisions.
    #[must_use]
    pub fn differing(&self, keys: &Keys, from: u64, to: u64) -> Vec<Differing> {
        let differs = |key: &Vec<u8>| {
            let at = |revision| self.at(&Keys::one(key), revision).pop();
            let (before, after) = (at(from), at(to));
            (before != after).then(|| (key.clone(), before, after))
        };
        self.histories.keys().filter(|key| keys.contains(key)).filter_map(differs).collect()
    }

    /// How many changes of a revision their own transaction has replaced.
    #[must_use]
    pub fn forgotten_at(&self, revision: Option<u64>) -> u64 {
        let of_it =
            |history: &Vec<Version>| history.iter().filter(|version| Some(version.main) == revision).count();
        self.histories.values().map(|history| of_it(history).saturating_sub(1) as u64).sum()
    }
}
