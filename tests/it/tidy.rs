//! What must be true of the sources themselves: layers, sizes, documents that name what exists, no traces of work in progress.
//!
//! A rule is a function from text to complaints. Each has two tests: the project has no complaint, and bad samples have.

mod documents;
mod graph;
mod layers;
mod limits;
mod sizes;
mod traces;

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of the project: its path from the project's root, and its text.
#[derive(Clone, Debug)]
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn sample(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    fn has_extension(&self, extensions: &[&str]) -> bool {
        let extension = Path::new(&self.path).extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| extensions.contains(&extension))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the project has a root")
}

/// The paths of all files that are tracked or would be: whatever git does not ignore.
fn paths() -> Vec<String> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let output = Command::new("git").args(list).current_dir(root()).output().expect("git lists the files");
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).expect("file names are text");
    let there = |path: &&str| root().join(path).is_file();
    let paths: Vec<String> =
        names.split('\0').filter(|path| !path.is_empty()).filter(there).map(str::to_owned).collect();
    assert!(paths.iter().any(|path| path == "core/src/lib.rs"), "git lists the engine's sources");
    paths
}

/// All files that are text.
fn sources() -> Vec<Source> {
    let read = |path: String| {
        let text = String::from_utf8(std::fs::read(root().join(&path)).ok()?).ok()?;
        Some(Source { path, text })
    };
    paths().into_iter().filter_map(read).collect()
}

/// The text of one file, which must be there.
fn source(path: &str) -> Source {
    let text = std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    Source::sample(path, &text)
}

#[track_caller]
fn assert_tidy(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// Each sample must have exactly the complaints that contain these words, in this order.
#[track_caller]
fn assert_complaints(complaints: &[String], expected: &[&str]) {
    let all_match = complaints.iter().zip(expected).all(|(complaint, words)| complaint.contains(words));
    assert!(all_match && complaints.len() == expected.len(), "{complaints:#?} are not about {expected:#?}");
}
