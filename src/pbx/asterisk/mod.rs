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
mod tls;

pub use tls::Trust;

#[cfg(test)]
pub(super) use dictionary::kind;

use std::sync::Arc;

use async_trait::async_trait;

use self::commands::Commands;
use self::dictionary::Dictionary;
use self::inspection::Questions;
use super::reader::EventReader;
use super::{Error, Inspection, Pbx, PbxLink, PbxQuirks, Recording, Slots};
use crate::ami;
use crate::core::endpoint::Endpoints;
use crate::wire::Tap;

/// What sets an Asterisk apart.
pub const QUIRKS: PbxQuirks = PbxQuirks {
    lists_channels_late: false,
    trunks_name_numbers: false,
    // It hands messages to its SIP stack one after the other, by one serializer (`sip_msg_send` in
    // res_pjsip_messaging.c), and waits for no answer.
    slots: Slots { total: 8, unproven: 8, failed: 2 },
};

/// The manager user, if the configuration names none.
const USER: &str = "sidecall";

/// Where it is and how to log in.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// `host:port` of the manager interface.
    pub address: String,
    /// The manager user.
    pub auth: ami::Auth,
    /// Whose certificates are trusted, if TLS is spoken.
    pub tls: Option<Trust>,
    /// The domain whose SIP users are its own endpoints.
    pub domain: String,
    /// The endpoint that messages to addresses of other domains leave by.
    pub message_endpoint: Option<String>,
    /// How its phones are named.
    pub endpoints: Endpoints,
}

/// The classes that our events are in; all else would only have to be read away.
const EVENT_MASK: &str = "call,user";

impl Endpoint {
    /// Of a manager interface without TLS, whose phones are named by their extensions.
    pub fn new(address: String, user: Option<String>, password: String, domain: String) -> Endpoint {
        let user = user.unwrap_or_else(|| USER.to_owned());
        Endpoint {
            address,
            auth: ami::Auth { user, secret: password, method: ami::Method::Md5 },
            tls: None,
            domain,
            message_endpoint: None,
            endpoints: Endpoints::default(),
        }
    }

    /// How connections are made. Reads the CA file.
    fn options(&self) -> Result<ami::Options, Error> {
        let tls = self.tls.as_ref().map(|trust| trust.read(&self.address)).transpose()?;
        Ok(ami::Options { tls, ..ami::Options::default() })
    }
}

#[async_trait]
impl Pbx for Endpoint {
    fn quirks(&self) -> PbxQuirks {
        QUIRKS
    }

    fn check(&self) -> Result<(), Error> {
        self.options().map(drop)
    }

    /// Three times: an answer never queues behind a list of channels, nor either behind events.
    async fn connect(&self) -> Result<PbxLink, Error> {
        let options = self.options()?;
        let (answers, _, connection) = ami::connect(&self.address, &self.auth, options.clone()).await?;
        spawn(connection, "answers");
        let (questions, _, connection) = ami::connect(&self.address, &self.auth, options.clone()).await?;
        spawn(connection, "questions");
        let (listener, events) = listen(self, options.clone(), false).await?;
        let commands = Arc::new(Commands::new([answers, questions, listener], self, options));
        Ok(PbxLink { commands, events: Box::new(EventReader::new(events, Dictionary::new(self.endpoints.clone()))) })
    }

    async fn record(&self, tap: Arc<dyn Tap>, all: bool) -> Result<Recording, Error> {
        let options = ami::Options { tap: Some(tap), ..self.options()? };
        let (client, events) = listen(self, options, all).await?;
        Ok(Recording::new(events, async move {
            // A link that is gone already needs no goodbye.
            let _ = client.logoff().await;
        }))
    }

    async fn inspect(&self) -> Result<Box<dyn Inspection>, Error> {
        Ok(Box::new(Questions::connect(self).await?))
    }
}

/// One connection that gets the agent's events, or `all` that its user may see.
async fn listen(endpoint: &Endpoint, options: ami::Options, all: bool) -> Result<(ami::Client, ami::Events), Error> {
    let event_mask = if all { "on" } else { EVENT_MASK }.to_owned();
    let options = ami::Options { event_mask, ..options };
    let (listener, events, connection) = ami::connect(&endpoint.address, &endpoint.auth, options).await?;
    spawn(connection, "events");
    Ok((listener, events))
}

fn spawn(connection: ami::Connection, which: &'static str) {
    tokio::spawn(async move {
        if let Err(error) = connection.run().await {
            tracing::debug!(%error, which, "manager connection over");
        }
    });
}
