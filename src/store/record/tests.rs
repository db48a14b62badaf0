//! Rows from before there were records can be read, and new rows differ from them only by their version.

use std::fmt::Debug;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::words::{
    AlertingRecord, HowRecord, PhaseRecord, ReasonRecord, RoleRecord, RouteRecord, SentStateRecord, SideRecord,
};
use super::{CallRecord, ClockRecord, MessageRecord, OfferRecord, Record, read, write};
use crate::contract::Role;
use crate::core::call::Phase;
use crate::core::call::remote_side::{AddressSource, PeerDeliveryState};
use crate::core::call::ringing::Alerting;
use crate::core::routing::route::{Reason, Route, Side};

mod any_call;
mod columns;
mod database;
mod newer;
mod values;

/// JSON that a program without records wrote.
fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/record/fixtures");
    std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap().trim_end().to_owned()
}

fn with_version(json: &str, version: u16) -> String {
    json.replacen('{', &format!("{{\"v\":{version},"), 1)
}

/// Reads each fixture, with a version and without one, and compares it with its value.
fn is_read<R: Record, T: From<R> + PartialEq + Debug>(values: Vec<(&'static str, T)>) {
    for (name, value) in values {
        let json = fixture(name);
        for json in [with_version(&json, 1), json] {
            assert_eq!(T::from(read::<R>(&json).unwrap()), value, "{name}");
        }
    }
}

#[test]
fn what_was_written_without_records_is_read() {
    is_read::<CallRecord, _>(values::calls());
    is_read::<MessageRecord, _>(values::messages());
    is_read::<OfferRecord, _>(values::offers());
    is_read::<ClockRecord, _>(values::clocks());
}

/// A program without records can read such a row: it ignores the version, except in an offer.
#[test]
fn what_is_written_differs_in_the_version_alone() {
    fn written<R: Record + From<T>, T>(values: Vec<(&'static str, T)>) -> Vec<(String, String)> {
        values.into_iter().map(|(name, value)| (write(&R::from(value)).unwrap(), fixture(name))).collect()
    }
    let calls = written::<CallRecord, _>(values::calls());
    let messages = written::<MessageRecord, _>(values::messages());
    let clocks = written::<ClockRecord, _>(values::clocks());
    for (written, fixture) in [calls, messages, clocks].concat() {
        assert_eq!(written, with_version(&fixture, 1));
    }
    for (written, fixture) in written::<OfferRecord, _>(values::offers()) {
        assert_eq!(written, fixture);
    }
}

#[test]
fn a_newer_version_is_refused_by_its_number() {
    fn refused<R: Record + Debug>(name: &str) {
        // Whatever else stands in it.
        for json in [with_version(&fixture(name), 2), r#"{"of":"tomorrow","v":2}"#.to_owned()] {
            let error = read::<R>(json).unwrap_err().to_string();
            assert!(
                error.contains(R::WHAT) && error.contains("has version 2") && error.contains("knows version 1"),
                "{error}"
            );
        }
    }
    refused::<CallRecord>("call-live");
    refused::<MessageRecord>("message-peer");
    refused::<OfferRecord>("offer");
    refused::<ClockRecord>("clock");
}

/// Each word of a closed list reads as the right variant, and is written back unchanged.
fn are_words<R, T>(list: &str, all: &[T])
where
    R: Serialize + DeserializeOwned + From<T>,
    T: From<R> + PartialEq + Debug + Copy,
{
    let fixture: serde_json::Value = serde_json::from_str(&fixture("words")).unwrap();
    let read: Vec<R> = serde_json::from_value(fixture[list].clone()).unwrap();
    assert_eq!(read.into_iter().map(T::from).collect::<Vec<_>>(), all, "{list}");
    let written: Vec<R> = all.iter().copied().map(R::from).collect();
    assert_eq!(serde_json::to_value(written).unwrap(), fixture[list], "{list}");
}

/// Add a new reason to the end of the fixture's list.
#[test]
fn words_of_closed_lists_stay() {
    are_words::<SideRecord, _>("side", &[Side::Originating, Side::Terminating]);
    are_words::<RouteRecord, _>("route", &[Route::Pstn, Route::Packet, Route::Local]);
    are_words::<ReasonRecord, _>("reason", Reason::ALL);
    are_words::<AlertingRecord, _>("alerting", &[Alerting::Nobody, Alerting::Called, Alerting::Both]);
    are_words::<PhaseRecord, _>("phase", &[Phase::Decided, Phase::Answered, Phase::Talking, Phase::Ended]);
    are_words::<HowRecord, _>(
        "how",
        &[AddressSource::Signalling, AddressSource::Offer, AddressSource::Message, AddressSource::Introduced],
    );
    let states = [
        PeerDeliveryState::Pending,
        PeerDeliveryState::Accepted,
        PeerDeliveryState::Refused,
        PeerDeliveryState::Dropped,
    ];
    are_words::<SentStateRecord, _>("sent", &states);
    are_words::<RoleRecord, _>("role", &[Role::First, Role::Second]);
}
