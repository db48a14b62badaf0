//! Holds the architecture: which room may import which, and that rooms stay small.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room and the rooms that it may import (`docs/ARCHITECTURE.md`).
const ROOMS: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("contract", &["core"]),
    ("wire", &[]),
    ("esl", &["wire"]),
    ("ami", &["wire"]),
    ("monitor", &["contract", "core"]),
    ("guard", &["core"]),
    ("store", &["contract", "core"]),
    ("pbx", &["contract", "core", "esl", "ami", "wire"]),
    ("peer", &["contract", "core", "guard"]),
    ("push", &["contract", "core", "guard", "store", "monitor"]),
    ("agent", &["pbx", "contract", "core", "monitor"]),
    ("lnp", &["core", "monitor"]),
    ("node", &["peer", "push", "lnp", "store", "contract", "core", "guard", "monitor"]),
    ("config", &["agent", "node", "core"]),
    (
        "cli",
        &["config", "agent", "node", "pbx", "store", "monitor", "lnp", "peer", "contract", "core", "guard", "wire"],
    ),
];

/// Lines of the largest source file, without its tests.
const LINES_MAX: usize = 450;

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The source without its tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
}

fn is_test(path: &Path) -> bool {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    name.ends_with("_tests") || name == "tests"
}

/// The rooms that a text names as `crate::ROOM`, in `use crate::{a::…, b::…}` too.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String = text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 1;
            let mut start = true;
            for (n, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ if start && depth == 1 && c.is_alphabetic() => {
                        found.insert(word(&group[n..]));
                        start = false;
                    }
                    ',' if depth == 1 => start = true,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
        } else {
            found.insert(word(rest));
        }
    }
    found
}

#[test]
fn imports_run_downward() {
    let mut wrong = Vec::new();
    for (room, allowed) in ROOMS {
        for path in sources(&src().join(room)).into_iter().filter(|p| !is_test(p)) {
            let rooms = imports(&code(&path));
            let known = rooms.iter().filter(|r| ROOMS.iter().any(|(name, _)| name == r));
            let bad = known.filter(|r| r != room && !allowed.contains(&r.as_str()));
            wrong.extend(bad.map(|r| format!("{}: crate::{r}", path.display())));
        }
    }
    assert!(wrong.is_empty(), "imports that go up or sideways:\n{}", wrong.join("\n"));
}

#[test]
fn every_room_is_on_the_plan() {
    let rooms: BTreeSet<String> = fs::read_dir(src())
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_dir())
        .map(|p| p.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    let planned: BTreeSet<String> = ROOMS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(rooms, planned);
}

#[test]
fn the_plan_is_the_one_in_the_documentation() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ARCHITECTURE.md")).unwrap();
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
    let mut shown = BTreeSet::new();
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').collect();
        for (room, allowed) in ROOMS.iter().filter(|(room, _)| names(cells[1]).contains(*room)) {
            let allowed: BTreeSet<_> = allowed.iter().map(|name| (*name).to_owned()).collect();
            assert!(cells[2].contains("everything") || names(cells[2]) == allowed, "{room}: {}", cells[2]);
            shown.insert(*room);
        }
    }
    assert_eq!(shown.len(), ROOMS.len(), "{shown:?}");
}

