//! Telling watchers what has changed.
//!
//! A watcher's list names what it was not told of; what each change was is read from the records, as is everything for one that is
//! behind its list.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::ControlFlow;
use core::time::Duration;

use super::Store;
use super::entry::Entry;
use super::options::Durability;
use crate::error::{Error, Result};
use crate::keys::Keys;
use crate::limits::{WATCH_BATCH_BYTES, WATCH_BATCH_EVENTS, WATCH_SCAN_RECORDS};
use crate::pager::Page;
use crate::records::{Body, Parts, Record, stored, with_key};
use crate::revision::{Position, Revision};
use crate::sabotage::sabotaged;
use crate::storage::Storage;
use crate::watch::{EventKind, Hold, Overrun, State, Told, Wants};

/// What was there before a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Previous {
    /// It was not asked for.
    NotAsked,
    /// Nothing: the key did not exist.
    Nothing,
    /// This.
    Entry(Entry),
    /// Something that compaction has removed: the change is at exactly the revision compacted to.
    Compacted,
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The entry as it was put; for a delete only the key, and the revision of the delete as its mod revision.
    pub entry: Entry,
    /// What was there before.
    pub previous: Previous,
}

/// Changes that a watcher is told of together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchBatch {
    /// The changes in the order in which they happened. All those of one revision are in one batch, unless fragments were asked for.
    /// None at all only tells how far the store is.
    pub events: Vec<Event>,
    /// The watcher has been told of everything up to this revision: to go on after it, a new watcher begins at the next.
    pub revision: Revision,
    /// The rest of this batch's last revision is in the next batch; `revision` is the one before it.
    pub is_fragment: bool,
}

/// What [`Store::poll`] answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watched {
    /// This is new.
    Batch(WatchBatch),
    /// A stretch of history was looked at and nothing found, and there is more to look at: poll again.
    Behind,
    /// There is nothing to tell until something is written, or becomes durable.
    Idle,
}

/// A watcher of a store. It holds nothing itself; [`Store::cancel`] takes it away from its store.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Watcher {
    id: u64,
}

impl Watcher {
    /// Its number among the watchers of its store.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }
}

/// A watcher that is still being described; [`start`](Self::start) begins to watch.
#[must_use = "nothing is watched until it is started"]
pub struct WatchRequest<'a, S: Storage> {
    store: &'a mut Store<S>,
    keys: Keys,
    from: Option<Revision>,
    wants: Wants,
}

impl<S: Storage> WatchRequest<'_, S> {
    /// Begins with the changes of this revision, which may be in the past, or in the future; 0 stands for the next one, as does
    /// not saying it.
    pub fn from(mut self, revision: impl Into<Revision>) -> Self {
        self.from = Some(revision.into());
        self
    }

    /// Tells with each change what was there before.
    pub fn previous(mut self) -> Self {
        self.wants.previous = true;
        self
    }

    /// Leaves out puts.
    pub fn without_puts(self) -> Self {
        self.without(EventKind::Put, EventKind::Delete)
    }

    /// Leaves out deletes.
    pub fn without_deletes(self) -> Self {
        self.without(EventKind::Delete, EventKind::Put)
    }

    fn without(mut self, kind: EventKind, other: EventKind) -> Self {
        self.wants.is_deaf |= self.wants.only == Some(kind);
        self.wants.only = Some(other);
        self
    }

    /// Lets a batch end within a revision, after about so many bytes of keys and values.
    pub fn fragments(mut self, bytes: usize) -> Self {
        self.wants.fragment_bytes = Some(bytes);
        self
    }

    /// Tells how far the store is, by a batch without events, whenever there was nothing to tell for so long. [`Store::run`] sees to that.
    pub fn progress(mut self, every: Duration) -> Self {
        self.wants.progress = Some(every);
        self
    }

    /// Has compaction keep what this watcher was not told of, of all keys, so that it never loses anything to compaction while it is not
    /// further behind than this. One that is gets [`Error::HoldExceeded`], and compaction goes on. A hold ends with the process.
    /// What it lets go of is removed by [`Store::run`], which is to be called after it was told something, or cancelled.
    ///
    /// ```
    /// # use palimpsest_kv::{Hold, Keys, Options, Store, Watched, storage::MemoryStorage};
    /// # let mut store = Store::open(MemoryStorage::new(), Options::default())?;
    /// let watcher = store.watch(Keys::all()).hold(Hold::revisions(1_000)).start()?;
    /// store.put("a", "1")?;
    /// store.put("a", "2")?;
    /// store.compact(store.revision())?;
    /// let Watched::Batch(batch) = store.poll(&watcher)? else { panic!("there is something to tell") };
    /// assert_eq!(batch.events.len(), 2, "though the first value is compacted");
    /// # Ok::<(), palimpsest_kv::Error>(())
    /// ```
    pub fn hold(mut self, hold: Hold) -> Self {
        self.wants.hold = Some(hold);
        self
    }

    /// Begins to watch. Costs O(log n) in the number of watchers.
    ///
    /// # Errors
    /// [`Error::Compacted`] if the changes of that revision are no longer there; [`Error::EmptyKey`], [`Error::EmptyInterval`];
    /// [`Error::InvalidOption`] for a hold without a bound.
    pub fn start(self) -> Result<Watcher> {
        let Self { store, keys, from, mut wants } = self;
        store.check_keys(&keys)?;
        if keys.bounds().is_none() {
            return Err(Error::EmptyInterval);
        }
        let next = store.revision + 1;
        let from = from.filter(|from| from.get() > 0).unwrap_or(Revision::new(next));
        store.check_watchable(from.get())?;
        if wants.hold.is_some_and(|hold| hold == Hold::default()) {
            let reason = "it sets no bound".into();
            return Err(Error::InvalidOption { option: "hold", reason });
        }
        wants.first = from.get();
        wants.floor = store.compacted.unwrap_or(0);
        let state = if from.get() < next {
            State::Behind(Position::new(from.get(), 0))
        } else {
            State::Listed(VecDeque::new())
        };
        Ok(Watcher { id: store.watchers.add(keys, wants, state) })
    }
}

