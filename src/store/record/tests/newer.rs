//! A field that a newer version has added is ignored wherever it stands.

use std::fmt::Debug;

use serde_json::{Value, json};

use super::super::{CallRecord, ClockRecord, MessageRecord, OfferRecord, Record, read, write};
use super::{fixture, values, with_version};

/// The objects of fixtures, besides the whole ones.
const PLACES: [(&str, &[&str]); 8] = [
    ("call-minimal", &["/legs/a-1"]),
    ("call-live", &["/legs/a-1", "/legs/PJSIP~1bob-00000640", "/legs/a-1/bridges/0/1", "/talks/0"]),
    (
        "call-remote",
        &[
            "/far",
            "/far/client",
            "/far/offered",
            "/far/offer",
            "/far/answers/+12125550101",
            "/far/there/0",
            "/far/there/2",
        ],
    ),
    ("call-reported", &["/legs/a-1/reported/0"]),
    ("message-peer", &["/peer"]),
    ("message-peer-own", &["/peer", "/own"]),
    ("message-missed", &["/peer"]),
    ("message-missed-withheld", &["/peer"]),
];

/// A fixture with one more field in each of its objects.
fn with_more(name: &str) -> String {
    let mut value: Value = serde_json::from_str(&fixture(name)).unwrap();
    let inner = PLACES.iter().find(|(of, _)| *of == name).map(|(_, places)| *places);
    for place in inner.unwrap_or_default().iter().chain([&""]) {
        let object = value.pointer_mut(place).and_then(Value::as_object_mut).unwrap();
        assert!(object.insert("later".to_owned(), json!({"any": [1, "thing"]})).is_none(), "{name}{place}");
    }
    value.to_string()
}

/// Each fixture is read, with and without a version, and written again without the field.
fn is_ignored<R: Record + From<T>, T: From<R> + PartialEq + Debug>(values: Vec<(&'static str, T)>) {
    for (name, value) in values {
        let json = with_more(name);
        for json in [with_version(&json, 1), json] {
            assert_eq!(T::from(read::<R>(&json).unwrap()), value, "{name}");
        }
        assert!(!write(&R::from(value)).unwrap().contains("later"), "{name}");
    }
}

#[test]
fn a_field_that_a_newer_version_has_added_is_ignored() {
    is_ignored::<CallRecord, _>(values::calls());
    is_ignored::<MessageRecord, _>(values::messages());
    is_ignored::<OfferRecord, _>(values::offers());
    is_ignored::<ClockRecord, _>(values::clocks());
}

#[test]
fn each_place_is_in_a_fixture() {
    for (name, _) in PLACES {
        assert!(with_more(name).matches("later").count() > 1, "{name}");
    }
}
