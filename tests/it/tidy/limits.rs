//! Every limit and default says what it is and in which unit.

use syn::{Expr, Item, Lit, Meta};

use super::graph::attributes;
use super::{Source, assert_complaints, assert_tidy, source};

/// The words that tell a unit.
const UNITS: [&str; 12] = [
    "byte",
    "bytes",
    "microseconds",
    "milliseconds",
    "seconds",
    "records",
    "changes",
    "events",
    "pages",
    "leaves",
    "operations",
    "version",
];

/// A doc comment's text.
fn documentation(item: &Item) -> String {
    let lines = attributes(item).iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(expression) => match &expression.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join(" ")
}

fn complaints(source: &Source) -> Vec<String> {
    let file = syn::parse_file(&source.text).unwrap_or_else(|error| panic!("{}: {error}", source.path));
    let mut complaints = Vec::new();
    for item in &file.items {
        let Item::Const(limit) = item else { continue };
        let text = documentation(item).to_lowercase();
        let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphabetic()).collect();
        if limit.ident != "_" && !UNITS.iter().any(|unit| words.contains(unit)) {
            complaints.push(format!("{}: {} does not tell its unit", source.path, limit.ident));
        }
    }
    complaints
}

#[test]
fn limits_tell_their_units() {
    let limits = source("core/src/limits.rs");
    assert!(limits.text.matches("pub const").count() > 10, "the limits are where this test looks for them");
    assert_tidy(&complaints(&limits));
}

#[test]
fn a_limit_without_a_unit_is_found() {
    let check = |text: &str, expected: &[&str]| {
        assert_complaints(&complaints(&Source::sample("limits.rs", text)), expected);
    };
    check("/// The longest key, in bytes.\npub const KEY: usize = 1;", &[]);
    check("/// Operations in one branch.\npub const OPS: usize = 1;", &[]);
    check("/// The longest key.\npub const KEY: usize = 1;", &["KEY does not tell its unit"]);
    check("pub const KEY: usize = 1;", &["KEY does not tell its unit"]);
    check("// In bytes.\npub const KEY: usize = 1;", &["KEY does not tell its unit"]);
    check("const _: () = assert!(true);", &[]);
}