#[test]
fn the_core_has_no_clock_no_socket_and_no_sql() {
    for path in sources(&src().join("core")).into_iter().filter(|p| !is_test(p)) {
        let text = code(&path);
        for word in ["Instant::now", "SystemTime", "tokio", "sqlx", "std::net", "std::fs", "rand::"] {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}

#[test]
fn sql_is_written_in_the_store_alone() {
    for path in sources(&src()).into_iter().filter(|p| !is_test(p)) {
        let (text, shown) = (code(&path), path.display().to_string());
        assert!(shown.contains("/store/") || !text.contains("sqlx::"), "{shown} writes SQL");
    }
}

/// Counted in `monitor` alone, by constants of `names.rs`; all of these are described, and documented.
#[test]
fn metrics_are_named_in_one_file_and_documented() {
    let mut counted = BTreeSet::new();
    for path in sources(&src()).into_iter().filter(|p| !is_test(p)) {
        let (text, shown) = (code(&path), path.display().to_string());
        for (at, kind) in ["counter!(", "gauge!(", "histogram!("].iter().flat_map(|m| text.match_indices(m)) {
            // `describe_counter!(` is no counting.
            if text[..at].ends_with("describe_") {
                continue;
            }
            assert!(shown.contains("/monitor/"), "{shown} counts");
            let name: String = text[at + kind.len()..].chars().take_while(|c| *c != ',' && *c != ')').collect();
            assert!(name.chars().all(|c| c.is_ascii_uppercase() || c == '_'), "{shown} names a metric: {name}");
            counted.insert(name);
        }
    }
    let names = code(&src().join("monitor/names.rs"));
    let constants = names.lines().filter_map(|line| line.strip_prefix("pub(super) const ")?.split_once(": &str = "));
    let constants: Vec<_> = constants.map(|(name, value)| (name, value.trim_matches(['"', ';']))).collect();
    assert_eq!(constants.iter().map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<_>>(), counted);
    let described: BTreeSet<_> = sidecall::monitor::NAMES.iter().map(|(name, _)| *name).collect();
    assert_eq!(constants.iter().map(|(_, value)| *value).collect::<BTreeSet<_>>(), described);
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/OPERATIONS.md")).unwrap();
    let table = page.lines().filter_map(|line| line.strip_prefix("| `sidecall_"));
    let documented: BTreeSet<_> = table.map(|rest| format!("sidecall_{}", rest.split('`').next().unwrap())).collect();
    assert_eq!(documented, described.into_iter().map(str::to_owned).collect());
}

/// `Shown by `TEST`, `TEST` in `FILE`; `TEST` in `FILE`.`
#[test]
fn every_behaviour_has_a_diagram_and_tests_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/BEHAVIOURS.md")).unwrap();
    for n in 1..=13 {
        let section = page.split_once(&format!("\n## B{n}\n")).unwrap().1.split("\n## ").next().unwrap();
        assert!(section.contains("```mermaid\nsequenceDiagram"), "B{n}");
        let shown = section.split_once("\nShown by ").unwrap().1;
        for group in shown.split(';') {
            let words: Vec<&str> = group.split('`').skip(1).step_by(2).collect();
            let (file, tests) = words.split_last().unwrap();
            let file = fs::read_to_string(root.join(file)).unwrap();
            let file = file.lines().map(str::trim_start).collect::<Vec<_>>().join("\n");
            for test in tests {
                // A function that is one, or a line of the list that a macro makes them of.
                let is_test = |line: &&str| line.strip_prefix(test).is_some_and(|rest| rest.starts_with([',', ':']));
                let own = format!("#[test]\nfn {test}(");
                assert!(file.contains(&own) || file.lines().any(|line| is_test(&line)), "B{n}: no test {test}");
            }
        }
    }
}

#[test]
fn anyhow_stays_on_the_porch() {
    for path in sources(&src()).into_iter().filter(|p| !is_test(p)) {
        let shown = path.display().to_string();
        let porch = shown.contains("/cli/") || shown.ends_with("main.rs");
        assert!(porch || !code(&path).contains("anyhow"), "{shown} uses anyhow");
    }
}

#[test]
fn files_stay_small() {
    for path in sources(&src()).into_iter().filter(|p| !is_test(p)) {
        let lines = code(&path).lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines: what second thing does it do?", path.display());
    }
}

#[test]
fn both_dictionaries_have_the_same_files() {
    for (a, b) in [("pbx/freeswitch", "pbx/asterisk"), ("esl", "ami")] {
        let names = |dir: &str| -> BTreeSet<String> {
            let files = sources(&src().join(dir)).into_iter();
            files.map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        // What only one PBX has.
        let own = ["direct.rs", "outbound.rs", "phones.rs", "scripted.rs", "tls.rs"];
        let (a, b) = (names(a), names(b));
        let differ: Vec<_> = a.symmetric_difference(&b).filter(|n| !own.contains(&n.as_str())).collect();
        assert!(differ.is_empty(), "{differ:?}");
    }
}

/// The sources of a test binary, or of a room's own tests.
fn test_sources(binary: &str) -> String {
    if ROOMS.iter().any(|(room, _)| *room == binary) {
        let files = sources(&src().join(binary));
        return files.iter().map(|file| fs::read_to_string(file).unwrap_or_default() + "\n").collect();
    }
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut files = vec![tests.join(format!("{binary}.rs"))];
    if tests.join(binary).is_dir() {
        files.extend(sources(&tests.join(binary)));
    }
    files.iter().map(|file| fs::read_to_string(file).unwrap_or_default() + "\n").collect()
}

/// Whether `binary::module::test` is a test: a function of its own, or one that a macro makes in that module.
fn is_test_of(binary: &str, modules: &[&str], test: &str) -> bool {
    let text = test_sources(binary);
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

/// Each row of the table names a test on each PBX; one that isn't about a behaviour may be of one PBX alone.
#[test]
fn every_claim_has_a_test_on_each_pbx() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/BEHAVIOURS.md")).unwrap();
    let table = page.split_once("\n## Claims and their tests\n").unwrap().1.split("\n## ").next().unwrap();
    let mut behaviours = BTreeSet::new();
    for row in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, claim, _, asterisk, freeswitch, _] = cells[..] else { panic!("not four cells: {row}") };
        behaviours.insert(claim.split('.').next().unwrap().to_owned());
        let both = [("asterisk", asterisk), ("freeswitch", freeswitch)];
        let tested = both.iter().filter(|(_, cell)| *cell != "–").count();
        assert!(tested == 2 || (tested == 1 && !claim.starts_with('B')), "{claim} has no test on each PBX");
        for (pbx, cell) in both.into_iter().filter(|(_, cell)| *cell != "–") {
            let test = cell.trim_matches('`');
            assert!(test.contains(pbx), "{claim}: {test} is not a test on {pbx}");
            let path: Vec<&str> = test.split("::").collect();
            let [binary, modules @ .., name] = &path[..] else { panic!("{claim}: no binary: {test}") };
            assert!(is_test_of(binary, modules, name), "{claim}: there is no test {test}");
        }
    }
    for behaviour in (1..=13).map(|n| format!("B{n}")) {
        assert!(behaviours.contains(&behaviour), "no claim of {behaviour}");
    }
}

