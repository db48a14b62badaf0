//! The lines of an Asterisk's dialplan that we ship, print or document: what a caller can write is filtered, and by a filter
//! that Asterisk reads as it is meant.

use std::fs;
use std::path::Path;

/// Paths and texts of what an administrator gets.
pub fn shipped(root: &Path) -> Vec<(String, String)> {
    let mut files = vec![root.join("README.md"), root.join("install.sh"), root.join("src/cli/doctor/pbx/probe.rs")];
    for dir in ["dialplan/asterisk", "docs", "install"] {
        files.extend(fs::read_dir(root.join(dir)).unwrap().map(|entry| entry.unwrap().path()));
    }
    files.retain(|file| file.is_file());
    files.sort();
    let text = |file: &Path| String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
    files.iter().map(|file| (file.strip_prefix(root).unwrap().display().to_string(), text(file))).collect()
}

/// Lines that dial what was dialled as it is, and filters that leave out a character which they name.
pub fn careless(files: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in files {
        for (n, line) in text.lines().enumerate() {
            let at = format!("{path}:{}", n + 1);
            if line.contains("Dial(") && line.contains("/${EXTEN") {
                found.push(format!("{at}: dials ${{EXTEN}} unfiltered"));
            }
            let filters = line.split("FILTER(").skip(1);
            let broken = filters.filter(|rest| !rest.is_empty() && !is_sound(allowed(rest)));
            found.extend(broken.map(|rest| format!("{at}: {} has a hyphen that is no range", allowed(rest))));
        }
    }
    found
}

/// The first argument: up to a comma without a backslash.
fn allowed(rest: &str) -> &str {
    let comma = rest.char_indices().find(|(at, c)| *c == ',' && !rest[..*at].ends_with('\\'));
    comma.map_or(rest, |(at, _)| &rest[..at])
}

/// A hyphen that isn't between two letters or digits comes first: Asterisk takes `_-` for the beginning of a range, and
/// allows no hyphen.
fn is_sound(allowed: &str) -> bool {
    let chars: Vec<char> = allowed.chars().collect();
    let of = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(char::is_ascii_alphanumeric);
    chars.iter().enumerate().all(|(at, c)| *c != '-' || at == 0 || (of(at.checked_sub(1)) && of(Some(at + 1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> usize {
        careless(&[("a.conf".to_owned(), line.to_owned())]).len()
    }

    #[test]
    fn a_hyphen_that_asterisk_leaves_out_is_found() {
        for line in ["${FILTER(0-9A-Za-z+*#._-,${EXTEN})}", "${FILTER(+-9,a)} ${FILTER(+0-9,a)}", "${FILTER(a-,b)}"] {
            assert_eq!(found(line), 1, "{line}");
        }
        for line in ["${FILTER(-+*#._0-9A-Za-z,${EXTEN})}", "${FILTER(-A-Za-z0-9=\\;,a-)}", "through FILTER alone"] {
            assert_eq!(found(line), 0, "{line}");
        }
    }

    #[test]
    fn a_dial_of_what_was_dialled_is_found() {
        assert_eq!(found(" same => n,Dial(PJSIP/${EXTEN}@pstn,60)"), 1);
        assert_eq!(found(" same => n,Dial(PJSIP/${EXTEN:1}@pstn,60)"), 1);
        assert_eq!(found(" same => n,Dial(PJSIP/${FILTER(+0-9,${EXTEN})}@pstn,60)"), 0);
    }
}
