//! `GET /v1/clients/{id}/stream`: a hosted client reads its messages. A guest's client reads its own in the same manner.
//!
//! WebSocket: a text frame for each message; the client answers `{"ack":"<id>"}`, and gets again
//! what it has not acknowledged when it comes back. SSE: a message is delivered when it is written;
//! `Last-Event-ID` asks for what came after. An ephemeral message is sent once and never acknowledged; its event has no
//! id.

use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use serde::Deserialize;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::contract::ClientForm;
use crate::core::base::name::ClientId;
use crate::monitor::now;
use crate::node::Problem;
use crate::node::http::api::stream_reader::StreamReader;
use crate::node::http::api::stream_start::StreamStart;
use crate::node::http::auth::{Identity, ShownToken, agreed_protocol};
use crate::node::http::extract::InPath;
use crate::node::http::origins::ClientOrigins;
use crate::node::http::problem::Problems;
use crate::node::ringing::Ringing;
use crate::push::{Frame, HostedStream, Push};
use crate::store::{Binding, Store, StoreError};

const PING: Duration = Duration::from_secs(30);
/// Two pings and some: who hasn't said anything for so long is gone.
const SILENT: Duration = Duration::from_secs(75);
/// How long a frame may take to leave.
const SEND: Duration = Duration::from_secs(10);
/// Bytes of a connection's buffers: there are tens of thousands of connections, nearly all idle.
const BUFFER: usize = 2 * 1024;
/// Bytes that wait to be written to one client: several of the largest messages.
const UNSENT: usize = 1024 * 1024;
/// Bytes of what a client says: acknowledgements are short.
pub(super) const SAID: usize = 1024;

pub(in crate::node) struct StreamsApi {
    pub(in crate::node) store: Store,
    pub(in crate::node) push: Push,
    pub(in crate::node) ringing: Arc<Ringing>,
    pub(in crate::node) shutdown: CancellationToken,
}

/// Opens a client's stream: a WebSocket, or server-sent events with `Accept: text/event-stream`. It begins with the messages
/// that wait for the client, and then with the notices that still hold for calls of its number: `ringing`, `answered`, and for
/// a minute `over`.
///
/// From a browser, open the stream with `new WebSocket(url, ["sidecall", "bearer." + token])`. The node closes a
/// WebSocket with code 1008 if the client's device was revoked: don't reconnect.
#[utoipa::path(get, path = "/v1/clients/{id}/stream", tag = "clients", security(("bearer" = ["client"])),
    params(("id" = String, Path, description = "The client's id"),
        ("Last-Event-ID" = Option<String>, Header, description = "With server-sent events: the last message that the client has")),
    responses((status = 101, description = "A WebSocket; each text frame is a message, or a notice, which needs no acknowledgement"),
        (status = 200, description = "Server-sent events; each one's data is a message, or a notice, which has no id", body = crate::contract::Message, content_type = "text/event-stream"),
        Problems))]
pub(in crate::node) async fn open(
    State(api): State<Arc<StreamsApi>>,
    State(origins): State<Arc<ClientOrigins>>,
    identity: Identity,
    InPath(id): InPath<ClientId>,
    ShownToken(token): ShownToken,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let Identity::Client { number, device } = identity else { return Err(Problem::forbidden("this is for clients")) };
    // Nobody opens another's stream: it would stay open after the device is revoked or the credential replaced.
    let own = |binding: &Binding| binding.number == number && binding.device == device;
    let binding = api.store.binding(&id, now()).await?.filter(own).ok_or_else(|| Problem::not_found("client"))?;
    if binding.form != ClientForm::Hosted {
        return Err(Problem::invalid("id", "only a hosted client has a stream; this one has its own address"));
    }
    open_for(StreamReader::Client { binding, token }, api, &origins, &headers, upgrade).await
}

/// Opens the stream of whoever may read it.
pub(super) async fn open_for(
    reader: StreamReader,
    api: Arc<StreamsApi>,
    origins: &ClientOrigins,
    headers: &HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/event-stream") {
        let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
        return Ok(events(api, reader, last).await?.into_response());
    }
    let Ok(mut upgrade) = upgrade else {
        return Err(Problem::new(
            axum::http::StatusCode::UPGRADE_REQUIRED,
            "this needs a WebSocket, or \"Accept: text/event-stream\"",
        ));
    };
    origins.check(headers)?;
    if let Some(protocol) = agreed_protocol(headers)? {
        upgrade.set_selected_protocol(protocol);
    }
    let upgrade = upgrade.read_buffer_size(BUFFER).max_message_size(SAID).max_frame_size(SAID);
    // Pongs for a client that pings and doesn't read would pile up.
    let upgrade = upgrade.write_buffer_size(0).max_write_buffer_size(UNSENT);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let attached = reader.attach(&api);
        let mut stream = Socket { attached, socket, api, reader, unacknowledged: HashSet::new() };
        let code = stream.run().await;
        // Whose binding is gone is closed. A shutdown ends all streams, and revokes nobody.
        let is_closed = stream.attached.closed.is_cancelled();
        let is_revoked = is_closed && stream.reader.is_revoked(&stream.api).await;
        let code = if is_revoked { close_code::POLICY } else { code };
        let close = CloseFrame { code, reason: "".into() };
        let _ = tokio::time::timeout(SEND, stream.socket.send(Message::Close(Some(close)))).await;
    }))
}

