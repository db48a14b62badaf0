//! Where a library's words may stand: HTTP, SQL, `anyhow`, metrics, and the kind of a PBX.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};

use crate::findings::Finding;
use crate::mentions::{Mention, Place};
use crate::plan::{HTTP, NODE};
use crate::sources::{Source, Tree};

/// One finding for each word and file.
fn words<'a>(found: impl Iterator<Item = (&'a Mention, &'a str)>) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let new = found.filter(|(mention, word)| seen.insert((mention.file.clone(), *word)));
    new.map(|(mention, word)| Finding::new(&mention.file, mention.line, format!("names {word}"))).collect()
}

/// HTTP in the layers of `node` that know nothing of it.
pub fn http(mentions: &[Mention]) -> Vec<Finding> {
    let below = |module: &[String]| {
        let layer = module.get(1..).and_then(|inside| NODE.of(inside)).map(|(n, _)| NODE.layers[n].name);
        module.first().is_some_and(|room| room == "node") && layer != Some(HTTP)
    };
    let word = |path: &[String]| {
        let named = ["StatusCode", "Problem"].into_iter().find(|word| path.iter().any(|part| part == word));
        named.or_else(|| (path[0] == "axum").then_some("axum"))
    };
    words(
        mentions
            .iter()
            .filter(|mention| mention.file != "src/node/mod.rs" && below(&mention.module))
            .filter_map(|m| Some((m, word(&m.path)?))),
    )
}

/// Choices between FreeSWITCH and Asterisk. The choice is made once, where a PBX is configured.
pub fn kinds(mentions: &[Mention]) -> Vec<Finding> {
    const ALLOWED: [&str; 3] = ["src/agent/config.rs", "src/contract/", "src/cli/"];
    let chosen = mentions.iter().filter(|mention| {
        let kind = mention.path.iter().position(|part| part == "PbxKind");
        // `use PbxKind::*` makes choices that don't name it.
        let distinguishes = match mention.place {
            Place::Use => kind.is_some_and(|at| at + 1 < mention.path.len()),
            Place::Distinction => kind.is_some(),
            Place::Other => false,
        };
        distinguishes && !mention.test && !ALLOWED.iter().any(|path| mention.file.starts_with(path))
    });
    chosen.map(|mention| Finding::new(&mention.file, mention.line, "chooses by PbxKind")).collect()
}

/// Exchanges of the node outside of `live_calls`, which has the only one and its lock.
pub fn exchanges(mentions: &[Mention]) -> Vec<Finding> {
    let outside =
        mentions.iter().filter(|m| m.file.starts_with("src/node/") && !m.file.starts_with("src/node/live_calls/"));
    let makes = |mention: &&Mention| !mention.test && mention.path.join("::").ends_with("::Exchange::new");
    words(outside.filter(makes).map(|mention| (mention, "Exchange::new")))
}

pub fn sql(mentions: &[Mention]) -> Vec<Finding> {
    let outside = mentions.iter().filter(|mention| !mention.file.starts_with("src/store/"));
    words(outside.filter(|mention| mention.path[0] == "sqlx").map(|mention| (mention, "sqlx")))
}

pub fn anyhow(mentions: &[Mention]) -> Vec<Finding> {
    let inside = mentions.iter().filter(|m| !m.file.starts_with("src/cli/") && m.file != "src/main.rs");
    words(inside.filter(|mention| mention.path[0] == "anyhow").map(|mention| (mention, "anyhow")))
}

const MACROS: [&str; 3] = ["counter", "gauge", "histogram"];
const NAMES: &str = "src/monitor/metrics/names.rs";

