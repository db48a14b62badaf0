//! What must hold for any body, any frame of a client and any directory. Compiled with the crate so that it
//! can't fall behind it; run by the fuzzer (`fuzz/`).

use std::io::{Read, Write};

use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use futures_util::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::client_stream::{SAID, acknowledged};
use super::number_import::Tally;
use super::{clients, csv_lines, inbox, numbers};
use crate::contract::{
    CallDecision, CallEvents, CallList, CallRequest, ClaimOutcome, ClientChange, ClientCreated, ClientList,
    DeviceChange, DeviceCreated, DeviceList, EnrolmentCreated, EventsReply, GuestCodeCreated, GuestCreated, GuestList,
    ImportReport, Message as Told, NewClaim, NewClient, NewDevice, NewEnrolment, NewGuest, NewGuestCode, Notice,
    NumberEntry, NumberPage, NumberSwitch, NumberView, Offer, PbxReport, PbxView, PeerClient, SharedTimeline,
    SipMessages,
};
use crate::node::http::extract::Body;

/// Any bytes as each of the bodies that the API takes, and as each that agents and clients are answered with.
///
/// # Panics
///
/// If a body that was taken is not the same when it is written and read again, or holds what its check
/// should have refused.
pub fn body(data: &[u8]) {
    again(parsed::<CallRequest>(data));
    again(parsed::<CallEvents>(data));
    again(parsed::<ClientChange>(data));
    again(parsed::<NewClaim>(data));
    again(parsed::<NewGuestCode>(data));
    again(parsed::<NewGuest>(data));
    again(parsed::<NumberSwitch>(data));
    again(parsed::<NewEnrolment>(data));
    again(parsed::<NewDevice>(data));
    again(parsed::<DeviceChange>(data));
    again(parsed::<PbxReport>(data));
    again(parsed::<Offer>(data));
    again(parsed::<SharedTimeline>(data));
    if let Some(entry) = again(parsed::<NumberEntry>(data))
        && numbers::check(&entry).is_ok()
    {
        assert!(entry.name.is_none_or(|name| !name.contains(char::is_control) && name.chars().count() <= 100));
        assert!(entry.credential.is_none_or(|credential| (16..=256).contains(&credential.len())));
    }
    if let Some(new) = again(parsed::<NewClient>(data))
        && let Ok(named) = clients::named(&new)
    {
        assert!(named.lifetime.is_none_or(|lifetime| (60..=2_592_000).contains(&lifetime.as_secs())));
    }
    if let Some(content) = parsed::<Map<String, Value>>(data) {
        for (kind, key) in [("ended", "address"), ("peer", "instead")] {
            inbox::address(&content, kind, key).iter().for_each(crate::core::fuzz::passes_on);
        }
        let peer = content.get("peer").and_then(|peer| serde_json::from_value::<PeerClient>(peer.clone()).ok());
        if let Some(peer) = peer.filter(inbox::harmless) {
            crate::core::fuzz::passes_on(&peer.address);
        }
    }
    again(read::<CallDecision>(data));
    again(read::<SipMessages>(data));
    again(read::<EventsReply>(data));
    again(read::<CallList>(data));
    again(read::<ClientCreated>(data));
    again(read::<ClientList>(data));
    again(read::<EnrolmentCreated>(data));
    again(read::<DeviceCreated>(data));
    again(read::<DeviceList>(data));
    again(read::<NumberPage>(data));
    again(read::<NumberView>(data));
    again(read::<ImportReport>(data));
    again(read::<PbxView>(data));
    again(read::<Told>(data));
    again(read::<Notice>(data));
    again(read::<ClaimOutcome>(data));
    again(read::<GuestCodeCreated>(data));
    again(read::<GuestCreated>(data));
    again(read::<GuestList>(data));
}

/// As a handler gets it.
fn parsed<T: DeserializeOwned>(data: &[u8]) -> Option<T> {
    let request = Request::builder().header(CONTENT_TYPE, "application/json");
    let request = request.body(axum::body::Body::from(data.to_vec())).ok()?;
    match Body::<T>::from_request(request, &()).now_or_never()? {
        Ok(Body(value)) => Some(value),
        Err(problem) => {
            assert!((400..500).contains(&problem.status), "{problem:?}");
            None
        }
    }
}

fn read<T: DeserializeOwned>(data: &[u8]) -> Option<T> {
    serde_json::from_slice(data).ok()
}

/// What was read says the same when it is written and read again.
fn again<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: Option<T>) -> Option<T> {
    let value = value?;
    let written = serde_json::to_vec(&value).unwrap_or_default();
    match serde_json::from_slice::<T>(&written) {
        Ok(other) => assert_eq!(value, other),
        Err(error) => panic!("{error}: {value:?}"),
    }
    Some(value)
}

/// What a client may send on its stream: frames with a mask (RFC 6455 §5.2), and acknowledgements in them.
///
/// # Panics
///
/// If more is taken than a client may say.
pub fn frames(data: &[u8]) {
    let limits = WebSocketConfig::default().max_message_size(Some(SAID)).max_frame_size(Some(SAID));
    for text in texts(data, Role::Server, limits) {
        assert!(text.len() <= SAID);
        let _ = acknowledged(&text);
    }
    let _ = acknowledged(&String::from_utf8_lossy(data));
}

/// The texts that come out of a stream of frames, until it ends or breaks.
pub fn texts(data: &[u8], role: Role, limits: WebSocketConfig) -> Vec<String> {
    let mut socket = WebSocket::from_raw_socket(Wire(data), role, Some(limits));
    let mut texts = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => texts.push(text.as_str().to_owned()),
            Ok(_) | Err(Error::Utf8(_)) => {}
            Err(_) => return texts,
        }
    }
}

/// Gives its bytes and takes any.
struct Wire<'a>(&'a [u8]);

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A directory as CSV: every line is taken or named as bad, and what is taken may be stored.
///
/// # Panics
///
/// If that doesn't hold.
pub fn csv(data: &[u8]) {
    // A batch has a thousand lines, and a line at least a byte.
    let (sender, mut batches) = mpsc::channel(data.len() / 1000 + 2);
    if csv_lines::read(data, &sender).is_err() {
        return;
    }
    drop(sender);
    let mut tally = Tally::default();
    let (mut lines, mut rows) = (0, 0);
    while let Ok(batch) = batches.try_recv() {
        lines += batch.len() as u64;
        for (_, row) in tally.judge(batch) {
            rows += 1;
            assert!(row.name.is_none_or(|name| !name.contains(char::is_control)));
            assert_eq!(row.number.to_string().parse().as_ref(), Ok(&row.number));
        }
    }
    assert_eq!(rows + tally.report.bad, lines);
    assert!(tally.report.errors.len() <= 100);
}
