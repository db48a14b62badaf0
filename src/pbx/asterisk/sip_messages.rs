//! SIP MESSAGEs through Asterisk.
//!
//! `MessageSend` is answered once the SIP stack has the message, without the phone's answer. Until then the session
//! waits for a serializer that all messages of the PBX share (`sip_msg_send` in res_pjsip_messaging.c).

use std::time::Instant;

use crate::ami::{Action, AmiClient, AmiOptions};
use crate::contract::SipMessage;
use crate::pbx::lazy_connection::OnDemand;
use crate::pbx::{MESSAGE_WITHIN, PbxError};

use super::AsteriskEndpoint;
use super::phones::Phones;

/// Sends messages over a connection of its own.
#[derive(Debug)]
pub(super) struct AsteriskMessages {
    endpoint: AsteriskEndpoint,
    options: AmiOptions,
    connection: OnDemand<AmiClient>,
    phones: Phones,
}

impl AsteriskMessages {
    pub(super) fn new(endpoint: AsteriskEndpoint, options: AmiOptions) -> AsteriskMessages {
        let phones = Phones::new(endpoint.endpoints.clone());
        AsteriskMessages { endpoint, options, connection: OnDemand::default(), phones }
    }

    /// Sends one: to a phone of this PBX, or to any address by way of an endpoint. When Asterisk had sent it.
    pub(super) async fn send(&self, from: &str, message: &SipMessage) -> Result<Instant, PbxError> {
        self.send_until(Instant::now() + MESSAGE_WITHIN, from, message).await
    }

    async fn send_until(&self, until: Instant, from: &str, message: &SipMessage) -> Result<Instant, PbxError> {
        let Some((user, host)) = message.to.sip_user_and_host() else {
            return Err(PbxError::unexpected("MessageSend", "not a SIP address"));
        };
        let AsteriskEndpoint { domain, message_endpoint, .. } = &self.endpoint;
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
        // Connecting and asking count too, and so does the wait for others who connect.
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(PbxError::unsent("connecting to the PBX took too long"));
        }
        client.with_timeout(left).send(action).await?.accepted()?;
        Ok(Instant::now())
    }

    pub(super) fn close(&self) {
        self.connection.close();
    }

    async fn connect(&self) -> Result<AmiClient, PbxError> {
        super::open(&self.endpoint, self.options.clone(), "messages").await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ami::{AmiAuth, Method};
    use crate::pbx::asterisk::scripted_ami::serve;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::net::TcpListener;

    /// Messages by way of an Asterisk that has every endpoint whose name doesn't begin with `none`, and how many it sent.
    async fn messages() -> (AsteriskMessages, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = AsteriskEndpoint {
            address: listener.local_addr().unwrap().to_string(),
            auth: AmiAuth { user: "sidecall".into(), secret: "secret".into(), method: Method::Plain },
            tls: None,
            domain: "pbx.example".to_owned(),
            message_endpoint: None,
            endpoints: [("XXXX".parse().unwrap(), None)].into_iter().collect(),
        };
        let sent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let count = Arc::clone(&count);
                tokio::spawn(serve(stream, move |asked| {
                    count.fetch_add(usize::from(asked == "MessageSend"), Ordering::Relaxed);
                    Some(if asked.contains("none") || asked.ends_with(",contact)") { "" } else { "1" })
                }));
            }
        });
        (AsteriskMessages::new(endpoint, AmiOptions::default()), sent)
    }

    fn message(to: &str) -> SipMessage {
        let (id, to, from) = ("id".to_owned(), to.parse().unwrap(), "+12125550101".parse().unwrap());
        SipMessage { id, to, from, text: "x".to_owned(), call: None, about: None }
    }

    #[tokio::test]
    async fn a_message_that_has_no_time_left_is_not_sent() {
        let (messages, sent) = messages().await;
        let late = messages.send_until(Instant::now(), "1002", &message("sip:1001@pbx.example")).await;
        assert!(late.as_ref().is_err_and(PbxError::is_unsent), "{late:?}");
        messages.send("1002", &message("sip:1001@pbx.example")).await.unwrap();
        assert_eq!(sent.load(Ordering::Relaxed), 1, "the late one never reached Asterisk");
    }

    #[tokio::test]
    async fn a_connection_that_we_closed_is_no_restart_of_asterisk() {
        let (messages, _) = messages().await;
        messages.send("1002", &message("sip:1001@pbx.example")).await.unwrap();
        messages.close();
        let unknown = messages.send("1002", &message("sip:none@pbx.example")).await;
        assert!(matches!(unknown, Err(PbxError::EndpointRefused(_))), "{unknown:?}");
    }
}
