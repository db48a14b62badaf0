//! Every path that the sources of `src` name, in `use`, code, types, attributes and macros, from the root of the crate.

use std::collections::HashMap;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, BinOp, ExprBinary, ImplItem, Item, ItemUse, Macro, Meta, Pat, UseTree, Visibility};

use crate::sources::{Module, Tree, for_tests};

pub struct Mention {
    pub file: String,
    pub line: usize,
    /// The module that names it.
    pub module: Module,
    pub test: bool,
    pub place: Place,
    /// `["crate", "core", "name"]`, or `["tokio", "spawn"]`. The last word of an import of all is `*`.
    pub path: Vec<String>,
    /// The same, without re-exports of this crate.
    pub origin: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Use,
    /// A pattern, or a side of `==` or `!=`.
    Distinction,
    Other,
}

/// A path before it is resolved.
struct RawPath {
    line: usize,
    module: Module,
    test: bool,
    place: Place,
    path: Vec<String>,
    /// Begins with `::`.
    external: bool,
    /// The name that a `use` makes of it.
    name: Option<String>,
}

/// Names that `use` makes, by module.
type Bindings = HashMap<Module, HashMap<String, Vec<String>>>;

pub fn mentions(tree: &Tree) -> Vec<Mention> {
    let mut all = Vec::new();
    for (source, code) in tree.code() {
        let (module, test) = (code.module.clone(), code.test);
        let mut walk = Walk { module, test, place: Place::Other, paths: Vec::new() };
        walk.visit_file(&code.file);
        all.extend(walk.paths.into_iter().map(|raw| (&source.path, raw)));
    }
    let mut bindings = Bindings::new();
    // A `use` may begin with a name that another one makes.
    for _ in 0..2 {
        let made = all.iter().filter_map(|(_, raw)| {
            let path = absolute(raw, &bindings, tree)?;
            Some((raw.module.clone(), raw.name.clone()?, path))
        });
        for (module, name, path) in made.collect::<Vec<_>>() {
            bindings.entry(module).or_default().insert(name, path);
        }
    }
    let mentions = all.iter().filter_map(|(file, raw)| {
        let path = absolute(raw, &bindings, tree)?;
        let RawPath { line, module, test, place, .. } = raw;
        let origin = origin(path.clone(), &bindings, tree);
        let (file, module) = ((*file).clone(), module.clone());
        Some(Mention { file, line: *line, module, test: *test, place: *place, path, origin })
    });
    mentions.collect()
}

/// From the root; `None` if it is a name of the function or module that stands alone.
fn absolute(raw: &RawPath, bindings: &Bindings, tree: &Tree) -> Option<Vec<String>> {
    let RawPath { path, module, place, .. } = raw;
    let from = |module: &[String], rest: &[String]| {
        Some(["crate".to_owned()].iter().chain(module).chain(rest).cloned().collect::<Vec<_>>())
    };
    let supers = path.iter().take_while(|part| *part == "super").count();
    match path[0].as_str() {
        _ if raw.external => Some(path.clone()),
        "crate" => Some(path.clone()),
        "super" => from(&module[..module.len().saturating_sub(supers)], &path[supers..]),
        "self" if *place == Place::Use || path.len() > 1 => from(module, &path[1..]),
        "self" | "Self" => None,
        _ if path.len() == 1 && *place != Place::Use => None,
        first => {
            let child: Module = module.iter().cloned().chain([first.to_owned()]).collect();
            let bound = bindings.get(module).and_then(|names| names.get(first));
            match bound {
                _ if tree.modules.contains(&child) => from(&child, &path[1..]),
                // `use url::Url` doesn't begin with the name that `use crate::url` makes, nor with its own.
                Some(bound) if *place != Place::Use || (bound[0] == "crate" && path.len() > 1) => {
                    Some(bound.iter().chain(&path[1..]).cloned().collect())
                }
                _ => Some(path.clone()),
            }
        }
    }
}

/// Follows re-exports of this crate.
fn origin(mut path: Vec<String>, bindings: &Bindings, tree: &Tree) -> Vec<String> {
    for _ in 0..8 {
        if path[0] != "crate" {
            break;
        }
        let Some(end) = (1..path.len()).rev().find(|end| *end == 1 || tree.modules.contains(&path[1..*end])) else {
            break;
        };
        match bindings.get(&path[1..end]).and_then(|names| names.get(&path[end])) {
            Some(target) if !target.starts_with(&path[..=end]) => {
                path = target.iter().chain(&path[end + 1..]).cloned().collect();
            }
            _ => break,
        }
    }
    path
}

struct Walk {
    module: Module,
    test: bool,
    place: Place,
    paths: Vec<RawPath>,
}

impl Walk {
    fn found(&mut self, path: &[String], external: bool, line: usize, name: Option<String>) {
        if !path.is_empty() {
            let (module, path) = (self.module.clone(), path.to_vec());
            self.paths.push(RawPath { line, module, test: self.test, place: self.place, path, external, name });
        }
    }

    fn inside(&mut self, attributes: &[Attribute], visit: impl FnOnce(&mut Self)) {
        let before = self.test;
        self.test |= for_tests(attributes);
        visit(self);
        self.test = before;
    }

