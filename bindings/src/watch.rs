//! Watchers, as JavaScript knows them: by their numbers.

use palimpsest_kv::{Hold, Watched};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use crate::engine::Engine;
use crate::entries::packed_events;
use crate::errors::{JsResult, translated};
use crate::keys::{exact, revision, selection};
use crate::objects::{as_duration, from_js, to_js};

/// What a watcher wants to be told; `from` is 0 for the next revision, `progress` is in milliseconds, and a batch may end within a
/// revision after about `fragmentBytes`. Puts and deletes are told of unless they are `false`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchOptions {
    from: Option<f64>,
    previous: Option<bool>,
    puts: Option<bool>,
    deletes: Option<bool>,
    progress: Option<f64>,
    fragment_bytes: Option<f64>,
    hold: Option<HoldObject>,
}

/// How far a watcher may be behind while compaction waits for it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct HoldObject {
    revisions: Option<f64>,
    bytes: Option<f64>,
}

impl HoldObject {
    fn hold(self) -> JsResult<Hold> {
        let hold = match self.revisions {
            Some(most) => Hold::revisions(exact(most)?),
            None => Hold::default(),
        };
        Ok(match self.bytes {
            Some(most) => hold.and_bytes(exact(most)?),
            None => hold,
        })
    }
}

/// What there is to tell; the events are packed as `entries` says.
#[derive(Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
enum WatchedObject {
    Batch {
        revision: u64,
        #[serde(rename = "isFragment")]
        is_fragment: bool,
        #[serde(with = "serde_bytes")]
        events: Vec<u8>,
    },
    Behind,
    Idle,
}

impl From<Watched> for WatchedObject {
    fn from(watched: Watched) -> Self {
        match watched {
            Watched::Batch(batch) => Self::Batch {
                revision: batch.revision.get(),
                is_fragment: batch.is_fragment,
                events: packed_events(&batch.events),
            },
            Watched::Behind => Self::Behind,
            Watched::Idle => Self::Idle,
        }
    }
}

#[wasm_bindgen]
impl Engine {
    /// Begins to watch keys. Answers the watcher's number.
    ///
    /// # Errors
    /// As [`palimpsest_kv::WatchRequest::start`], and if the keys or the options are malformed.
    pub fn watch(&self, keys: &[u8], options: JsValue) -> JsResult<f64> {
        let options: WatchOptions = from_js(options)?;
        let from = revision(options.from.unwrap_or_default())?;
        let progress = options.progress.map(|millis| as_duration("progress", millis)).transpose()?;
        let hold = options.hold.map(HoldObject::hold).transpose()?;
        let keys = selection(keys)?;
        let mut store = self.write()?;
        let mut request = store.watch(keys);
        if let Some(hold) = hold {
            request = request.hold(hold);
        }
        if let Some(from) = from {
            request = request.from(from);
        }
        if options.previous == Some(true) {
            request = request.previous();
        }
        if options.puts == Some(false) {
            request = request.without_puts();
        }
        if options.deletes == Some(false) {
            request = request.without_deletes();
        }
        if let Some(every) = progress {
            request = request.progress(every);
        }
        if let Some(bytes) = options.fragment_bytes {
            request = request.fragments(usize::try_from(exact(bytes)?).unwrap_or(usize::MAX));
        }
        Ok(request.start().map_err(translated)?.id() as f64)
    }

    /// What there is to tell a watcher: `{ state: 'batch', revision, isFragment, events }`, `{ state: 'behind' }` if it is to be asked again, or
    /// `{ state: 'idle' }`.
    ///
    /// # Errors
    /// As [`palimpsest_kv::Store::poll_id`].
    pub fn poll(&self, watcher: f64) -> JsResult<JsValue> {
        let watched = self.write()?.poll_id(exact(watcher)?).map_err(translated)?;
        to_js(&WatchedObject::from(watched))
    }

    /// The watchers that there may be something to tell.
    ///
    /// # Errors
    /// If the store is closed.
    #[wasm_bindgen(js_name = readyWatchers)]
    pub fn ready_watchers(&self) -> JsResult<Vec<f64>> {
        Ok(self.read()?.ready_watchers().into_iter().map(|id| id as f64).collect())
    }

    /// The revision up to which a watcher was told of everything; nothing if there is something left to tell.
    ///
    /// # Errors
    /// As [`palimpsest_kv::Store::progress_id`].
    #[wasm_bindgen(js_name = watchProgress)]
    pub fn watch_progress(&self, watcher: f64) -> JsResult<Option<f64>> {
        let told = self.read()?.progress_id(exact(watcher)?).map_err(translated)?;
        Ok(told.map(|revision| revision.get() as f64))
    }

    /// Ends a watcher, if there is one with this number.
    ///
    /// # Errors
    /// If the store is closed.
    #[wasm_bindgen(js_name = cancelWatcher)]
    pub fn cancel_watcher(&self, watcher: f64) -> JsResult<()> {
        self.write()?.cancel_id(exact(watcher)?);
        Ok(())
    }
}