/// Metrics are counted in `monitor` alone, by constants of `names.rs`; each of these is counted, described there, and in the
/// table of `docs/METRICS.md`.
pub fn metrics(tree: &Tree, page: &str) -> Vec<Finding> {
    let mut counted = BTreeSet::new();
    let mut found = Vec::new();
    let counts = |text: &str| MACROS.iter().any(|name| text.contains(name));
    for (source, _) in tree.code().filter(|(source, _)| counts(&source.text)) {
        let tokens: TokenStream = source.text.parse().unwrap();
        count(&tokens.into_iter().collect::<Vec<_>>(), source, &mut counted, &mut found);
    }
    let names = tree.code().find(|(source, _)| source.path == NAMES);
    let (mut constants, mut described) = (BTreeMap::new(), BTreeSet::new());
    for item in names.iter().flat_map(|(_, code)| &code.file.items) {
        let syn::Item::Const(item) = item else { continue };
        match &*item.expr {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => {
                constants.insert(item.ident.to_string(), text.value());
            }
            syn::Expr::Reference(list) if item.ident == "NAMES" => {
                let syn::Expr::Array(list) = &*list.expr else { continue };
                described.extend(list.elems.iter().filter_map(|pair| match pair {
                    syn::Expr::Tuple(pair) => match pair.elems.first()? {
                        syn::Expr::Path(name) => name.path.get_ident().map(ToString::to_string),
                        _ => None,
                    },
                    _ => None,
                }));
            }
            _ => {}
        }
    }
    let table = page.lines().filter_map(|line| line.strip_prefix("| `sidecall_"));
    let documented: BTreeSet<_> = table.map(|rest| format!("sidecall_{}", rest.split('`').next().unwrap())).collect();
    let named: BTreeSet<_> = constants.keys().cloned().collect();
    let values: BTreeSet<_> = constants.values().cloned().collect();
    for (what, other, own) in
        [("counted", &counted, &named), ("described", &described, &named), ("documented", &documented, &values)]
    {
        let missing = own.difference(other).map(|name| Finding::new(NAMES, 0, format!("{name} is not {what}")));
        let unknown =
            other.difference(own).map(|name| Finding::new(NAMES, 0, format!("{name} is {what} and not named")));
        found.extend(missing.chain(unknown));
    }
    found
}

