//! etcd's answers, as its JSON gateway gives them: numbers are strings, bytes are base64, and what is empty is left out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::answer::{Answer, Committed, Event, EventKind, KeyValue, Ranged};
use crate::bytes::Bytes;
use crate::driver::Trouble;
use crate::operation::Step;

/// A number, which may be a string.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(i64),
        Text(String),
    }
    match Either::deserialize(deserializer)? {
        Either::Number(number) => Ok(number),
        Either::Text(text) => text.parse().map_err(D::Error::custom),
    }
}

fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    u64::try_from(number(deserializer)?).map_err(D::Error::custom)
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map(Bytes).map_err(D::Error::custom)
}

fn many_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Bytes>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.into_iter().map(|text| STANDARD.decode(text).map(Bytes).map_err(D::Error::custom)).collect()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Header {
    #[serde(deserialize_with = "positive")]
    revision: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Kv {
    #[serde(deserialize_with = "bytes")]
    key: Bytes,
    #[serde(deserialize_with = "bytes")]
    value: Bytes,
    #[serde(deserialize_with = "positive")]
    create_revision: u64,
    #[serde(deserialize_with = "positive")]
    mod_revision: u64,
    #[serde(deserialize_with = "positive")]
    version: u64,
    #[serde(deserialize_with = "positive")]
    lease: u64,
}

/// An answer to whatever was asked: of every message the fields that it has.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Reply {
    header: Option<Header>,
    prev_kv: Option<Kv>,
    prev_kvs: Vec<Kv>,
    #[serde(deserialize_with = "positive")]
    deleted: u64,
    kvs: Vec<Kv>,
    more: bool,
    #[serde(deserialize_with = "positive")]
    count: u64,
    succeeded: bool,
    responses: Vec<Response>,
    #[serde(rename = "ID", deserialize_with = "number")]
    id: i64,
    #[serde(rename = "TTL", deserialize_with = "number")]
    ttl: i64,
    #[serde(rename = "grantedTTL", deserialize_with = "positive")]
    granted_ttl: u64,
    #[serde(deserialize_with = "many_bytes")]
    keys: Vec<Bytes>,
    leases: Vec<Lease>,
    hash: u32,
    #[serde(deserialize_with = "number")]
    compact_revision: i64,
    version: String,
    created: bool,
    canceled: bool,
    cancel_reason: String,
    events: Vec<Change>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Lease {
    #[serde(rename = "ID", deserialize_with = "positive")]
    id: u64,
}

#[derive(Debug, Deserialize)]
enum Response {
    #[serde(rename = "response_put")]
    Put(Reply),
    #[serde(rename = "response_delete_range")]
    DeleteRange(Reply),
    #[serde(rename = "response_range")]
    Range(Reply),
    #[serde(rename = "response_txn")]
    Txn(Reply),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Change {
    /// Left out for a put.
    r#type: String,
    kv: Kv,
    prev_kv: Option<Kv>,
}

/// One line of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Line {
    /// What the stream tells.
    pub(super) result: Option<Reply>,
}

/// What a watcher is told.
#[derive(Debug)]
pub(super) enum Told {
    /// It has begun, at a revision.
    Created(u64),
    /// There are events.
    Events(Vec<Event>),
    /// It has ended, because what it wants is compacted up to a revision.
    Compacted(u64),
    /// It has ended for another reason.
    Refused(String),
}

impl From<Kv> for KeyValue {
    fn from(kv: Kv) -> Self {
        let Kv { key, value, create_revision, mod_revision, version, lease } = kv;
        Self { key, value, create_revision, mod_revision, version, lease }
    }
}

impl From<Change> for Event {
    fn from(change: Change) -> Self {
        let kind = if change.r#type == "DELETE" { EventKind::Delete } else { EventKind::Put };
        Self { kind, kv: change.kv.into(), prev_kv: change.prev_kv.map(KeyValue::from) }
    }
}

fn kvs(found: Vec<Kv>) -> Vec<KeyValue> {
    found.into_iter().map(KeyValue::from).collect()
}

impl Reply {
    /// The current revision.
    pub(super) fn revision(&self) -> u64 {
        self.header.as_ref().map_or(0, |header| header.revision)
    }

    /// The version of etcd that answers.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    fn ranged(self) -> Ranged {
        Ranged { revision: self.revision(), more: self.more, count: Some(self.count), kvs: kvs(self.kvs) }
    }

    fn committed(self) -> Committed {
        let response = |response| match response {
            Response::Put(reply) => reply.put(),
            Response::DeleteRange(reply) => reply.deleted(),
            Response::Range(reply) => Answer::Range(reply.ranged()),
            Response::Txn(reply) => Answer::Txn(reply.committed()),
        };
        Committed {
            revision: self.revision(),
            succeeded: self.succeeded,
            responses: self.responses.into_iter().map(response).collect(),
        }
    }

    fn put(self) -> Answer {
        Answer::Put { revision: self.revision(), prev_kv: self.prev_kv.map(KeyValue::from) }
    }

    fn deleted(self) -> Answer {
        Answer::Deleted { revision: self.revision(), deleted: self.deleted, prev_kvs: kvs(self.prev_kvs) }
    }

    /// As the answer to a step.
    pub(super) fn into_step(self, step: &Step) -> Answer {
        match step {
            Step::Put(_) => self.put(),
            Step::DeleteRange(_) => self.deleted(),
            Step::Range(_) => Answer::Range(self.ranged()),
            Step::Txn(_) => Answer::Txn(self.committed()),
        }
    }

    /// As the answer to the making of a lease.
    ///
    /// # Errors
    /// If it makes no sense.
    pub(super) fn granted(self) -> Result<Answer, Trouble> {
        let id = u64::try_from(self.id).map_err(Trouble::when("a lease's name"))?;
        let ttl = u64::try_from(self.ttl).map_err(Trouble::when("a lease's time"))?;
        Ok(Answer::Granted { revision: self.revision(), id, ttl })
    }

    /// As the answer to a lease being kept alive: one that does not exist has no time, which is no error in etcd.
    pub(super) fn kept_alive(self) -> Answer {
        match u64::try_from(self.ttl) {
            Ok(ttl) if ttl > 0 => Answer::KeptAlive { revision: self.revision(), ttl },
            _ => Answer::failed("LEASE_NOT_FOUND"),
        }
    }

    /// As the answer to the question for a lease's time; one that does not exist has less than none.
    pub(super) fn time_to_live(mut self) -> Answer {
        self.keys.sort();
        let granted = (self.ttl >= 0).then_some(self.granted_ttl);
        Answer::TimeToLive { revision: self.revision(), granted, keys: self.keys }
    }

    /// As the answer to the question for all leases.
    pub(super) fn leases(self) -> Answer {
        let mut ids: Vec<u64> = self.leases.iter().map(|lease| lease.id).collect();
        ids.sort_unstable();
        Answer::Leases { revision: self.revision(), ids }
    }

    /// As the answer to the question for a hash.
    pub(super) fn hash(self) -> Answer {
        let compacted = u64::try_from(self.compact_revision).ok();
        Answer::Hash { revision: self.revision(), hash: self.hash, compacted }
    }

    /// As what a watcher is told.
    pub(super) fn told(self) -> Told {
        match self {
            Self { canceled: true, cancel_reason, .. } if !cancel_reason.is_empty() => {
                Told::Refused(cancel_reason)
            }
            Self { canceled: true, compact_revision, .. } => {
                Told::Compacted(u64::try_from(compact_revision).unwrap_or(0))
            }
            Self { created: true, .. } => Told::Created(self.revision()),
            Self { events, .. } => Told::Events(events.into_iter().map(Event::from).collect()),
        }
    }
}
