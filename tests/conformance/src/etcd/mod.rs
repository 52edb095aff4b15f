//! A real etcd, asked through its JSON gateway.

mod reply;
mod request;
mod server;
mod stream;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use ureq::Agent;

use crate::answer::Answer;
use crate::bytes::Bytes;
use crate::driver::{Driver, Trouble};
use crate::operation::{DeleteRange, Keys, Operation, Put, Step, Watch};
use reply::{Line, Reply};
use server::Server;
use stream::{Begin, End, Stream};

/// How long etcd may take for one answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// etcd's words for what it refuses, and the engine's codes. The longer of two that begin alike comes first.
const REFUSALS: [(&str, &str); 10] = [
    ("required revision has been compacted", "COMPACTED"),
    ("required revision is a future revision", "FUTURE_REVISION"),
    ("key is not provided", "EMPTY_KEY"),
    ("key not found", "KEY_NOT_FOUND"),
    ("duplicate key given in txn request", "DUPLICATE_KEY"),
    ("too many operations in txn request", "TOO_MANY_OPERATIONS"),
    ("requested lease not found", "LEASE_NOT_FOUND"),
    ("lease already exists", "LEASE_EXISTS"),
    ("too large lease TTL", "LEASE_TTL_TOO_LARGE"),
    ("watcher range is empty", "EMPTY_INTERVAL"),
];

/// A refusal in etcd's words.
fn refused(words: &str) -> Result<Answer, Trouble> {
    let known = REFUSALS.iter().find(|(known, _)| words.contains(known));
    known.map(|(_, code)| Answer::failed(code)).ok_or_else(|| Trouble::new(format!("etcd refuses: {words}")))
}

/// A real etcd. Dropping it ends its process.
#[derive(Debug)]
pub struct Etcd {
    server: Server,
    /// For one question after the other.
    agent: Agent,
    /// For watchers, whose answers have no end.
    streams: Agent,
    watchers: BTreeMap<u64, Stream>,
}

/// What was answered: a message, or why there is none.
enum Reached {
    Message(String),
    Refusal(String),
}

/// A part of a snapshot.
#[derive(Deserialize)]
struct Blob {
    result: BlobBytes,
}

#[derive(Deserialize)]
struct BlobBytes {
    blob: String,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Etcd {
    /// Starts the program and waits until it answers.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn start(program: &Path) -> Result<Self, Trouble> {
        let server = Server::start(program)?;
        let agent = |timeout| {
            let config = Agent::config_builder().http_status_as_error(false).timeout_global(timeout);
            Agent::new_with_config(config.build())
        };
        Ok(Self { server, agent: agent(Some(PATIENCE)), streams: agent(None), watchers: BTreeMap::new() })
    }

    /// Its version.
    ///
    /// # Errors
    /// If it can't be reached.
    pub fn version(&self) -> Result<String, Trouble> {
        match self.post("maintenance/status", &json!({}))? {
            Reached::Message(text) => Ok(parsed::<Reply>(&text)?.version().to_owned()),
            Reached::Refusal(words) => Err(Trouble::new(words)),
        }
    }

    /// A snapshot, byte by byte what `etcdctl snapshot save` writes.
    ///
    /// # Errors
    /// If it can't be had.
    pub fn snapshot(&self) -> Result<Vec<u8>, Trouble> {
        let doing = "taking a snapshot";
        let sent = self.agent.post(self.url("maintenance/snapshot")).send("{}");
        let mut response = sent.map_err(Trouble::when(doing))?;
        let mut bytes = Vec::new();
        for line in BufReader::new(response.body_mut().as_reader()).lines() {
            let part = parsed::<Blob>(&line.map_err(Trouble::when(doing))?)?.result.blob;
            bytes.extend(STANDARD.decode(part).map_err(Trouble::when(doing))?);
        }
        Ok(bytes)
    }

    fn url(&self, path: &str) -> String {
        format!("{}/v3/{path}", self.server.client_url())
    }

    fn post(&self, path: &str, body: &Value) -> Result<Reached, Trouble> {
        let sent = self.agent.post(self.url(path)).send(body.to_string());
        let mut response = sent.map_err(Trouble::when(path))?;
        let text = response.body_mut().read_to_string().map_err(Trouble::when(path))?;
        if response.status().is_success() {
            return Ok(Reached::Message(text));
        }
        Ok(Reached::Refusal(parsed::<Refusal>(&text)?.error))
    }

    /// Asks, and makes an answer of the reply unless that is a refusal.
    fn ask_gateway(
        &self,
        path: &str,
        body: &Value,
        answer: impl FnOnce(Reply) -> Result<Answer, Trouble>,
    ) -> Result<Answer, Trouble> {
        match self.post(path, body)? {
            Reached::Message(text) => answer(parsed(&text)?),
            Reached::Refusal(words) => refused(&words),
        }
    }

