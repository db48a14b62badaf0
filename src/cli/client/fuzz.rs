//! What must hold for anything that a node sends to our client. Compiled with the crate so that it can't fall
//! behind it; run by the fuzzer (`fuzz/`).

use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::show::content_text;
use super::stream::id_of;
use super::visitors::{parse_visitors, visitors_text};
use crate::cli::output::{clean, invisible};
use crate::contract::{Message, MessageBody, Notice, NoticeBody};
use crate::node::fuzz::texts;

/// Shows the messages in a node's frames: no output contains a character that a terminal acts on.
///
/// # Panics
///
/// If that doesn't hold.
pub fn frames(data: &[u8]) {
    let mut all = texts(data, Role::Client, WebSocketConfig::default());
    all.push(String::from_utf8_lossy(data).into_owned());
    for text in all {
        let shown = match serde_json::from_str::<Message>(&text) {
            Ok(Message { body: MessageBody::Message { content, .. }, .. }) => {
                parse_visitors(&content).map_or_else(|| content_text(&content), |visitors| visitors_text(&visitors))
            }
            Ok(Message { body: MessageBody::Peer { peer, .. }, .. }) => clean(&peer.name.unwrap_or_default()),
            Ok(Message { body: MessageBody::Missed { peer, .. }, .. }) => clean(&peer.name.unwrap_or_default()),
            Ok(Message { body: MessageBody::Ended { .. }, .. }) => continue,
            Err(_) => match serde_json::from_str::<Notice>(&text) {
                Ok(Notice { body: NoticeBody::Ringing { peer, .. } | NoticeBody::Answered { peer, .. }, .. }) => {
                    clean(&peer.name.unwrap_or_default())
                }
                Ok(Notice { body: NoticeBody::Over, .. }) => continue,
                Ok(Notice { body: NoticeBody::Claimed { invitation, .. }, .. }) => invitation.to_string(),
                Ok(Notice { body: NoticeBody::GuestJoined { guest, .. }, .. }) => clean(guest.name.as_str()),
                Ok(Notice { body: NoticeBody::GuestLeft { guest }, .. }) => guest.to_string(),
                Err(_) => clean(&id_of(&text).unwrap_or_default()),
            },
        };
        assert!(!shown.contains(invisible), "{shown:?}");
    }
}
