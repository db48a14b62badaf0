//! The sources, read and parsed once: which module each file is, and which files are tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, Item, Meta};

/// A module's path from the root of the crate: `["node", "http"]`.
pub type Module = Vec<String>;

pub struct Source {
    /// From the root of the repository, with `/`.
    pub path: String,
    pub text: String,
    /// What is in `src` is parsed.
    pub code: Option<Code>,
}

pub struct Code {
    pub file: syn::File,
    pub module: Module,
    /// Whether the whole file is only compiled for tests.
    pub test: bool,
}

pub struct Tree {
    pub sources: Vec<Source>,
    pub modules: BTreeSet<Module>,
}

/// A `mod` item.
struct Declared {
    module: Module,
    /// Its `#[path]`.
    file: Option<String>,
    test: bool,
}

/// Of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Tree {
    /// Every source of the repository: all that is Rust.
    pub fn read() -> Tree {
        Tree::new(files())
    }

    /// The same, with nothing parsed: for what reads texts.
    pub fn read_texts() -> Tree {
        let sources = files().into_iter().map(|(path, text)| Source { path, text, code: None });
        Tree { sources: sources.collect(), modules: BTreeSet::new() }
    }

    /// A small one: paths and texts.
    pub fn of(files: &[(&str, &str)]) -> Tree {
        Tree::new(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }

    fn new(files: Vec<(String, String)>) -> Tree {
        let sources = files.into_iter().map(|(path, text)| {
            let code = path.strip_prefix("src/").map(|inside| Code {
                file: parse(&path, &text),
                module: module_of(inside),
                test: false,
            });
            Source { path, text, code }
        });
        let mut tree = Tree { sources: sources.collect(), modules: BTreeSet::new() };
        // A file with a `#[path]` may declare another one.
        tree.place();
        tree.place();
        tree
    }

    /// Puts files with a `#[path]` where they are declared, and marks tests.
    fn place(&mut self) {
        let mut tests = BTreeSet::new();
        let mut modules: BTreeSet<Module> = self.code().map(|(_, code)| code.module.clone()).collect();
        let mut moved = Vec::new();
        for (source, code) in self.code() {
            let mut declared = Vec::new();
            declarations(&code.file.items, &code.module, false, &mut declared);
            let dir = source.path.rsplit_once('/').map_or("", |(dir, _)| dir);
            for Declared { module, file, test } in declared {
                moved.extend(file.map(|file| (format!("{dir}/{file}"), module.clone())));
                tests.extend(test.then(|| module.clone()));
                modules.insert(module);
            }
        }
        self.modules = modules;
        for source in &mut self.sources {
            let Some(code) = &mut source.code else { continue };
            if let Some((_, module)) = moved.iter().find(|(path, _)| *path == source.path) {
                code.module.clone_from(module);
            }
            code.test = (0..=code.module.len()).any(|n| tests.contains(&code.module[..n]));
        }
    }

    /// The files of `src`.
    pub fn code(&self) -> impl Iterator<Item = (&Source, &Code)> {
        self.sources.iter().filter_map(|source| Some((source, source.code.as_ref()?)))
    }
}

pub fn parse(path: &str, text: &str) -> syn::File {
    syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Paths and texts of every source.
fn files() -> Vec<(String, String)> {
    let root = root();
    let mut files = Vec::new();
    for dir in ["src", "tests", "lab", "benches", "examples", "fuzz"] {
        if root.join(dir).is_dir() {
            collect(&root, &root.join(dir), &mut files);
        }
    }
    files.sort();
    files
}

fn collect(root: &Path, dir: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let shown = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            files.push((shown, fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Of a path inside `src`.
fn module_of(path: &str) -> Module {
    let mut module: Module = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    let root = module.len() == 1 && ["lib", "main"].contains(&module[0].as_str());
    if root || module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

fn declarations(items: &[Item], inside: &[String], test: bool, found: &mut Vec<Declared>) {
    for item in items {
        let Item::Mod(item) = item else { continue };
        let module: Module = inside.iter().cloned().chain([item.ident.to_string()]).collect();
        let test = test || for_tests(&item.attrs);
        found.push(Declared { module: module.clone(), file: path_attribute(&item.attrs), test });
        if let Some((_, items)) = &item.content {
            declarations(items, &module, test, found);
        }
    }
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    })
}

/// Whether these attributes leave an item to tests: `#[cfg(test)]`, `#[cfg(all(test, …))]`, `#[test]`, `#[tokio::test]`.
pub fn for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string().replace(' ', "");
            condition == "test" || condition.starts_with("all(test,")
        }
        meta => meta.path().segments.last().is_some_and(|last| last.ident == "test"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_modules() {
        assert_eq!(module_of("node/http/mod.rs"), ["node", "http"]);
        assert_eq!(module_of("node/http.rs"), ["node", "http"]);
        assert_eq!(module_of("cli/mod/lib.rs"), ["cli", "mod", "lib"]);
        assert!(module_of("lib.rs").is_empty() && module_of("main.rs").is_empty());
    }

    #[test]
    fn a_file_with_a_path_attribute_is_where_it_is_declared() {
        let tree = Tree::of(&[
            ("src/core/exchange.rs", "#[cfg(test)] #[path = \"exchange_tests.rs\"] mod tests;"),
            ("src/core/exchange_tests.rs", "#[path = \"strangers_tests.rs\"] mod strangers;"),
            ("src/core/strangers_tests.rs", ""),
            ("src/core/mod.rs", "pub mod exchange; mod inside { mod deep {} }"),
        ]);
        let of = |path: &str| tree.code().find(|(source, _)| source.path == path).map(|(_, code)| code).unwrap();
        assert_eq!(of("src/core/strangers_tests.rs").module, ["core", "exchange", "tests", "strangers"]);
        assert!(of("src/core/strangers_tests.rs").test && !of("src/core/exchange.rs").test);
        assert!(tree.modules.contains(&["core", "inside", "deep"].map(str::to_owned)[..]));
    }
}
