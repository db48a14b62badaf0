//! The documents name tests that there are: for every behaviour, every claim, and every fault of other clients.

use std::collections::BTreeSet;

use crate::plan::ROOMS;
use crate::sources::Tree;

/// The numbers of the behaviours that there are.
fn behaviour_numbers() -> impl Iterator<Item = usize> {
    1..=15
}

/// The part of a page below this heading, up to the next one of its rank.
fn section<'a>(page: &'a str, heading: &str) -> Option<&'a str> {
    page.split_once(&format!("\n## {heading}"))?.1.split("\n## ").next()
}

fn rows(table: &str) -> impl Iterator<Item = &str> {
    table.lines().filter(|line| line.starts_with("| ")).skip(1)
}

/// Behaviours of `docs/BEHAVIOURS.md` without a diagram, or that name a test that is not there:
/// `Shown by `TEST`, `TEST` in `FILE`; `TEST` in `FILE`.`
pub fn behaviours(page: &str, tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for n in behaviour_numbers() {
        let Some(section) = section(page, &format!("B{n}\n")) else {
            found.push(format!("B{n} is missing"));
            continue;
        };
        if !section.contains("```mermaid\nsequenceDiagram") {
            found.push(format!("B{n} has no diagram"));
        }
        let Some((_, shown)) = section.split_once("\nShown by ") else {
            found.push(format!("B{n} is shown by nothing"));
            continue;
        };
        for group in shown.split(';') {
            let words: Vec<&str> = group.split('`').skip(1).step_by(2).collect();
            let Some((path, tests)) = words.split_last() else {
                found.push(format!("B{n} names no file"));
                continue;
            };
            let file = tree.sources.iter().find(|source| source.path == *path);
            let text = file.map_or("", |source| source.text.as_str());
            let text = text.lines().map(str::trim_start).collect::<Vec<_>>().join("\n");
            if tests.is_empty() {
                found.push(format!("B{n} names no test in {path}"));
            }
            for test in tests {
                // A function that is one, or a line of the list that a macro makes them of.
                let listed = |line: &str| line.strip_prefix(test).is_some_and(|rest| rest.starts_with([',', ':']));
                let written = ["#[test]\nfn", "#[tokio::test]\nasync fn"].map(|begin| format!("{begin} {test}("));
                if !written.iter().any(|test| text.contains(test)) && !text.lines().any(listed) {
                    found.push(format!("B{n}: no test {test} in {path}"));
                }
            }
        }
    }
    found
}

/// Rows of the claims in `docs/CLAIMS.md` whose tests are not there. A row names a test on each PBX; one that isn't about a
/// behaviour may be of one PBX alone.
pub fn claims(page: &str, tree: &Tree) -> Vec<String> {
    let Some(table) = section(page, "Claims\n") else { return vec!["there are no claims".to_owned()] };
    let mut found = Vec::new();
    let mut behaviours = BTreeSet::new();
    for row in rows(table) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, claim, _, asterisk, freeswitch, _] = cells[..] else {
            found.push(format!("not four cells: {row}"));
            continue;
        };
        behaviours.insert(claim.split('.').next().unwrap().to_owned());
        let tested = [("asterisk", asterisk), ("freeswitch", freeswitch)].into_iter().filter(|(_, cell)| *cell != "–");
        let tested: Vec<_> = tested.collect();
        if tested.is_empty() || (tested.len() == 1 && claim.starts_with('B')) {
            found.push(format!("{claim} has no test on each PBX"));
        }
        for (pbx, cell) in tested {
            let test = cell.trim_matches('`');
            if !test.contains(pbx) {
                found.push(format!("{claim}: {test} is not a test on {pbx}"));
            }
            if !is_test(test, tree, false) {
                found.push(format!("{claim}: there is no test {test}"));
            }
        }
    }
    let unclaimed = behaviour_numbers().map(|n| format!("B{n}")).filter(|behaviour| !behaviours.contains(behaviour));
    found.extend(unclaimed.map(|behaviour| format!("no claim of {behaviour}")));
    found
}

/// Faults that other clients are known for, in `docs/FAULTS.md`, without a test here.
pub fn faults(page: &str, tree: &Tree) -> Vec<String> {
    let rows: Vec<&str> = rows(page).collect();
    let mut found = Vec::new();
    if rows.len() != 14 {
        found.push(format!("there are {} faults, not 14", rows.len()));
    }
    found.extend(rows.into_iter().flat_map(|row| untested(row, tree)));
    found
}

/// Claims of messages between clients in `docs/CLAIMS.md`, which need no PBX, whose tests are not there.
pub fn messages(page: &str, tree: &Tree) -> Vec<String> {
    let Some(table) = section(page, "Messages between clients\n") else { return vec!["there are none".to_owned()] };
    rows(table).flat_map(|row| untested(row, tree)).collect()
}

/// What is wrong with the tests that a row names: there are none, or one is not there.
fn untested(row: &str, tree: &Tree) -> Vec<String> {
    let tests: Vec<&str> = row.split('`').filter(|text| text.contains("::")).collect();
    if tests.is_empty() {
        return vec![format!("no test: {row}")];
    }
    let absent = tests.into_iter().filter(|test| !is_test(test, tree, true));
    absent.map(|test| format!("there is no test {test}")).collect()
}

