//! No traces: nothing in the project tells of the machine or the list of tasks it was made with, and nothing is put off.
//!
//! The forbidden words are put together from halves, so that this file does not hold them.

use super::{Source, assert_complaints, assert_tidy, sources};

/// Words that no file has.
const EVERYWHERE: [&str; 5] = [
    concat!("/wo", "rk/"),
    concat!("/tm", "p/"),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];

/// Words that no Rust source has: tests that do not run.
const IN_RUST: [&str; 1] = [concat!("#[ig", "nore")];

/// Words that no JavaScript source has: tests that do not run, or that keep others from running.
const IN_JAVASCRIPT: [&str; 8] = [
    concat!("test.sk", "ip("),
    concat!("test.on", "ly("),
    concat!("it.sk", "ip("),
    concat!("it.on", "ly("),
    concat!("describe.sk", "ip("),
    concat!("describe.on", "ly("),
    concat!("suite.sk", "ip("),
    concat!("suite.on", "ly("),
];

/// A number of a task has at most so many digits; those of other projects that are worth citing have more.
const MAX_TASK_DIGITS: usize = 3;

/// Files that others have written: data, and what package managers resolved.
fn is_foreign(source: &Source) -> bool {
    source.has_extension(&["ndjson", "lock"]) || source.path.ends_with("package-lock.json")
}

/// Whether a line cites a task of a list by its number: the word, then a short number.
fn cites_a_task(line: &str) -> bool {
    let line = line.to_lowercase();
    let word = concat!("iss", "ue");
    line.match_indices(word).any(|(start, _)| {
        let rest = line.split_at(start + word.len()).1;
        let spaced = rest.strip_prefix('s').unwrap_or(rest);
        let number = spaced.trim_start_matches([' ', '#', '-', '_']);
        let digits = number.chars().take_while(char::is_ascii_digit).count();
        number.len() < spaced.len() && (1..=MAX_TASK_DIGITS).contains(&digits)
    })
}

/// Whether a line has a word, other than as the name of a method: Go's contexts have one of these.
fn has(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(start, _)| word.starts_with('.') || !line.split_at(start).0.ends_with('.'))
}

fn complaints(source: &Source) -> Vec<String> {
    if is_foreign(source) {
        return Vec::new();
    }
    let mut words = EVERYWHERE.to_vec();
    if source.has_extension(&["rs"]) {
        words.extend(IN_RUST);
    }
    if source.has_extension(&["ts", "mts", "mjs", "js"]) {
        words.extend(IN_JAVASCRIPT);
    }
    let mut complaints = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        let place = format!("{}:{}", source.path, number + 1);
        let found = words.iter().filter(|word| has(line, word));
        complaints.extend(found.map(|word| format!("{place}: has {word}")));
        if cites_a_task(line) {
            complaints.push(format!("{place}: cites a task"));
        }
    }
    complaints
}

#[test]
fn the_project_has_no_traces() {
    assert_tidy(&sources().iter().flat_map(complaints).collect::<Vec<_>>());
}

#[test]
fn a_trace_is_found() {
    let check = |path: &str, text: &str, expected: &[&str]| {
        assert_complaints(&complaints(&Source::sample(path, text)), expected);
    };
    for word in EVERYWHERE {
        check("README.md", &format!("a line\nthen {word} here"), &["README.md:2: has "]);
        check("data.ndjson", word, &[]);
        check("a.go", &format!("context.{word}()"), &[]);
    }
    for word in IN_RUST {
        check("a.rs", word, &["a.rs:1"]);
        check("a.ts", word, &[]);
    }
    for word in IN_JAVASCRIPT {
        check("a.ts", &format!("await {word}"), &["a.ts:1"]);
        check("a.mjs", word, &["a.mjs:1"]);
        check("a.rs", word, &[]);
    }
    let task = concat!("Iss", "ue");
    check("a.md", &format!("see {task} 7, {task}s #12"), &["a.md:1: cites a task"]);
    check("a.md", &format!("{task}-3"), &["a.md:1: cites a task"]);
    check("a.md", &format!("{task} 21284, {task} of 2 parts, tis{task}1, {task}s"), &[]);
}
