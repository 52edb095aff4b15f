//! `conformance`: asks a real etcd and the engine the same questions until enough were compared.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lexopt::prelude::{Long, ValueExt};
use palimpsest_kv_conformance::driver::Trouble;
use palimpsest_kv_conformance::engine::Engine;
use palimpsest_kv_conformance::etcd::Etcd;
use palimpsest_kv_conformance::generate::Mood;
use palimpsest_kv_conformance::session::{Difference, Session, Stop, Tally};
use palimpsest_kv_conformance::shrink::{Draw, Failure, Shrinker};

use palimpsest_kv_conformance::{scenarios, vectors};
use palimpsest_kv_tests::rng::Rng;

const HELP: &str = "\
Asks a real etcd and the engine the same, and compares all that they answer.

  --seed N      what is asked (chosen by the clock)
  --ops M       until so many operations were made, those of transactions included (100000)
  --etcd PATH   the program (etcd)
  --record      writes the vectors anew, from etcd's answers, instead

A difference is printed with both answers and with a short run that shows it; the same --seed finds it again.
";

/// Requests to one pair of stores; the next pair begins empty.
const REQUESTS_OF_PAIR: usize = 12_000;
/// Requests in one mood.
const REQUESTS_OF_MOOD: usize = 400;
/// Requests after which the engine goes on with a snapshot of etcd: what it has been told until then is forgotten.
const REQUESTS_OF_SNAPSHOT: usize = 1_500;
/// Operations that are shown at most.
const MOST_SHOWN: usize = 60;
/// How often progress is told.
const PULSE: Duration = Duration::from_secs(5);

/// What the arguments say.
struct Plan {
    seed: u64,
    operations: u64,
    etcd: PathBuf,
    is_recording: bool,
}

/// A run that has found a difference.
struct Found {
    difference: Difference,
    /// The seed of this pair of stores.
    seed: u64,
    /// What was asked of them.
    draws: Vec<Draw>,
}

/// Why a run ends before its end.
enum End {
    Found(Box<Found>),
    Trouble(Trouble),
}

impl End {
    /// The same, with what was being done if there is no answer.
    fn during(self, doing: &str) -> Self {
        match self {
            Self::Trouble(trouble) => Self::Trouble(Trouble::new(format!("{trouble}\nat {doing}"))),
            found @ Self::Found(_) => found,
        }
    }
}

impl From<Trouble> for End {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl Plan {
    fn from_arguments() -> Result<Option<Self>, lexopt::Error> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seed = since.as_secs();
        let mut plan = Self { seed, operations: 100_000, etcd: PathBuf::from("etcd"), is_recording: false };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("seed") => plan.seed = parser.value()?.parse()?,
                Long("ops") => plan.operations = parser.value()?.parse()?,
                Long("etcd") => plan.etcd = PathBuf::from(parser.value()?),
                Long("record") => plan.is_recording = true,
                Long("help") => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        Ok(Some(plan))
    }

    fn pair(&self, seed: u64) -> Result<Session<Etcd, Engine>, Trouble> {
        Ok(Session::new(Etcd::start(&self.etcd)?, Engine::new(seed)?))
    }

    /// Compares until enough was done.
    fn compare(&self, tally: &mut Tally) -> Result<(), End> {
        let mut rng = Rng::new(self.seed);
        let start = Instant::now();
        let mut told = start;
        while tally.operations() < self.operations {
            let seed = rng.bits();
            let mut session = self.pair(seed)?;
            let mut draws = Vec::new();
            let mut mood = Rc::new(Mood::new(rng.bits()));
            while draws.len() < REQUESTS_OF_PAIR && tally.operations() < self.operations {
                if draws.len() % REQUESTS_OF_MOOD == 0 {
                    mood = Rc::new(Mood::new(rng.bits()));
                }
                if draws.len() % REQUESTS_OF_SNAPSHOT == REQUESTS_OF_SNAPSHOT - 1 {
                    self.noting(session.exchange(tally), (seed, &draws))?;
                }
                let draw = Draw::Random(Rc::clone(&mood), rng.bits());
                let operation = draw.operation(session.view());
                draws.push(draw);
                let asked = session.ask(&operation, tally);
                self.noting(asked, (seed, &draws)).map_err(|end| end.during(&format!("{operation:?}")))?;
                if told.elapsed() >= PULSE {
                    told = Instant::now();
                    say(&format!("{}\n", summary(tally, start)));
                }
            }
        }
        Ok(())
    }

