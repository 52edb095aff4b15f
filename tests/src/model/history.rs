//! What happened, in its order, as a watcher is told of it.

use palimpsest_kv::EventKind;

use super::{Model, Record, Version, found};
use crate::action::Found;

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its revision.
    pub main: u64,
    /// Its place within its transaction.
    pub sub: u64,
    /// The key.
    pub key: Vec<u8>,
}

/// What was there before a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// It was not asked for.
    NotAsked,
    /// Nothing.
    Nothing,
    /// This.
    Found(Found),
    /// What compaction has removed.
    Compacted,
}

/// A change as a watcher is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What happened.
    pub kind: EventKind,
    /// What was put; of a delete only the key and its revision.
    pub found: Found,
    /// What was there before.
    pub before: Before,
}

impl Model {
    /// All changes from a position on.
    #[must_use]
    pub fn changes_from(&self, (main, sub): (u64, u64)) -> &[Change] {
        let start = self.changes.partition_point(|change| (change.main, change.sub) < (main, sub));
        self.changes.get(start..).unwrap_or(&[])
    }

    fn version_of(&self, change: &Change) -> (&[Version], Option<&Record>) {
        let history = self.histories.get(&change.key).expect("a key that was changed has a history");
        let place =
            history.partition_point(|version| (version.main, version.sub) < (change.main, change.sub));
        let (before, rest) = history.split_at(place);
        (before, rest.first().expect("the change is in its key's history").record.as_ref())
    }

    /// What a change did to its key.
    #[must_use]
    pub fn kind(&self, change: &Change) -> EventKind {
        if self.version_of(change).1.is_some() { EventKind::Put } else { EventKind::Delete }
    }

    /// Whether its own transaction has changed the key once more, and compaction was told to forget the first of the two: a watcher
    /// may be told of it or not. `compacted` is what was compacted as far as the watcher is concerned.
    #[must_use]
    pub fn is_forgotten(&self, change: &Change, compacted: Option<u64>) -> bool {
        let is_later = |version: &Version| version.main == change.main && version.sub > change.sub;
        let history = self.histories.get(&change.key);
        Some(change.main) == compacted && history.is_some_and(|history| history.iter().any(is_later))
    }

    /// A change as a watcher is told of it as far as whom this was compacted.
    #[must_use]
    pub fn told(&self, change: &Change, compacted: Option<u64>) -> Told {
        let (earlier, record) = self.version_of(change);
        let nothing = Found {
            key: change.key.clone(),
            value: Vec::new(),
            create: 0,
            modified: change.main,
            version: 0,
            lease: 0,
        };
        let version = Version { main: change.main, sub: change.sub, record: record.cloned(), gone: None };
        let is_created = record.is_some_and(|record| record.create == change.main);
        let before = match earlier.iter().rfind(|version| version.main < change.main) {
            _ if is_created => Before::Nothing,
            _ if compacted >= Some(change.main) => Before::Compacted,
            Some(version) => found(&change.key, version).map_or(Before::Nothing, Before::Found),
            None => Before::Nothing,
        };
        Told {
            kind: if record.is_some() { EventKind::Put } else { EventKind::Delete },
            found: found(&change.key, &version).unwrap_or(nothing),
            before,
        }
    }
}