/// Whether there is this test, `binary::module::test`. Where `rooms` may stand for the binary (`core::…`), their modules are
/// not looked at.
fn is_test(test: &str, tree: &Tree, rooms: bool) -> bool {
    let path: Vec<&str> = test.split("::").collect();
    let [binary, modules @ .., name] = &path[..] else { return false };
    let room = ROOMS.iter().any(|(room, _)| room == binary);
    let inside = if room { format!("src/{binary}/") } else { format!("tests/{binary}/") };
    let own = format!("tests/{binary}.rs");
    let files = tree.sources.iter().filter(|source| source.path.starts_with(&inside) || (!room && source.path == own));
    let text = files.map(|source| source.text.as_str()).collect::<Vec<_>>().join("\n");
    is_test_in(&text, if room && rooms { &[] } else { modules }, name)
}

/// Whether this test is a function of its own, or one that a macro makes in these modules.
fn is_test_in(text: &str, modules: &[&str], test: &str) -> bool {
    let lines = || text.lines().map(str::trim_start);
    let own = lines().zip(lines().skip(1)).any(|(mark, line)| {
        let marked = mark.ends_with("#[test]") || mark.starts_with("#[tokio::test");
        let line = line.trim_start_matches("async ");
        marked && line.strip_prefix("fn ").is_some_and(|rest| rest.starts_with(&format!("{test}(")))
    });
    let listed = || lines().any(|line| line.strip_prefix(test).is_some_and(|rest| rest.starts_with([',', ':'])));
    let of_each_pbx = text.contains("on_both_pbxs! {");
    let has = |module: &&str| {
        let by_macro = text.contains(&format!("] {module} "));
        [" {", ";"].iter().any(|end| text.contains(&format!("mod {module}{end}")))
            || by_macro
            || (of_each_pbx && ["asterisk", "freeswitch"].contains(module))
    };
    if modules.is_empty() { own } else { modules.iter().all(has) && (own || listed()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        Tree::of(&[
            ("tests/e2e.rs", "on_both_pbxs! {\n    pairs,\n}\n#[test]\nfn alone() {}\nfn helper() {}"),
            ("src/esl/mod.rs", "mod codec {\n#[tokio::test(start_paused = true)]\nasync fn splits() {}\n}"),
        ])
    }

    /// A page whose behaviours are all in order.
    fn page() -> String {
        let one = |n| {
            format!("\n## B{n}\n\n```mermaid\nsequenceDiagram\n```\n\nShown by `pairs`, `alone` in `tests/e2e.rs`.\n")
        };
        let claim = |n| format!("| B{n}.1 | They are paired. | `e2e::asterisk::pairs` | `e2e::freeswitch::pairs` |\n");
        let sections: String = behaviour_numbers().map(one).collect();
        let claims: String = behaviour_numbers().map(claim).collect();
        format!("{sections}\n## Claims\n\n| claim | | A | F |\n|---|---|---|---|\n{claims}")
    }

    #[test]
    fn a_behaviour_without_its_diagram_or_test_is_found() {
        assert_eq!(behaviours(&page(), &tree()), Vec::<String>::new());
        let broken = |from: &str, to: &str| behaviours(&page().replacen(from, to, 1), &tree());
        assert_eq!(broken("sequenceDiagram", "graph"), ["B1 has no diagram"]);
        assert_eq!(broken("\n## B7\n", "\n## C7\n"), ["B7 is missing"]);
        assert_eq!(broken("Shown by", "Seen in"), ["B1 is shown by nothing"]);
        assert_eq!(broken("`alone`", "`helper`"), ["B1: no test helper in tests/e2e.rs"]);
        assert_eq!(broken("`tests/e2e.rs`", "`tests/gone.rs`").len(), 2);
        assert_eq!(broken("`pairs`, `alone` in ", ""), ["B1 names no test in tests/e2e.rs"]);
    }

    #[test]
    fn a_claim_without_its_tests_is_found() {
        assert_eq!(claims(&page(), &tree()), Vec::<String>::new());
        let broken = |from: &str, to: &str| claims(&page().replacen(from, to, 1), &tree());
        assert_eq!(broken("asterisk::pairs", "asterisk::parts"), ["B1.1: there is no test e2e::asterisk::parts"]);
        assert_eq!(broken("`e2e::asterisk::pairs`", "–"), ["B1.1 has no test on each PBX"]);
        assert_eq!(broken("asterisk::pairs", "freeswitch::pairs").len(), 1);
        assert_eq!(broken("| B4.1 |", "| P4.1 |"), ["no claim of B4"]);
        assert_eq!(broken("They are paired.", "They | are").len(), 2);
        assert_eq!(claims("", &tree()), ["there are no claims"]);
    }

    #[test]
    fn a_fault_without_a_test_is_found() {
        let row = "| A frame is split. | `esl::codec::splits` |\n";
        let page = |row: &str, times| format!("| fault | test |\n|---|---|\n{}", row.repeat(times));
        assert_eq!(faults(&page(row, 14), &tree()), Vec::<String>::new());
        assert_eq!(faults(&page(row, 13), &tree()), ["there are 13 faults, not 14"]);
        assert_eq!(faults(&page("| A frame | none |\n", 14), &tree()).len(), 14);
        assert_eq!(faults(&page(&row.replace("splits", "joins"), 14), &tree()).len(), 14);
    }
}
