//! Imports run downward: between rooms, between the layers of `node` and of `core`, and out of `core` not at all.

use std::collections::BTreeSet;

use crate::findings::Finding;
use crate::mentions::Mention;
use crate::plan::{Layers, ROOMS};
use crate::sources::Tree;

fn place(room: &str) -> Option<usize> {
    ROOMS.iter().position(|(name, _)| *name == room)
}

/// Rooms that the plan doesn't let a room import. Tests may use every room that is not above their own.
pub fn rooms(mentions: &[Mention]) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for mention in mentions.iter().filter(|mention| mention.path[0] == "crate") {
        let (Some(room), Some(imported)) = (mention.module.first(), mention.path.get(1)) else { continue };
        let allowed = match (place(room), place(imported)) {
            (Some(own), Some(other)) if mention.test => other <= own,
            (Some(own), Some(other)) => own == other || ROOMS[own].1.contains(&imported.as_str()),
            _ => false,
        };
        if !allowed && seen.insert((&mention.file, imported)) {
            found.push(Finding::new(&mention.file, mention.line, format!("imports {imported}")));
        }
    }
    found
}

/// Modules of higher layers that a module of this room names, and modules on no layer.
pub fn layers(room: &Layers, tree: &Tree, mentions: &[Mention]) -> Vec<Finding> {
    let inside = |path: &[String]| path.first().is_some_and(|first| first == room.room);
    let top = room.layers.len();
    let mut found = Vec::new();
    for (source, code) in tree.code().filter(|(_, code)| inside(&code.module) && code.module.len() > 1) {
        if room.of(&code.module[1..]).is_none() {
            found.push(Finding::new(&source.path, 0, "is on no layer: see tests/tidy/plan.rs"));
        }
    }
    let mut seen = BTreeSet::new();
    for mention in mentions.iter().filter(|mention| inside(&mention.module) && inside(&mention.origin[1..])) {
        let own = if mention.module.len() == 1 { Some((top, room.room)) } else { room.of(&mention.module[1..]) };
        let module = tree.modules.contains(&mention.origin[1..3.min(mention.origin.len())]);
        // What is no module stands in the room's `mod.rs`. A child of the room is no import of the room.
        let other = if module { room.of(&mention.origin[2..]) } else { Some((top, room.room)) };
        let (Some((own, _)), Some((other, name))) = (own, other) else { continue };
        if mention.origin.len() > 2 && other > own && seen.insert((&mention.file, name)) {
            let above = room.layers.get(other).map_or("mod.rs", |layer| layer.name);
            let what = format!("imports {}::{name} ({above}, above {})", room.room, room.layers[own].name);
            found.push(Finding::new(&mention.file, mention.line, what));
        }
    }
    found
}

/// What gives `core` a clock, a socket, a file, a database or randomness.
pub fn impure_core(mentions: &[Mention]) -> Vec<Finding> {
    let core = mentions.iter().filter(|mention| mention.module.first().is_some_and(|room| room == "core"));
    let impure = core.filter_map(|mention| {
        let path: Vec<&str> = mention.path.iter().map(String::as_str).collect();
        let impure = matches!(path[..], ["tokio" | "sqlx" | "rand", ..] | ["std", "net" | "fs", ..])
            || path.contains(&"SystemTime")
            || path.ends_with(&["Instant", "now"]);
        impure.then(|| Finding::new(&mention.file, mention.line, format!("uses {}", path.join("::"))))
    });
    impure.collect()
}

/// Rooms of `src` that the plan doesn't have, and rooms of the plan that are not there.
pub fn rooms_off_the_plan(tree: &Tree) -> Vec<Finding> {
    let built: BTreeSet<&str> = tree.modules.iter().filter(|module| module.len() == 1).map(|m| m[0].as_str()).collect();
    let planned: BTreeSet<&str> = ROOMS.iter().map(|(name, _)| *name).collect();
    let off = built.symmetric_difference(&planned);
    off.map(|room| Finding::new("src/lib.rs", 0, format!("{room} is not in src or not on the plan"))).collect()
}

