//! Watchers: what they are told beside what the model says has happened.

use palimpsest_kv::{
    Error, Event, EventKind, Hold, HoldBound, Previous, Revision, WatchBatch, Watched, Watcher,
};
use std::time::Duration;

use super::Checked;
use crate::action::{Found, Wish, Without};
use crate::medium::Medium;
use crate::model::{Before, Change, Model, Told};

/// Changes that a watcher may be told of from its own list. One that falls further behind is told from the records.
const MAX_LISTED: usize = 256;

/// Where a watcher's store takes from what it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// From a list of the changes that it was not told of.
    Listed,
    /// From the records, from this revision on.
    Behind(u64),
    /// From the records, from some revision on.
    Somewhere,
}

/// A watcher, and what it has been told.
#[derive(Debug)]
pub(super) struct Watching {
    watcher: Watcher,
    wish: Wish,
    /// The first revision that it wants to hear of.
    first: u64,
    /// The oldest position that it was not told of.
    next: (u64, u64),
    mode: Mode,
    /// What was compacted when it began, if compaction waits for it.
    floor: Option<u64>,
    /// The store's revision when it was last asked.
    asked: u64,
}

/// How the store stands.
#[derive(Clone, Copy, Debug)]
struct Now {
    revision: u64,
    /// The newest revision that watchers are told of.
    visible: u64,
    compacted: Option<u64>,
}

fn told(event: &Event) -> Told {
    let before = match &event.previous {
        Previous::NotAsked => Before::NotAsked,
        Previous::Nothing => Before::Nothing,
        Previous::Compacted => Before::Compacted,
        Previous::Entry(entry) => Before::Found(Found::from(entry)),
    };
    Told { kind: event.kind, found: Found::from(&event.entry), before }
}

impl Watching {
    /// What it is still to be told of.
    fn pending<'a>(&self, model: &'a Model) -> Vec<&'a Change> {
        let Without { puts, deletes } = self.wish.without;
        let wants = |change: &&Change| {
            self.wish.keys.contains(&change.key)
                && match model.kind(change) {
                    EventKind::Put => !puts,
                    EventKind::Delete => !deletes,
                }
        };
        model.changes_from(self.next).iter().filter(wants).collect()
    }

    /// From which revision on the store needs its history to tell it more; `None` from no particular one.
    fn needs(&self, pending: &[&Change]) -> Option<u64> {
        match self.mode {
            Mode::Listed => pending.first().map(|change| change.main),
            Mode::Behind(main) => Some(main),
            Mode::Somewhere => None,
        }
    }

    fn holds(&self) -> bool {
        self.wish.hold != (None, None)
    }

    /// How many revisions it is behind, if that is known and more than none.
    fn behind(&self, pending: &[&Change], revision: u64) -> Option<u64> {
        let held = self.needs(pending)?.saturating_sub(1).max(self.floor.unwrap_or(0));
        revision.checked_sub(held).filter(|behind| *behind > 0)
    }

    /// Compaction has waited for it long enough.
    fn take_overrun(&self, error: &Error, behind: Option<u64>) {
        let Error::HoldExceeded { watcher, bound, limit, behind: told } = error else { panic!("{error:?}") };
        let most = match bound {
            HoldBound::Revisions => self.wish.hold.0,
            HoldBound::Bytes => self.wish.hold.1,
        };
        assert_eq!((*watcher, Some(*limit)), (self.watcher.id(), most), "{error:?} of {self:?}");
        assert!(told > limit, "{error:?}");
        let is_known = self.mode != Mode::Somewhere && *bound == HoldBound::Revisions;
        assert!(!is_known || Some(*told) <= behind, "{error:?} of one that is {behind:?} behind");
    }

    /// The events must be the next ones, in order, none left out but those that may be.
    fn compare_batch<'a>(
        &self,
        batch: &WatchBatch,
        pending: &'a [&'a Change],
        (model, now): (&Model, Now),
    ) -> &'a [&'a Change] {
        let mut rest = pending;
        for event in &batch.events {
            let event = told(event);
            while let Some((change, others)) = rest.split_first() {
                let is_it = change.main == event.found.modified && change.key == event.found.key;
                if is_it && model.kind(change) == event.kind || !model.is_forgotten(change, now.compacted) {
                    break;
                }
                rest = others;
            }
            let (change, others) = rest.split_first().unwrap_or_else(|| panic!("{event:?} did not happen"));
            let mut expected = model.told(change, now.compacted);
            if !self.wish.previous {
                expected.before = Before::NotAsked;
            }
            assert_eq!(event, expected, "an event, then the model's");
            assert!(change.main <= now.visible, "{event:?} is told beyond revision {}", now.visible);
            rest = others;
        }
        rest
    }

    /// A batch is the next changes: of each revision all, unless fragments are wanted.
    fn take_batch(&mut self, batch: &WatchBatch, (model, now): (&Model, Now)) {
        let pending = self.pending(model);
        let rest = self.compare_batch(batch, &pending, (model, now));
        let revision = batch.revision.get();
        let last = batch.events.last().map(|event| event.entry.mod_revision().get());
        let is_behind = self.mode != Mode::Listed || pending.len() > MAX_LISTED;
        if batch.is_fragment {
            let last = last.expect("a fragment has an event");
            let is_more = rest.first().is_some_and(|change| change.main == last);
            assert!(self.wish.fragments.is_some() && is_more, "nothing is left of the fragment {batch:?}");
            assert_eq!(revision + 1, last, "a fragment tells of all before its revision");
            let (told, all) = (pending.len() - rest.len(), &pending);
            self.next = all.get(told - 1).map_or(self.next, |change| (change.main, change.sub + 1));
            self.mode = if is_behind { Mode::Behind(last) } else { Mode::Listed };
            return;
        }
        let is_progress = last.is_none() && self.wish.progress.is_some() && pending.is_empty();
        assert!(last.is_some() || is_progress, "an empty batch: {batch:?}");
        assert!(last.unwrap_or(0) <= revision && revision <= now.visible, "{batch:?} at {now:?}");
        assert!(revision + 1 >= self.next.0, "revision {revision} is told to one who is at {:?}", self.next);
        let is_missing =
            |change: &&&Change| change.main <= revision && !model.is_forgotten(change, now.compacted);
        let missing = rest.iter().find(is_missing);
        assert_eq!(missing, None, "revision {revision} is told, and this is not");
        self.next = (revision + 1, 0);
        self.mode = match is_behind {
            true if revision < now.visible || now.visible < now.revision => Mode::Behind(revision + 1),
            _ => Mode::Listed,
        };
    }

    /// There is nothing to tell.
    fn take_silence(&mut self, (model, now): (&Model, Now)) {
        let pending = self.pending(model);
        let is_missing =
            |change: &&&Change| change.main <= now.visible && !model.is_forgotten(change, now.compacted);
        assert_eq!(pending.iter().find(is_missing), None, "this is not told");
        let is_overflown = self.mode == Mode::Listed && pending.len() > MAX_LISTED;
        let first = pending.first().map_or(0, |change| change.main);
        self.next = self.next.max((now.visible + 1, 0));
        self.mode = match self.mode {
            Mode::Listed if !is_overflown => Mode::Listed,
            Mode::Listed => Mode::Behind(first.max(now.visible + 1)),
            _ if now.visible == now.revision => Mode::Listed,
            Mode::Behind(main) => Mode::Behind(main.max(now.visible + 1)),
            Mode::Somewhere => Mode::Behind(now.visible + 1),
        };
    }
}

