//! The program's arguments, its threads, and what it prints.

use std::io::{self, Write};
use std::panic::catch_unwind;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use lexopt::prelude::{Long, ValueExt};
use palimpsest_kv_tests::simulation::{Looks, Tally, simulate};

const HELP: &str = "\
Simulates stores on faulty media, each from its seed, and compares them with a model; after crashes too.

  --seed N         the first seed (0)
  --runs N         so many seeds and no more; one by default if a seed is given
  --minutes M      until so much time is over
  --operations N   until so many operations were done ...
  --crashes N      ... and so many crashes looked at
  --every          short runs, with a look at a dozen crashes at every change of the medium
  --threads N      so many at once (all processors)
  --list           print one line for each seed: seed, operations, crashes, digest
  --figures        print at the end how much was done in a second, one figure a line

A seed that fails is printed; it fails again with --seed. TRACE=1 in the environment prints each action of a run.
";

/// How often progress is told.
const PULSE: Duration = Duration::from_secs(5);

/// When to stop: once all of these are reached.
#[derive(Clone, Copy, Debug)]
struct Goal {
    first: u64,
    runs: Option<u64>,
    time: Option<Duration>,
    operations: u64,
    crashes: u64,
    threads: usize,
    looks: Looks,
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    Progress,
    Lines,
    Figures,
}

/// What the threads share.
struct State {
    goal: Goal,
    start: Instant,
    next: u64,
    told: Instant,
    done: Tally,
    failed: Option<u64>,
}

impl Goal {
    fn from_arguments() -> Result<Option<Self>, lexopt::Error> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let mut goal = Self {
            first: 0,
            runs: None,
            time: None,
            operations: 0,
            crashes: 0,
            threads,
            looks: Looks::Sampled,
            output: Output::Progress,
        };
        let mut parser = lexopt::Parser::from_env();
        let mut has_seed = false;
        while let Some(argument) = parser.next()? {
            match argument {
                Long("seed") => {
                    goal.first = parser.value()?.parse()?;
                    has_seed = true;
                }
                Long("runs") => goal.runs = Some(parser.value()?.parse()?),
                Long("minutes") => {
                    let minutes: f64 = parser.value()?.parse()?;
                    goal.time = Some(Duration::try_from_secs_f64(minutes * 60.0).unwrap_or_default());
                }
                Long("operations") => goal.operations = parser.value()?.parse()?,
                Long("crashes") => goal.crashes = parser.value()?.parse()?,
                Long("threads") => goal.threads = parser.value()?.parse()?,
                Long("every") => goal.looks = Looks::Every,
                Long("list") => goal.output = Output::Lines,
                Long("figures") => goal.output = Output::Figures,
                Long("help") => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        let has_end = goal.runs.is_some() || goal.time.is_some() || goal.operations + goal.crashes > 0;
        if !has_end {
            goal.runs = has_seed.then_some(1);
            goal.time = (!has_seed).then_some(Duration::from_secs(60));
        }
        Ok(Some(goal))
    }
}

impl State {
    /// The next seed, if there is more to do.
    fn next_seed(&mut self) -> Option<u64> {
        let Goal { first, runs, time, operations, crashes, .. } = self.goal;
        let begun = self.next - first;
        let is_enough = match (runs, time) {
            (Some(runs), _) => begun >= runs,
            (None, Some(time)) => self.start.elapsed() >= time,
            (None, None) => self.done.operations >= operations && self.done.crashes >= crashes,
        };
        if is_enough || self.failed.is_some() {
            return None;
        }
        self.next += 1;
        Some(self.next - 1)
    }

    fn end(&mut self, seed: u64, result: Option<Tally>) -> io::Result<()> {
        let Some(tally) = result else {
            self.failed.get_or_insert(seed);
            return Ok(());
        };
        self.done = self.done.plus(tally);
        let mut out = io::stdout().lock();
        if self.goal.output == Output::Lines {
            let Tally { operations, crashes, digest } = tally;
            return writeln!(out, "{seed} {operations} {crashes} {digest}");
        }
        if self.goal.output == Output::Progress && self.told.elapsed() >= PULSE {
            self.told = Instant::now();
            writeln!(out, "{}", self.summary())?;
        }
        Ok(())
    }

    fn figures(&self) -> String {
        let a_second = |count: u64| count as f64 / self.start.elapsed().as_secs_f64();
        let Tally { operations, crashes, .. } = self.done;
        format!("operations_per_s {:.3}\ncrashes_per_s {:.3}\n", a_second(operations), a_second(crashes))
    }

    fn summary(&self) -> String {
        let Tally { operations, crashes, .. } = self.done;
        let seconds = self.start.elapsed().as_secs_f64();
        let rate = crashes as f64 / seconds;
        let runs = self.next - self.goal.first;
        format!(
            "{runs} runs, {operations} operations, {crashes} crashes in {seconds:.0} s: {rate:.0} crashes a second"
        )
    }
}

fn work(state: &Mutex<State>, looks: Looks) {
    let lock = || state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    loop {
        let Some(seed) = lock().next_seed() else { return };
        let result = catch_unwind(|| simulate(seed, looks)).ok();
        if lock().end(seed, result).is_err() {
            return;
        }
    }
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let goal = match Goal::from_arguments() {
        Ok(Some(goal)) => goal,
        Ok(None) => return tell(HELP, ExitCode::SUCCESS),
        Err(error) => return tell(&format!("{error}\n\n{HELP}"), ExitCode::FAILURE),
    };
    let now = Instant::now();
    let state = State { goal, start: now, next: goal.first, told: now, done: Tally::default(), failed: None };
    let state = Mutex::new(state);
    thread::scope(|scope| {
        for _ in 0..goal.threads.max(1) {
            scope.spawn(|| work(&state, goal.looks));
        }
    });
    let state = state.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    match state.failed {
        Some(seed) => {
            let every = if goal.looks == Looks::Every { " --every" } else { "" };
            tell(&format!("failed; again: npm run simulate --{every} --seed {seed}\n"), ExitCode::FAILURE)
        }
        None if goal.output == Output::Lines => ExitCode::SUCCESS,
        None if goal.output == Output::Figures => tell(&state.figures(), ExitCode::SUCCESS),
        None => tell(&format!("passed: {}\n", state.summary()), ExitCode::SUCCESS),
    }
}

/// Prints a text; a reader that is gone is no failure.
fn tell(text: &str, code: ExitCode) -> ExitCode {
    let _nobody_listens = io::stdout().write_all(text.as_bytes());
    code
}
