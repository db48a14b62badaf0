//! Words that no name is made of, because the field has a better one for each.

use proc_macro2::Ident;
use syn::visit::{self, Visit};
use syn::{Attribute, Fields, ImplItem, Item, TraitItem};

use crate::findings::Finding;
use crate::sources::{Tree, for_tests, parse};

const AVOIDED: [&str; 32] = [
    "far",
    "half",
    "ends",
    "charge",
    "seen",
    "look",
    "taken",
    "parts",
    "story",
    "happening",
    "handover",
    "offering",
    "settle",
    "compare",
    "hear",
    "errand",
    "underway",
    "turns",
    "happened",
    "mark",
    "written",
    "way",
    "mapping",
    "dictionary",
    "attended",
    "capability",
    "theatre",
    "stage",
    "cast",
    "play",
    "raise",
    "lower",
];

/// Files that keep what others still hold: names of earlier versions, and records in the database.
const KEPT: [&str; 3] = ["src/contract/legacy.rs", "src/monitor/legacy.rs", "src/store/record/"];

/// What a client can do is a capability.
const CAPABILITIES: [&str; 3] =
    ["src/core/address/mod.rs", "src/core/address/capability.rs", "src/contract/clients.rs"];

/// Names that a file defines and that have one of these words. The names of tests are sentences.
pub fn avoided(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in tree.sources.iter().filter(|source| !KEPT.iter().any(|kept| source.path.starts_with(kept))) {
        let mut defined = Defined(Vec::new());
        match &source.code {
            Some(code) => defined.visit_file(&code.file),
            None => defined.visit_file(&parse(&source.path, &source.text)),
        }
        for name in defined.0 {
            let words = words(&name.to_string());
            let capability = CAPABILITIES.contains(&source.path.as_str());
            let bad = AVOIDED.iter().filter(|word| !(capability && **word == "capability"));
            for word in bad.filter(|word| words.iter().any(|own| own == **word)) {
                found.push(Finding::new(&source.path, name.span().start().line, format!("{name} has the word {word}")));
            }
        }
    }
    found
}

/// `TurnsOf_call` → `turns`, `of`, `call`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = '_';
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && !before.is_uppercase()) {
            words.push(String::new());
        }
        if c != '_' {
            words.last_mut().unwrap().extend(c.to_lowercase());
        }
        before = c;
    }
    words
}

/// The names that a file makes. Those of another trait's items are not its own.
struct Defined(Vec<Ident>);

impl Defined {
    fn function(&mut self, name: &Ident, attributes: &[Attribute]) {
        if !for_tests(attributes) {
            self.0.push(name.clone());
        }
    }
}

impl<'ast> Visit<'ast> for Defined {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Const(item) => self.0.push(item.ident.clone()),
            Item::Enum(item) => self.0.push(item.ident.clone()),
            Item::Fn(item) => self.function(&item.sig.ident, &item.attrs),
            Item::Macro(item) => self.0.extend(item.ident.clone()),
            Item::Mod(item) => self.0.push(item.ident.clone()),
            Item::Static(item) => self.0.push(item.ident.clone()),
            Item::Struct(item) => self.0.push(item.ident.clone()),
            Item::Trait(item) => self.0.push(item.ident.clone()),
            Item::Type(item) => self.0.push(item.ident.clone()),
            Item::Union(item) => self.0.push(item.ident.clone()),
            Item::Impl(item) if item.trait_.is_none() => {
                for item in &item.items {
                    match item {
                        ImplItem::Fn(item) => self.function(&item.sig.ident, &item.attrs),
                        ImplItem::Const(item) => self.0.push(item.ident.clone()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        match item {
            TraitItem::Fn(item) => self.0.push(item.sig.ident.clone()),
            TraitItem::Const(item) => self.0.push(item.ident.clone()),
            TraitItem::Type(item) => self.0.push(item.ident.clone()),
            _ => {}
        }
        visit::visit_trait_item(self, item);
    }

    fn visit_fields(&mut self, fields: &'ast Fields) {
        self.0.extend(fields.iter().filter_map(|field| field.ident.clone()));
        visit::visit_fields(self, fields);
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.0.push(variant.ident.clone());
        visit::visit_variant(self, variant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        avoided(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn a_name_with_an_avoided_word_is_found() {
        for text in [
            "struct FarClient;",
            "enum A { B { seen: u8 } }",
            "enum A { Happened(u8) }",
            "fn settle_pair() {}",
            "impl A { fn look_up(&self) {} }",
            "impl A { const RAISE_MAX: u8 = 1; }",
            "trait A { fn compare(&self); }",
            "mod story {}",
            "const HALF: u8 = 1;",
            "type Way = u8;",
            "fn f() { struct Errand; }",
            "#[cfg(test)] mod tests { fn far() {} }",
        ] {
            assert_eq!(count("lab/src/a.rs", text), 1, "{text}");
        }
        assert_eq!(count("src/node/a.rs", "struct Capability;"), 1);
        assert_eq!(count("src/core/address/capability.rs", "struct Capability; struct Far;"), 1);
    }

    #[test]
    fn other_words_other_definitions_and_sentences_are_not() {
        for text in [
            "struct Farewell; struct Marks; fn lookup() {}",
            "impl FromRequestParts for A { fn hear() {} }",
            "fn f(far: u8) { let seen = far.look(); }",
            "#[test] fn a_far_end_is_seen() {}",
            "#[serde(rename = \"far\")] struct Remote;",
        ] {
            assert_eq!(count("src/node/a.rs", text), 0, "{text}");
        }
        assert_eq!(count("src/contract/legacy.rs", "struct Far;"), 0);
    }

    #[test]
    fn names_are_split_into_words() {
        assert_eq!(words("toldFarEnd"), ["told", "far", "end"]);
        assert_eq!(words("HTTP_Far2").concat(), "httpfar2");
        assert_eq!(
            words("TURNS_MAX").into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>(),
            ["turns", "max"]
        );
    }
}