impl<M: Medium> Checked<M> {
    fn now(&mut self) -> Now {
        let (revision, compacted) = (self.model.revision(), self.model.compacted());
        let visible = match self.options.durability {
            palimpsest_kv::Durability::Strict => self.store().durable_revision().get(),
            _ => revision,
        };
        Now { revision, visible, compacted }
    }

    pub(super) fn watch(&mut self, wish: &Wish) {
        let revision = self.model.revision();
        let first = wish.from.filter(|from| *from > 0).unwrap_or(revision + 1);
        let mut request = self.store().watch(&wish.keys);
        if let Some(from) = wish.from {
            request = request.from(from);
        }
        if wish.previous {
            request = request.previous();
        }
        if wish.without.puts {
            request = request.without_puts();
        }
        if wish.without.deletes {
            request = request.without_deletes();
        }
        if let Some(bytes) = wish.fragments {
            request = request.fragments(bytes);
        }
        if let Some(millis) = wish.progress {
            request = request.progress(Duration::from_millis(millis));
        }
        if wish.hold != (None, None) {
            let hold = wish.hold.0.map_or_else(Hold::default, Hold::revisions);
            request = request.hold(wish.hold.1.map_or(hold, |bytes| hold.and_bytes(bytes)));
        }
        let answer = request.start();
        let mut errors = Vec::new();
        if let Some(compacted) = self.model.compacted().filter(|compacted| first < *compacted) {
            let (requested, compacted) = (Revision::new(first), Revision::new(compacted));
            errors.push(Error::Compacted { requested, compacted });
        }
        if wish.keys.single().is_some_and(<[u8]>::is_empty) {
            errors.push(Error::EmptyKey);
        }
        match answer {
            Ok(watcher) => {
                assert_eq!(errors, [], "the store has begun to watch {wish:?}");
                let mode = if first <= revision { Mode::Behind(first) } else { Mode::Listed };
                let wish = wish.clone();
                self.has_held |= wish.hold != (None, None);
                let (next, floor) = ((first, 0), self.model.compacted());
                self.watchers.push(Watching { watcher, wish, first, next, mode, floor, asked: revision });
            }
            // Whether an interval holds a key can't be asked; that it holds none of those that there are can.
            Err(Error::EmptyInterval) => assert!(!self.model.keys().any(|key| wish.keys.contains(key))),
            Err(error) => assert!(errors.contains(&error), "{error:?}, not one of {errors:?}"),
        }
    }

