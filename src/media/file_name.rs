//! Names of files that somebody else chose, made harmless: one name for every file system, which a person reads as it is.
//!
//! The rules are those of the browser client (`web/src/core/text.ts`, `web/src/core/paths.ts`).

use crate::core::base::characters::is_deceptive;

/// Bytes of the longest name. A file system takes 255; a number may follow.
const NAME_MAX: usize = 200;
/// Bytes of the longest extension that a shortened name keeps.
const EXTENSION_MAX: usize = 16;
/// Folders and file of the longest path.
const SEGMENTS_MAX: usize = 16;
/// Characters of a path that are read.
const PATH_MAX: usize = 4096;

/// Names that Windows takes for devices, with or without an extension.
fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let numbered =
        |word: &str| stem.strip_prefix(word).is_some_and(|n| n.len() == 1 && n.as_bytes()[0].is_ascii_digit());
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt")
}

/// One name of a file or folder: not empty, hidden, reserved, or longer than 200 bytes.
pub fn clean_file_name(raw: &str) -> String {
    let visible = raw.chars().take(NAME_MAX * 4).filter(|c| !is_deceptive(*c));
    let harmless = visible.map(|c| if c.is_control() || r#"/\:*?"<>|"#.contains(c) { '_' } else { c });
    let name: String = harmless.collect();
    let name = name.trim().trim_end_matches(['.', ' ']);
    let shown = name.trim_start_matches('.');
    let hidden = if shown.len() < name.len() { "_" } else { "" };
    let reserved = if is_reserved(name) { "_" } else { "" };
    match format!("{reserved}{hidden}{shown}") {
        name if name.is_empty() => "_".to_owned(),
        name => shortened(&name),
    }
}

/// A name of at most 200 bytes, with its extension if that is short.
fn shortened(name: &str) -> String {
    if name.len() <= NAME_MAX {
        return name.to_owned();
    }
    let (_, extension) = stem_and_extension(name);
    let extension = if extension.len() <= EXTENSION_MAX { extension } else { "" };
    let end = (0..=NAME_MAX - extension.len()).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    format!("{}{extension}", &name[..end])
}

/// `a.tar.gz` is `a.tar` and `.gz`; a name without a dot behind its first character has no extension.
fn stem_and_extension(name: &str) -> (&str, &str) {
    name.split_at(name.rfind('.').filter(|dot| *dot > 0).unwrap_or(name.len()))
}

/// The names of a relative path: 1 to 16 of them, of which none leads out of its folder.
pub fn clean_path(raw: &str) -> Vec<String> {
    let raw: String = raw.chars().take(PATH_MAX).collect();
    let named: Vec<&str> = raw.split(['/', '\\']).filter(|segment| !matches!(*segment, "" | ".")).collect();
    let last = &named[named.len().saturating_sub(SEGMENTS_MAX)..];
    let clean = last.iter().map(|segment| if *segment == ".." { "_".to_owned() } else { clean_file_name(segment) });
    let clean: Vec<String> = clean.collect();
    if clean.is_empty() { vec!["_".to_owned()] } else { clean }
}

/// A name with its number before the extension: `a.txt`, `a (2).txt`, `a (3).txt`.
pub(super) fn numbered(name: &str, n: u32) -> String {
    let (stem, extension) = stem_and_extension(name);
    if n <= 1 { name.to_owned() } else { format!("{stem} ({n}){extension}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_file_name_cannot_leave_its_folder_or_stand_for_a_device() {
        for (raw, clean) in [
            ("../../etc/passwd", "__.._etc_passwd"),
            ("a\u{202e}txt.exe", "atxt.exe"),
            ("CON.txt", "_CON.txt"),
            ("com1", "_com1"),
            ("com10", "com10"),
            (".bashrc", "_bashrc"),
            ("name. . ", "name"),
            ("a:b*c?", "a_b_c_"),
            ("a\tb\nc", "a_b_c"),
            ("\0", "_"),
            ("...", "_"),
            ("", "_"),
            ("👩\u{200d}💻 نور می\u{200c}خواهم", "👩\u{200d}💻 نور می\u{200c}خواهم"),
        ] {
            assert_eq!(clean_file_name(raw), clean, "{raw:?}");
        }
        let long = clean_file_name(&format!("{}.jpeg", "x".repeat(400)));
        assert!(long.len() == NAME_MAX && long.ends_with("x.jpeg"), "{long}");
        assert!(clean_file_name(&"é".repeat(300)).len() <= NAME_MAX);
    }

    #[test]
    fn a_path_stays_inside_its_folder_whatever_it_says() {
        assert_eq!(clean_path("plans/./old/../a.txt"), ["plans", "old", "_", "a.txt"]);
        assert_eq!(clean_path(r"C:\Windows\x"), ["C_", "Windows", "x"]);
        assert_eq!(clean_path("///"), ["_"]);
        assert_eq!(clean_path(&"a/".repeat(500)).len(), SEGMENTS_MAX);
    }

    #[test]
    fn a_number_stands_before_the_extension() {
        assert_eq!([1, 2, 3].map(|n| numbered("a.txt", n)), ["a.txt", "a (2).txt", "a (3).txt"]);
        assert_eq!(numbered("README", 2), "README (2)");
        assert_eq!(numbered("a.tar.gz", 2), "a.tar (2).gz");
    }

    proptest! {
        #[test]
        fn every_name_of_a_path_is_one_plain_name(raw in "([/\\\\. ~\\x00-\\x1f\\u{202e}a-c]|con|\\PC){0,40}") {
            let path = clean_path(&raw);
            prop_assert!((1..=SEGMENTS_MAX).contains(&path.len()));
            for name in path {
                prop_assert!(!matches!(name.as_str(), "" | "." | "..") && !name.starts_with('.'), "{:?}", name);
                prop_assert!(!name.contains(['/', '\\']) && !name.contains(char::is_control), "{:?}", name);
                prop_assert!(!name.contains(is_deceptive) && name.len() <= NAME_MAX, "{:?}", name);
            }
        }
    }
}
