//! Removes passwords from commands, for recordings and logs.

/// Blanks the password in `auth PASSWORD` and `userauth USER:PASSWORD`. `commands` must be complete.
///
/// ```text
/// auth ClueCon          →  auth ***
/// userauth 1000:secret  →  userauth 1000:***
/// ```
pub fn scrub(commands: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(commands.len());
    for line in commands.split_inclusive(|byte| *byte == b'\n') {
        let text = line.trim_ascii_end();
        let word = text.iter().position(|b| *b == b' ').unwrap_or(text.len());
        let keep = if text[..word].eq_ignore_ascii_case(b"auth") {
            word + 1
        } else if text[..word].eq_ignore_ascii_case(b"userauth") {
            let colon = text.iter().position(|b| *b == b':');
            colon.unwrap_or(word) + 1
        } else {
            text.len()
        };
        match text.get(..keep) {
            Some(kept) if keep < text.len() => {
                out.extend_from_slice(kept);
                out.extend_from_slice(b"***");
                out.extend_from_slice(&line[text.len()..]);
            }
            _ => out.extend_from_slice(line),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_blanked_and_nothing_else() {
        let sent = b"auth ClueCon\n\nuserauth 1000@a.example:s3:cret\n\napi auth list\n\n";
        assert_eq!(
            String::from_utf8(scrub(sent)).unwrap(),
            "auth ***\n\nuserauth 1000@a.example:***\n\napi auth list\n\n"
        );
        assert_eq!(scrub(b"auth \n\n"), b"auth \n\n");
        assert_eq!(scrub(b"AUTH x"), b"AUTH ***");
        assert_eq!(scrub(b"userauth nocolon"), b"userauth ***");
    }
}
