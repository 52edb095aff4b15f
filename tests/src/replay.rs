//! Random runs that can be run again: each has a seed and a number of steps, and says both when it fails.
//!
//! Three variables of the environment steer them: `SEED` (the first seed), `EPISODES` (how many seeds from there on) and
//! `STEPS` (how many steps each). `SEED` alone runs that one seed.

use std::fmt::Display;
use std::str::FromStr;

use crate::rng::Rng;

/// How many random runs a test makes by default, and how long they are.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The first seed.
    pub seed: u64,
    /// How many seeds.
    pub episodes: u64,
    /// Steps of each.
    pub steps: usize,
}

/// Says how to run the failing seed again, when a panic unwinds past it.
struct Replay {
    seed: u64,
    steps: usize,
}

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let thread = std::thread::current();
            let test = thread.name().unwrap_or("");
            let (seed, steps) = (self.seed, self.steps);
            eprintln!(
                "run it again: SEED={seed} STEPS={steps} cargo test -p palimpsest-kv-tests --test it -- --exact {test}"
            );
        }
    }
}

fn from_environment<T: FromStr<Err: Display>>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

impl Plan {
    /// The plan as the environment wants it.
    ///
    /// # Panics
    /// If a variable is no number.
    #[must_use]
    pub fn from_environment(self) -> Self {
        let seed = from_environment("SEED");
        let episodes = from_environment("EPISODES").unwrap_or(if seed.is_some() { 1 } else { self.episodes });
        let steps = from_environment("STEPS").unwrap_or(self.steps);
        Self { seed: seed.unwrap_or(self.seed), episodes, steps }
    }
}

/// Makes the runs of a plan, as changed by the environment: calls `run` with each seed's generator and the number of steps.
///
/// # Panics
/// As `run` does, after printing how to repeat the run that failed.
pub fn episodes(plan: Plan, mut run: impl FnMut(&mut Rng, usize)) {
    let Plan { seed, episodes, steps } = plan.from_environment();
    for seed in seed..seed.saturating_add(episodes) {
        let _replay = Replay { seed, steps };
        run(&mut Rng::new(seed), steps);
    }
}
