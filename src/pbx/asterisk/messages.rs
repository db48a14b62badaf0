//! SIP MESSAGEs through Asterisk.
//!
//! `MessageSend` is answered once the SIP stack has the message, without the phone's answer. Until then the session
//! waits for a serializer that all messages of the PBX share (`sip_msg_send` in res_pjsip_messaging.c).

use std::time::Instant;

use crate::ami::{self, Action, Client};
use crate::contract::SipMessage;
use crate::pbx::on_demand::OnDemand;
use crate::pbx::{Error, MESSAGE_WITHIN};

use super::Endpoint;
use super::phones::Phones;

/// Sends messages over a connection of its own.
#[derive(Debug)]
pub(super) struct Messages {
    endpoint: Endpoint,
    connection: OnDemand<Client>,
    phones: Phones,
}

impl Messages {
    pub(super) fn new(endpoint: Endpoint) -> Messages {
        let phones = Phones::new(endpoint.endpoints.clone());
        Messages { endpoint, connection: OnDemand::default(), phones }
    }

    /// Sends one: to a phone of this PBX, or to any address by way of an endpoint. When Asterisk had sent it.
    pub(super) async fn send(&self, from: &str, message: &SipMessage) -> Result<Instant, Error> {
        let Some((user, host)) = message.to.sip_parts() else {
            return Err(Error::unexpected("MessageSend", "not a SIP address"));
        };
        let until = Instant::now() + MESSAGE_WITHIN;
        let Endpoint { domain, message_endpoint, .. } = &self.endpoint;
        let client = self.connection.get(|client| !client.is_closed(), self.connect()).await?;
        // `pjsip:ENDPOINT` or `pjsip:ENDPOINT/URI` (res_pjsip_messaging.c, `msg_send`).
        let to = match message_endpoint {
            // However the domain is written: another spelling of it must not leave by a trunk.
            _ if host.eq_ignore_ascii_case(domain) || message.to.is_at(domain) => {
                self.phones.check(&client, user).await?;
                format!("pjsip:{user}")
            }
            Some(endpoint) => format!("pjsip:{endpoint}/{}", message.to),
            None => format!("pjsip:{}", message.to),
        };
        let action = Action::new("MessageSend")?
            .with("Destination", &to)?
            .with("From", &format!("<sip:{from}@{domain}>"))?
            .with("Body", &message.text)?;
        // Connecting and asking count too.
        let left = until.saturating_duration_since(Instant::now());
        client.with_timeout(left).send(action).await?.accepted()?;
        Ok(Instant::now())
    }

    pub(super) fn close(&self) {
        self.connection.close();
    }

    async fn connect(&self) -> Result<Client, Error> {
        let Endpoint { address, auth, tls, .. } = &self.endpoint;
        let options = ami::Options { tls: tls.clone(), ..ami::Options::default() };
        let (client, _, connection) = ami::connect(address, auth, options).await?;
        super::spawn(connection, "messages");
        self.phones.reconnected();
        Ok(client)
    }
}
