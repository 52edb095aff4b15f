//! Dependencies point one way.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{Crate, Edge};
use super::{Source, assert_complaints, assert_tidy, sources};

/// The words that everything may use, and that use only one another.
const WORDS: [&str; 7] = ["error", "revision", "keys", "limits", "checksum", "sync", "sabotage"];

/// The engine's modules, each with how high it stands. A module uses only lower ones.
const HEIGHTS: [(&str, u32); 12] = [
    ("exchange", 6),
    ("salvage", 6),
    ("store", 5),
    ("compaction", 4),
    ("records", 3),
    ("index", 3),
    ("lease", 3),
    ("times", 3),
    ("pin", 3),
    ("watch", 3),
    ("pager", 2),
    ("storage", 1),
];

/// The face of the engine is one thing in several files, which may use each other.
const ONE_THING: &str = "store";

/// The files of the storage in files.
const FILES: [&str; 4] =
    ["storage/file/mod.rs", "storage/file/lock.rs", "storage/file/holder.rs", "storage/file/host.rs"];

/// Which files may touch the machine under the engine, by the part of std that they use.
const MACHINE: [(&str, &[&str]); 9] = [
    ("time", &["scheduler.rs", FILES[0], FILES[1], FILES[2]]),
    ("thread", &["scheduler.rs", FILES[0]]),
    ("fs", &[FILES[0], FILES[1], FILES[3]]),
    ("io", &[FILES[0], FILES[1]]),
    ("os", &[FILES[0]]),
    ("path", &[FILES[0], FILES[1], FILES[3]]),
    ("env", &[]),
    ("process", &[FILES[0], FILES[1]]),
    ("net", &[]),
];

/// Crates that belong to the parts around the engine.
const OUTSIDE: [&str; 4] = ["js_sys", "wasm_bindgen", "web_sys", "palimpsest_kv_wasm"];

fn height(module: &str) -> Option<u32> {
    let words = WORDS.contains(&module).then_some(0);
    words.or_else(|| HEIGHTS.iter().find(|(name, _)| *name == module).map(|(_, height)| *height))
}

/// Why one top-level module may not use another.
fn objection(from: &str, to: &str) -> Option<String> {
    let forbidden = || Some(format!("{from} may not use {to}"));
    match (from, to) {
        ("scheduler", _) => forbidden(),
        ("store" | "compaction" | "lease" | "pin" | "times" | "watch", "scheduler") => None,
        (_, "scheduler") => forbidden(),
        ("index" | "lease" | "pin" | "times" | "watch", to) if !WORDS.contains(&to) => forbidden(),
        (from, to) if WORDS.contains(&from) && WORDS.contains(&to) => None,
        (from, to) => match (height(from), height(to)) {
            (Some(above), Some(below)) if above > below => None,
            (Some(_), Some(_)) => forbidden(),
            (None, _) => Some(format!("{from} has no place in the layers")),
            (_, None) => Some(format!("{to} has no place in the layers")),
        },
    }
}

/// Upward and sideways uses between the crate's top-level modules.
fn upward(edges: &[Edge]) -> Vec<String> {
    let complaint = |edge: &Edge| {
        let from = edge.from.first()?;
        let objection = match edge.to.first() {
            Some(to) if to == from => None,
            Some(to) => objection(from, to),
            None => Some(format!("{from} may not use the crate's front page")),
        };
        objection.map(|objection| format!("{}: {objection}", edge.place))
    };
    edges.iter().filter_map(complaint).collect()
}

/// Which children of a module use which, with the place of one such use; its own file counts as one of them, under its own name.
fn uses_within(parent: &[String], edges: &[Edge]) -> BTreeMap<String, BTreeMap<String, String>> {
    // The front page of the crate gives names on and uses nothing.
    let within = |path: &Vec<String>| path.starts_with(parent) && !path.is_empty();
    let child = |path: &Vec<String>| path.get(..=parent.len()).unwrap_or(path).join("::");
    let mut uses: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for edge in edges.iter().filter(|edge| within(&edge.from) && within(&edge.to)) {
        let (from, to) = (child(&edge.from), child(&edge.to));
        if from != to {
            uses.entry(from).or_default().entry(to).or_insert_with(|| edge.place.clone());
        }
    }
    uses
}

/// Cycles among the children of each module.
fn cycles(crate_: &Crate, edges: &[Edge]) -> Vec<String> {
    let mut complaints = Vec::new();
    for parent in crate_.modules.keys().filter(|parent| parent.first().is_none_or(|top| top != ONE_THING)) {
        let uses = uses_within(parent, edges);
        let circle: BTreeSet<&String> =
            uses.keys().filter(|from| reachable(&uses, from).contains(*from)).collect();
        let mut steps = Vec::new();
        for from in &circle {
            let inside = uses.get(*from).into_iter().flatten().filter(|(to, _)| circle.contains(to));
            steps.extend(inside.map(|(to, place)| format!("{from} -> {to} ({place})")));
        }
        if !steps.is_empty() {
            complaints.push(format!("these use each other in a circle: {}", steps.join(", ")));
        }
    }
    complaints
}

