//! The states that something durable went through, of which a crash may bring back any since the newest that was made durable.

use std::fmt::Debug;

/// What there was, and at which revisions that could be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State<T> {
    what: T,
    since: u64,
    until: Option<u64>,
}

impl<T: PartialEq> State<T> {
    /// Whether a store at this revision may have this and nothing else.
    fn explains(&self, revision: u64, what: &T) -> bool {
        let is_then = self.since <= revision && self.until.is_none_or(|until| revision <= until);
        is_then && self.what == *what
    }
}

/// The states, the oldest first.
#[derive(Clone, Debug)]
pub struct States<T> {
    states: Vec<State<T>>,
    /// The place of the newest state that is known to be durable.
    durable: usize,
}

impl<T: Default> Default for States<T> {
    fn default() -> Self {
        Self { states: vec![State { what: T::default(), since: 1, until: None }], durable: 0 }
    }
}

impl<T: PartialEq + Debug> States<T> {
    /// Whether a store that has crashed may have this at a revision.
    #[must_use]
    pub fn explain(&self, revision: u64, what: &T) -> bool {
        self.states.iter().any(|state| state.explains(revision, what))
    }

    /// Adds a state, which led from one revision to another.
    pub(super) fn note(&mut self, what: T, (before, after): (u64, u64)) {
        self.states.last_mut().into_iter().for_each(|state| state.until = Some(before));
        self.states.push(State { what, since: after, until: None });
    }

    /// All that has happened is durable.
    pub(super) fn settled(&mut self) {
        self.durable = self.states.len() - 1;
    }

    /// Forgets states that no crash from now on can bring back.
    pub(super) fn begin(&mut self) {
        self.states.drain(..self.durable);
        self.durable = 0;
    }

    /// A crash has left the store at a revision with this: goes back to the newest state that explains it.
    ///
    /// # Panics
    /// If none does.
    pub(super) fn roll_back_to(&mut self, revision: u64, what: &T) {
        let place = self.states.iter().rposition(|state| state.explains(revision, what));
        let place = place.unwrap_or_else(|| {
            panic!("revision {revision} came back with {what:?}, of {:?}", self.states);
        });
        self.states.truncate(place + 1);
        self.states.last_mut().into_iter().for_each(|state| state.until = None);
        self.settled();
    }
}