    fn step(&self, step: &Step) -> Result<Answer, Trouble> {
        self.ask_gateway(request::path(step), &request::body(step), |reply| Ok(reply.into_step(step)))
    }

    fn keep_alive(&self, id: u64) -> Result<Answer, Trouble> {
        match self.post("lease/keepalive", &request::number("ID", id))? {
            Reached::Message(text) => {
                let reply = parsed::<Line>(&text)?.result.ok_or_else(|| Trouble::new(text))?;
                Ok(reply.kept_alive())
            }
            Reached::Refusal(words) => refused(&words),
        }
    }

    /// The gateway of old versions has no way to this; members ask each other for it, in plain JSON.
    fn hash_kv(&self, revision: u64) -> Result<Answer, Trouble> {
        let url = format!("{}/members/hashkv", self.server.peer_url());
        let body = json!({ "revision": revision }).to_string();
        let sent = self.agent.get(url).force_send_body().send(body);
        let mut response = sent.map_err(Trouble::when("asking for a hash"))?;
        let text = response.body_mut().read_to_string().map_err(Trouble::when("reading a hash"))?;
        if response.status().is_success() { Ok(parsed::<Reply>(&text)?.hash()) } else { refused(&text) }
    }

    fn watch(&mut self, watch: &Watch) -> Result<Answer, Trouble> {
        match Stream::begin(&self.streams, &self.url("watch"), watch)? {
            Begin::Created(stream, revision) => {
                self.watchers.insert(watch.id, stream);
                Ok(Answer::Watching { revision })
            }
            Begin::Refused(reason) => refused(&reason),
        }
    }

    fn watched(&mut self, id: u64) -> Result<Answer, Trouble> {
        let Some(stream) = self.watchers.remove(&id) else { return Ok(Answer::Unsupported) };
        let key = stream.watch.marker();
        let put = Step::Put(Put { key: key.clone(), value: Bytes::from("marker"), ..Put::default() });
        let delete =
            Step::DeleteRange(DeleteRange { keys: Keys::one(key.clone()), ..DeleteRange::default() });
        let mut revision = 0;
        for step in [&put, &put, &delete] {
            revision = self.step(step)?.revision().ok_or_else(|| Trouble::new("a marker is refused"))?;
        }
        let Some(last) = stream.watch.last_seen(revision - 3) else {
            return Ok(Answer::Watched { revision, events: Vec::new() });
        };
        Ok(match stream.collect(last)? {
            End::Seen(events) => Answer::Watched { revision, events },
            End::Compacted(compacted) => Answer::Cancelled { revision, compacted },
        })
    }
}

fn parsed<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Trouble> {
    serde_json::from_str(text).map_err(Trouble::when(text))
}

impl Driver for Etcd {
    fn ask(&mut self, operation: &Operation) -> Result<Answer, Trouble> {
        self.asked(operation).map_err(|trouble| {
            Trouble::new(format!("{trouble}\netcd has said last: {}", self.server.last_words()))
        })
    }
}

impl Etcd {
    fn asked(&mut self, operation: &Operation) -> Result<Answer, Trouble> {
        match operation {
            Operation::Step(step) => self.step(step),
            Operation::Compact { revision } => {
                // Physical: it answers when the work is done, so that what it answers next does not depend on time.
                let body = json!({ "revision": revision.to_string(), "physical": true });
                self.ask_gateway("kv/compaction", &body, |reply| {
                    Ok(Answer::Compacted { revision: reply.revision() })
                })
            }
            Operation::Grant { id, ttl } => {
                self.ask_gateway("lease/grant", &request::grant(*id, *ttl), Reply::granted)
            }
            Operation::Revoke { id } => {
                self.ask_gateway("lease/revoke", &request::number("ID", *id), |reply| {
                    Ok(Answer::Revoked { revision: reply.revision() })
                })
            }
            Operation::KeepAlive { id } => self.keep_alive(*id),
            Operation::TimeToLive { id } => {
                let body = json!({ "ID": id.to_string(), "keys": true });
                self.ask_gateway("lease/timetolive", &body, |reply| Ok(reply.time_to_live()))
            }
            Operation::Leases => self.ask_gateway("lease/leases", &json!({}), |reply| Ok(reply.leases())),
            Operation::HashKv { revision } => self.hash_kv(*revision),
            Operation::Watch(watch) => self.watch(watch),
            Operation::Watched { id } => self.watched(*id),
            Operation::Status => self.ask_gateway("maintenance/status", &json!({}), |reply| {
                Ok(Answer::Status { revision: reply.revision() })
            }),
        }
    }
}
