//! The JSON of stored rows stays what it is.

use std::fmt::Debug;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::contract::Role;
use crate::core::call::Phase;
use crate::core::far::{How, SentState};
use crate::core::route::{Reason, Route, Side};

mod values;

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/record/fixtures");
    std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap().trim_end().to_owned()
}

fn is_read_and_written<T: Serialize + DeserializeOwned + PartialEq + Debug>(values: Vec<(&'static str, T)>) {
    for (name, value) in values {
        let fixture = fixture(name);
        assert_eq!(serde_json::from_str::<T>(&fixture).unwrap(), value, "{name}");
        assert_eq!(serde_json::to_string(&value).unwrap(), fixture, "{name}");
    }
}

#[test]
fn fixtures_are_what_is_written() {
    is_read_and_written(values::calls());
    is_read_and_written(values::messages());
    is_read_and_written(values::offers());
    is_read_and_written(values::clocks());
}

#[test]
fn words_of_closed_lists_stay() {
    let words = serde_json::json!({
        "side": [Side::Originating, Side::Terminating],
        "route": [Route::Pstn, Route::Packet, Route::Local],
        "reason": Reason::ALL,
        "phase": [Phase::Decided, Phase::Answered, Phase::Talking, Phase::Ended],
        "how": [How::Signalling, How::Offer, How::Message, How::Introduced],
        "sent": [SentState::Pending, SentState::Accepted, SentState::Refused, SentState::Dropped],
        "role": [Role::First, Role::Second],
    });
    assert_eq!(serde_json::to_string_pretty(&words).unwrap(), fixture("words"));
}
