//! Which module of a crate uses which, read from its sources; tests are left out.
//!
//! Names are followed through re-exports to the module that defines them, so that a facade is no dependency. What a macro
//! makes is not seen, only the paths written in its call.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree};

/// A path in a source: its segments, and where it is written.
#[derive(Clone, Debug)]
pub(crate) struct Mention {
    pub(crate) segments: Vec<String>,
    pub(crate) file: String,
    pub(crate) line: usize,
}

/// A module: its path from the crate's root and what stands in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Module {
    pub(crate) path: Vec<String>,
    pub(crate) mentions: Vec<Mention>,
    /// Names this module gives on: the name, and the path it stands for.
    exports: BTreeMap<String, Vec<String>>,
    /// Modules of which it gives on everything.
    globs: Vec<Vec<String>>,
    children: BTreeSet<String>,
    items: BTreeSet<String>,
}

/// One module uses another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    pub(crate) from: Vec<String>,
    pub(crate) to: Vec<String>,
    pub(crate) place: String,
}

/// All modules of a crate, by path.
#[derive(Debug, Default)]
pub(crate) struct Crate {
    pub(crate) modules: BTreeMap<Vec<String>, Module>,
    /// Files that were read.
    files: BTreeSet<String>,
}

/// Whether an item is only there for tests.
pub(crate) fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && attribute
                    .meta
                    .require_list()
                    .is_ok_and(|list| matches!(list.tokens.to_string().as_str(), "test" | "all(test)"))
    })
}

pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

impl Crate {
    /// Reads a crate from its files, given by their paths from its source folder.
    pub(crate) fn read(files: &BTreeMap<String, String>) -> Self {
        let mut crate_ = Self::default();
        crate_.read_file(files, ("lib.rs", "", Vec::new()));
        crate_
    }

    /// Files that no module leads to.
    pub(crate) fn unread<'a>(&self, files: &'a BTreeMap<String, String>) -> Vec<&'a String> {
        files.keys().filter(|file| !self.files.contains(*file)).collect()
    }

    /// Reads a file as a module, then the files of its children; `folder` is where those are.
    fn read_file(&mut self, files: &BTreeMap<String, String>, place: (&str, &str, Vec<String>)) {
        let (file, folder, path) = place;
        let text = files.get(file).unwrap_or_else(|| panic!("{file} is missing"));
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        self.files.insert(file.to_owned());
        let mut reader = Reader {
            file,
            modules: vec![Module { path, ..Module::default() }],
            done: Vec::new(),
            elsewhere: Vec::new(),
        };
        reader.visit_file(&parsed);
        let elsewhere = std::mem::take(&mut reader.elsewhere);
        let all = reader.done.into_iter().chain(reader.modules);
        self.modules.extend(all.map(|module| (module.path.clone(), module)));
        for Elsewhere { path, is_test } in elsewhere {
            let name = path.last().expect("a child has a name");
            let candidates = [format!("{folder}{name}.rs"), format!("{folder}{name}/mod.rs")];
            let found = candidates.into_iter().find(|candidate| files.contains_key(candidate));
            let found = found.unwrap_or_else(|| panic!("{file}: no file for the module {name}"));
            if is_test {
                self.files.insert(found);
            } else {
                self.read_file(files, (&found, &format!("{folder}{name}/"), path.clone()));
            }
        }
    }

    /// Where a path leads from a module: the module that defines what it names; `None` outside of the crate.
    fn target(&self, from: &[String], segments: &[String]) -> Option<Vec<String>> {
        let mut base = from.to_vec();
        let mut rest = segments;
        match segments.first()?.as_str() {
            "crate" => (base, rest) = (Vec::new(), rest.split_first()?.1),
            "self" => rest = rest.split_first()?.1,
            "super" => {
                while rest.first().is_some_and(|segment| segment == "super") {
                    base.pop();
                    rest = rest.split_first()?.1;
                }
            }
            child if self.modules.get(from)?.children.contains(child) => {}
            _ => return None,
        }
        Some(self.follow(base, rest, &mut BTreeSet::new()))
    }

    fn follow(&self, base: Vec<String>, rest: &[String], seen: &mut BTreeSet<Vec<String>>) -> Vec<String> {
        let Some(((name, rest), module)) = rest.split_first().zip(self.modules.get(&base)) else {
            return base;
        };
        let step = [base.clone(), vec![name.clone()]].concat();
        if module.children.contains(name) {
            return self.follow(step, rest, seen);
        }
        if module.items.contains(name) || !seen.insert(step) {
            return base;
        }
        let through = |path: &Vec<String>| self.target(&base, path);
        if let Some(origin) = module.exports.get(name).and_then(through) {
            return origin;
        }
        let globs = module.globs.iter().filter_map(through);
        let hits = globs.map(|glob| self.follow(glob.clone(), std::slice::from_ref(name), seen));
        hits.into_iter()
            .find(|hit| self.modules.get(hit).is_some_and(|hit| hit.items.contains(name)))
            .unwrap_or(base)
    }

    /// Every use of one module by another. What a module gives on from its own children is no use of them.
    pub(crate) fn edges(&self) -> Vec<Edge> {
        let mut edges = Vec::new();
        for module in self.modules.values() {
            for mention in &module.mentions {
                let to = self.target(&module.path, &mention.segments);
                let Some(to) = to.filter(|to| *to != module.path) else { continue };
                let place = format!("{}:{}", mention.file, mention.line);
                edges.push(Edge { from: module.path.clone(), to, place });
            }
        }
        edges
    }
}

