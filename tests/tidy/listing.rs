//! The page of the architecture lists each file of `src` once, and no file that isn't there.

use std::collections::BTreeSet;

use crate::sources::Tree;

/// Where the tables of `docs/ARCHITECTURE.md` don't have the files that there are. A heading names the folder, and each row
/// begins with a file in it. Files that are only compiled for tests may be left out.
pub fn differences(page: &str, tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    let mut listed = BTreeSet::new();
    for path in paths(page) {
        if !tree.code().any(|(source, _)| source.path == path) {
            found.push(format!("there is no {path}"));
        }
        if let Some(twice) = listed.replace(path) {
            found.push(format!("{twice} is listed twice"));
        }
    }
    let built = tree.code().filter(|(_, code)| !code.test).map(|(source, _)| &source.path);
    found.extend(built.filter(|path| !listed.contains(*path)).map(|path| format!("{path} is not listed")));
    found
}

/// The files that the tables list, in their order.
fn paths(page: &str) -> Vec<String> {
    let mut folder = "";
    let mut paths = Vec::new();
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            folder = heading.trim_matches('`');
        } else if let Some((name, _)) = line.strip_prefix("| `").and_then(|row| row.split_once('`'))
            && name.ends_with(".rs")
        {
            paths.push(format!("{folder}/{name}"));
        }
    }
    paths
}

#[test]
fn a_page_that_lists_other_files_is_found() {
    let tree = Tree::of(&[
        ("src/lib.rs", "mod esl;"),
        ("src/esl/mod.rs", "mod codec; #[cfg(test)] mod server;"),
        ("src/esl/codec.rs", ""),
        ("src/esl/server.rs", ""),
        ("tests/e2e.rs", ""),
    ]);
    let page = "| `esl` | `wire` |\n### `src`\n| `lib.rs` | rooms |\n### `src/esl`\n| `mod.rs` | files |\n| `codec.rs` | `Codec` |\n";
    assert_eq!(differences(page, &tree), Vec::<String>::new());
    assert_eq!(differences(&format!("{page}| `server.rs` | a double |\n"), &tree), Vec::<String>::new());
    let broken = |from: &str, to: &str| differences(&page.replacen(from, to, 1), &tree);
    assert_eq!(broken("| `codec.rs` |", "| codec |"), ["src/esl/codec.rs is not listed"]);
    assert_eq!(broken("`codec.rs`", "`frame.rs`"), ["there is no src/esl/frame.rs", "src/esl/codec.rs is not listed"]);
    assert_eq!(broken("### `src/esl`\n", "").len(), 4);
    assert_eq!(differences(&format!("{page}| `mod.rs` | again |\n"), &tree), ["src/esl/mod.rs is listed twice"]);
}