/// A batch that is being put together.
struct Batch<'a> {
    wants: &'a Wants,
    events: Vec<Event>,
    bytes: usize,
    last: u64,
}

impl<'a> Batch<'a> {
    fn new(wants: &'a Wants) -> Self {
        Self { wants, events: Vec::new(), bytes: 0, last: 0 }
    }

    /// Whether a change of this revision still belongs into it.
    fn has_room(&self, main: u64) -> bool {
        if self.events.is_empty() {
            return true;
        }
        if main == self.last && !sabotaged!(RevisionTornApart) {
            return self.wants.fragment_bytes.is_none_or(|most| self.bytes < most);
        }
        let most = if sabotaged!(RevisionTornApart) { 2 } else { WATCH_BATCH_EVENTS };
        self.events.len() < most && self.bytes < WATCH_BATCH_BYTES
    }

    fn push(&mut self, event: Event) {
        self.last = event.entry.mod_revision().get();
        self.bytes += event.entry.key().len() + event.entry.value().len();
        self.events.push(event);
    }

    /// The batch, where the changes still to be told begin at `next`, or after `newest`.
    fn finish(self, next: Option<Position>, newest: u64) -> Option<WatchBatch> {
        if self.events.is_empty() {
            return None;
        }
        let is_fragment = next.is_some_and(|next| next.main == self.last);
        let told = match next {
            Some(next) => next.main - 1,
            None => newest,
        };
        Some(WatchBatch { events: self.events, revision: Revision::new(told), is_fragment })
    }
}