    fn at(&mut self, place: Place, visit: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.place, place);
        visit(self);
        self.place = before;
    }

    fn imported(&mut self, tree: &UseTree, path: &mut Vec<String>, external: bool) {
        let line = tree.span().start().line;
        match tree {
            UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.imported(&part.tree, path, external);
                path.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.imported(tree, path, external)),
            UseTree::Glob(_) => {
                let all: Vec<_> = path.iter().cloned().chain(["*".to_owned()]).collect();
                self.found(&all, external, line, None);
            }
            UseTree::Name(part) if part.ident == "self" => {
                self.found(path, external, line, path.last().cloned());
            }
            UseTree::Name(part) => {
                let name = part.ident.to_string();
                let all: Vec<_> = path.iter().cloned().chain([name.clone()]).collect();
                self.found(&all, external, line, Some(name));
            }
            UseTree::Rename(part) => {
                let own = (part.ident != "self").then(|| part.ident.to_string());
                let all: Vec<_> = path.iter().cloned().chain(own).collect();
                self.found(&all, external, line, Some(part.rename.to_string()));
            }
        }
    }

    /// Paths in what a macro is given. `before` stands before each of them: the part of `a::{b, c}` outside the braces.
    fn scan(&mut self, tokens: TokenStream, before: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let word = |n: usize| match tokens.get(n) {
            Some(TokenTree::Ident(word)) => Some(word),
            _ => None,
        };
        let colons = |n: usize| is_sign(&tokens, n, "::");
        let mut n = 0;
        while n < tokens.len() {
            let begin = n;
            let external = colons(n) && word(n + 2).is_some();
            if external {
                n += 2;
            }
            let Some(first) = word(n) else {
                if let TokenTree::Group(group) = &tokens[n] {
                    self.scan(group.stream(), &[]);
                }
                n += 1;
                continue;
            };
            let mut path: Vec<_> = before.iter().cloned().chain([first.to_string()]).collect();
            n += 1;
            while let Some(next) = word(n + 2).filter(|_| colons(n)) {
                path.push(next.to_string());
                n += 3;
            }
            match tokens.get(n + 2) {
                Some(TokenTree::Group(list)) if colons(n) && list.delimiter() == Delimiter::Brace => {
                    self.scan(list.stream(), &path);
                    n += 3;
                }
                _ => {
                    let compared = ["==", "!="].iter().any(|sign| {
                        is_sign(&tokens, n, sign) || begin.checked_sub(2).is_some_and(|at| is_sign(&tokens, at, sign))
                    });
                    let matched = is_sign(&tokens, n, "=>")
                        || begin.checked_sub(1).and_then(word).is_some_and(|word| word == "let");
                    let place = if compared || matched { Place::Distinction } else { self.place };
                    self.at(place, |walk| walk.scanned(&path, external, first.span().start().line));
                }
            }
        }
    }

    fn scanned(&mut self, path: &[String], external: bool, line: usize) {
        if path.len() > 1 {
            self.found(path, external, line, None);
        }
    }

    /// Paths in texts: `#[serde(with = "crate::…")]`.
    fn quoted(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.quoted(group.stream()),
                TokenTree::Literal(literal) => {
                    let path = syn::parse_str::<syn::LitStr>(&literal.to_string())
                        .and_then(|text| syn::parse_str::<syn::Path>(&text.value()));
                    if let Ok(path) = path {
                        let parts: Vec<_> = path.segments.iter().map(|part| part.ident.to_string()).collect();
                        self.scanned(&parts, path.leading_colon.is_some(), literal.span().start().line);
                    }
                }
                _ => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Walk {
    fn visit_item(&mut self, item: &'ast Item) {
        self.inside(attributes(item), |walk| visit::visit_item(walk, item));
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes = if let ImplItem::Fn(item) = item { item.attrs.as_slice() } else { &[] };
        self.inside(attributes, |walk| visit::visit_impl_item(walk, item));
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let external = item.leading_colon.is_some();
        self.at(Place::Use, |walk| walk.imported(&item.tree, &mut Vec::new(), external));
    }

    // Says who may see it, and names nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<_> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        self.found(&parts, path.leading_colon.is_some(), path.span().start().line, None);
        self.at(Place::Other, |walk| visit::visit_path(walk, path));
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if !attribute.path().is_ident("doc") {
            if let Meta::List(list) = &attribute.meta {
                self.scan(list.tokens.clone(), &[]);
                self.quoted(list.tokens.clone());
            }
            visit::visit_attribute(self, attribute);
        }
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        let last = called.path.segments.last().is_some_and(|last| last.ident == "matches");
        let place = if last { Place::Distinction } else { Place::Other };
        self.at(place, |walk| walk.scan(called.tokens.clone(), &[]));
        visit::visit_macro(self, called);
    }

    fn visit_pat(&mut self, pattern: &'ast Pat) {
        self.at(Place::Distinction, |walk| visit::visit_pat(walk, pattern));
    }

    fn visit_expr_binary(&mut self, binary: &'ast ExprBinary) {
        let place = if matches!(binary.op, BinOp::Eq(_) | BinOp::Ne(_)) { Place::Distinction } else { Place::Other };
        self.at(place, |walk| visit::visit_expr_binary(walk, binary));
    }
}

/// Whether these two characters stand here.
fn is_sign(tokens: &[TokenTree], at: usize, sign: &str) -> bool {
    sign.chars()
        .enumerate()
        .all(|(n, wanted)| matches!(tokens.get(at + n), Some(TokenTree::Punct(mark)) if mark.as_char() == wanted))
}

fn attributes(item: &Item) -> &[Attribute] {
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
