//! What can be asked of a store, as etcd's API has it.

use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;

/// The end of an interval that has none.
pub const NO_END: &[u8] = &[0];

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// One key, or an interval of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// The key, or the first one of the interval.
    pub key: Bytes,
    /// Where the interval ends: before this key, or nowhere if this is a zero byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range_end: Option<Bytes>,
}

/// Writes a value under a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Put {
    /// The key.
    pub key: Bytes,
    /// The value.
    #[serde(skip_serializing_if = "is_default")]
    pub value: Bytes,
    /// The lease to attach, 0 for none.
    #[serde(skip_serializing_if = "is_default")]
    pub lease: u64,
    /// Whether to answer with what was there before.
    #[serde(skip_serializing_if = "is_default")]
    pub prev_kv: bool,
    /// Whether the key keeps its value.
    #[serde(skip_serializing_if = "is_default")]
    pub ignore_value: bool,
    /// Whether the key keeps its lease.
    #[serde(skip_serializing_if = "is_default")]
    pub ignore_lease: bool,
}

/// Deletes keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteRange {
    /// Which keys.
    #[serde(flatten)]
    pub keys: Keys,
    /// Whether to answer with what was there before.
    #[serde(default, skip_serializing_if = "is_default")]
    pub prev_kv: bool,
}

/// By what a range is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SortTarget {
    /// By key.
    #[default]
    Key,
    /// By version.
    Version,
    /// By create revision.
    Create,
    /// By mod revision.
    Mod,
    /// By value.
    Value,
}

/// In which direction a range is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SortOrder {
    /// Not said, which is ascending.
    #[default]
    None,
    /// Ascending.
    Ascend,
    /// Descending.
    Descend,
}

/// Reads keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Which keys.
    #[serde(flatten)]
    pub keys: Keys,
    /// As of when, 0 for now.
    #[serde(default, skip_serializing_if = "is_default")]
    pub revision: u64,
    /// At most how many, 0 for all.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limit: u64,
    /// By what the answer is sorted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sort_target: SortTarget,
    /// In which direction.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sort_order: SortOrder,
    /// Whether values are left out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub keys_only: bool,
    /// Whether only the number of keys is answered.
    #[serde(default, skip_serializing_if = "is_default")]
    pub count_only: bool,
    /// The least mod revision, 0 for any.
    #[serde(default, skip_serializing_if = "is_default")]
    pub min_mod_revision: u64,
    /// The greatest mod revision, 0 for any.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_mod_revision: u64,
    /// The least create revision, 0 for any.
    #[serde(default, skip_serializing_if = "is_default")]
    pub min_create_revision: u64,
    /// The greatest create revision, 0 for any.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_create_revision: u64,
}

/// What of a key is compared, and with what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Its version.
    Version(u64),
    /// Its create revision.
    Create(u64),
    /// Its mod revision.
    Mod(u64),
    /// Its value.
    Value(Bytes),
    /// Its lease.
    Lease(u64),
}

/// How it must relate to the number or value given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// The same.
    Equal,
    /// Greater.
    Greater,
    /// Less.
    Less,
    /// Another.
    NotEqual,
}

/// One condition of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compare {
    /// The keys that must all fulfil it.
    #[serde(flatten)]
    pub keys: Keys,
    /// What of them, and the other side.
    pub target: Target,
    /// The relation.
    pub result: Relation,
}

/// A transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Txn {
    /// What decides between the branches.
    #[serde(skip_serializing_if = "is_default")]
    pub compare: Vec<Compare>,
    /// What is done if all conditions hold.
    #[serde(skip_serializing_if = "is_default")]
    pub success: Vec<Step>,
    /// What is done otherwise.
    #[serde(skip_serializing_if = "is_default")]
    pub failure: Vec<Step>,
}

