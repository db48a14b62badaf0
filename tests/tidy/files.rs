//! Files are small, say what they are for, and are the same on both sides of a mirror.

use std::collections::BTreeSet;

use crate::findings::Finding;
use crate::sources::Tree;

const LINES_MAX: usize = 400;

/// Whole files, tests and all.
pub fn sizes(tree: &Tree) -> Vec<Finding> {
    let lines = tree.sources.iter().map(|source| (source, source.text.lines().count()));
    let what = |lines| format!("has {lines} lines, {LINES_MAX} are allowed: what second thing does it do?");
    let large = lines.filter(|(_, lines)| *lines > LINES_MAX);
    large.map(|(source, lines)| Finding::new(&source.path, 0, what(lines))).collect()
}

/// Files that don't begin with a sentence on what they are for.
pub fn purposes(tree: &Tree) -> Vec<Finding> {
    let mute = tree.sources.iter().filter(|source| {
        let lines = source.text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
        let first = lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
        first.chars().count() < 20 || !first.ends_with(['.', ':'])
    });
    let what = "does not begin with `//!` and a sentence of 20 characters that ends with a full stop";
    mute.map(|source| Finding::new(&source.path, 1, what)).collect()
}

/// Files of one protocol or PBX that the other one lacks.
pub fn mirrors(tree: &Tree) -> Vec<Finding> {
    // What only one PBX has.
    const OWN: [&str; 7] =
        ["direct.rs", "layout.rs", "layout_tests.rs", "outbound.rs", "phones.rs", "scripted_ami.rs", "tls.rs"];
    let mut found = Vec::new();
    for pair in [["src/pbx/freeswitch/", "src/pbx/asterisk/"], ["src/esl/", "src/ami/"]] {
        let files = |dir: &str| -> BTreeSet<String> {
            tree.sources.iter().filter_map(|source| source.path.strip_prefix(dir)).map(str::to_owned).collect()
        };
        for (dir, other) in [(pair[0], pair[1]), (pair[1], pair[0])] {
            let alone = &files(dir) - &files(other);
            let alone = alone.iter().filter(|name| !OWN.contains(&name.as_str()));
            found.extend(alone.map(|name| Finding::new(&format!("{dir}{name}"), 0, format!("is not in {other}"))));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_too_long_is_found_with_its_tests() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(LINES_MAX - 3));
        let tree = |text: &str| Tree::of(&[("src/core/call_tests.rs", text), ("tests/dialplan.rs", text)]);
        assert!(sizes(&tree(&tests)).is_empty());
        let found = sizes(&tree(&format!("{tests}\n")));
        assert!(found.len() == 2 && found.iter().all(|finding| finding.what.starts_with("has 401 lines")), "{found:?}");
    }

    #[test]
    fn a_file_that_does_not_say_what_it_is_for_is_found() {
        for text in [
            "",
            "use x;",
            "//! Too short.",
            "//! A sentence without its end",
            "\n//! Too late for a sentence.",
            "//!\n//! Behind a gap is too late.",
        ] {
            assert_eq!(purposes(&Tree::of(&[("lab/src/a.rs", text)])).len(), 1, "{text}");
        }
        let good = "//! A sentence that goes\n//! on here.\n//!\n//! More\nuse x;";
        assert!(purposes(&Tree::of(&[("src/core/a_tests.rs", good)])).is_empty());
    }

    #[test]
    fn a_file_without_its_mirror_is_found() {
        let tree = Tree::of(&[
            ("src/esl/client.rs", ""),
            ("src/ami/client.rs", ""),
            ("src/ami/queue.rs", ""),
            ("src/esl/tls.rs", ""),
            ("src/pbx/freeswitch/trunk/mod.rs", ""),
            ("src/pbx/asterisk/mod.rs", ""),
            ("src/pbx/freeswitch/mod.rs", ""),
        ]);
        let found: Vec<_> = mirrors(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(found, ["src/pbx/freeswitch/trunk/mod.rs", "src/ami/queue.rs"]);
    }
}
