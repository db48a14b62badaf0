//! One name, one thing: public types and traits of `src` share no name.

use std::collections::BTreeMap;

use proc_macro2::Ident;
use syn::visit::{self, Visit};
use syn::{Item, Visibility};

use crate::findings::Finding;
use crate::sources::Tree;

/// The public types and traits of a file: all that others than their own module can see.
struct Public(Vec<Ident>);

impl<'ast> Visit<'ast> for Public {
    fn visit_item(&mut self, item: &'ast Item) {
        let (visibility, name) = match item {
            Item::Struct(item) => (&item.vis, &item.ident),
            Item::Enum(item) => (&item.vis, &item.ident),
            Item::Union(item) => (&item.vis, &item.ident),
            Item::Trait(item) => (&item.vis, &item.ident),
            Item::Type(item) => (&item.vis, &item.ident),
            other => return visit::visit_item(self, other),
        };
        if !matches!(visibility, Visibility::Inherited) {
            self.0.push(name.clone());
        }
        visit::visit_item(self, item);
    }
}

/// Each place where a name is made that another place makes too.
pub fn duplicates(tree: &Tree) -> Vec<Finding> {
    let mut places: BTreeMap<String, Vec<(&str, usize)>> = BTreeMap::new();
    for (source, code) in tree.code() {
        let mut public = Public(Vec::new());
        public.visit_file(&code.file);
        for name in public.0 {
            places.entry(name.to_string()).or_default().push((&source.path, name.span().start().line));
        }
    }
    let shared = places.into_iter().filter(|(_, places)| places.len() > 1);
    let each = shared.flat_map(|(name, places)| {
        let shown = places.iter().map(|(path, line)| format!("{path}:{line}")).collect::<Vec<_>>().join(", ");
        let what = format!("{name} is the name of several: {shown}");
        places.into_iter().map(move |(path, line)| Finding::new(path, line, what.clone())).collect::<Vec<_>>()
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(a: &str, b: &str) -> usize {
        duplicates(&Tree::of(&[("src/esl/mod.rs", a), ("src/ami/mod.rs", b)])).len()
    }

    #[test]
    fn two_public_types_of_one_name_are_found() {
        assert_eq!(shared("pub struct Event;", "pub enum Event {}"), 2);
        assert_eq!(shared("pub(crate) trait Stream {}", "mod inside { pub(super) type Stream = u8; }"), 2);
        assert_eq!(shared("pub struct A; pub mod b { pub struct A; }", "#[cfg(test)] pub struct A;"), 3);
        assert_eq!(shared("pub union U { a: u8 }", "macro_rules! m { () => {} } pub union U { a: u8 }"), 2);
    }

    #[test]
    fn private_types_and_functions_may_share_a_name() {
        assert_eq!(shared("struct Event; pub struct Other;", "pub struct Event; pub fn other() {}"), 0);
    }
}