/// What can be done on its own and within a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Writes a value.
    Put(Put),
    /// Deletes keys.
    DeleteRange(DeleteRange),
    /// Reads keys.
    Range(Range),
    /// A transaction.
    Txn(Txn),
}

/// A watcher that begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// By which it is named later.
    pub id: u64,
    /// Which keys.
    #[serde(flatten)]
    pub keys: Keys,
    /// From which revision, 0 for the next.
    #[serde(default, skip_serializing_if = "is_default")]
    pub start_revision: u64,
    /// Whether events tell what was there before.
    #[serde(default, skip_serializing_if = "is_default")]
    pub prev_kv: bool,
    /// Whether puts are left out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub no_put: bool,
    /// Whether deletes are left out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub no_delete: bool,
}

/// One thing to ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Gives up the history before a revision.
    Compact {
        /// The revision.
        revision: u64,
    },
    /// Makes a lease.
    Grant {
        /// Its name.
        id: u64,
        /// Its time in seconds.
        ttl: u64,
    },
    /// Ends a lease and deletes its keys.
    Revoke {
        /// Its name.
        id: u64,
    },
    /// Gives a lease its whole time again.
    KeepAlive {
        /// Its name.
        id: u64,
    },
    /// Asks for a lease's time and keys.
    TimeToLive {
        /// Its name.
        id: u64,
    },
    /// Asks for all leases.
    Leases,
    /// Asks for the hash of the history up to a revision, 0 for all of it.
    HashKv {
        /// The revision.
        revision: u64,
    },
    /// Starts a watcher.
    Watch(Watch),
    /// Makes three changes that a watcher sees (its first key is put twice and deleted), collects all its events up to the last
    /// of these, and ends it.
    Watched {
        /// The watcher's name.
        id: u64,
    },
    /// Asks for the current revision.
    Status,
    /// What can be done within a transaction too.
    #[serde(untagged)]
    Step(Step),
}

impl Keys {
    /// One key.
    #[must_use]
    pub fn one(key: impl Into<Bytes>) -> Self {
        Self { key: key.into(), range_end: None }
    }

    /// The keys from `key` to before `end`.
    #[must_use]
    pub fn interval(key: impl Into<Bytes>, end: impl Into<Bytes>) -> Self {
        Self { key: key.into(), range_end: Some(end.into()) }
    }

    /// The keys from `key` on.
    #[must_use]
    pub fn at_least(key: impl Into<Bytes>) -> Self {
        Self::interval(key, NO_END)
    }

    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self::interval(NO_END, NO_END)
    }

    /// The keys that begin with `prefix`.
    #[must_use]
    pub fn prefix(prefix: &[u8]) -> Self {
        Self::interval(prefix, after_prefix(prefix).as_slice())
    }

    /// Whether `key` is one of them.
    #[must_use]
    pub fn contains(&self, key: &Bytes) -> bool {
        match &self.range_end {
            None => *key == self.key,
            Some(end) if end.0 == NO_END => *key >= self.key,
            Some(end) => *key >= self.key && key < end,
        }
    }
}

/// The first key after all that begin with `prefix`; a zero byte where there is none.
#[must_use]
pub fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while end.last() == Some(&u8::MAX) {
        end.pop();
    }
    match end.last_mut() {
        Some(last) => *last += 1,
        None => end = NO_END.to_vec(),
    }
    end
}

impl Watch {
    /// The key whose changes end this watcher.
    #[must_use]
    pub fn marker(&self) -> &Bytes {
        &self.keys.key
    }

    /// The revision of the last change that ends this watcher and that it sees, or `None` if it starts later. `revision` is
    /// the store's before the first of them.
    #[must_use]
    pub fn last_seen(&self, revision: u64) -> Option<u64> {
        let last = revision + if self.no_delete { 2 } else { 3 };
        (self.start_revision <= last).then_some(last)
    }
}

impl From<Step> for Operation {
    fn from(step: Step) -> Self {
        Self::Step(step)
    }
}
