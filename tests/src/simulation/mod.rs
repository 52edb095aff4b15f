//! A store's whole life in simulated time on a faulty medium, from a seed: clients that write, read, compact and reopen, faults and
//! losses of power; and beside it, at any change of the medium, a look at what a crash there would have left.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher};

use xxhash_rust::xxh64::xxh64;

use crate::action::Action;
use crate::checked::Checked;
use crate::faulty::{Event, FaultyStorage, Moment};
use crate::generate::{Swarm, options};
use crate::medium::Power;
use crate::rng::Rng;
use crate::sim::SimClock;

mod crash;

pub use crash::Expectation;

/// After so many steps everything is compared, besides what each step answers.
const BATCH_STEPS: usize = 100;
/// Of so many actions that change a small medium one is crashed.
const CRASHED_ONE_IN: u64 = 4;
/// Moments of one action that are crashed, besides its syncs.
const MOMENTS: usize = 16;
/// At each moment so many torn images are looked at, besides those with all and with nothing of what is not synced.
const TORN: usize = 2;
const TORN_OF_EVERY: usize = 10;
/// Actions of a run in which every change is crashed.
const STEPS_OF_EVERY: usize = 60;
/// A medium of this many bytes is crashed half as often as a small one, and larger ones by the square of their length less often: a
/// crash is as dear as the medium is long.
const SMALL_BYTES: u64 = 24 * 1024;
/// How many actions a run may have. Most stores are young, since most of what can go wrong goes wrong in small ones.
const STEPS: [usize; 6] = [50, 100, 300, 300, 1_000, 3_000];

/// What a simulation has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Actions done to a store and its model.
    pub operations: u64,
    /// Crashes looked at: each a medium that was opened and compared with the model.
    pub crashes: u64,
    /// A number for all that was left on the media.
    pub digest: u64,
}

impl Tally {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            operations: self.operations + other.operations,
            crashes: self.crashes + other.crashes,
            digest: self.digest ^ other.digest,
        }
    }
}

/// How much of an action is worth printing.
const PRINTED_CHARS: usize = 400;

/// Tells what was being done when the simulation fails.
struct Doing<'a> {
    step: usize,
    action: &'a Action,
}

impl Drop for Doing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print();
        }
    }
}

impl Doing<'_> {
    fn print(&self) {
        let text: String = format!("{:?}", self.action).chars().take(PRINTED_CHARS).collect();
        eprintln!("at step {}: {text}", self.step);
    }
}

/// How often the simulation looks at what a crash would leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// Now and then, so that most of the time goes into operations.
    Sampled,
    /// At every change of the medium that a short run of a small store makes, many times.
    Every,
}

/// The simulation of one seed.
pub struct Simulation {
    looks: Looks,
    rng: Rng,
    swarm: Swarm,
    checked: Checked<FaultyStorage>,
    tally: Tally,
    /// Whether each action is printed before it is done.
    trace: bool,
}

impl Simulation {
    /// A new store on a new medium. What it is made of, and what its clients are like, is in the seed.
    ///
    /// # Panics
    /// If creating the store, or a crash in the middle of it, leaves anything but an empty store.
    #[must_use]
    pub fn new(seed: u64, looks: Looks) -> Self {
        let mut rng = Rng::new(seed);
        let page_bytes = rng.one_of(&[512, 512, 512, 512, 1_024, 4_096]);
        let options = options(&mut rng, page_bytes);
        let swarm = Swarm::new(&mut rng, Power::Unreliable);
        let clock = SimClock::ticking(rng.one_of(&[0, 1, 20, 700]));
        let medium = FaultyStorage::new();
        let start = medium.record();
        let checked = Checked::new(medium, options, clock);
        let trace = std::env::var_os("TRACE").is_some();
        if trace {
            eprintln!("{:?}\n{swarm:?}", checked.options());
        }
        let mut simulation = Self { looks, rng, swarm, checked, tally: Tally::default(), trace };
        simulation.crash(start, (1, None));
        simulation
    }

    /// Does so many actions.
    ///
    /// # Panics
    /// If the store and its model differ in anything, or a crash would have lost something.
    pub fn run(&mut self, steps: usize) -> Tally {
        for step in 1..=steps {
            let (model, open) = (self.checked.model(), self.checked.open_things());
            let action = self.swarm.next(&mut self.rng, (model, open));
            let doing = Doing { step, action: &action };
            if self.trace {
                doing.print();
            }
            self.step(&action);
            if step % BATCH_STEPS == 0 {
                self.checked.verify(&mut Rng::new(step as u64));
            }
        }
        self.tally
    }

