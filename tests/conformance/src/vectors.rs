//! What etcd has answered, kept as files: fixed sequences of operations with their answers, to be replayed without an etcd.
//!
//! The format is described in this package's README.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::answer::Answer;
use crate::compare::{Comparison, Exemptions, OF_THE_STATE};
use crate::driver::{Driver, MAX_TXN_OPS, Trouble};
use crate::generate::View;
use crate::operation::{Operation, Step};
use crate::scenarios::Scenario;

/// The format of the files.
pub const FORMAT: u32 = 1;

/// One operation and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What is asked.
    pub operation: Operation,
    /// What the newest etcd answers.
    pub answer: Answer,
    /// Set where that is not what the recorded etcd has answered: why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrected: Option<String>,
}

/// A sequence of operations on an empty store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vector {
    /// The version of the format.
    pub format: u32,
    /// What it is about.
    pub about: String,
    /// Which etcd has answered.
    pub etcd: String,
    /// Operations in one branch of a transaction at most.
    pub max_txn_ops: usize,
    /// The operations, in order.
    pub steps: Vec<Line>,
}

/// The folder of the files.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// Asks everything of a scenario, and keeps the answers.
///
/// # Errors
/// If etcd does not answer.
pub fn record(scenario: &Scenario, version: &str, etcd: &mut impl Driver) -> Result<Vector, Trouble> {
    let mut view = View { revision: 1, ..View::default() };
    let mut steps = Vec::new();
    for draw in &scenario.draws {
        let operation = draw.operation(&view);
        let recorded = etcd.ask(&operation)?;
        let is_doubtful = scenario.is_random && may_be_of_an_old_version(&operation, &recorded, &view);
        view.note(&operation, &recorded);
        if is_doubtful {
            continue;
        }
        let place = steps.len();
        let correction = scenario.corrections.iter().find(|correction| correction.place == place);
        let (answer, corrected) = match correction {
            Some(correction) => (correction.answer.clone(), Some(correction.why.clone())),
            None => (recorded, None),
        };
        steps.push(Line { operation, answer, corrected });
    }
    let (about, etcd) = (scenario.about.clone(), version.to_owned());
    Ok(Vector { format: FORMAT, about, etcd, max_txn_ops: MAX_TXN_OPS, steps })
}

/// Whether the newest etcd may answer this otherwise. Nothing that changes the store is of this kind, so that it can be left out.
fn may_be_of_an_old_version(operation: &Operation, answer: &Answer, view: &View) -> bool {
    match (operation, answer) {
        (Operation::HashKv { revision }, Answer::Failed { .. }) => *revision == view.compacted,
        (Operation::Step(Step::Txn(_)), Answer::Failed { code }) => OF_THE_STATE.contains(&code.as_str()),
        _ => false,
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| error.to_string())
}

/// Writes a vector, one step a line.
///
/// # Errors
/// If the file can't be written.
pub fn write(name: &str, vector: &Vector) -> Result<(), Trouble> {
    let Vector { format, about, etcd, max_txn_ops, steps } = vector;
    let lines: Vec<String> = steps.iter().map(|step| format!("    {}", json(step))).collect();
    let text = format!(
        "{{\n  \"format\": {format},\n  \"about\": {},\n  \"etcd\": {},\n  \"max_txn_ops\": {max_txn_ops},\n  \"steps\": [\n{}\n  ]\n}}\n",
        json(about),
        json(etcd),
        lines.join(",\n"),
    );
    let path = folder().join(format!("{name}.json"));
    fs::write(&path, text).map_err(Trouble::when("writing a vector"))
}

/// All vectors, each with its file's name.
///
/// # Errors
/// If one can't be read.
pub fn read_all() -> Result<Vec<(String, Vector)>, Trouble> {
    let mut vectors = Vec::new();
    for entry in fs::read_dir(folder()).map_err(Trouble::when("reading the vectors"))? {
        let path = entry.map_err(Trouble::when("reading the vectors"))?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).map_err(Trouble::when(&name))?;
        vectors.push((name.clone(), serde_json::from_str(&text).map_err(Trouble::when(&name))?));
    }
    vectors.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(vectors)
}

/// Asks a store everything of a vector, and compares its answers with the recorded ones. Answers how many these were.
///
/// # Errors
/// If one differs, or the store does not answer.
pub fn replay(vector: &Vector, store: &mut impl Driver) -> Result<usize, Trouble> {
    let mut view = View { revision: 1, ..View::default() };
    let mut exemptions = Exemptions::new();
    for (place, Line { operation, answer, .. }) in vector.steps.iter().enumerate() {
        let found = store.ask(operation)?;
        if !Comparison::new(&view, &mut exemptions).is_same(operation, answer, &found) {
            return Err(Trouble::new(format!(
                "step {place}: {operation:?}\nexpected {}\nfound    {}",
                json(answer),
                json(&found)
            )));
        }
        view.note(operation, answer);
    }
    match exemptions.keys().find(|exemption| exemption.is_of_an_old_version()) {
        Some(exemption) => {
            Err(Trouble::new(format!("a vector is not the newest etcd's: {}", exemption.name())))
        }
        None => Ok(vector.steps.len()),
    }
}
