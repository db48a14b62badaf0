//! Asterisk, over its manager interface (`manager.c`).

mod commands;
mod enrolment;
#[doc(hidden)]
pub mod fuzz;
mod inspection;
mod layout;
mod phones;
#[cfg(test)]
mod scripted_ami;
mod sip_messages;
mod snapshot;
mod tls;
mod translator;

pub use tls::Trust;

#[cfg(test)]
pub(super) use translator::kind;

use std::sync::Arc;

use async_trait::async_trait;

use self::commands::AsteriskCommands;
use self::inspection::AsteriskInspection;
use self::translator::AsteriskTranslator;
use super::event_reader::EventReader;
use super::{Inspection, Pbx, PbxError, PbxLink, PbxQuirks, Recording, Slots};
use crate::ami::{self, AmiAuth, AmiClient, AmiConnection, AmiEvents, AmiOptions};
use crate::core::numbering::endpoint_names::Endpoints;
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
pub struct AsteriskEndpoint {
    /// `host:port` of the manager interface.
    pub address: String,
    /// The manager user.
    pub auth: AmiAuth,
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

impl AsteriskEndpoint {
    /// Of a manager interface without TLS, whose phones are named by their extensions.
    pub fn new(address: String, user: Option<String>, password: String, domain: String) -> AsteriskEndpoint {
        let user = user.unwrap_or_else(|| USER.to_owned());
        AsteriskEndpoint {
            address,
            auth: AmiAuth { user, secret: password, method: ami::Method::Md5 },
            tls: None,
            domain,
            message_endpoint: None,
            endpoints: Endpoints::default(),
        }
    }

    /// How connections are made. Reads the CA file.
    fn options(&self) -> Result<AmiOptions, PbxError> {
        let tls = self.tls.as_ref().map(|trust| trust.read(&self.address)).transpose()?;
        Ok(AmiOptions { tls, ..AmiOptions::default() })
    }
}

#[async_trait]
impl Pbx for AsteriskEndpoint {
    fn quirks(&self) -> PbxQuirks {
        QUIRKS
    }

    fn check(&self) -> Result<(), PbxError> {
        self.options().map(drop)
    }

    /// Once: each event wakes the thread of each manager session. What takes long, a list of channels or a message, has
    /// a session of its own while it lasts, so an answer waits for at most the events that Asterisk has yet to write.
    async fn connect(&self) -> Result<PbxLink, PbxError> {
        let options = self.options()?;
        let (client, events) = listen(self, options.clone(), false).await?;
        let commands = Arc::new(AsteriskCommands::new(client, self, options));
        Ok(PbxLink {
            commands,
            events: Box::new(EventReader::new(events, AsteriskTranslator::new(self.endpoints.clone()))),
        })
    }

    async fn record(&self, tap: Arc<dyn Tap>, all: bool) -> Result<Recording, PbxError> {
        let options = AmiOptions { tap: Some(tap), ..self.options()? };
        let (client, events) = listen(self, options, all).await?;
        Ok(Recording::new(events, async move {
            // A link that is gone already needs no goodbye.
            let _ = client.logoff().await;
        }))
    }

    async fn inspect(&self) -> Result<Box<dyn Inspection>, PbxError> {
        Ok(Box::new(AsteriskInspection::connect(self).await?))
    }
}

/// One connection that gets the agent's events, or `all` that its user may see.
async fn listen(
    endpoint: &AsteriskEndpoint,
    options: AmiOptions,
    all: bool,
) -> Result<(AmiClient, AmiEvents), PbxError> {
    let event_mask = if all { "on" } else { EVENT_MASK }.to_owned();
    let options = AmiOptions { event_mask, ..options };
    let (client, events, connection) = ami::connect(&endpoint.address, &endpoint.auth, options).await?;
    spawn(connection, "events");
    Ok((client, events))
}

/// One connection that gets no events.
async fn open(endpoint: &AsteriskEndpoint, options: AmiOptions, which: &'static str) -> Result<AmiClient, PbxError> {
    let (client, _, connection) = ami::connect(&endpoint.address, &endpoint.auth, options).await?;
    spawn(connection, which);
    Ok(client)
}

fn spawn(connection: AmiConnection, which: &'static str) {
    tokio::spawn(async move {
        if let Err(error) = connection.run().await {
            tracing::debug!(%error, which, "manager connection over");
        }
    });
}
