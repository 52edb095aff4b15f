//! Two stores that are asked the same, and the first difference between them.

use std::fmt;

use crate::answer::Answer;
use crate::compare::{Comparison, Exemptions};
use crate::driver::{Driver, Trouble};
use crate::engine::Engine;
use crate::etcd::Etcd;
use crate::generate::View;
use crate::operation::{Keys, Operation, Range, Step};

/// How much was done.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Operations sent on their own.
    pub requests: u64,
    /// Operations that transactions have made.
    pub nested: u64,
    /// Answers compared: one for each operation that both have answered.
    pub comparisons: u64,
    /// Events of watchers, each compared.
    pub events: u64,
    /// Refusals, the same by both.
    pub refusals: u64,
    /// Hashes of the whole history, compared.
    pub hashes: u64,
    /// Snapshots of etcd with which the engine went on.
    pub snapshots: u64,
    /// What was not compared.
    pub exemptions: Exemptions,
}

/// Both answers where they differ.
#[derive(Clone, Debug)]
pub struct Difference {
    /// What was asked.
    pub operation: Operation,
    /// What etcd answers.
    pub etcd: Answer,
    /// What the engine answers.
    pub engine: Answer,
}

/// Why it does not go on.
#[derive(Clone, Debug)]
pub enum Stop {
    /// The stores differ.
    Different(Box<Difference>),
    /// One of them does not answer.
    Trouble(Trouble),
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// One line of JSON.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| error.to_string())
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "operation {}", json(&self.operation))?;
        writeln!(f, "etcd      {}", json(&self.etcd))?;
        write!(f, "engine    {}", json(&self.engine))
    }
}

impl Tally {
    /// Everything that was done.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.requests + self.nested
    }

    fn note(&mut self, etcd: &Answer, engine: &Answer) {
        self.requests += 1;
        self.nested += etcd.nested();
        if *engine == Answer::Unsupported {
            return;
        }
        self.comparisons += 1 + etcd.nested();
        match etcd {
            Answer::Watched { events, .. } => self.events += events.len() as u64,
            Answer::Failed { .. } => self.refusals += 1,
            Answer::Hash { .. } => self.hashes += 1,
            _ => {}
        }
    }
}

/// Two stores, of which the first is etcd, and what they have in common.
#[derive(Debug)]
pub struct Session<A, B> {
    etcd: A,
    engine: B,
    view: View,
}

impl<A: Driver, B: Driver> Session<A, B> {
    /// Two empty stores.
    pub fn new(etcd: A, engine: B) -> Self {
        Self { etcd, engine, view: View { revision: 1, ..View::default() } }
    }

    /// The state of both.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Asks both.
    ///
    /// # Errors
    /// If they differ, or one does not answer.
    pub fn ask(&mut self, operation: &Operation, tally: &mut Tally) -> Result<(), Stop> {
        let etcd = self.etcd.ask(operation)?;
        let engine = self.engine.ask(operation)?;
        tally.note(&etcd, &engine);
        let mut comparison = Comparison::new(&self.view, &mut tally.exemptions);
        if engine != Answer::Unsupported && !comparison.is_same(operation, &etcd, &engine) {
            let operation = operation.clone();
            return Err(Stop::Different(Box::new(Difference { operation, etcd, engine })));
        }
        self.view.note(operation, &etcd);
        Ok(())
    }
}

impl Session<Etcd, Engine> {
    /// Ends all watchers, and lets the engine go on with a snapshot of etcd, which must be the same in all that can be asked for.
    ///
    /// # Errors
    /// If they differ, or no store can be made of the snapshot.
    pub fn exchange(&mut self, tally: &mut Tally) -> Result<(), Stop> {
        for id in self.view.watchers.clone() {
            self.ask(&Operation::Watched { id }, tally)?;
        }
        let snapshot = self.etcd.snapshot()?;
        self.engine.take_snapshot(&snapshot)?;
        tally.snapshots += 1;
        let View { revision, compacted, .. } = self.view;
        let oldest = compacted.max(1);
        for at in [oldest, oldest + 1, oldest + (revision - oldest) / 2, revision.saturating_sub(1), revision]
        {
            let at = at.clamp(oldest, revision);
            self.ask(&Operation::HashKv { revision: at }, tally)?;
            let everything = Range { keys: Keys::all(), revision: at, ..Range::default() };
            self.ask(&Operation::Step(Step::Range(everything)), tally)?;
        }
        self.ask(&Operation::Leases, tally)?;
        for id in self.view.leases.clone() {
            self.ask(&Operation::TimeToLive { id }, tally)?;
        }
        Ok(())
    }
}

impl View {
    /// Goes on to the state after an operation.
    pub fn note(&mut self, operation: &Operation, answer: &Answer) {
        self.revision = self.revision.max(answer.revision().unwrap_or(0));
        match (operation, answer) {
            (Operation::Compact { revision }, Answer::Compacted { .. }) => self.compacted = *revision,
            (Operation::Watch(watch), Answer::Watching { .. }) => self.watchers.push(watch.id),
            (Operation::Grant { id, .. }, Answer::Granted { .. }) => self.leases.push(*id),
            (Operation::Revoke { id }, Answer::Revoked { .. }) => self.leases.retain(|lease| lease != id),
            (Operation::Watched { id }, _) => self.watchers.retain(|open| open != id),
            _ => {}
        }
    }
}
