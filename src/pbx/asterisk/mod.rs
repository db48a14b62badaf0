//! Asterisk, over its manager interface (`manager.c`).

mod commands;
mod dictionary;
#[doc(hidden)]
pub mod fuzz;
mod inspection;
mod messages;
mod phones;
#[cfg(test)]
mod scripted;
mod snapshot;

pub use commands::Commands;
pub(super) use inspection::Questions;

#[cfg(test)]
pub(super) use dictionary::kind;

use std::sync::Arc;

use super::{Error, Happened, Recording, Snapshot};
use crate::ami;
use crate::core::endpoint::Endpoints;
use crate::wire::Tap;

/// Where it is and how to log in.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// `host:port` of the manager interface.
    pub address: String,
    /// The manager user.
    pub auth: ami::Auth,
    /// TLS, if it is spoken.
    pub tls: Option<ami::Tls>,
    /// The domain whose SIP users are its own endpoints.
    pub domain: String,
    /// The endpoint that messages to addresses of other domains leave by.
    pub message_endpoint: Option<String>,
    /// How its phones are named.
    pub endpoints: Endpoints,
}

/// Events of one Asterisk.
#[derive(Debug)]
pub struct Events {
    events: ami::Events,
    dictionary: dictionary::Dictionary,
}

/// The classes that our events are in; all else would only have to be read away.
const EVENT_MASK: &str = "call,user";

/// Connects three times: an answer never queues behind a list of channels, nor either behind events.
///
/// # Errors
/// If a connection can't be made.
pub async fn connect(endpoint: &Endpoint, options: ami::Options) -> Result<(Commands, Events), Error> {
    let options = ami::Options { tls: endpoint.tls.clone(), ..options };
    let (answers, _, connection) = ami::connect(&endpoint.address, &endpoint.auth, options.clone()).await?;
    spawn(connection, "answers");
    let (questions, _, connection) = ami::connect(&endpoint.address, &endpoint.auth, options.clone()).await?;
    spawn(connection, "questions");
    let (listener, events) = listen(endpoint, options, false).await?;
    let commands = Commands::new([answers, questions, listener], endpoint);
    Ok((commands, Events { events, dictionary: dictionary::Dictionary::new(endpoint.endpoints.clone()) }))
}

/// One connection that gets the agent's events, or `all` that its user may see.
async fn listen(endpoint: &Endpoint, options: ami::Options, all: bool) -> Result<(ami::Client, ami::Events), Error> {
    let event_mask = if all { "on" } else { EVENT_MASK }.to_owned();
    let options = ami::Options { event_mask, tls: endpoint.tls.clone(), ..options };
    let (listener, events, connection) = ami::connect(&endpoint.address, &endpoint.auth, options).await?;
    spawn(connection, "events");
    Ok((listener, events))
}

/// One connection that only listens; `tap` is shown every byte.
pub(super) async fn record(endpoint: &Endpoint, tap: Arc<dyn Tap>, all: bool) -> Result<Recording, Error> {
    let options = ami::Options { tap: Some(tap), ..ami::Options::default() };
    let (client, events) = listen(endpoint, options, all).await?;
    Ok(Recording::new(events, async move {
        // A link that is gone already needs no goodbye.
        let _ = client.logoff().await;
    }))
}

fn spawn(connection: ami::Connection, which: &'static str) {
    tokio::spawn(async move {
        if let Err(error) = connection.run().await {
            tracing::debug!(%error, which, "manager connection over");
        }
    });
}

impl Events {
    /// The next event, as it came; none when the connection is over.
    pub async fn next(&mut self) -> Option<ami::Item> {
        self.events.next().await
    }

    /// What it says.
    pub fn read(&mut self, item: &ami::Item) -> Vec<Happened> {
        match item {
            ami::Item::Event(event) => self.dictionary.read(event),
            ami::Item::Lost(_) => vec![Happened::Gap { why: "our own queue was full" }],
        }
    }

    /// Goes on from a snapshot.
    pub fn restart(&mut self, snapshot: &Snapshot) {
        self.dictionary.restart(snapshot);
    }

    /// Whether it announces a call: that can't wait.
    pub fn is_announcement(item: &ami::Item) -> bool {
        matches!(item, ami::Item::Event(event) if event.name() == "UserEvent")
    }
}