struct Socket {
    api: Arc<StreamsApi>,
    reader: StreamReader,
    attached: HostedStream,
    socket: WebSocket,
    /// Sent on this connection.
    unacknowledged: HashSet<String>,
}

#[derive(Deserialize)]
struct Said {
    ack: String,
}

/// `{"ack":"0193…"}`: which message a client has; anything else that it says means nothing.
pub(super) fn acknowledged(text: &str) -> Option<String> {
    serde_json::from_str(text).ok().map(|Said { ack }| ack)
}

impl Socket {
    /// Until either side ends it; the code to close with.
    async fn run(&mut self) -> u16 {
        let Ok(waiting) = self.reader.waiting(&self.api, None).await else { return close_code::AGAIN };
        let mut start = StreamStart::of(&waiting);
        for frame in waiting {
            if !self.send(&frame).await {
                return close_code::AWAY;
            }
        }
        let (shutdown, closed) = (self.api.shutdown.clone(), self.attached.closed.clone());
        let mut pings = tokio::time::interval_at(Instant::now() + PING, PING);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                frame = self.attached.frames.recv() => match frame {
                    Some(frame) if start.is_repeat(&frame) => {}
                    Some(frame) => if !self.send(&frame).await { return close_code::AWAY },
                    // Too slow, or replaced by a newer stream.
                    None => return close_code::AGAIN,
                },
                () = closed.cancelled() => return close_code::AGAIN,
                said = self.socket.recv() => match said {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return close_code::NORMAL,
                    Some(Ok(message)) => {
                        heard = Instant::now();
                        if let Message::Text(text) = message {
                            self.acknowledge(&text);
                        }
                    }
                },
                _ = pings.tick() => {
                    let ping = tokio::time::timeout(SEND, self.socket.send(Message::Ping(Vec::new().into())));
                    if heard.elapsed() > SILENT || !matches!(ping.await, Ok(Ok(()))) {
                        return close_code::AWAY;
                    }
                }
                () = shutdown.cancelled() => return close_code::RESTART,
            }
        }
    }

    async fn send(&mut self, frame: &Frame) -> bool {
        if let Some(id) = &frame.id {
            // Read from the store and put into the hub at the same time.
            if !self.unacknowledged.insert(id.clone()) {
                return true;
            }
            // Before it leaves: what may have arrived is not taken back silently if they part in this moment.
            self.reader.attempted(&self.api, id);
        }
        let sent = tokio::time::timeout(SEND, self.socket.send(Message::Text(frame.json.as_str().into())));
        matches!(self.attached.closed.run_until_cancelled(sent).await, Some(Ok(Ok(()))))
    }

    fn acknowledge(&mut self, text: &str) {
        if let Some(ack) = acknowledged(text)
            && self.unacknowledged.remove(&ack)
        {
            self.reader.delivered(&self.api, &ack);
        }
    }
}

/// A stream of server-sent events.
struct Events {
    api: Arc<StreamsApi>,
    reader: StreamReader,
    attached: HostedStream,
    waiting: VecDeque<Arc<Frame>>,
    start: StreamStart,
    /// What was read from the store: it may come by the hub as well.
    stored: HashSet<String>,
    /// The stored message that was handed over last. It has been written when the next is asked for.
    handed_over: Option<String>,
}

async fn events(
    api: Arc<StreamsApi>,
    reader: StreamReader,
    last: Option<&str>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>> + use<>>, StoreError> {
    let attached = reader.attach(&api);
    let waiting = reader.waiting(&api, last).await?;
    let stored = waiting.iter().filter_map(|frame| frame.id.clone()).collect();
    let start = StreamStart::of(&waiting);
    let events = Events { api, reader, attached, waiting: waiting.into(), start, stored, handed_over: None };
    let stream = stream::unfold(events, |mut events| async move {
        let frame = events.next().await?;
        let event = Event::default().data(&frame.json);
        // An event without an id leaves the browser's `Last-Event-ID` as it is.
        let event = if let Some(id) = &frame.id { event.id(id) } else { event };
        Some((Ok(event), events))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(PING)))
}

impl Events {
    async fn next(&mut self) -> Option<Arc<Frame>> {
        if let Some(id) = self.handed_over.take() {
            self.reader.delivered(&self.api, &id);
        }
        let frame = match self.waiting.pop_front() {
            Some(_) if self.attached.closed.is_cancelled() => return None,
            Some(frame) => frame,
            None => self.fresh().await?,
        };
        if let Some(id) = &frame.id {
            self.reader.attempted(&self.api, id);
        }
        self.handed_over.clone_from(&frame.id);
        Some(frame)
    }

    async fn fresh(&mut self) -> Option<Arc<Frame>> {
        loop {
            let frame = tokio::select! {
                biased;
                () = self.attached.closed.cancelled() => return None,
                frame = self.attached.frames.recv() => frame?,
                () = self.api.shutdown.cancelled() => return None,
            };
            let is_stored = frame.id.as_ref().is_some_and(|id| self.stored.remove(id));
            if !is_stored && !self.start.is_repeat(&frame) {
                return Some(frame);
            }
        }
    }
}