impl<S: Storage> Store<S> {
    /// Begins to describe a watcher of one key or an interval. Its events are asked for with [`Store::poll`].
    ///
    /// ```
    /// use palimpsest_kv::{Keys, Options, Store, Watched, storage::MemoryStorage};
    /// let mut store = Store::open(MemoryStorage::new(), Options::default())?;
    /// store.put("users/1", "Ada")?;
    /// let watcher = store.watch(Keys::prefix("users/")).from(1).start()?;
    /// store.delete("users/1")?;
    /// let mut seen = Vec::new();
    /// while let Watched::Batch(batch) = store.poll(&watcher)? {
    ///     seen.extend(batch.events.into_iter().map(|event| event.kind));
    /// }
    /// assert_eq!(seen.len(), 2, "a put from the past, and the delete");
    /// store.cancel(watcher);
    /// # Ok::<(), palimpsest_kv::Error>(())
    /// ```
    pub fn watch(&mut self, keys: impl Into<Keys>) -> WatchRequest<'_, S> {
        WatchRequest { store: self, keys: keys.into(), from: None, wants: Wants::default() }
    }

    /// What a watcher has not been told yet: about a thousand changes at most, or what a stretch of history holds. Where durability is
    /// strict, a watcher is told only of what is durable, so that no crash can undo what it knows.
    ///
    /// Costs reading those changes' records; for a watcher that is behind, the records between.
    ///
    /// # Errors
    /// [`Error::Compacted`] if changes that it was not told of are no longer there: it will be told nothing more, and is to be
    /// replaced by one that begins at the revision compacted to, after the keys have been read as of it. [`Error::Corrupt`],
    /// [`Error::Storage`] if a record can't be read; it can be asked again. [`Error::WatchNotFound`] after [`Store::cancel`].
    /// [`Error::HoldExceeded`] for one whose hold is over: as for one whose changes are no longer there.
    pub fn poll(&mut self, watcher: &Watcher) -> Result<Watched> {
        self.poll_id(watcher.id)
    }

    /// As [`Store::poll`], for who knows only a watcher's number.
    ///
    /// # Errors
    /// As [`Store::poll`].
    pub fn poll_id(&mut self, id: u64) -> Result<Watched> {
        let watcher = self.watchers.get(id).ok_or(Error::WatchNotFound { watcher: id })?;
        let visible = self.watchable_revision();
        let first = match &watcher.state {
            State::Listed(positions) => positions.front().map(|position| position.main),
            State::Behind(position) => Some(position.main),
            State::Lost(main) => Some(*main),
            State::Overrun(Overrun { bound, limit, behind }) => {
                let (bound, limit, behind) = (*bound, *limit, *behind);
                return Err(Error::HoldExceeded { watcher: id, bound, limit, behind });
            }
        };
        let holds = watcher.wants.hold.is_some() && !sabotaged!(HoldIgnored);
        let lost = first.filter(|_| !holds).and_then(|first| self.check_watchable(first).err());
        if let Some(error) = lost.filter(|_| !sabotaged!(WatcherLossHidden)) {
            self.watchers.told(id, Told::UpTo(State::Lost(first.unwrap_or(0))));
            return Err(error);
        }
        let (batch, told) = match &watcher.state {
            State::Lost(_) | State::Overrun(_) => return Ok(Watched::Idle),
            State::Behind(from) => {
                let (batch, state) = self.scan(&watcher.keys, &watcher.wants, *from)?;
                (batch, Told::UpTo(state))
            }
            State::Listed(positions) if positions.is_empty() => {
                if !watcher.owes_progress || visible + 1 < watcher.wants.first {
                    return Ok(Watched::Idle);
                }
                let revision = Revision::new(visible);
                (Some(WatchBatch { events: Vec::new(), revision, is_fragment: false }), Told::First(0))
            }
            State::Listed(positions) => {
                let (batch, told) = self.listed(&watcher.wants, positions)?;
                (batch, Told::First(told))
            }
        };
        let is_behind = matches!(&told, Told::UpTo(State::Behind(next)) if next.main <= visible);
        if batch.is_some() || told != Told::First(0) {
            self.watchers.told(id, told);
        }
        Ok(match batch {
            Some(batch) => Watched::Batch(batch),
            None if is_behind => Watched::Behind,
            None => Watched::Idle,
        })
    }

    /// The revision up to which a watcher has been told of everything, if there is nothing left to tell it now. None before the first
    /// revision that it wants to hear of: one that went on from there would be told of what this one never asked for.
    ///
    /// # Errors
    /// [`Error::WatchNotFound`].
    pub fn progress(&self, watcher: &Watcher) -> Result<Option<Revision>> {
        self.progress_id(watcher.id)
    }

    /// As [`Store::progress`], for who knows only a watcher's number.
    ///
    /// # Errors
    /// As [`Store::progress`].
    pub fn progress_id(&self, id: u64) -> Result<Option<Revision>> {
        let found = self.watchers.get(id).ok_or(Error::WatchNotFound { watcher: id })?;
        let is_told = matches!(&found.state, State::Listed(positions) if positions.is_empty());
        let visible = self.watchable_revision();
        Ok((is_told && visible + 1 >= found.wants.first).then(|| Revision::new(visible)))
    }

    /// The numbers of the watchers that there may be something to tell: those that are worth polling.
    #[must_use]
    pub fn ready_watchers(&self) -> Vec<u64> {
        self.watchers.ready().collect()
    }

    /// Ends a watcher.
    pub fn cancel(&mut self, watcher: Watcher) {
        self.cancel_id(watcher.id);
    }

    /// Ends the watcher with this number, if there is one.
    pub fn cancel_id(&mut self, id: u64) {
        self.watchers.remove(id);
    }

    /// The newest revision that watchers are told of.
    fn watchable_revision(&self) -> u64 {
        match self.options.durability {
            Durability::Strict if sabotaged!(WatcherToldTooEarly) => self.revision,
            Durability::Strict => self.durable_revision,
            Durability::Relaxed => self.revision,
        }
    }

    /// # Errors
    /// [`Error::Compacted`] if not all changes from a revision on are there.
    fn check_watchable(&self, from: u64) -> Result<()> {
        match self.compacted {
            Some(compacted) if from < compacted => {
                Err(Error::Compacted { requested: Revision::new(from), compacted: Revision::new(compacted) })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// A batch of the changes that a list names, and how many of them it has.
    fn listed(&self, wants: &Wants, positions: &VecDeque<Position>) -> Result<(Option<WatchBatch>, usize)> {
        let visible = self.watchable_revision();
        let mut batch = Batch::new(wants);
        let mut told = 0;
        for position in positions.iter().take_while(|position| position.main <= visible) {
            if !batch.has_room(position.main) {
                break;
            }
            let pages = self.pager.pages();
            let event = self
                .records
                .source()
                .visit(pages, *position, |page, record| self.event(wants, page, record))?;
            // None is there if its own transaction has changed the key once more, and both were compacted.
            event.into_iter().for_each(|event| batch.push(event));
            told += 1;
        }
        let next = positions.get(told).copied().filter(|next| next.main <= visible);
        Ok((batch.finish(next, visible), told))
    }

    /// A batch of what the records hold from a position on, and how far that is.
    fn scan(&self, keys: &Keys, wants: &Wants, from: Position) -> Result<(Option<WatchBatch>, State)> {
        let visible = self.watchable_revision();
        let mut batch = Batch::new(wants);
        let mut seen = 0;
        let mut main = from.main;
        let mut next = None;
        self.records.source().for_each_from(self.pager.pages(), from, |page, record| {
            let position = record.position;
            let is_enough = seen >= WATCH_SCAN_RECORDS && position.main != main;
            let is_within = position.main == batch.last;
            if position.main > visible || is_enough || (!is_within && !batch.has_room(position.main)) {
                next = Some(position);
                return Ok(ControlFlow::Break(()));
            }
            seen += 1;
            main = position.main;
            let kind = match record.body {
                Body::System(_) => return Ok(ControlFlow::Continue(())),
                Body::Tombstone { .. } | Body::LongTombstone { .. } => EventKind::Delete,
                Body::Put { .. } | Body::LongValue { .. } | Body::LongKey { .. } => EventKind::Put,
            };
            let is_wanted =
                wants.wants(kind) && with_key(self.pager.pages(), &record.body, |key| keys.contains(key))?;
            if !is_wanted {
                return Ok(ControlFlow::Continue(()));
            }
            // A fragment ends only where there is more to tell of its revision.
            if !batch.has_room(position.main) {
                next = Some(position);
                return Ok(ControlFlow::Break(()));
            }
            batch.push(self.event(wants, page, record)?);
            Ok(ControlFlow::Continue(()))
        })?;
        let state = match next {
            Some(next) => State::Behind(next),
            // What is not visible yet has not been listed, and nothing else is left.
            None if visible < self.revision => State::Behind(Position::new(visible + 1, 0)),
            None => State::Listed(VecDeque::new()),
        };
        Ok((batch.finish(next.filter(|next| next.main <= visible), visible), state))
    }

    /// What a record tells.
    fn event(&self, wants: &Wants, page: &Page, record: &Record<'_>) -> Result<Event> {
        let entry =
            Entry::new(stored(self.pager.pages(), (page, record), Parts::KeyAndValue)?, record.position);
        let kind = if entry.version() == 0 { EventKind::Delete } else { EventKind::Put };
        let previous = if wants.previous { self.previous_entry(wants, &entry)? } else { Previous::NotAsked };
        Ok(Event { kind, entry, previous })
    }

    /// What was there before the revision that an entry is of.
    fn previous_entry(&self, wants: &Wants, entry: &Entry) -> Result<Previous> {
        let main = entry.mod_revision().get();
        if entry.create_revision().get() == main {
            return Ok(Previous::Nothing);
        }
        let compacted = if wants.hold.is_some() { wants.floor } else { self.compacted.unwrap_or(0) };
        if main <= compacted {
            return Ok(if sabotaged!(PreviousMissing) { Previous::Nothing } else { Previous::Compacted });
        }
        let Some(position) = self.index.get(entry.key(), main - 1) else { return Ok(Previous::Nothing) };
        self.reader().entry(position, None, Parts::KeyAndValue).map(Previous::Entry)
    }
}