fn reachable<'a>(uses: &'a BTreeMap<String, BTreeMap<String, String>>, from: &str) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&String> = uses.get(from).into_iter().flat_map(BTreeMap::keys).collect();
    while let Some(module) = open.pop() {
        if reached.insert(module) {
            open.extend(uses.get(module).into_iter().flat_map(BTreeMap::keys));
        }
    }
    reached
}

/// Uses of the machine and of the parts around the engine.
fn outward(crate_: &Crate) -> Vec<String> {
    let mut complaints = Vec::new();
    for mention in crate_.modules.values().flat_map(|module| &module.mentions) {
        let mut segments = mention.segments.iter().map(String::as_str);
        let (first, second) = (segments.next().unwrap_or(""), segments.next().unwrap_or(""));
        let may = MACHINE.iter().find(|(part, _)| *part == second).map(|(_, files)| *files);
        let is_machine = first == "std" && may.is_some_and(|files| !files.contains(&mention.file.as_str()));
        if is_machine || OUTSIDE.contains(&first) {
            complaints
                .push(format!("{}:{}: {first}::{second} has no place here", mention.file, mention.line));
        }
    }
    complaints
}

/// All that is wrong with how the engine's modules use each other and what is around them.
fn complaints(files: &BTreeMap<String, String>) -> Vec<String> {
    let crate_ = Crate::read(files);
    let edges = crate_.edges();
    let dead = crate_.unread(files).into_iter().map(|file| format!("{file}: no module leads here"));
    [upward(&edges), cycles(&crate_, &edges), outward(&crate_), dead.collect()].concat()
}

/// Imports of the npm package's sources from the parts that stand above it.
fn package_imports(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        let is_import = line.contains("import") || line.contains("from ") || line.contains("require(");
        let quoted = line.split(['"', '\'', '`']).skip(1).step_by(2);
        let upward = quoted.flat_map(|path| path.split('/')).any(|part| part == "tests" || part == "www");
        if is_import && upward {
            complaints.push(format!("{}:{}: the package uses what stands above it", source.path, number + 1));
        }
    }
    complaints
}

fn engine() -> BTreeMap<String, String> {
    let own = |source: Source| Some((source.path.strip_prefix("core/src/")?.to_owned(), source));
    let files = sources().into_iter().filter_map(own).filter(|(_, source)| source.has_extension(&["rs"]));
    files.map(|(path, source)| (path, source.text)).collect()
}

#[test]
fn modules_of_the_engine_use_only_what_is_below_them() {
    assert_tidy(&complaints(&engine()));
}

#[test]
fn the_engine_has_the_layers_that_the_rule_is_about() {
    let crate_ = Crate::read(&engine());
    for (module, _) in HEIGHTS {
        assert!(
            crate_.modules.contains_key([module.to_owned()].as_slice()),
            "the engine has no module {module}"
        );
    }
    assert!(crate_.edges().len() > 50, "the engine's modules use each other");
}

#[test]
fn the_package_uses_nothing_above_it() {
    let sources = sources();
    let package = sources.iter().filter(|source| source.path.starts_with("pkg/src/"));
    let complaints: Vec<Vec<String>> = package.map(package_imports).collect();
    assert!(!complaints.is_empty(), "the package has sources");
    assert_tidy(&complaints.concat());
}

/// A crate of these files under a front page that declares their modules.
#[track_caller]
fn check(files: &[(&str, &str)], expected: &[&str]) {
    let mut front = String::new();
    for (path, _) in files {
        let module = path.trim_end_matches("/mod.rs").trim_end_matches(".rs");
        if !module.contains('/') {
            front.push_str(&format!("mod {module};\n"));
        }
    }
    let mut files: BTreeMap<String, String> =
        files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    files.entry("lib.rs".to_owned()).and_modify(|text| text.insert_str(0, &front)).or_insert(front);
    files.entry("lib.rs".to_owned()).and_modify(|text| *text = text.replace("mod lib;\n", ""));
    assert_complaints(&complaints(&files), expected);
}

