//! Files, functions and parameter lists that can be held in the head.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::graph::{attributes, is_test_only};
use super::{Source, assert_complaints, assert_tidy, sources};

/// Lines of a file, tests at its end not counted.
const MAX_FILE_LINES: usize = 500;
/// Lines of a function, from its signature to its closing brace.
const MAX_FUNCTION_LINES: usize = 60;
/// Parameters besides `self`.
const MAX_PARAMETERS: usize = 4;

/// Collects what is wrong with the functions of one file.
struct Functions<'a> {
    path: &'a str,
    complaints: Vec<String>,
}

impl Functions<'_> {
    fn signature(&mut self, signature: &syn::Signature) {
        let place = format!("{}:{}: {}", self.path, signature.fn_token.span.start().line, signature.ident);
        let typed: Vec<&syn::PatType> = signature
            .inputs
            .iter()
            .filter_map(|input| match input {
                syn::FnArg::Typed(typed) => Some(typed),
                syn::FnArg::Receiver(_) => None,
            })
            .collect();
        if typed.len() > MAX_PARAMETERS {
            self.complaints.push(format!("{place} has {} parameters, over {MAX_PARAMETERS}", typed.len()));
        }
        let is_bool =
            |typed: &&syn::PatType| matches!(&*typed.ty, syn::Type::Path(ty) if ty.path.is_ident("bool"));
        if typed.iter().any(is_bool) {
            self.complaints.push(format!("{place} has a bool parameter"));
        }
    }

    fn length(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let start = signature.fn_token.span.start().line;
        let lines = body.span().end().line + 1 - start;
        if lines > MAX_FUNCTION_LINES {
            let name = &signature.ident;
            let complaint =
                format!("{}:{start}: {name} has {lines} lines, over {MAX_FUNCTION_LINES}", self.path);
            self.complaints.push(complaint);
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.signature(signature);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.length(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.length(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.length(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

/// The complaint about a file's length, if it is too long.
fn file_length(path: &str, lines: usize) -> Option<String> {
    (lines > MAX_FILE_LINES).then(|| format!("{path} has {lines} lines, over {MAX_FILE_LINES}"))
}

fn rust(source: &Source) -> Vec<String> {
    let file = syn::parse_file(&source.text).unwrap_or_else(|error| panic!("{}: {error}", source.path));
    let tests = file.items.iter().filter(|item| is_test_only(attributes(item)));
    let test_lines: usize = tests.map(|item| item.span().end().line + 1 - item.span().start().line).sum();
    let length = file_length(&source.path, source.text.lines().count().saturating_sub(test_lines));
    let mut functions = Functions { path: &source.path, complaints: length.into_iter().collect() };
    functions.visit_file(&file);
    functions.complaints
}

fn complaints(source: &Source) -> Vec<String> {
    if source.has_extension(&["rs"]) {
        rust(source)
    } else if source.has_extension(&["ts", "mts", "mjs", "js"]) {
        file_length(&source.path, source.text.lines().count()).into_iter().collect()
    } else {
        Vec::new()
    }
}

#[test]
fn files_functions_and_parameter_lists_are_short() {
    assert_tidy(&sources().iter().flat_map(complaints).collect::<Vec<_>>());
}

#[track_caller]
fn check(path: &str, text: &str, expected: &[&str]) {
    assert_complaints(&complaints(&Source::sample(path, text)), expected);
}

#[test]
fn a_long_file_is_found() {
    let lines = |count: usize| "// a line\n".repeat(count);
    for extension in ["rs", "ts", "mjs"] {
        let path = format!("a.{extension}");
        check(&path, &lines(MAX_FILE_LINES), &[]);
        check(&path, &lines(MAX_FILE_LINES + 1), &["has 501 lines, over 500"]);
    }
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", lines(300));
    check("a.rs", &(lines(MAX_FILE_LINES) + &tests), &[]);
    check("a.rs", &(lines(MAX_FILE_LINES + 1) + &tests), &["has 501 lines"]);
    check("a.md", &lines(1_000), &[]);
}

#[test]
fn a_long_function_is_found() {
    let function = |lines: usize| format!("fn long() {{\n{}}}\n", "call();\n".repeat(lines - 2));
    check("a.rs", &function(MAX_FUNCTION_LINES), &[]);
    check("a.rs", &function(MAX_FUNCTION_LINES + 1), &["a.rs:1: long has 61 lines"]);
    check("a.rs", &format!("impl A {{\n{}}}", function(70)), &["a.rs:2: long has 70 lines"]);
    check("a.rs", &format!("trait A {{\n{}}}", function(70)), &["a.rs:2: long has 70 lines"]);
    check("a.rs", &format!("mod a {{ mod tests {{\n{}}} }}", function(70)), &["a.rs:2: long has 70 lines"]);
}

#[test]
fn a_long_parameter_list_and_a_bool_parameter_are_found() {
    check("a.rs", "impl A { fn f(&self, a: u8, b: u8, c: u8, d: u8) {} }", &[]);
    check("a.rs", "impl A { fn f(&self, a: u8, b: u8, c: u8, d: u8, e: u8) {} }", &["f has 5 parameters"]);
    check("a.rs", "trait A { fn f(a: u8, b: u8, c: u8, d: u8, e: u8); }", &["f has 5 parameters"]);
    check("a.rs", "fn f(yes: bool) {}", &["f has a bool parameter"]);
    check("a.rs", "fn f() -> bool { true }", &[]);
}