/// Where the table of `docs/ARCHITECTURE.md` has another plan.
pub fn differences_in_the_documentation(page: &str) -> Vec<String> {
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
    let mut shown = BTreeSet::new();
    let mut differences = Vec::new();
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').collect();
        for (room, allowed) in ROOMS.iter().filter(|(room, _)| names(cells[1]).contains(*room)) {
            let allowed: BTreeSet<_> = allowed.iter().map(|name| (*name).to_owned()).collect();
            if !cells[2].contains("everything") && names(cells[2]) != allowed {
                differences.push(format!("{room}: {}", cells[2]));
            }
            shown.insert(*room);
        }
    }
    let absent = ROOMS.iter().map(|(room, _)| *room).filter(|room| !shown.contains(room));
    differences.extend(absent.map(|room| format!("{room} is not in the table")));
    differences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mentions::mentions;
    use crate::plan::{CORE, NODE};

    const LIB: (&str, &str) =
        ("src/lib.rs", "pub mod core; pub mod node; pub mod push; pub mod store; pub mod config;");

    fn rooms_in(path: &str, text: &str) -> Vec<String> {
        rooms(&mentions(&Tree::of(&[LIB, (path, text)]))).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn an_import_of_a_higher_room_is_found_wherever_it_stands() {
        for text in [
            "use crate::node::Node;",
            "use crate::{contract::Call, node::{self, Node}};",
            "use super::super::node::Node as N;",
            "fn f() { let x = crate::node::new(); }",
            "struct S { a: Vec<crate::node::Node> }",
            "fn f() { println!(\"{}\", crate::node::VERSION) }",
            "macro_rules! m { () => { $crate::node::f() } }",
            "#[serde(with = \"crate::node::hex\")] struct S;",
            "#[derive(crate::node::Derive)] struct S;",
            "mod inside { use super::super::super::node; }",
            "impl<T: crate::node::Trait> X for T {}",
            "my_macro! { use crate::{a::{b}, node::{c}}; }",
        ] {
            let found = rooms_in("src/store/lost_file.rs", text);
            assert!(found.contains(&"imports node".to_owned()), "{text}: {found:?}");
        }
    }

    #[test]
    fn what_the_plan_allows_is_no_finding() {
        let text = "//! See [`crate::node`].\nuse crate::core::base::name; use ::node::x; use super::file; pub(in crate::store) fn f() {}";
        assert_eq!(rooms_in("src/store/clients.rs", text), Vec::<String>::new());
    }

    #[test]
    fn an_import_sideways_is_found_but_tests_may_use_what_is_below() {
        assert_eq!(rooms_in("src/peer/mod.rs", "use crate::store::Store;"), ["imports store"]);
        assert!(rooms_in("src/peer/mod.rs", "#[cfg(test)] mod tests { use crate::store::Store; }").is_empty());
        assert_eq!(rooms_in("src/peer/mod.rs", "#[cfg(test)] mod tests { use crate::node::Node; }"), ["imports node"]);
        assert_eq!(rooms_in("src/peer/mod.rs", "#[test] fn f() { crate::node::g(); }"), ["imports node"]);
        assert_eq!(rooms_in("src/core/mod.rs", "use crate::cellar::Wine;"), ["imports cellar"]);
    }

    fn node(files: &[(&str, &str)]) -> Vec<String> {
        let tree = Tree::of(files);
        layers(&NODE, &tree, &mentions(&tree)).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn an_import_of_a_higher_layer_is_found() {
        let http = ("src/node/http/mod.rs", "pub mod problem;");
        let up = node(&[http, ("src/node/call/mod.rs", "use crate::node::http::problem::Problem;")]);
        assert_eq!(up, ["imports node::http (http, above call)"]);
        assert!(
            node(&[http, ("src/node/http/problem.rs", "use crate::node::call;"), ("src/node/call/mod.rs", "")])
                .is_empty()
        );
        let outbound = ("src/node/peering/outbound/mod.rs", "use super::super::pairing::Pairing; use super::inbound;");
        let files = [outbound, ("src/node/pairing/mod.rs", ""), ("src/node/peering/inbound/mod.rs", "")];
        assert_eq!(node(&files).len(), 2);
    }

    #[test]
    fn an_import_inside_core_runs_down_too() {
        let number = ("src/core/numbering/number.rs", "use crate::core::call::Pair;");
        let tree = Tree::of(&[
            number,
            ("src/core/call/mod.rs", "use crate::core::numbering::number::Number;"),
            ("src/core/numbering/mod.rs", ""),
        ]);
        let found: Vec<_> = layers(&CORE, &tree, &mentions(&tree)).into_iter().map(|finding| finding.what).collect();
        assert_eq!(found, ["imports core::call (call, above numbering)"]);
    }

    #[test]
    fn a_re_export_hides_no_layer() {
        let module = (
            "src/node/mod.rs",
            "mod http; mod live_calls; pub use http::Problem; pub use live_calls::Live; pub struct Node;",
        );
        let rest = [("src/node/http/mod.rs", ""), ("src/node/live_calls/mod.rs", "")];
        let of = |text| node(&[module, rest[0], rest[1], ("src/node/call/mod.rs", text)]);
        assert_eq!(of("use crate::node::Problem;"), ["imports node::http (http, above call)"]);
        assert_eq!(of("use crate::node; fn f(_: node::Problem) {}"), ["imports node::http (http, above call)"]);
        assert!(of("use super::Live;").is_empty());
        assert_eq!(of("use super::Node;"), ["imports node::node (mod.rs, above call)"]);
    }

    #[test]
    fn a_module_on_no_layer_is_found() {
        assert_eq!(node(&[("src/node/attic.rs", "")]), ["is on no layer: see tests/tidy/plan.rs"]);
    }

    #[test]
    fn core_has_layers_too_and_is_pure() {
        let core = |text: &str| {
            let tree = Tree::of(&[("src/core/numbering/number.rs", text), ("src/core/call/mod.rs", "")]);
            let mentions = mentions(&tree);
            (layers(&CORE, &tree, &mentions).len(), impure_core(&mentions).len())
        };
        assert_eq!(core("use crate::core::call::Call;"), (1, 0));
        for text in [
            "use std::time::Instant; fn f() { Instant::now(); }",
            "fn f() { std::time::Instant::now(); }",
            "use std::{fs, time::Duration};",
            "use std::net::UdpSocket;",
            "use std::time::{self, SystemTime};",
            "fn f() { tokio::spawn(x); }",
            "fn f() { log!(rand::random()); }",
            "use sqlx::query;",
            "#[cfg(test)] mod tests { use std::fs; }",
        ] {
            assert_eq!(core(text), (0, 1), "{text}");
        }
        assert_eq!(core("use ::core::net::IpAddr; use std::time::Instant; fn f(now: Instant) {}"), (0, 0));
    }

    #[test]
    fn a_room_that_is_not_planned_is_found() {
        let off = rooms_off_the_plan(&Tree::of(&[("src/lib.rs", "mod cellar;"), ("src/attic.rs", "")]));
        let off: Vec<&str> = off.iter().filter_map(|finding| finding.what.split(' ').next()).collect();
        assert!(["cellar", "attic", "core"].iter().all(|room| off.contains(room)), "{off:?}");
    }

    #[test]
    fn a_table_with_another_plan_is_found() {
        let page: String = ROOMS.iter().fold(String::new(), |page, (room, allowed)| {
            let allowed: Vec<String> = allowed.iter().map(|name| format!("`{name}`")).collect();
            page + &format!("| `{room}` | {} | |\n", allowed.join(", "))
        });
        assert!(differences_in_the_documentation(&page).is_empty());
        assert_eq!(
            differences_in_the_documentation(&page.replace("| `store` |", "| – |")),
            ["store is not in the table"]
        );
        assert_eq!(
            differences_in_the_documentation(&page.replace("| `esl` | `wire` |", "| `esl` | `core` |")).len(),
            1
        );
    }
}
