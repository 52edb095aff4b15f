//! The sequences that are recorded: written by hand, one subject each, and some that are random.

mod reads;
mod txns;
mod writes;

use std::rc::Rc;

use palimpsest_kv_tests::rng::Rng;

use crate::answer::Answer;
use crate::driver::Trouble;
use crate::generate::Mood;
use crate::operation::Operation;
use crate::shrink::Draw;

/// How many sequences are random.
const RANDOM: u64 = 12;
/// Operations in each of these.
const RANDOM_LENGTH: usize = 40;

/// A sequence of operations on an empty store.
pub struct Scenario {
    /// The name of its file.
    pub name: String,
    /// What it is about.
    pub about: String,
    /// Whether it is random.
    pub is_random: bool,
    /// The operations.
    pub draws: Vec<Draw>,
    /// Answers that are not those of the etcd that is recorded.
    pub corrections: Vec<Correction>,
}

/// Why an answer is not the recorded etcd's, and which it is.
pub struct Correction {
    /// The place of the operation in its scenario.
    pub place: usize,
    /// The newest etcd's answer.
    pub answer: Answer,
    /// What the recorded etcd does instead.
    pub why: String,
}

/// A scenario as text: name, subject, and operations in JSON, one a line. A line that begins with `newest` says what the newest
/// etcd answers to the operation before it, and one that begins with `because` why the recorded one does not.
type Text = (&'static str, &'static str, &'static str);

/// All of them.
///
/// # Errors
/// If one is no JSON.
pub fn all() -> Result<Vec<Scenario>, Trouble> {
    let texts = [reads::TEXTS, writes::TEXTS, txns::TEXTS].into_iter().flatten();
    let mut scenarios = texts.map(parsed).collect::<Result<Vec<_>, _>>()?;
    scenarios.extend((0..RANDOM).map(random));
    Ok(scenarios)
}

fn parsed((name, about, text): &Text) -> Result<Scenario, Trouble> {
    let mut draws = Vec::new();
    let mut corrections: Vec<Correction> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(answer) = line.strip_prefix("newest ") {
            let answer = serde_json::from_str(answer).map_err(Trouble::when(line))?;
            corrections.push(Correction { place: draws.len() - 1, answer, why: String::new() });
        } else if let (Some(why), Some(correction)) = (line.strip_prefix("because "), corrections.last_mut())
        {
            why.clone_into(&mut correction.why);
        } else {
            draws.push(Draw::Fixed(serde_json::from_str::<Operation>(line).map_err(Trouble::when(line))?));
        }
    }
    let (name, about) = ((*name).to_owned(), (*about).to_owned());
    Ok(Scenario { name, about, is_random: false, draws, corrections })
}

fn random(seed: u64) -> Scenario {
    let mut rng = Rng::new(seed);
    let mood = Rc::new(Mood::small(rng.bits()));
    let draws = (0..RANDOM_LENGTH).map(|_| Draw::Random(Rc::clone(&mood), rng.bits())).collect();
    Scenario {
        name: format!("random-{seed:02}"),
        about: "operations at random; those whose answers may differ between versions of etcd are left out"
            .to_owned(),
        is_random: true,
        draws,
        corrections: Vec::new(),
    }
}
