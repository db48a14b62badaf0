//! What is known to be wrong (`known.txt`): it may become less, and nothing new may come.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Something that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, from the root of the repository.
    pub path: String,
    /// 0 for the whole file.
    pub line: usize,
    pub what: String,
    /// How much of it there is: the lines of a file that is too long, otherwise 1.
    pub weight: usize,
}

impl Finding {
    pub fn new(path: &str, line: usize, what: impl Into<String>) -> Finding {
        Finding { path: path.to_owned(), line, what: what.into(), weight: 1 }
    }
}

/// What each rule found, by the rule's name.
pub type Findings = BTreeMap<&'static str, Vec<Finding>>;

const HEAD: &str = "\
# What breaks a rule of tests/tidy: RULE FILE COUNT. A file may have less than its COUNT, never more.
# Who merges writes this file anew, with paths that have moved: TIDY_BLESS=1 cargo test -p sidecall-tidy. That takes no
# more of any rule than there was, unless this file is empty.
";

fn by_file(found: &[Finding]) -> BTreeMap<&str, Vec<&Finding>> {
    let mut files: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in found {
        files.entry(&finding.path).or_default().push(finding);
    }
    files
}

/// How much is known of each rule in each file.
fn counts(known: &str) -> BTreeMap<(&str, &str), usize> {
    let mut counts = BTreeMap::new();
    for line in known.lines().filter(|line| !line.starts_with('#')) {
        let [rule, path, count] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("known.txt: {line}") };
        let count: usize = count.parse().unwrap_or_else(|_| panic!("known.txt: {line}"));
        assert!(counts.insert((rule, path), count).is_none(), "known.txt has this twice: {line}");
    }
    counts
}

/// The file that has what was found, and no more. What is found may have moved to other files; a rule that is broken more
/// often than before is an error.
pub fn bless(known: &str, found: &Findings) -> Result<String, String> {
    let counts = counts(known);
    let (mut text, mut more) = (HEAD.to_owned(), String::new());
    for (rule, found) in found {
        let before: usize = counts.iter().filter(|((other, _), _)| other == rule).map(|(_, count)| count).sum();
        let now: usize = found.iter().map(|finding| finding.weight).sum();
        if now > before && !counts.is_empty() {
            writeln!(more, "{rule}: {now}, known are {before}").unwrap();
        }
        for (path, found) in by_file(found) {
            let count: usize = found.iter().map(|finding| finding.weight).sum();
            writeln!(text, "{rule} {path} {count}").unwrap();
        }
    }
    if more.is_empty() { Ok(text) } else { Err(more) }
}

/// What was found and is not in `known`.
pub fn news(known: &str, found: &Findings) -> String {
    let counts = counts(known);
    let mut news = String::new();
    for (rule, found) in found {
        for (path, found) in by_file(found) {
            let count: usize = found.iter().map(|finding| finding.weight).sum();
            let known = counts.get(&(*rule, path)).copied().unwrap_or(0);
            if count > known {
                writeln!(news, "{rule}: {path} has {count}, known are {known}:").unwrap();
                for finding in found {
                    writeln!(news, "  {path}:{}: {}", finding.line, finding.what).unwrap();
                }
            }
        }
    }
    news
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Findings {
        let found = vec![Finding::new("src/a.rs", 3, "imports b"), Finding::new("src/a.rs", 9, "imports c")];
        Findings::from([("rooms", found), ("sql", Vec::new())])
    }

    #[test]
    fn more_than_is_known_fails_and_less_passes() {
        assert_eq!(news("# a remark\nrooms src/a.rs 2", &two()), "");
        assert_eq!(news("rooms src/a.rs 3\nrooms src/gone.rs 1", &two()), "");
        let news = news("rooms src/a.rs 1", &two());
        assert!(news.contains("rooms: src/a.rs has 2, known are 1"), "{news}");
        assert!(news.contains("src/a.rs:9: imports c"), "{news}");
    }

    #[test]
    fn another_file_and_another_rule_are_not_known() {
        assert!(news("rooms src/b.rs 2\nsql src/a.rs 2", &two()).contains("known are 0"));
    }

    #[test]
    fn what_is_blessed_is_known() {
        for known in ["", "rooms src/before.rs 2", "rooms src/a.rs 1\nrooms src/b.rs 1\nsql src/a.rs 1"] {
            let blessed = bless(known, &two()).unwrap();
            assert!(blessed.ends_with("\nrooms src/a.rs 2\n"), "{blessed}");
            assert_eq!(news(&blessed, &two()), "");
        }
    }

    #[test]
    fn more_than_before_is_not_blessed() {
        assert_eq!(bless("rooms src/a.rs 1", &two()), Err("rooms: 2, known are 1\n".to_owned()));
        assert_eq!(bless("sql src/a.rs 9", &two()), Err("rooms: 2, known are 0\n".to_owned()));
    }

    #[test]
    #[should_panic(expected = "known.txt: rooms src/a.rs")]
    fn a_line_that_says_nothing_is_an_error() {
        news("rooms src/a.rs", &two());
    }
}
