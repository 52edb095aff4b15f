//! What a store answers.

use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A key with its value and its numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// The value.
    #[serde(skip_serializing_if = "is_default")]
    pub value: Bytes,
    /// The revision that created the key; 0 in the event of a delete.
    #[serde(skip_serializing_if = "is_default")]
    pub create_revision: u64,
    /// The revision of the change.
    pub mod_revision: u64,
    /// How often the key was put since it was created; 0 in the event of a delete.
    #[serde(skip_serializing_if = "is_default")]
    pub version: u64,
    /// The lease attached, 0 for none.
    #[serde(skip_serializing_if = "is_default")]
    pub lease: u64,
}

/// The answer to a range.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ranged {
    /// The current revision.
    pub revision: u64,
    /// What was found.
    #[serde(skip_serializing_if = "is_default")]
    pub kvs: Vec<KeyValue>,
    /// Whether the limit left some out.
    #[serde(skip_serializing_if = "is_default")]
    pub more: bool,
    /// How many keys there are in the interval; `None` if that was not asked for, which etcd does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// The answer to a transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Committed {
    /// The current revision; 0 in etcd's answers to nested transactions.
    #[serde(skip_serializing_if = "is_default")]
    pub revision: u64,
    /// Which branch ran.
    pub succeeded: bool,
    /// The answers of that branch.
    #[serde(skip_serializing_if = "is_default")]
    pub responses: Vec<Answer>,
}

/// What has happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// It was put.
    Put,
    /// It was deleted.
    Delete,
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What has happened.
    pub kind: EventKind,
    /// The key, with its value if it was put.
    pub kv: KeyValue,
    /// What was there before, if that was asked for and is still known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev_kv: Option<KeyValue>,
}

/// What a store answers to one operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// A value was put.
    Put {
        /// The revision of the change.
        revision: u64,
        /// What was there before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prev_kv: Option<KeyValue>,
    },
    /// Keys were deleted.
    Deleted {
        /// The current revision.
        revision: u64,
        /// How many.
        deleted: u64,
        /// What was there before.
        #[serde(default, skip_serializing_if = "is_default")]
        prev_kvs: Vec<KeyValue>,
    },
    /// Keys were read.
    Range(Ranged),
    /// A transaction was made.
    Txn(Committed),
    /// There was a compaction.
    Compacted {
        /// The current revision.
        revision: u64,
    },
    /// There is a lease.
    Granted {
        /// The current revision.
        revision: u64,
        /// Its name.
        id: u64,
        /// Its time in seconds.
        ttl: u64,
    },
    /// A lease has ended.
    Revoked {
        /// The current revision.
        revision: u64,
    },
    /// A lease has its whole time again.
    KeptAlive {
        /// The current revision.
        revision: u64,
        /// Its time in seconds.
        ttl: u64,
    },
    /// A lease's time and keys. What remains of the time depends on the clock and is not told.
    TimeToLive {
        /// The current revision.
        revision: u64,
        /// The whole time in seconds, `None` if there is no such lease.
        granted: Option<u64>,
        /// The keys attached, in order.
        keys: Vec<Bytes>,
    },
    /// All leases, in order.
    Leases {
        /// The current revision.
        revision: u64,
        /// Their names.
        ids: Vec<u64>,
    },
    /// The hash of the history.
    Hash {
        /// The current revision.
        revision: u64,
        /// The hash.
        hash: u32,
        /// The revision compacted to, `None` if there was no compaction.
        compacted: Option<u64>,
    },
    /// A watcher has begun.
    Watching {
        /// The current revision.
        revision: u64,
    },
    /// What a watcher has seen.
    Watched {
        /// The current revision.
        revision: u64,
        /// The events, in order.
        events: Vec<Event>,
    },
    /// A watcher was not given what it wanted: that is compacted.
    Cancelled {
        /// The current revision.
        revision: u64,
        /// The revision compacted to.
        compacted: u64,
    },
    /// The store's state.
    Status {
        /// The current revision.
        revision: u64,
    },
    /// The operation was refused.
    Failed {
        /// Why: the engine's code for it.
        code: String,
    },
    /// The store has no such operation.
    Unsupported,
}

impl Answer {
    /// The current revision, where the answer tells it.
    #[must_use]
    pub fn revision(&self) -> Option<u64> {
        match self {
            Self::Put { revision, .. }
            | Self::Deleted { revision, .. }
            | Self::Compacted { revision }
            | Self::Granted { revision, .. }
            | Self::Revoked { revision }
            | Self::KeptAlive { revision, .. }
            | Self::TimeToLive { revision, .. }
            | Self::Leases { revision, .. }
            | Self::Hash { revision, .. }
            | Self::Watching { revision }
            | Self::Watched { revision, .. }
            | Self::Cancelled { revision, .. }
            | Self::Status { revision } => Some(*revision),
            Self::Range(ranged) => Some(ranged.revision),
            Self::Txn(committed) => Some(committed.revision),
            Self::Failed { .. } | Self::Unsupported => None,
        }
    }

    /// A refusal.
    #[must_use]
    pub fn failed(code: &str) -> Self {
        Self::Failed { code: code.to_owned() }
    }

    /// The answers within it, at all levels.
    #[must_use]
    pub fn nested(&self) -> u64 {
        match self {
            Self::Txn(committed) => committed.responses.iter().map(|response| 1 + response.nested()).sum(),
            _ => 0,
        }
    }
}
