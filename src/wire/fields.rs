//! Finds fields in what both PBXs send: lines of `Name: value`. Names are case-insensitive.

use memchr::memchr_iter;

/// The lines of `text`, without the `\n` after them. The last one is empty if `text` ends with a `\n`.
#[inline]
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    memchr_iter(b'\n', text).chain([text.len()]).map(move |end| {
        let line = &text[start..end];
        start = (end + 1).min(text.len());
        line
    })
}

/// `Unique-ID: a5cb0e39-…` → the value, colons included, if the line is about `name`.
#[inline]
pub(crate) fn value_of<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    // The position of the colon rules out nearly every line without comparing names.
    if line.get(name.len()) != Some(&b':') || !line[..name.len()].eq_ignore_ascii_case(name) {
        return None;
    }
    let value = &line[name.len() + 1..];
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

/// The decoded values of `names`, each from the first line about it. Reads no further than the last of them.
pub(crate) fn find_fields<'l, T, const N: usize>(
    lines: impl Iterator<Item = &'l [u8]>,
    names: [&str; N],
    decode: impl Fn(&'l [u8]) -> T,
) -> [Option<T>; N] {
    let mut found = [const { None }; N];
    let mut missing = N;
    for line in lines {
        for (name, slot) in names.iter().zip(&mut found) {
            if slot.is_none()
                && let Some(value) = value_of(line, name.as_bytes())
            {
                *slot = Some(decode(value));
                missing -= 1;
            }
        }
        if missing == 0 {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The value from the first line with this name before its first colon.
    fn naive<'l>(text: &'l [u8], name: &str) -> Option<&'l [u8]> {
        text.split(|byte| *byte == b'\n').find_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let value = &line[colon + 1..];
            line[..colon].eq_ignore_ascii_case(name.as_bytes()).then(|| value.strip_prefix(b" ").unwrap_or(value))
        })
    }

    #[test]
    fn nothing_is_read_after_the_last_field() {
        let mut lines = lines(b"A: 1\nB: 2\nC: 3\nD: 4");
        assert_eq!(find_fields(&mut lines, ["c", "A"], <[u8]>::len), [Some(1), Some(1)]);
        assert_eq!(lines.next(), Some(&b"D: 4"[..]));
    }

    proptest! {
        #[test]
        fn lines_are_those_of_a_naive_split(text in "[a\r\n]{0,80}") {
            let naive = text.as_bytes().split(|byte| *byte == b'\n');
            prop_assert!(lines(text.as_bytes()).eq(naive));
        }

        #[test]
        fn fields_are_those_of_a_naive_reading(
            text in "([abAB]{0,3}(:|: )?[a: ]{0,3}\n?){0,12}",
            names in prop::array::uniform5("[abAB]{0,3}"),
        ) {
            let names = names.each_ref().map(String::as_str);
            let found = find_fields(lines(text.as_bytes()), names, |value| value);
            prop_assert_eq!(found, names.map(|name| naive(text.as_bytes(), name)));
        }
    }
}
