//! From a long run that ends in a difference to a short one.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use palimpsest_kv_tests::rng::Rng;

use crate::driver::{Driver, Trouble};
use crate::generate::{Mood, View};
use crate::operation::{Operation, Step, Txn};
use crate::session::{Difference, Session, Stop, Tally};

/// How long shrinking goes on; each try starts an etcd.
const PATIENCE: Duration = Duration::from_secs(150);

/// The first tails that are tried, in operations.
const TAILS: [usize; 5] = [30, 100, 300, 1000, 3000];

/// What may be done next: an operation yet to be chosen by the state that it meets, or one that is chosen.
#[derive(Clone, Debug)]
pub enum Draw {
    /// Chosen in a mood, from a seed.
    Random(Rc<Mood>, u64),
    /// This one.
    Fixed(Operation),
}

impl Draw {
    /// The operation, in a state.
    #[must_use]
    pub fn operation(&self, view: &View) -> Operation {
        match self {
            Self::Random(mood, seed) => mood.next(&mut Rng::new(*seed), view),
            Self::Fixed(operation) => operation.clone(),
        }
    }
}

/// Operations that end in a difference.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The operations; the last one is answered differently.
    pub operations: Vec<Operation>,
    /// How.
    pub difference: Difference,
}

/// Shrinks runs, each try on new stores.
pub struct Shrinker<F> {
    open: F,
    /// Which kind of difference is looked for.
    kind: Kind,
    end: Instant,
}

/// Differences of one kind have, most often, one reason: what was asked, and what both answered, by the names alone.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind(String);

impl Kind {
    fn of(difference: &Difference) -> Self {
        let Difference { operation, etcd, engine } = difference;
        let name = |text: String| -> String {
            let step = text.strip_prefix("Step(").unwrap_or(&text);
            let words: Vec<&str> = step.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            // Of a refusal also the reason.
            let count = if words.first() == Some(&"Failed") { 8 } else { 1 };
            words.into_iter().take(count).collect::<Vec<_>>().join(" ")
        };
        Self([format!("{operation:?}"), format!("{etcd:?}"), format!("{engine:?}")].map(name).join(", "))
    }
}

impl<A: Driver, B: Driver, F: FnMut() -> Result<Session<A, B>, Trouble>> Shrinker<F> {
    /// A shrinker that gets its stores from `open`, for runs that end in this difference or one of its kind.
    pub fn new(open: F, difference: &Difference) -> Self {
        Self { open, kind: Kind::of(difference), end: Instant::now() + PATIENCE }
    }

    /// A shorter run that ends in such a difference; `None` if the run does not fail again.
    pub fn shrink(&mut self, draws: &[Draw]) -> Option<Failure> {
        let tail = |length: &usize| draws.get(draws.len().saturating_sub(*length)..).unwrap_or(draws);
        let mut failure = TAILS.iter().chain([&draws.len()]).find_map(|length| self.run(tail(length)))?;
        // While the state still chooses, more can be left out without turning the rest into nonsense.
        let random = tail(&draws.len());
        if random.len() == failure.operations.len() {
            self.without_parts(&mut failure);
        }
        self.without_parts(&mut failure);
        self.simpler(&mut failure);
        self.without_parts(&mut failure);
        Some(failure)
    }

    fn is_over(&self) -> bool {
        Instant::now() > self.end
    }

    /// Runs on new stores up to the first difference.
    fn run(&mut self, draws: &[Draw]) -> Option<Failure> {
        let mut session = (self.open)().ok()?;
        let (mut operations, mut tally) = (Vec::new(), Tally::default());
        for draw in draws {
            let operation = draw.operation(session.view());
            operations.push(operation.clone());
            match session.ask(&operation, &mut tally) {
                Ok(()) => {}
                Err(Stop::Different(difference)) => {
                    let is_it = Kind::of(&difference) == self.kind;
                    return is_it.then_some(Failure { operations, difference: *difference });
                }
                Err(Stop::Trouble(_)) => return None,
            }
        }
        None
    }

    fn run_fixed(&mut self, operations: &[Operation]) -> Option<Failure> {
        if !is_sound(operations) {
            return None;
        }
        self.run(&operations.iter().cloned().map(Draw::Fixed).collect::<Vec<_>>())
    }

    /// Leaves out parts of the run, large ones first.
    fn without_parts(&mut self, failure: &mut Failure) {
        let mut size = failure.operations.len() / 2;
        while size > 0 && !self.is_over() {
            let mut start = 0;
            while start < failure.operations.len() && !self.is_over() {
                let mut rest = failure.operations.clone();
                rest.drain(start..(start + size).min(rest.len()));
                match self.run_fixed(&rest) {
                    Some(shorter) => *failure = shorter,
                    None => start += size,
                }
            }
            size /= 2;
        }
    }

    /// Leaves out parts of transactions.
    fn simpler(&mut self, failure: &mut Failure) {
        let mut place = 0;
        while let Some(operation) = failure.operations.get(place).cloned() {
            let simpler = simplified(&operation).into_iter().find_map(|simpler| {
                let mut operations = failure.operations.clone();
                *operations.get_mut(place)? = simpler;
                if self.is_over() { None } else { self.run_fixed(&operations) }
            });
            match simpler {
                Some(simpler) => *failure = simpler,
                None => place += 1,
            }
        }
    }
}

/// Whether the answers of this run are determined: no watcher is open at a compaction, and their names are unique.
fn is_sound(operations: &[Operation]) -> bool {
    let mut open = BTreeSet::new();
    operations.iter().all(|operation| match operation {
        Operation::Watch(watch) => open.insert(watch.id),
        Operation::Watched { id } => open.remove(id),
        Operation::Compact { .. } => open.is_empty(),
        _ => true,
    })
}

/// The same with one part of it left out, in each way.
fn simplified(operation: &Operation) -> Vec<Operation> {
    let Operation::Step(Step::Txn(txn)) = operation else { return Vec::new() };
    simplified_txn(txn).into_iter().map(|txn| Step::Txn(txn).into()).collect()
}

fn without<T: Clone>(items: &[T], place: usize) -> Vec<T> {
    items.iter().take(place).chain(items.iter().skip(place + 1)).cloned().collect()
}

fn simplified_branch(steps: &[Step]) -> Vec<Vec<Step>> {
    let mut branches: Vec<Vec<Step>> = (0..steps.len()).map(|place| without(steps, place)).collect();
    for (place, step) in steps.iter().enumerate() {
        let Step::Txn(txn) = step else { continue };
        let replaced = simplified_txn(txn).into_iter().map(|txn| {
            let mut steps = steps.to_vec();
            steps.splice(place..=place, [Step::Txn(txn)]);
            steps
        });
        branches.extend(replaced);
    }
    branches
}

fn simplified_txn(txn: &Txn) -> Vec<Txn> {
    let mut simpler = Vec::new();
    if !txn.success.is_empty() && !txn.failure.is_empty() {
        simpler.push(Txn { success: Vec::new(), ..txn.clone() });
        simpler.push(Txn { failure: Vec::new(), ..txn.clone() });
    }
    let compares = (0..txn.compare.len()).map(|place| without(&txn.compare, place));
    simpler.extend(compares.map(|compare| Txn { compare, ..txn.clone() }));
    let successes = simplified_branch(&txn.success).into_iter();
    simpler.extend(successes.map(|success| Txn { success, ..txn.clone() }));
    let failures = simplified_branch(&txn.failure).into_iter();
    simpler.extend(failures.map(|failure| Txn { failure, ..txn.clone() }));
    simpler
}
