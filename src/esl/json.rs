//! Fields of a JSON event, without building the object.
//!
//! ```text
//! {"Event-Name":"CUSTOM","Unique-ID":"7e727a50-…","variable_DP_MATCH":["5551234","1234"]}
//! ```

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Looks for `names` in one pass, and stops when it has them all. What can't be read is absent.
pub(super) fn fields<'e, const N: usize>(raw: &'e [u8], names: [&str; N]) -> [Option<Cow<'e, str>>; N] {
    let mut found = [const { None }; N];
    let search = Search { names: &names, found: &mut found };
    // The error is how the search stops early. If it is a real one, the fields before it stand.
    let _stopped = search.deserialize(&mut serde_json::Deserializer::from_slice(raw));
    found
}

struct Search<'s, 'e> {
    names: &'s [&'s str],
    found: &'s mut [Option<Cow<'e, str>>],
}

impl<'e> DeserializeSeed<'e> for Search<'_, 'e> {
    type Value = ();

    fn deserialize<D: Deserializer<'e>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'e> Visitor<'e> for Search<'_, 'e> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event object")
    }

    fn visit_map<A: MapAccess<'e>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Text)? {
            let wanted = self
                .names
                .iter()
                .zip(self.found.iter())
                .position(|(name, slot)| slot.is_none() && key.eq_ignore_ascii_case(name));
            match wanted {
                Some(at) => self.found[at] = Some(map.next_value_seed(Text)?),
                None => map.next_value::<IgnoredAny>().map(drop)?,
            }
            if self.found.iter().all(Option::is_some) {
                return Err(A::Error::custom("all found"));
            }
        }
        Ok(())
    }
}

/// A string, borrowed where it has no escapes. Read as bytes, since FreeSWITCH puts a caller's
/// Latin-1 name into the JSON as it came, and one bad name must not hide the event.
struct Text;

impl<'e> DeserializeSeed<'e> for Text {
    type Value = Cow<'e, str>;

    fn deserialize<D: Deserializer<'e>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl<'e> Visitor<'e> for Text {
    type Value = Cow<'e, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, or an array of them")
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'e [u8]) -> Result<Self::Value, E> {
        Ok(String::from_utf8_lossy(bytes))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(String::from_utf8_lossy(bytes).into_owned()))
    }

    fn visit_borrowed_str<E>(self, text: &'e str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    /// An array as `event plain` writes it: `ARRAY::a|:b`.
    fn visit_seq<A: SeqAccess<'e>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut text = String::from("ARRAY::");
        let mut first = true;
        while let Some(item) = items.next_element_seed(Text)? {
            if !first {
                text.push_str("|:");
            }
            first = false;
            text.push_str(&item);
        }
        Ok(Cow::Owned(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_borrowed_unless_escaped() {
        let raw = br#"{"a":"plain","b":"a\nb \u00fc","c":["x","y"],"d":""}"#;
        let [a, b, c, d, e] = fields(raw, ["A", "b", "c", "d", "e"]);
        assert!(matches!(a, Some(Cow::Borrowed("plain"))));
        assert_eq!(b.as_deref(), Some("a\nb ü"));
        assert_eq!(c.as_deref(), Some("ARRAY::x|:y"));
        assert_eq!(d.as_deref(), Some(""));
        assert_eq!(e, None);
    }

    #[test]
    fn a_name_in_latin1_hides_nothing() {
        let raw = b"{\"name\":\"J\xFCrgen\",\"Unique-ID\":\"abc\"}";
        let [id, name] = fields(raw, ["Unique-ID", "name"]);
        assert_eq!(id.as_deref(), Some("abc"));
        assert_eq!(name.as_deref(), Some("J\u{fffd}rgen"));
    }

    #[test]
    fn what_is_no_object_has_no_fields() {
        for raw in [&b""[..], b"[]", b"{", b"{\"a\"", b"\xff", b"7"] {
            assert_eq!(fields(raw, ["a"]), [None]);
        }
    }

    #[test]
    fn a_nested_name_is_not_taken_for_a_field() {
        let raw = br#"{"outer":{"Unique-ID":"forged"},"Unique-ID":"real"}"#;
        assert_eq!(fields(raw, ["Unique-ID"])[0].as_deref(), Some("real"));
    }
}