/// Each fault that others are known for has tests here.
#[test]
fn every_fault_of_others_has_a_test() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/OPERATIONS.md")).unwrap();
    let (_, table) = page.split_once("\n## What event-socket clients are known for").unwrap();
    let table = table.split("\n## ").next().unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert_eq!(rows.len(), 14, "a row is missing");
    for row in rows {
        let tests: Vec<&str> = row.split('`').filter(|text| text.contains("::")).collect();
        assert!(!tests.is_empty(), "{row}");
        for test in tests {
            let path: Vec<&str> = test.split("::").collect();
            let [binary, modules @ .., name] = &path[..] else { panic!("no binary: {test}") };
            let room = ROOMS.iter().any(|(room, _)| room == binary);
            let modules = if room { &[] } else { modules };
            assert!(is_test_of(binary, modules, name), "there is no test {test}");
        }
    }
}

/// Only the mark of `tests/lab/marks` ignores a test, and only where there is no FreeSWITCH.
#[test]
fn no_test_is_ignored() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let ignored = ["#[ignore", "ignore)]", "ignore ="];
    for path in sources(&tests).into_iter().chain(sources(&src())) {
        if path.ends_with("lab/marks/lib.rs") || path.ends_with("tidy.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(!ignored.iter().any(|mark| text.contains(mark)), "{} ignores a test", path.display());
    }
}

/// A test that starts a FreeSWITCH by itself has the mark: without one it counts as skipped, and not as failed. The mark
/// stands before `#[test]`, which would otherwise be expanded without it.
#[test]
fn tests_on_a_freeswitch_are_marked() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for path in sources(&tests) {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (n, line) in lines.iter().enumerate() {
            let late = line.ends_with("needs_freeswitch]") && n > 0 && lines[n - 1] == "#[test]";
            assert!(!late, "{}:{}: the mark stands behind #[test]", path.display(), n + 1);
            let Some(name) = line.strip_prefix("fn freeswitch_").and_then(|rest| rest.split('(').next()) else {
                continue;
            };
            if n > 0 && lines[n - 1] == "#[test]" {
                let mark = lines.get(n.wrapping_sub(2)).is_some_and(|mark| mark.ends_with("needs_freeswitch]"));
                assert!(mark, "{}: freeswitch_{name} has no mark", path.display());
            }
        }
    }
}
