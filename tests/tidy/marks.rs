//! No test is ignored, but for those on a FreeSWITCH where there is none.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::sources::Tree;

/// Lines that ignore a test: `#[ignore]`, `#[cfg_attr(…, ignore)]`, in macros too. The mark of `lab/marks` makes its
/// own from a text, and is the only one.
pub fn ignored(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for source in &tree.sources {
        let mut lines = Vec::new();
        if source.text.contains("ignore") {
            scan(source.text.parse().unwrap(), &mut lines);
        }
        found.extend(lines.into_iter().map(|line| format!("{}:{line} ignores a test", source.path)));
        let quoted = source.text.contains(concat!("\"#", "[ignore"));
        if quoted && source.path != "lab/marks/lib.rs" {
            found.push(format!("{} makes a mark that ignores a test", source.path));
        }
    }
    found
}

fn scan(tokens: TokenStream, lines: &mut Vec<usize>) {
    let mut attribute = false;
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                if attribute && group.delimiter() == Delimiter::Bracket {
                    lines.extend(ignores(group.stream()));
                }
                scan(group.stream(), lines);
                attribute = false;
            }
            TokenTree::Punct(mark) => attribute = mark.as_char() == '#',
            _ => attribute = false,
        }
    }
}

/// Where an attribute says `ignore`.
fn ignores(attribute: TokenStream) -> Vec<usize> {
    let mut lines = Vec::new();
    for token in attribute {
        match token {
            TokenTree::Ident(word) if word == "ignore" => lines.push(word.span().start().line),
            TokenTree::Group(group) => lines.extend(ignores(group.stream())),
            _ => {}
        }
    }
    lines
}

/// A test that starts a FreeSWITCH by itself has the mark: without one it counts as skipped, and not as failed. The mark
/// stands before `#[test]`, which would otherwise be expanded without it.
pub fn unmarked(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for source in tree.sources.iter().filter(|source| !source.path.starts_with("src/")) {
        let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
        for (n, line) in lines.iter().enumerate() {
            let is_test = n > 0 && lines[n - 1] == "#[test]";
            if line.ends_with("needs_freeswitch]") && is_test {
                found.push(format!("{}:{}: the mark stands behind #[test]", source.path, n + 1));
            }
            let name = line.strip_prefix("fn freeswitch_").and_then(|rest| rest.split('(').next());
            let marked = n > 1 && lines[n - 2].ends_with("needs_freeswitch]");
            if let Some(name) = name.filter(|_| is_test && !marked) {
                found.push(format!("{}: freeswitch_{name} has no mark", source.path));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_test_is_found() {
        for mark in ["ignore", "ignore = \"slow\"", "cfg_attr(not(unix), ignore)", "cfg_attr(a, ignore = \"b\")"] {
            for text in [format!("#[test]\n#[{mark}]\nfn a() {{}}"), format!("m! {{ #[{mark}] fn a() {{}} }}")] {
                assert_eq!(ignored(&Tree::of(&[("src/core/mod.rs", &text)])).len(), 1, "{text}");
            }
        }
        let made = format!("fn f() {{ {:?}.parse() }}", concat!("#", "[ignore]"));
        assert_eq!(ignored(&Tree::of(&[("lab/src/own.rs", &made)])).len(), 1);
        let text = "/// It may ignore [this].\nfn f() { let ignore = [1]; ignore[0] }";
        assert!(ignored(&Tree::of(&[("src/core/mod.rs", text)])).is_empty());
    }

    #[test]
    fn a_test_on_a_freeswitch_without_its_mark_is_found() {
        let of = |text: &str| unmarked(&Tree::of(&[("tests/dialplan.rs", text)])).len();
        assert_eq!(of("#[test]\nfn freeswitch_calls() {}"), 1);
        assert_eq!(of("\n\n#[test]\nfn freeswitch_calls() {}"), 1);
        assert_eq!(of("#[test]\n#[lab::needs_freeswitch]\nfn freeswitch_calls() {}"), 1);
        assert_eq!(of("#[lab::needs_freeswitch]\n#[test]\nfn freeswitch_calls() {}\nfn freeswitch_helper() {}"), 0);
    }
}