    /// Whether compaction waits for any watcher.
    pub(super) fn is_held(&self) -> bool {
        self.watchers.iter().any(Watching::holds)
    }

    pub(super) fn cancel(&mut self, place: usize) {
        let Watching { watcher, .. } = self.watchers.swap_remove(place);
        let id = watcher.id();
        self.store().cancel(watcher);
        assert_eq!(self.store().poll_id(id), Err(Error::WatchNotFound { watcher: id }));
    }

    pub(super) fn poll(&mut self, place: usize) {
        let now = self.now();
        let store = self.store.as_mut().expect("the store is open");
        let watching = self.watchers.get_mut(place).expect("an action names a watcher");
        let holds = watching.holds();
        let now = Now { compacted: if holds { watching.floor } else { now.compacted }, ..now };
        let pending = watching.pending(&self.model);
        let needs = watching.needs(&pending);
        let lost = now.compacted.filter(|compacted| needs.is_some_and(|needs| needs < *compacted));
        let behind = watching.behind(&pending, now.revision);
        let is_over =
            now.revision > watching.asked && watching.wish.hold.0.is_some_and(|most| behind > Some(most));
        watching.asked = now.revision;
        let is_ready = store.ready_watchers().contains(&watching.watcher.id());
        match store.poll(&watching.watcher) {
            Ok(answer) => {
                assert_eq!(lost, None, "{watching:?} was told {answer:?}, and has lost something");
                assert!(!is_over, "{watching:?} was told {answer:?}, and is {behind:?} behind");
                assert!(is_ready || answer == Watched::Idle, "{answer:?} for one that is not ready");
                match answer {
                    Watched::Batch(batch) => watching.take_batch(&batch, (&self.model, now)),
                    Watched::Idle => watching.take_silence((&self.model, now)),
                    Watched::Behind => {
                        assert_ne!(watching.mode, Mode::Listed, "one that is not behind is told that it is");
                        watching.mode = Mode::Somewhere;
                    }
                }
            }
            Err(error) if holds => {
                watching.take_overrun(&error, behind);
                assert_eq!(store.poll(&watching.watcher), Err(error), "asked once more");
                return self.cancel(place);
            }
            Err(error) => {
                let Error::Compacted { requested, compacted } = error.clone() else { panic!("{error:?}") };
                let is_expected = lost.is_some() || watching.mode == Mode::Somewhere;
                assert!(is_expected, "{watching:?} was told {error:?}, with {pending:?} to come");
                assert!(needs.is_none_or(|needs| needs == requested.get()), "{error:?}, not {needs:?}");
                assert_eq!(Some(compacted.get()), now.compacted);
                assert_eq!(store.poll(&watching.watcher), Err(error), "asked once more");
                return self.cancel(place);
            }
        }
        self.compare_progress(place);
    }

    /// A watcher that there is nothing to tell can say how far it is, and one that is told from a future revision on can't.
    fn compare_progress(&mut self, place: usize) {
        let now = self.now();
        let Some(watching) = self.watchers.get(place) else { return };
        let store = self.store.as_ref().expect("the store is open");
        let pending = watching.pending(&self.model);
        let is_told =
            watching.mode == Mode::Listed && pending.is_empty() && watching.first <= now.visible + 1;
        let seen = store.progress(&watching.watcher).expect("there is the watcher");
        assert_eq!(seen.map(Revision::get), is_told.then_some(now.visible), "the progress of {watching:?}");
    }

    /// A host that has opened its store again goes on watching where it was.
    pub(super) fn watch_again(&mut self) {
        for watching in std::mem::take(&mut self.watchers) {
            let from = Some(watching.next.0);
            self.watch(&Wish { from, ..watching.wish });
        }
    }

    /// The same after a crash, which in a strict store undoes nothing that a watcher was told.
    pub(super) fn watch_again_after_a_crash(&mut self) {
        let revision = self.model.revision();
        let is_strict = self.options.durability == palimpsest_kv::Durability::Strict;
        for watching in &self.watchers {
            let told = if watching.next.0 > watching.first { watching.next.0 - 1 } else { 0 };
            assert!(!is_strict || told <= revision, "{revision} came back, and {watching:?} knows more");
        }
        self.watch_again();
    }
}
