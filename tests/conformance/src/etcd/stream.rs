//! One watcher of etcd: a request whose answer never ends by itself, read by a thread of its own.

use std::io::{BufRead, BufReader};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use ureq::{Agent, Body};

use super::reply::{Line, Told};
use super::request;
use crate::answer::Event;
use crate::driver::Trouble;
use crate::operation::Watch;

/// How long etcd may take to tell a watcher something that is there.
const PATIENCE: Duration = Duration::from_secs(10);

/// A watcher that has begun.
#[derive(Debug)]
pub(super) struct Stream {
    told: Receiver<Result<Told, Trouble>>,
    /// What it watches.
    pub(super) watch: Watch,
}

/// How a watcher has ended.
#[derive(Debug)]
pub(super) enum End {
    /// All that it was to see, it has seen.
    Seen(Vec<Event>),
    /// What it wants is compacted up to a revision.
    Compacted(u64),
}

/// How a watcher has begun.
#[derive(Debug)]
pub(super) enum Begin {
    /// It has begun, at a revision.
    Created(Stream, u64),
    /// It was refused.
    Refused(String),
}

/// Reads lines until there are no more, or nobody wants them. Leaving closes the connection, and with it the watcher.
fn read(body: Body, tell: impl Fn(Result<Told, Trouble>) -> bool) {
    for line in BufReader::new(body.into_reader()).lines() {
        let told = line.map_err(Trouble::when("reading a watcher")).and_then(|line| {
            let line: Line = serde_json::from_str(&line).map_err(Trouble::when(&line))?;
            line.result.map(super::reply::Reply::told).ok_or_else(|| Trouble::new("a watcher has no result"))
        });
        if !tell(told) {
            return;
        }
    }
}

impl Stream {
    /// Starts a watcher.
    ///
    /// # Errors
    /// If etcd can't be reached or is not understood.
    pub(super) fn begin(agent: &Agent, url: &str, watch: &Watch) -> Result<Begin, Trouble> {
        let text = request::watch(watch).to_string();
        let response = agent.post(url).send(text).map_err(Trouble::when("starting a watcher"))?;
        let (sender, told) = channel();
        thread::spawn(move || read(response.into_body(), |told| sender.send(told).is_ok()));
        let stream = Self { told, watch: watch.clone() };
        match stream.next()? {
            Told::Created(revision) => Ok(Begin::Created(stream, revision)),
            Told::Refused(reason) => Ok(Begin::Refused(reason)),
            other => Err(Trouble::new(format!("a watcher begins with {other:?}"))),
        }
    }

    fn next(&self) -> Result<Told, Trouble> {
        match self.told.recv_timeout(PATIENCE) {
            Ok(told) => told,
            Err(RecvTimeoutError::Timeout) => {
                Err(Trouble::new(format!("nothing is told to {:?}", self.watch)))
            }
            Err(RecvTimeoutError::Disconnected) => Err(Trouble::new(format!("{:?} has ended", self.watch))),
        }
    }

    /// Collects events until one of the revision that is the last to be seen. The events of one revision come together.
    ///
    /// # Errors
    /// If etcd can't be reached, is not understood, or does not tell of that revision.
    pub(super) fn collect(self, last: u64) -> Result<End, Trouble> {
        let mut seen: Vec<Event> = Vec::new();
        while seen.last().is_none_or(|event| event.kv.mod_revision < last) {
            match self.next() {
                Ok(Told::Events(events)) => seen.extend(events),
                Ok(Told::Compacted(revision)) => return Ok(End::Compacted(revision)),
                Ok(other) => return Err(Trouble::new(format!("a watcher is told {other:?}"))),
                Err(trouble) => {
                    return Err(Trouble::new(format!(
                        "{trouble}, before revision {last}; it has seen {seen:?}"
                    )));
                }
            }
        }
        Ok(End::Seen(seen))
    }
}