    /// What a step has found, with the way to it.
    fn noting(&self, step: Result<(), Stop>, (seed, draws): (u64, &[Draw])) -> Result<(), End> {
        step.map_err(|stop| match stop {
            Stop::Different(difference) => {
                End::Found(Box::new(Found { difference: *difference, seed, draws: draws.to_vec() }))
            }
            Stop::Trouble(trouble) => trouble.into(),
        })
    }

    fn report(&self, found: &Found, tally: &Tally) {
        say(&format!("different: seed {}, request {}\n{}\n", self.seed, tally.requests, found.difference));
        say("looking for a shorter run ...\n");
        match Shrinker::new(|| self.pair(found.seed), &found.difference).shrink(&found.draws) {
            None => say("it does not fail again on new stores\n"),
            Some(Failure { operations, difference }) => {
                say(&format!("on empty stores, {} operations suffice:\n", operations.len()));
                let left_out = operations.len().saturating_sub(MOST_SHOWN);
                if left_out > 0 {
                    say(&format!("... {left_out} of them, and then\n"));
                }
                for operation in operations.iter().skip(left_out) {
                    say(&format!("{}\n", serde_json::to_string(operation).unwrap_or_default()));
                }
                say(&format!("and then\n{difference}\n"));
            }
        }
    }
}

fn summary(tally: &Tally, start: Instant) -> String {
    let Tally { requests, nested, comparisons, events, refusals, hashes, snapshots, .. } = tally;
    let operations = tally.operations();
    let seconds = start.elapsed().as_secs_f64();
    format!(
        "{operations} operations ({requests} requests, {nested} within transactions), {comparisons} comparisons with etcd \
         ({refusals} refusals, {hashes} hashes, {events} events of watchers, and {snapshots} snapshots) in {seconds:.0} s"
    )
}

fn exemptions(tally: &Tally) -> String {
    let line = |(exemption, count): (&palimpsest_kv_conformance::compare::Exemption, &u64)| {
        format!("not compared: {} ({count})\n", exemption.name())
    };
    tally.exemptions.iter().map(line).collect()
}

/// Writes the vectors, each from a new etcd.
fn record(plan: &Plan) -> Result<(), Trouble> {
    let scenarios = scenarios::all()?;
    for scenario in &scenarios {
        let mut etcd = Etcd::start(&plan.etcd)?;
        let version = etcd.version()?;
        vectors::write(&scenario.name, &vectors::record(scenario, &version, &mut etcd)?)?;
        say(&format!("{}: {}\n", scenario.name, scenario.about));
    }
    say(&format!("recorded {} vectors\n", scenarios.len()));
    Ok(())
}

/// Prints a text; a reader that is gone is no failure.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _nobody_listens = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn run(plan: &Plan) -> ExitCode {
    let (start, mut tally) = (Instant::now(), Tally::default());
    say(&format!("seed {}\n", plan.seed));
    match plan.compare(&mut tally) {
        Ok(()) => {
            say(&exemptions(&tally));
            say(&format!("passed: seed {}: {}\n", plan.seed, summary(&tally, start)));
            ExitCode::SUCCESS
        }
        Err(End::Found(found)) => {
            plan.report(&found, &tally);
            say(&format!("failed; again: npm run conformance -- --seed {}\n", plan.seed));
            ExitCode::FAILURE
        }
        Err(End::Trouble(trouble)) => {
            say(&format!("seed {}, after {} requests: {trouble}\n", plan.seed, tally.requests));
            ExitCode::FAILURE
        }
    }
}

fn main() -> ExitCode {
    match Plan::from_arguments() {
        Ok(Some(plan)) if plan.is_recording => match record(&plan) {
            Ok(()) => ExitCode::SUCCESS,
            Err(trouble) => {
                say(&format!("{trouble}\n"));
                ExitCode::FAILURE
            }
        },
        Ok(Some(plan)) => run(&plan),
        Ok(None) => {
            say(HELP);
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("{error}\n\n{HELP}"));
            ExitCode::FAILURE
        }
    }
}
