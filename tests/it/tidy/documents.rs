//! Documents that name only what exists.

use super::{Source, assert_complaints, assert_tidy, paths, source, sources};

/// Lines of ARCHITECTURE.md.
const MAX_ARCHITECTURE_LINES: usize = 250;

/// The documents whose words are checked.
const DOCUMENTS: [&str; 2] = ["ARCHITECTURE.md", "README.md"];

/// The folders that the project's paths begin with.
const TOP: [&str; 7] = [".cargo", ".ci", "bindings", "core", "pkg", "tests", "www"];

/// Folders that building makes.
const MADE: [&str; 4] = ["target", "node_modules", "pkg/dist", "pkg/wasm"];

/// How the name of a file ends that is the project's own even without a folder.
const EXTENSIONS: [&str; 7] = [".rs", ".md", ".toml", ".ts", ".mjs", ".json", ".ndjson"];

/// The words between single backticks, outside of code blocks, each with its line.
fn quoted(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut is_code = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            words.extend(line.split('`').skip(1).step_by(2).map(|word| (number + 1, word)));
        }
    }
    words
}

/// Whether a word looks like a path of the project, and not like one that building makes.
fn is_path(word: &str) -> bool {
    let is_plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
    let is_own = TOP.iter().any(|top| word.strip_prefix(top).is_some_and(|rest| rest.starts_with('/')))
        || EXTENSIONS.iter().any(|extension| word.len() > extension.len() && word.ends_with(extension));
    let is_made = MADE.iter().any(|made| word.split("./").any(|word| word.starts_with(made)));
    is_plain && is_own && !is_made
}

/// Whether the project has this file or folder, as it is written or below one of the places that documents speak from.
fn exists(word: &str, files: &[String]) -> bool {
    let word = word.trim_start_matches("./").trim_end_matches('/');
    ["", "core/", "core/src/", "pkg/", "tests/"].iter().any(|from| {
        let path = format!("{from}{word}");
        let folder = format!("{path}/");
        files.iter().any(|file| *file == path || file.starts_with(&folder))
    })
}

fn path_complaints(document: &Source, files: &[String]) -> Vec<String> {
    let words = quoted(&document.text).into_iter().filter(|(_, word)| is_path(word) && !exists(word, files));
    words.map(|(line, word)| format!("{}:{line}: there is no {word}", document.path)).collect()
}

fn is_camel_case(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.chars().all(|c| c.is_ascii_alphanumeric())
        && word.chars().any(|c| c.is_ascii_lowercase())
}

/// Whether `code` has this word, not as a part of another.
fn has_word(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    code.match_indices(word).any(|(start, _)| {
        let (before, rest) = code.split_at(start);
        !before.ends_with(is_part) && !rest.split_at(word.len()).1.starts_with(is_part)
    })
}

/// Complains of `Types` that no code knows, and of `Type::members` where it does not know the member or does not declare the type.
fn type_complaints(document: &Source, code: &str) -> Vec<String> {
    let declared = |name: &str| {
        let kinds = ["struct", "enum", "trait", "type", "class", "interface"];
        kinds.iter().any(|kind| has_word(code, &format!("{kind} {name}")))
    };
    let mut complaints = Vec::new();
    for (line, word) in quoted(&document.text) {
        let path = word.split(['(', '<', '{', ' ']).next().unwrap_or("");
        let mut parts = path.split("::").skip_while(|part| !is_camel_case(part));
        let (Some(name), member, None) = (parts.next(), parts.next(), parts.next()) else { continue };
        let is_known = match member {
            None => has_word(code, name),
            Some(member) => declared(name) && has_word(code, member),
        };
        if !is_known {
            complaints.push(format!("{}:{line}: the code knows no {path}", document.path));
        }
    }
    complaints
}

fn length_complaint(document: &Source) -> Option<String> {
    let lines = document.text.lines().count();
    (lines > MAX_ARCHITECTURE_LINES)
        .then(|| format!("{} has {lines} lines, over {MAX_ARCHITECTURE_LINES}", document.path))
}

#[test]
fn paths_that_the_documents_name_exist() {
    let files = paths();
    let documents = DOCUMENTS.map(source);
    let known: usize = documents.iter().map(|document| quoted(&document.text).len()).sum();
    assert!(known > 20, "the documents name things");
    assert_tidy(&documents.iter().flat_map(|document| path_complaints(document, &files)).collect::<Vec<_>>());
}

#[test]
fn types_that_the_documents_name_exist() {
    let own =
        |source: &Source| ["core/", "bindings/", "pkg/src/"].iter().any(|part| source.path.starts_with(part));
    let code: Vec<String> = sources()
        .into_iter()
        .filter(|source| own(source) && source.has_extension(&["rs", "ts", "mjs"]))
        .map(|source| source.text)
        .collect();
    let code = code.join("\n");
    assert_tidy(
        &DOCUMENTS
            .map(source)
            .iter()
            .flat_map(|document| type_complaints(document, &code))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn the_architecture_can_be_read_in_one_sitting() {
    assert_tidy(&Vec::from_iter(length_complaint(&source("ARCHITECTURE.md"))));
}

#[test]
fn a_path_that_does_not_exist_is_found() {
    let files =
        ["core/src/pager/mod.rs", "core/FORMAT.md", "README.md", "tests/golden/one.bin"].map(str::to_owned);
    let check = |text: &str, expected: &[&str]| {
        assert_complaints(&path_complaints(&Source::sample("README.md", text), &files), expected);
    };
    check(
        "`core/src/pager`, `core/src/pager/mod.rs`, `FORMAT.md`, `./README.md`, `tests/`, `tests/golden/`",
        &[],
    );
    check("see `core/src/page`", &["README.md:1: there is no core/src/page"]);
    check(
        "\nsee `tests/golden/two.bin` and `CHANGELOG.md`",
        &["README.md:2: there is no tests", "no CHANGELOG.md"],
    );
    check("`target/bench/a.json`, `npm run bench`, `image/png`, `--json`, core/nowhere", &[]);
    check("```\n`core/nowhere`\n```\n`core/nowhere`", &["README.md:4"]);
}

#[test]
fn a_type_that_does_not_exist_is_found() {
    let code =
        "pub struct Store; impl Store { pub fn compact() {} } enum Error { Compacted } use std::sync::Arc;";
    let check = |text: &str, expected: &[&str]| {
        assert_complaints(&type_complaints(&Source::sample("ARCHITECTURE.md", text), code), expected);
    };
    check("`Store`, `Store::compact`, `Error::Compacted`, `Arc`, `Store::compact(R)`, `store`, `R`", &[]);
    check("`Shop`", &["the code knows no Shop"]);
    check("`Store::compress`", &["the code knows no Store::compress"]);
    check("`Arc::compact`", &["the code knows no Arc::compact"]);
    check("`Stor`, `error::Error::Compact { requested }`", &["Stor", "Error::Compact"]);
}

#[test]
fn a_long_architecture_is_found() {
    let document = |lines: usize| Source::sample("ARCHITECTURE.md", &"line\n".repeat(lines));
    assert!(length_complaint(&document(MAX_ARCHITECTURE_LINES)).is_none());
    assert!(length_complaint(&document(MAX_ARCHITECTURE_LINES + 1)).is_some());
}
