//! Events, parsed lazily: only the requested fields of an event, which may have 8 kB.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use memchr::{memchr, memmem};

use crate::wire::{find_fields, lines};

/// An event as FreeSWITCH sent it. A clone shares the bytes.
///
/// Names are case-insensitive, as in `switch_event_get_header`. If a name occurs more than once, the first value
/// counts.
#[derive(Clone, PartialEq, Eq)]
pub struct EslEvent(Bytes);

impl EslEvent {
    /// Wraps the body of a `text/event-plain` frame without parsing it.
    pub fn new(raw: Bytes) -> Self {
        Self(raw)
    }

    /// One field, decoded; `None` if the event doesn't have it.
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let [value] = self.fields([name]);
        value
    }

    /// Several fields in one pass over the event, which stops when it has them all.
    ///
    /// Splits lines, then name and value, and only then url-decodes a value. Otherwise a caller ID of
    /// `%0AUnique-ID%3A%20…` would forge a field.
    pub fn fields<const N: usize>(&self, names: [&str; N]) -> [Option<Cow<'_, str>>; N] {
        // The empty line ends the fields. The event's own body follows.
        let fields = lines(&self.0).take_while(|line| !line.is_empty());
        find_fields(fields, names, decode)
    }

    /// `Event-Name`, or the empty string.
    pub fn name(&self) -> Cow<'_, str> {
        self.get("Event-Name").unwrap_or_default()
    }

    /// The event's own body, such as the result of a background job. Not url-encoded, and perhaps
    /// not UTF-8.
    pub fn body(&self) -> Option<&[u8]> {
        let at = memmem::find(&self.0, b"\n\n")?;
        Some(&self.0[at + 2..]).filter(|body| !body.is_empty())
    }

    /// The raw bytes of the event.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl fmt::Debug for EslEvent {
    // An event contains kilobytes of personal data, so a log gets only its name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EslEvent").field("name", &self.name()).field("bytes", &self.0.len()).finish_non_exhaustive()
    }
}

/// Undoes `switch_url_encode`. A `+`, and a `%` that begins no escape, are literal.
///
/// `switch_event_serialize` writes `_undef_` for an empty value. It doesn't encode the `%` of a value that contains
/// `%41`, which is then decoded to `A`: check a decoded value before using it.
fn decode(value: &[u8]) -> Cow<'_, str> {
    if value == b"_undef_" {
        return Cow::Borrowed("");
    }
    let Some(first) = memchr(b'%', value) else {
        return String::from_utf8_lossy(value);
    };
    let mut text = Vec::with_capacity(value.len());
    text.extend_from_slice(&value[..first]);
    let mut rest = &value[first..];
    while let [byte, tail @ ..] = rest {
        match (byte, tail) {
            (b'%', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                text.push(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0));
                rest = after;
            }
            _ => {
                text.push(*byte);
                rest = tail;
            }
        }
    }
    Cow::Owned(match String::from_utf8(text) {
        Ok(text) => text,
        Err(invalid) => String::from_utf8_lossy(invalid.as_bytes()).into_owned(),
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &'static str) -> EslEvent {
        EslEvent::new(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn fields_are_found_in_one_pass_whatever_their_case() {
        let event = plain("Event-Name: CHANNEL_ANSWER\nUnique-ID: abc\nCaller-ANI: _undef_\n\n");
        assert_eq!(
            event.fields(["unique-id", "Event-Name", "Caller-ANI", "Nope"]),
            [Some("abc".into()), Some("CHANNEL_ANSWER".into()), Some("".into()), None]
        );
    }

    #[test]
    fn an_encoded_line_break_forges_no_field() {
        let event = plain("Caller-Caller-ID-Name: x%0AUnique-ID%3A%20forged\nUnique-ID: real\n\n");
        assert_eq!(event.get("Unique-ID").as_deref(), Some("real"));
        assert_eq!(event.get("Caller-Caller-ID-Name").as_deref(), Some("x\nUnique-ID: forged"));
    }

    #[test]
    fn the_first_field_of_a_name_counts_and_the_body_has_none() {
        let event = plain("A: 1\nA: 2\nContent-Length: 5\n\nB: 3\n");
        assert_eq!(event.get("A").as_deref(), Some("1"));
        assert_eq!(event.get("B"), None);
        assert_eq!(event.body(), Some(&b"B: 3\n"[..]));
    }

    #[test]
    fn values_decode_to_text() {
        assert_eq!(decode(b"J%C3%BCrgen%20%2B1"), "Jürgen +1");
        assert_eq!(decode("Jürgen".as_bytes()), "Jürgen");
        assert_eq!(decode(b"100%"), "100%");
        assert_eq!(decode(b"%zz%4"), "%zz%4");
        assert_eq!(decode(b"a+b"), "a+b");
        assert_eq!(decode(b"%FF"), "\u{fffd}");
    }

    #[test]
    fn a_clipped_event_is_read_as_far_as_it_goes() {
        assert_eq!(plain("A: 1\nB").get("A").as_deref(), Some("1"));
        assert_eq!(plain("A: 1\nB").get("B"), None);
        assert_eq!(plain("A: 1").get("A").as_deref(), Some("1"));
        assert_eq!(plain("").get("A"), None);
    }
}
