//! Events, parsed lazily: only the requested fields.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use crate::wire::{find_fields, lines, value_of};

/// An event as Asterisk sent it. A clone shares the bytes.
///
/// Names are case-insensitive, as in Asterisk. If a name occurs more than once, [`get`](Self::get) returns the
/// first value. Lines may be a caller's: `pbx::asterisk::layout` says which events may be believed.
#[derive(Clone, PartialEq, Eq)]
pub struct AmiEvent {
    raw: Bytes,
}

impl AmiEvent {
    /// Wraps the lines of an event without parsing them.
    pub fn new(raw: Bytes) -> Self {
        Self { raw }
    }

    /// One field; `None` if the event doesn't have it.
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let [value] = self.fields([name]);
        value
    }

    /// Several fields in one pass over the event.
    pub fn fields<const N: usize>(&self, names: [&str; N]) -> [Option<Cow<'_, str>>; N] {
        fields(&self.raw, names)
    }

    /// Every field of a name, in order: `ChanVariable: a=1`, `ChanVariable: b=2`.
    pub fn get_all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = Cow<'e, str>> {
        all(&self.raw, name)
    }

    /// The event's name, or the empty string.
    pub fn name(&self) -> Cow<'_, str> {
        self.get("Event").unwrap_or_default()
    }

    /// The raw bytes of the event.
    pub fn as_bytes(&self) -> &Bytes {
        &self.raw
    }
}

impl fmt::Debug for AmiEvent {
    // An event contains personal data, so a log gets only its name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmiEvent").field("name", &self.name()).field("bytes", &self.raw.len()).finish_non_exhaustive()
    }
}

/// Several fields of an event or a reply.
pub(super) fn fields<'e, const N: usize>(raw: &'e [u8], names: [&str; N]) -> [Option<Cow<'e, str>>; N] {
    find_fields(lines(raw), names, text)
}

/// Every value of a name.
pub(super) fn all<'e>(raw: &'e [u8], name: &'e str) -> impl Iterator<Item = Cow<'e, str>> {
    lines(raw).filter_map(|line| value_of(line, name.as_bytes())).map(text)
}

/// A value without the `\r` at its end. A lone `\n` ends a line, too.
#[inline]
fn text(value: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(value.strip_suffix(b"\r").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: &'static str) -> AmiEvent {
        AmiEvent::new(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn a_value_keeps_its_colons() {
        let event = event("Event: Newexten\r\nAppData: X,Caller: 1,Called: 2\r\nEmpty: ");
        assert_eq!(event.get("appdata").as_deref(), Some("X,Caller: 1,Called: 2"));
        assert_eq!(event.get("Caller"), None);
        assert_eq!(event.get("Empty").as_deref(), Some(""));
    }

    #[test]
    fn repeated_keys_are_all_there_and_the_first_counts() {
        let event = event("Event: X\r\nVariable: a=1\r\nVariable: b=2: 3\r\n");
        assert_eq!(event.get("Variable").as_deref(), Some("a=1"));
        let all: Vec<_> = event.get_all("variable").collect();
        assert_eq!(all, ["a=1", "b=2: 3"]);
    }

    #[test]
    fn fields_are_found_in_one_pass() {
        let event = event("Event: Hangup\r\nUniqueid: 1.2\r\nCause: 16");
        assert_eq!(event.fields(["Cause", "Event", "Nope"]), [Some("16".into()), Some("Hangup".into()), None]);
    }

    #[test]
    fn a_name_that_is_not_utf8_hides_nothing() {
        let event = AmiEvent::new(Bytes::from_static(b"CallerIDName: J\xFCrgen\r\nUniqueid: 1.2"));
        assert_eq!(event.get("Uniqueid").as_deref(), Some("1.2"));
        assert_eq!(event.get("CallerIDName").as_deref(), Some("J\u{fffd}rgen"));
    }
}
