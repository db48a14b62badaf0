//! FreeSWITCH, over its event socket (`mod_event_socket`).

mod commands;
pub mod direct;
mod enrolment;
#[doc(hidden)]
pub mod fuzz;
mod inspection;
mod sip_messages;
mod snapshot;
mod translator;

use std::sync::Arc;

use async_trait::async_trait;

use self::commands::FreeswitchCommands;
use self::inspection::FreeswitchInspection;
use self::translator::FreeswitchTranslator;
use super::event_reader::EventReader;
use super::{Inspection, Pbx, PbxError, PbxLink, PbxQuirks, Recording, Slots};
use crate::esl::{self, EslAuth, EslClient, EslConnection, EslEvents, EslOptions};
use crate::wire::Tap;

/// What sets a FreeSWITCH apart.
pub const QUIRKS: PbxQuirks = PbxQuirks {
    // `core_event_handler` in switch_core_sqldb.c writes it.
    lists_channels_late: true,
    trunks_name_numbers: true,
    slots: Slots { total: 128, unproven: 96, failed: 16 },
};

/// Where it is and how to log in.
#[derive(Debug, Clone)]
pub struct FreeswitchEndpoint {
    /// `host:port` of the event socket.
    pub address: String,
    /// The event socket's password, or a directory user's.
    pub auth: EslAuth,
    /// The SIP profile that messages to softphones leave by.
    pub sip_profile: String,
}

impl FreeswitchEndpoint {
    /// The event socket at this address. Without a user, the password is the event socket's own; otherwise it is that of
    /// the directory user (`user@domain`).
    pub fn new(address: String, user: Option<String>, password: String, sip_profile: String) -> FreeswitchEndpoint {
        let auth = match user {
            Some(user) => EslAuth::User { user, password },
            None => EslAuth::Password(password),
        };
        FreeswitchEndpoint { address, auth, sip_profile }
    }
}

#[async_trait]
impl Pbx for FreeswitchEndpoint {
    fn quirks(&self) -> PbxQuirks {
        QUIRKS
    }

    fn check(&self) -> Result<(), PbxError> {
        Ok(())
    }

    /// Three times, for FreeSWITCH serves whatever goes over one connection from one thread.
    async fn connect(&self) -> Result<PbxLink, PbxError> {
        let options = EslOptions::default();
        let (answers, _, connection) = esl::connect(&self.address, &self.auth, options.clone()).await?;
        spawn(connection, "answers");
        let (questions, _, connection) = esl::connect(&self.address, &self.auth, options.clone()).await?;
        spawn(connection, "questions");
        let (listener, events) = listen(self, options, false).await?;
        let commands = Arc::new(FreeswitchCommands::new([answers, questions, listener], self));
        Ok(PbxLink { commands, events: Box::new(EventReader::new(events, FreeswitchTranslator::default())) })
    }

    async fn record(&self, tap: Arc<dyn Tap>, all: bool) -> Result<Recording, PbxError> {
        let options = EslOptions { tap: Some(tap), ..EslOptions::default() };
        let (client, events) = listen(self, options, all).await?;
        Ok(Recording::new(events, async move {
            // A link that is gone already needs no goodbye.
            let _ = client.exit().await;
        }))
    }

    async fn inspect(&self) -> Result<Box<dyn Inspection>, PbxError> {
        Ok(Box::new(FreeswitchInspection::connect(self).await?))
    }
}

/// One connection that gets the agent's events, or `all` there are.
async fn listen(
    endpoint: &FreeswitchEndpoint,
    options: EslOptions,
    all: bool,
) -> Result<(EslClient, EslEvents), PbxError> {
    let (listener, events, connection) = esl::connect(&endpoint.address, &endpoint.auth, options).await?;
    spawn(connection, "events");
    if all {
        listener.subscribe(&["ALL"]).await?;
        return Ok((listener, events));
    }
    // Filters first: without them the first moments would bring the events of every call.
    for (header, value) in translator::FILTERS {
        listener.filter(header, value).await?;
    }
    listener.subscribe(translator::EVENTS).await?;
    Ok((listener, events))
}

fn spawn(connection: EslConnection, which: &'static str) {
    tokio::spawn(async move {
        if let Err(error) = connection.run().await {
            tracing::debug!(%error, which, "event socket connection over");
        }
    });
}