#[test]
fn a_use_that_points_upward_or_sideways_is_found() {
    check(&[("pager.rs", "use crate::storage::S;"), ("storage.rs", "pub struct S;")], &[]);
    check(
        &[("pager.rs", "pub struct P;"), ("storage.rs", "use crate::pager::P;")],
        &["storage.rs:1: storage may not use pager"],
    );
    check(
        &[("index.rs", "fn f() { crate::records::g() }"), ("records.rs", "pub fn g() {}")],
        &["index may not use records"],
    );
    check(
        &[("index.rs", "\nfn f(_: &dyn crate::storage::S) {}"), ("storage.rs", "pub trait S {}")],
        &["index.rs:2: index may"],
    );
    check(
        &[("records.rs", "fn f() { assert!(crate::store::ok()) }"), ("store.rs", "pub fn ok() {}")],
        &["records may not use store"],
    );
    check(
        &[
            ("pager/mod.rs", "mod a;"),
            ("pager/a.rs", "use super::super::store::S;"),
            ("store.rs", "pub struct S;"),
        ],
        &["pager/a.rs:1"],
    );
    check(
        &[("scheduler.rs", "use crate::error::E;"), ("error.rs", "pub struct E;")],
        &["scheduler may not use error"],
    );
    check(
        &[("pager.rs", "use crate::scheduler::D;"), ("scheduler.rs", "pub struct D;")],
        &["pager may not use scheduler"],
    );
    check(&[("novel.rs", "use crate::error::E;"), ("error.rs", "pub struct E;")], &["novel has no place"]);
}

#[test]
fn a_name_is_followed_through_re_exports_to_where_it_is_defined() {
    let store = ("store.rs", "pub struct S;");
    let error = ("error.rs", "pub struct E;");
    check(&[("lib.rs", "pub use error::E;"), error, ("pager.rs", "use crate::E;")], &[]);
    check(
        &[("lib.rs", "pub use store::S as T;"), store, ("pager.rs", "use crate::T;")],
        &["pager may not use store"],
    );
    check(
        &[("lib.rs", "pub use store::*;"), store, ("pager.rs", "use crate::S;")],
        &["pager may not use store"],
    );
    check(&[("lib.rs", "pub struct S;"), ("pager.rs", "use crate::S;")], &["front page"]);
    check(&[error, ("pager.rs", "#[cfg(test)] mod tests { use crate::store::S; }"), store], &[]);
}

#[test]
fn a_circle_of_modules_is_found() {
    let facade = ("pager/mod.rs", "mod a; mod b; pub use a::A; pub use b::B;");
    check(&[facade, ("pager/a.rs", "use super::B; pub struct A;"), ("pager/b.rs", "pub struct B;")], &[]);
    check(
        &[
            facade,
            ("pager/a.rs", "use super::B; pub struct A;"),
            ("pager/b.rs", "use super::a::A; pub struct B;"),
        ],
        &["pager::a -> pager::b (pager/a.rs:1), pager::b -> pager::a (pager/b.rs:1)"],
    );
    let whole = ("pager/mod.rs", "mod a; use a::A; pub struct P(A);");
    check(
        &[whole, ("pager/a.rs", "use super::P; pub struct A;")],
        &["pager -> pager::a (pager/mod.rs:1), pager::a -> pager (pager/a.rs:1)"],
    );
    let words = [
        ("error.rs", "use crate::revision::R; pub struct E;"),
        ("revision.rs", "use crate::error::E; pub struct R;"),
    ];
    check(&words, &["error -> revision (error.rs:1), revision -> error"]);
    let store = ("store/mod.rs", "mod a; mod b; pub use a::A; pub use b::B;");
    check(
        &[
            store,
            ("store/a.rs", "use super::B; pub struct A;"),
            ("store/b.rs", "use super::A; pub struct B;"),
        ],
        &[],
    );
}

#[test]
fn a_use_of_the_machine_or_of_the_bindings_is_found() {
    check(&[("scheduler.rs", "use std::time::Instant;")], &[]);
    check(&[("pager.rs", "use std::time::Instant;")], &["pager.rs:1: std::time"]);
    check(&[("pager.rs", "use core::time::Duration;")], &[]);
    check(&[("records.rs", "fn f() { std::thread::yield_now() }")], &["std::thread"]);
    check(&[("storage.rs", "use std::{fs::File, vec::Vec};")], &["std::fs"]);
    check(&[("store.rs", "use wasm_bindgen::prelude::*;")], &["wasm_bindgen"]);
    check(&[("store.rs", "fn f(_: js_sys::Array) {}")], &["js_sys"]);
}

#[test]
fn a_file_that_no_module_leads_to_is_found() {
    check(&[("pager/mod.rs", ""), ("pager/lost.rs", "")], &["pager/lost.rs: no module leads here"]);
    check(&[("pager/mod.rs", "#[cfg(test)] mod tests;"), ("pager/tests.rs", "")], &[]);
}

#[test]
fn an_import_from_the_tests_or_the_page_is_found() {
    let check = |line: &str, expected: &[&str]| {
        assert_complaints(&package_imports(&Source::sample("pkg/src/a.ts", line)), expected);
    };
    check("import { a } from './tests-of-strength.js';", &[]);
    check("const where = 'tests/a';", &[]);
    check("import { a } from '../../tests/a.js';", &["pkg/src/a.ts:1"]);
    check("\nconst { a } = await import(\"../../www/a.js\");", &["pkg/src/a.ts:2"]);
}
