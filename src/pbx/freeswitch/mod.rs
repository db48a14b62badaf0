//! FreeSWITCH, over its event socket (`mod_event_socket`).

mod commands;
mod dictionary;
pub mod direct;
#[doc(hidden)]
pub mod fuzz;
mod inspection;
mod messages;
mod snapshot;

pub use commands::Commands;
pub(super) use inspection::Questions;

use std::sync::Arc;

use super::{Error, Happened, Recording, Snapshot};
use crate::esl;
use crate::wire::Tap;

/// Where it is and how to log in.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// `host:port` of the event socket.
    pub address: String,
    /// The event socket's password, or a directory user's.
    pub auth: esl::Auth,
    /// The SIP profile that messages to softphones leave by.
    pub sip_profile: String,
}

/// Events of one FreeSWITCH.
#[derive(Debug)]
pub struct Events {
    events: esl::Events,
    dictionary: dictionary::Dictionary,
}

/// Connects three times, for FreeSWITCH serves whatever goes over one connection from one thread, and
/// subscribes.
///
/// # Errors
/// If a connection can't be made, or a subscription is refused.
pub async fn connect(endpoint: &Endpoint, options: esl::Options) -> Result<(Commands, Events), Error> {
    let (answers, _, connection) = esl::connect(&endpoint.address, &endpoint.auth, options.clone()).await?;
    spawn(connection, "answers");
    let (questions, _, connection) = esl::connect(&endpoint.address, &endpoint.auth, options.clone()).await?;
    spawn(connection, "questions");
    let (listener, events) = listen(endpoint, options, false).await?;
    let commands = Commands::new([answers, questions, listener], endpoint);
    Ok((commands, Events { events, dictionary: dictionary::Dictionary::default() }))
}

/// One connection that gets the agent's events, or `all` there are.
async fn listen(endpoint: &Endpoint, options: esl::Options, all: bool) -> Result<(esl::Client, esl::Events), Error> {
    let (listener, events, connection) = esl::connect(&endpoint.address, &endpoint.auth, options).await?;
    spawn(connection, "events");
    if all {
        listener.subscribe(&["ALL"]).await?;
        return Ok((listener, events));
    }
    // Filters first: without them the first moments would bring the events of every call.
    for (header, value) in dictionary::FILTERS {
        listener.filter(header, value).await?;
    }
    listener.subscribe(dictionary::EVENTS).await?;
    Ok((listener, events))
}

/// One connection that only listens; `tap` is shown every byte.
pub(super) async fn record(endpoint: &Endpoint, tap: Arc<dyn Tap>, all: bool) -> Result<Recording, Error> {
    let options = esl::Options { tap: Some(tap), ..esl::Options::default() };
    let (client, events) = listen(endpoint, options, all).await?;
    Ok(Recording::new(events, async move {
        // A link that is gone already needs no goodbye.
        let _ = client.exit().await;
    }))
}

fn spawn(connection: esl::Connection, which: &'static str) {
    tokio::spawn(async move {
        if let Err(error) = connection.run().await {
            tracing::debug!(%error, which, "event socket connection over");
        }
    });
}

impl Events {
    /// The next event, as it came; none when the connection is over.
    pub async fn next(&mut self) -> Option<esl::Item> {
        self.events.next().await
    }

    /// What it says.
    pub fn read(&mut self, item: &esl::Item) -> Vec<Happened> {
        match item {
            esl::Item::Event(event) => self.dictionary.read(event),
            esl::Item::Lost(_) => vec![Happened::Gap { why: "our own queue was full" }],
        }
    }

    /// Goes on from a snapshot.
    pub fn restart(&mut self, snapshot: &Snapshot) {
        self.dictionary.restart(snapshot);
    }

    /// Whether it announces a call: that can't wait.
    pub fn is_announcement(item: &esl::Item) -> bool {
        matches!(item, esl::Item::Event(event) if event.get("Event-Subclass").as_deref() == Some(dictionary::SETUP))
    }
}
