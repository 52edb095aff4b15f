//! Watchers of the engine: polled now and then, and for good when they end.

use palimpsest_kv::{self as kv, Previous, Watched, Watcher};

use super::{Engine, answered, convert};
use crate::answer::{Answer, Event, EventKind, KeyValue};
use crate::bytes::Bytes;
use crate::driver::Trouble;
use crate::operation::{DeleteRange, Keys, Put, Step, Watch};

/// A watcher and what it has seen so far.
#[derive(Debug)]
pub(super) struct Watching {
    watch: Watch,
    state: State,
    seen: Vec<Event>,
}

#[derive(Debug)]
enum State {
    Open(Watcher),
    /// What it wants is compacted up to a revision. etcd says so only after it has begun.
    Compacted(u64),
}

fn event(event: &kv::Event) -> Event {
    let kind = match event.kind {
        kv::EventKind::Put => EventKind::Put,
        kv::EventKind::Delete => EventKind::Delete,
    };
    let prev_kv = match &event.previous {
        Previous::Entry(entry) => Some(convert::key_value(entry)),
        // etcd does not tell these apart.
        Previous::NotAsked | Previous::Nothing | Previous::Compacted => None,
    };
    let kv = match kind {
        EventKind::Put => convert::key_value(&event.entry),
        EventKind::Delete => KeyValue {
            key: Bytes::from(event.entry.key()),
            mod_revision: event.entry.mod_revision().get(),
            ..KeyValue::default()
        },
    };
    Event { kind, kv, prev_kv }
}

impl Engine {
    pub(super) fn watch(&mut self, watch: &Watch) -> Result<Answer, Trouble> {
        let fragment = self.rng.one_of(&[None, None, Some(1), Some(100)]);
        let store = self.store()?;
        let revision = store.revision().get();
        let mut request = store.watch(convert::keys(&watch.keys)).from(watch.start_revision);
        if watch.prev_kv {
            request = request.previous();
        }
        if watch.no_put {
            request = request.without_puts();
        }
        if watch.no_delete {
            request = request.without_deletes();
        }
        if let Some(bytes) = fragment {
            request = request.fragments(bytes);
        }
        let state = match request.start() {
            Ok(watcher) => State::Open(watcher),
            Err(kv::Error::Compacted { compacted, .. }) => State::Compacted(compacted.get()),
            Err(error) => return answered(Err(error)),
        };
        self.watchers.insert(watch.id, Watching { watch: watch.clone(), state, seen: Vec::new() });
        Ok(Answer::Watching { revision })
    }

    /// Asks one of the watchers, once: it may be told only a part.
    pub(super) fn poll_some(&mut self) -> Result<(), Trouble> {
        let ids: Vec<u64> = self.watchers.keys().copied().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let id = self.rng.one_of(&ids);
        let Some(mut watching) = self.watchers.remove(&id) else { return Ok(()) };
        let polled = self.poll(&mut watching);
        self.watchers.insert(id, watching);
        polled.map(|_| ())
    }

    /// Asks a watcher once. Answers whether there may be more.
    fn poll(&mut self, watching: &mut Watching) -> Result<bool, Trouble> {
        let State::Open(watcher) = &watching.state else { return Ok(false) };
        match self.store()?.poll(watcher) {
            Ok(Watched::Batch(batch)) => {
                watching.seen.extend(batch.events.iter().map(event));
                Ok(true)
            }
            Ok(Watched::Behind) => Ok(true),
            Ok(Watched::Idle) => Ok(false),
            Err(kv::Error::Compacted { compacted, .. }) => {
                watching.state = State::Compacted(compacted.get());
                Ok(false)
            }
            Err(error) => Err(Trouble::new(format!("polling {:?}: {error}", watching.watch))),
        }
    }

    pub(super) fn watched(&mut self, id: u64) -> Result<Answer, Trouble> {
        let Some(mut watching) = self.watchers.remove(&id) else { return Ok(Answer::Unsupported) };
        let key = watching.watch.marker().clone();
        let put = Step::Put(Put { key: key.clone(), value: Bytes::from("marker"), ..Put::default() });
        let delete = Step::DeleteRange(DeleteRange { keys: Keys::one(key), ..DeleteRange::default() });
        for step in [&put, &put, &delete] {
            self.step(step)?;
        }
        // A store that is not strict tells its watchers at once; a strict one has made the markers durable.
        while self.poll(&mut watching)? {}
        let revision = self.store()?.revision().get();
        match watching.state {
            State::Open(watcher) => {
                self.store()?.cancel(watcher);
                Ok(Answer::Watched { revision, events: watching.seen })
            }
            State::Compacted(compacted) => Ok(Answer::Cancelled { revision, compacted }),
        }
    }
}