    /// The store comes to rest and is opened once more.
    ///
    /// # Panics
    /// As [`Simulation::run`].
    pub fn end(mut self) -> Tally {
        for action in [Action::RunUntilIdle, Action::Reopen] {
            let _doing = Doing { step: 0, action: &action };
            self.step(&action);
            self.checked.verify(&mut self.rng);
        }
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.checked.medium().to_bytes());
        Tally { digest: hasher.finish(), ..self.tally }
    }

    fn step(&mut self, action: &Action) {
        self.tally.operations += 1;
        if !can_be_crashed(action) || !self.is_crashed() {
            self.checked.apply(action);
            return;
        }
        let told = (self.checked.durable(), self.checked.model().compacted());
        let start = self.checked.medium().record();
        self.checked.apply(action);
        self.crash(start, told);
    }

    fn is_crashed(&mut self) -> bool {
        if self.looks == Looks::Every {
            return true;
        }
        let lengths = self.checked.medium().len_bytes() as u64 / SMALL_BYTES;
        self.rng.once_in(CRASHED_ONE_IN * (1 + lengths * lengths))
    }

    /// Looks at crashes at the changes that were recorded since `start`.
    fn crash(&mut self, start: Moment, told: (u64, Option<u64>)) {
        let events = self.checked.medium().recorded();
        let expectation = Expectation::new(self.checked.model(), self.checked.options(), told);
        let mut moment = start;
        let (sampled, torn) = match self.looks {
            Looks::Sampled => (events.len().div_ceil(MOMENTS).max(1), TORN),
            Looks::Every => (1, TORN_OF_EVERY),
        };
        for (place, event) in events.iter().enumerate() {
            moment.pass(event);
            if place % sampled == 0 || matches!(event, Event::Synced) {
                self.tally.crashes += crash_at((&moment, torn), &expectation, &mut self.rng);
            }
        }
    }
}

/// Looks at several things that a crash at this moment could leave, all of them different.
fn crash_at((moment, torn): (&Moment, usize), expectation: &Expectation<'_>, rng: &mut Rng) -> u64 {
    let mut crashes = expectation.check(moment.durable.clone(), rng);
    if moment.unsynced.is_empty() {
        return crashes;
    }
    let mut seen = HashSet::from([xxh64(&moment.durable, 0)]);
    for number in 0..=torn {
        let image = if number == 0 { moment.with(|_| true) } else { moment.torn(rng) };
        if seen.insert(xxh64(&image, 0)) {
            crashes += expectation.check(image, rng);
        }
    }
    crashes
}

fn can_be_crashed(action: &Action) -> bool {
    match action {
        Action::Put(..)
        | Action::Delete(_)
        | Action::Commit(_)
        | Action::Durably(..)
        | Action::Grant(..)
        | Action::Revoke(_)
        | Action::KeepAlive(_)
        | Action::Pin(..)
        | Action::Unpin(_)
        | Action::Compact(_)
        | Action::Run(_)
        | Action::RunUntilIdle
        | Action::Flush
        | Action::Checkpoint
        | Action::Reopen => true,
        Action::Get(..)
        | Action::Range(_)
        | Action::OpenSnapshot(_)
        | Action::ReadSnapshot(..)
        | Action::DropSnapshot(_)
        | Action::Pass(_)
        | Action::SetCalendar(_)
        | Action::Watch(_)
        | Action::Poll(_)
        | Action::Cancel(_)
        | Action::Quota(_)
        | Action::Retention(_)
        | Action::CutPower(_)
        | Action::CutPowerDuring(..)
        | Action::FailDuring(..)
        | Action::Shrink => false,
    }
}

/// The simulation of a seed, from beginning to end.
///
/// # Panics
/// As [`Simulation::run`].
#[must_use]
pub fn simulate(seed: u64, looks: Looks) -> Tally {
    let mut simulation = Simulation::new(seed, looks);
    let steps = match looks {
        Looks::Sampled => simulation.rng.one_of(&STEPS),
        Looks::Every => STEPS_OF_EVERY,
    };
    simulation.run(steps);
    simulation.end()
}
