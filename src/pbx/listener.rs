//! A connection that only listens: what a PBX says, as the agent would hear it, for a recording.

use std::sync::Arc;

use super::{Error, Link, asterisk, freeswitch};
use crate::wire::{Item, Tap};
use crate::{ami, esl};

/// One connection to a PBX that sets nothing and answers nothing.
#[derive(Debug)]
pub enum Listener {
    /// FreeSWITCH.
    Freeswitch(esl::Client, esl::Events),
    /// Asterisk.
    Asterisk(ami::Client, ami::Events),
}

impl Link {
    /// Connects, logs in and subscribes as the agent does, or to `all` events; `tap` is shown every byte.
    ///
    /// # Errors
    /// If the PBX can't be reached or refuses.
    pub async fn listen(&self, tap: Arc<dyn Tap>, all: bool) -> Result<Listener, Error> {
        match self {
            Link::Freeswitch(endpoint) => {
                let options = esl::Options { tap: Some(tap), ..esl::Options::default() };
                let (client, events) = freeswitch::listen(endpoint, options, all).await?;
                Ok(Listener::Freeswitch(client, events))
            }
            Link::Asterisk(endpoint) => {
                let options = ami::Options { tap: Some(tap), ..ami::Options::default() };
                let (client, events) = asterisk::listen(endpoint, options, all).await?;
                Ok(Listener::Asterisk(client, events))
            }
        }
    }
}

impl Listener {
    /// Reads the next event; how many there were (some may have been lost), or none when the
    /// connection is over.
    pub async fn next(&mut self) -> Option<u64> {
        match self {
            Listener::Freeswitch(_, events) => events.next().await.map(|item| count(&item)),
            Listener::Asterisk(_, events) => events.next().await.map(|item| count(&item)),
        }
    }

    /// Says goodbye.
    pub async fn close(self) {
        // A link that is gone already needs no goodbye.
        let _ = match self {
            Listener::Freeswitch(client, _) => client.exit().await.map_err(Error::from),
            Listener::Asterisk(client, _) => client.logoff().await.map_err(Error::from),
        };
    }
}

fn count<E>(item: &Item<E>) -> u64 {
    match item {
        Item::Event(_) => 1,
        Item::Lost(lost) => *lost,
    }
}