/// A module in another file.
struct Elsewhere {
    path: Vec<String>,
    is_test: bool,
}

/// Walks one file. Invariant: `modules` is the way from the file's own module to the inline module being read.
struct Reader<'a> {
    file: &'a str,
    modules: Vec<Module>,
    done: Vec<Module>,
    elsewhere: Vec<Elsewhere>,
}

impl Reader<'_> {
    fn module(&mut self) -> &mut Module {
        self.modules.last_mut().expect("a file is a module")
    }

    fn mention(&mut self, segments: Vec<String>, span: Span) {
        let mention = Mention { segments, file: self.file.to_owned(), line: span.start().line };
        self.module().mentions.push(mention);
    }

    fn define(&mut self, name: &syn::Ident) {
        self.module().items.insert(name.to_string());
    }

    /// The paths of a use, each with the name it brings in; a glob's name is `*`.
    fn leaves(tree: &UseTree, prefix: &[String]) -> Vec<(String, Vec<String>)> {
        let longer = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => Self::leaves(&path.tree, &longer(&path.ident)),
            UseTree::Name(name) if name.ident == "self" => {
                vec![(prefix.last().cloned().unwrap_or_default(), prefix.to_vec())]
            }
            UseTree::Name(name) => vec![(name.ident.to_string(), longer(&name.ident))],
            UseTree::Rename(name) => vec![(name.rename.to_string(), longer(&name.ident))],
            UseTree::Glob(_) => vec![("*".to_owned(), prefix.to_vec())],
            UseTree::Group(group) => group.items.iter().flat_map(|tree| Self::leaves(tree, prefix)).collect(),
        }
    }

    fn read_use(&mut self, item: &syn::ItemUse) {
        let is_private = matches!(item.vis, syn::Visibility::Inherited);
        for (name, path) in Self::leaves(&item.tree, &[]) {
            let first = path.first().map_or("", String::as_str);
            let own_child = first == "self" || self.module().children.contains(first);
            if is_private || !own_child {
                self.mention(path.clone(), item.use_token.span);
            }
            if name == "*" {
                self.module().globs.push(path);
            } else {
                self.module().exports.insert(name, path);
            }
        }
    }

    /// Paths that start at the crate, here, above or in std, among the tokens of a macro's call.
    fn read_tokens(&mut self, tokens: TokenStream) {
        let mut segments: Vec<String> = Vec::new();
        let mut start = Span::call_site();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) if colons == 2 => segments.push(name.to_string()),
                TokenTree::Ident(name) => {
                    self.end_of_path(&mut segments, start);
                    segments.push(name.to_string());
                    start = name.span();
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Group(group) => {
                    self.end_of_path(&mut segments, start);
                    self.read_tokens(group.stream());
                }
                _ => self.end_of_path(&mut segments, start),
            }
            colons = 0;
        }
        self.end_of_path(&mut segments, start);
    }

    fn end_of_path(&mut self, segments: &mut Vec<String>, start: Span) {
        let segments = std::mem::take(segments);
        if segments.len() > 1 {
            self.mention(segments, start);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_file(&mut self, file: &'ast syn::File) {
        // Children first: a use above the `mod` that it names must find it.
        for item in &file.items {
            if let Item::Mod(item) = item {
                self.module().children.insert(item.ident.to_string());
            }
        }
        visit::visit_file(self, file);
    }

    fn visit_item(&mut self, item: &'ast Item) {
        if let Item::Mod(child) = item {
            return self.visit_item_mod(child);
        }
        if is_test_only(attributes(item)) {
            return;
        }
        match item {
            Item::Const(item) => self.define(&item.ident),
            Item::Enum(item) => self.define(&item.ident),
            Item::Fn(item) => self.define(&item.sig.ident),
            Item::Static(item) => self.define(&item.ident),
            Item::Struct(item) => self.define(&item.ident),
            Item::Trait(item) => self.define(&item.ident),
            Item::Type(item) => self.define(&item.ident),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let is_test = is_test_only(&item.attrs);
        let path = [self.module().path.clone(), vec![item.ident.to_string()]].concat();
        self.module().children.insert(item.ident.to_string());
        let Some((_, items)) = &item.content else { return self.elsewhere.push(Elsewhere { path, is_test }) };
        if is_test {
            return;
        }
        self.modules.push(Module { path, ..Module::default() });
        items.iter().for_each(|item| self.visit_item(item));
        self.done.extend(self.modules.pop());
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.read_use(item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_test_only(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if let (Some(first), true) = (path.segments.first(), segments.len() > 1) {
            self.mention(segments, first.ident.span());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.read_tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, _attribute: &'ast Attribute) {}

    fn visit_visibility(&mut self, _visibility: &'ast syn::Visibility) {}
}
