//! Removes secrets from actions, for recordings and logs.

/// Blanks the values of `Secret` and of `Key`, the answer to a challenge. `actions` must be complete.
///
/// ```text
/// Secret: secret  →  Secret: ***
/// ```
pub fn scrub(actions: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(actions.len());
    for line in actions.split_inclusive(|byte| *byte == b'\n') {
        let colon = line.iter().position(|byte| *byte == b':');
        let secret = colon.filter(|at| {
            let key = line[..*at].trim_ascii();
            key.eq_ignore_ascii_case(b"Secret") || key.eq_ignore_ascii_case(b"Key")
        });
        match secret {
            Some(at) => {
                out.extend_from_slice(&line[..=at]);
                out.extend_from_slice(b" ***");
                out.extend_from_slice(&line[line.trim_ascii_end().len()..]);
            }
            None => out.extend_from_slice(line),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_blanked_and_nothing_else() {
        let sent = b"Action: Login\r\nUsername: a\r\nsecret: s3: x\r\nKey:0f\r\n\r\n";
        assert_eq!(
            String::from_utf8(scrub(sent)).unwrap(),
            "Action: Login\r\nUsername: a\r\nsecret: ***\r\nKey: ***\r\n\r\n"
        );
        assert_eq!(scrub(b"Secret: x"), b"Secret: ***");
    }
}