fn count(tokens: &[TokenTree], source: &Source, counted: &mut BTreeSet<String>, found: &mut Vec<Finding>) {
    for (n, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        let inside: Vec<_> = group.stream().into_iter().collect();
        let macro_name = match n.checked_sub(2).map(|at| &tokens[at..n]) {
            Some([TokenTree::Ident(name), TokenTree::Punct(mark)]) if mark.as_char() == '!' => name.to_string(),
            _ => String::new(),
        };
        if MACROS.contains(&macro_name.as_str()) {
            let line = group.span_open().start().line;
            let name = match &inside[..] {
                [TokenTree::Ident(name)] => name.to_string(),
                [TokenTree::Ident(name), TokenTree::Punct(comma), ..] if comma.as_char() == ',' => name.to_string(),
                _ => String::new(),
            };
            if name.is_empty() || name.chars().any(|c| c.is_lowercase()) {
                found.push(Finding::new(&source.path, line, "counts by something else than a constant"));
            } else {
                counted.insert(name);
            }
            if !source.path.starts_with("src/monitor/") {
                found.push(Finding::new(&source.path, line, "counts outside monitor"));
            }
        }
        count(&inside, source, counted, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mentions::mentions;

    fn found(check: fn(&[Mention]) -> Vec<Finding>, path: &str, text: &str) -> usize {
        check(&mentions(&Tree::of(&[(path, text)]))).len()
    }

    #[test]
    fn http_below_its_layer_is_found() {
        for text in [
            "use axum::Json;",
            "use super::problem::Problem;",
            "use reqwest::StatusCode;",
            "fn f() -> crate::node::Problem {}",
            "fn f() { check!(super::Problem::new()) }",
            "#[cfg(test)] mod tests { use axum::Json; }",
        ] {
            assert_eq!(found(http, "src/node/call/mod.rs", text), 1, "{text}");
            assert_eq!(found(http, "src/node/far.rs", text), 1, "{text}");
            assert_eq!(found(http, "src/node/http/api.rs", text), 0, "{text}");
            assert_eq!(found(http, "src/node/mod.rs", text), 0, "{text}");
            assert_eq!(found(http, "src/monitor/mod.rs", text), 0, "{text}");
        }
        assert_eq!(found(http, "src/node/call/mod.rs", "use axum::Json; use axum::{self, http::StatusCode};"), 2);
    }

    #[test]
    fn a_choice_between_the_pbxs_is_found() {
        let head = "use crate::contract::PbxKind;";
        for text in [
            "fn f(k: PbxKind) { match k { PbxKind::Asterisk => 1, PbxKind::Freeswitch => 2 } }",
            "fn f(k: PbxKind) -> (bool, bool) { (k == PbxKind::Asterisk, PbxKind::Freeswitch != k) }",
            "fn f(k: PbxKind) { if let PbxKind::Asterisk = k {} matches!(k, Some(PbxKind::Freeswitch)); }",
            "use crate::contract::PbxKind::{Asterisk, Freeswitch}; fn f(k: PbxKind) { match k { Asterisk => 1, _ => 2 } }",
            "fn f(k: PbxKind) { select! { _ = g() => { h |= k == PbxKind::Asterisk; } _ = g() => {} PbxKind::Freeswitch => 1 } }",
            "fn f(k: PbxKind) { m!(PbxKind::Asterisk != k, if let PbxKind::Freeswitch = k {}) }",
            "use crate::contract::PbxKind as Kind; fn f(k: Kind) { k == Kind::Asterisk && k != Kind::Freeswitch }",
        ] {
            let text = format!("{head}{text}");
            assert_eq!(found(kinds, "src/agent/mod.rs", &text), 2, "{text}");
            assert_eq!(found(kinds, "src/agent/config.rs", &text), 0, "{text}");
            let test = format!("{head}#[cfg(test)] mod tests {{ use super::*; {text} }}");
            assert_eq!(found(kinds, "src/agent/mod.rs", &test), 0, "{text}");
        }
        assert_eq!(found(kinds, "src/agent/mod.rs", &format!("{head} fn f() -> PbxKind {{ PbxKind::Asterisk }}")), 0);
    }

    #[test]
    fn an_exchange_outside_of_its_layer_is_found() {
        let text = "use crate::core::call::exchange::Exchange; fn f() { g(Exchange::new(8)); }";
        assert_eq!(found(exchanges, "src/node/call/mod.rs", text), 1);
        assert_eq!(found(exchanges, "src/node/live_calls/mod.rs", text), 0);
        assert_eq!(found(exchanges, "src/node/timeline.rs", &format!("#[cfg(test)] mod tests {{ {text} }}")), 0);
        assert_eq!(found(exchanges, "src/node/call/mod.rs", "use crate::core::call::exchange::Exchange;"), 0);
    }

    #[test]
    fn sql_and_anyhow_are_found_outside_their_rooms() {
        assert_eq!(found(sql, "src/node/far.rs", "fn f() { sqlx::query(\"SELECT 1\"); }"), 1);
        assert_eq!(found(sql, "src/push/mod.rs", "#[cfg(test)] mod tests { use sqlx::Pool; }"), 1);
        assert_eq!(found(sql, "src/store/calls.rs", "use sqlx::Pool;"), 0);
        assert_eq!(found(anyhow, "src/config/mod.rs", "fn f() -> anyhow::Result<()> { anyhow::bail!(\"no\") }"), 1);
        assert_eq!(found(anyhow, "src/config/mod.rs", "use anyhow as a;"), 1);
        assert_eq!(found(anyhow, "src/cli/mod.rs", "use anyhow::Context;"), 0);
    }

    const PAGE: &str = "| `sidecall_calls` | Calls |\n";
    const NAMED: &str =
        "const CALLS: &str = \"sidecall_calls\"; pub const NAMES: &[(&str, &str)] = &[(CALLS, \"Calls\")];";

    fn metrics_of(names: &str, path: &str, text: &str, page: &str) -> Vec<String> {
        let tree = Tree::of(&[(NAMES, names), (path, text)]);
        metrics(&tree, page).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_metric_that_breaks_the_rule_is_found() {
        let count = "fn f() { counter!(CALLS, \"a\" => 1).increment(1); }";
        let within = "src/monitor/metrics/mod.rs";
        assert_eq!(metrics_of(NAMED, within, count, PAGE), Vec::<String>::new());
        assert_eq!(metrics_of(NAMED, "src/node/mod.rs", count, PAGE), ["counts outside monitor"]);
        assert_eq!(metrics_of(NAMED, within, count, ""), ["sidecall_calls is not documented"]);
        let text = count.replace("CALLS", "\"sidecall_calls\"");
        let found = metrics_of(NAMED, within, &text, PAGE);
        assert_eq!(found, ["counts by something else than a constant", "CALLS is not counted"]);
        let found = metrics_of(&NAMED.replace("(CALLS, \"Calls\")", ""), within, count, PAGE);
        assert_eq!(found, ["CALLS is not described"]);
        let page = format!("{PAGE}| `sidecall_legs` | Legs |");
        assert_eq!(metrics_of(NAMED, within, count, &page), ["sidecall_legs is documented and not named"]);
        let two = format!("{count} fn g() {{ m! {{ gauge!(LEGS).set(1) }} describe_counter!(OTHER) }}");
        assert_eq!(metrics_of(NAMED, within, &two, PAGE), ["LEGS is counted and not named"]);
    }
}
