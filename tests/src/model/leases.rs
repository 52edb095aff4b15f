//! The leases: which there are, when they end, and which of the states they went through a crash may bring back.

use std::collections::BTreeMap;

use palimpsest_kv::Error;

use super::Expected;
use super::states::States;

/// Until when a lease lives, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// So long from when the clock is next looked at.
    In(u64),
    /// At a moment.
    At(u64),
}

/// One lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Its whole time, in seconds.
    pub seconds: u64,
    /// Its end.
    pub ends: Ends,
}

/// All leases, and the states that may come back after a crash: their times in seconds, by their numbers.
#[derive(Clone, Debug, Default)]
pub struct Leases {
    now: BTreeMap<u64, Granted>,
    states: States<BTreeMap<u64, u64>>,
}

impl Leases {
    /// The leases there are, by their numbers.
    #[must_use]
    pub fn all(&self) -> &BTreeMap<u64, Granted> {
        &self.now
    }

    /// The lease with this number.
    ///
    /// # Errors
    /// What the store must answer if there is none.
    pub fn get(&self, id: u64) -> Expected<Granted> {
        self.now.get(&id).copied().ok_or_else(|| vec![Error::LeaseNotFound { lease: id }])
    }

    /// What may come back after a crash.
    #[must_use]
    pub fn states(&self) -> &States<BTreeMap<u64, u64>> {
        &self.states
    }

    /// Adds a lease that lives for so many seconds.
    pub fn grant(&mut self, id: u64, (seconds, revision): (u64, u64)) {
        self.now.insert(id, Granted { seconds, ends: Ends::In(seconds * 1_000_000) });
        self.note(revision, revision);
    }

    /// Takes one away, which led from one revision to another.
    pub(super) fn remove(&mut self, id: u64, (before, after): (u64, u64)) {
        self.now.remove(&id);
        self.note(before, after);
    }

    fn note(&mut self, before: u64, after: u64) {
        let leases = self.now.iter().map(|(id, lease)| (*id, lease.seconds)).collect();
        self.states.note(leases, (before, after));
    }

    /// Sets when a lease ends.
    pub fn set_end(&mut self, id: u64, ends: Ends) {
        self.now.get_mut(&id).into_iter().for_each(|lease| lease.ends = ends);
    }

    /// Lets a lease live for its whole time once more, and answers how many seconds that is.
    ///
    /// # Errors
    /// What the store must answer if there is none.
    pub fn renew(&mut self, id: u64) -> Expected<u64> {
        let Granted { seconds, .. } = self.get(id)?;
        self.set_end(id, Ends::In(seconds * 1_000_000));
        Ok(seconds)
    }

    /// All that has happened is durable.
    pub fn settled(&mut self) {
        self.states.settled();
    }

    /// Forgets states that no crash from now on can bring back.
    pub fn begin(&mut self) {
        self.states.begin();
    }

    /// A crash has left the store at a revision with these leases: goes back to the newest state that explains it.
    ///
    /// # Panics
    /// If none does.
    pub fn roll_back_to(&mut self, revision: u64, leases: &BTreeMap<u64, u64>) {
        self.states.roll_back_to(revision, leases);
        let renewed = |(id, seconds): (&u64, &u64)| {
            let whole = Granted { seconds: *seconds, ends: Ends::In(seconds * 1_000_000) };
            (*id, self.now.get(id).copied().filter(|lease| lease.seconds == *seconds).unwrap_or(whole))
        };
        self.now = leases.iter().map(renewed).collect();
    }
}
