//! Reads fields of JSON that somebody else wrote. What does not fit is absent.

use serde_json::{Map, Value};

/// An object, as it was received.
pub(super) type Fields = Map<String, Value>;

/// A text of 1 to `max` characters.
pub(super) fn text<'a>(fields: &'a Fields, key: &str, max: usize) -> Option<&'a str> {
    let text = fields.get(key)?.as_str()?;
    let fits = !text.is_empty() && text.chars().take(max + 1).count() <= max;
    fits.then_some(text)
}

/// A text that parses.
pub(super) fn parsed<T: std::str::FromStr>(fields: &Fields, key: &str) -> Option<T> {
    fields.get(key)?.as_str()?.parse().ok()
}

/// An integer from 0 to `max`.
pub(super) fn integer(fields: &Fields, key: &str, max: u64) -> Option<u64> {
    within(fields.get(key)?, max)
}

/// An integer from 0 to `max`.
pub(super) fn within(value: &Value, max: u64) -> Option<u64> {
    value.as_u64().filter(|number| *number <= max)
}
