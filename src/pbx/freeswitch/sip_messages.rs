//! SIP MESSAGEs through FreeSWITCH.
//!
//! `chat` waits up to 20 s for the phone's answer, and looks for it every 100 ms (`sofia_presence_chat_send` in
//! sofia_presence.c). As a background job it does so in a thread of its own, and the connection goes on: the MESSAGE
//! leaves at once, and a `BACKGROUND_JOB` event tells what became of it. `docs/DECISIONS.md` has the ways that were
//! compared.

use std::time::Instant;

use crate::contract::SipMessage;
use crate::esl::{self, EslClient, EslOptions};
use crate::pbx::lazy_connection::OnDemand;
use crate::pbx::{MESSAGE_WITHIN, PbxError};

use super::FreeswitchEndpoint;

/// Sends messages over a connection of its own.
#[derive(Debug)]
pub(super) struct FreeswitchMessages {
    endpoint: FreeswitchEndpoint,
    connection: OnDemand<EslClient>,
}

impl FreeswitchMessages {
    pub(super) fn new(endpoint: FreeswitchEndpoint) -> FreeswitchMessages {
        FreeswitchMessages { endpoint, connection: OnDemand::default() }
    }

    /// Sends one to any address and waits for its outcome. When FreeSWITCH began to send it.
    pub(super) async fn send(&self, from: &str, message: &SipMessage) -> Result<Instant, PbxError> {
        let Some((user, host)) = message.to.sip_user_and_host() else {
            return Err(PbxError::unexpected("chat", "not a SIP address"));
        };
        // chat PROTO|FROM|TO|MESSAGE|CONTENT-TYPE (`chat_api_function` in mod_dptools.c); the text has none of its
        // separators or quotes.
        let to = format!("{}/{user}@{host}", self.endpoint.sip_profile);
        let line = format!("sip|{from}@{}|{to}|{}|text/plain", without_port(host), message.text);
        let client = self.connection.get(|client| !client.is_closed(), self.connect()).await?;
        let job = client.begin("chat", &[&line]).await?;
        let begun = Instant::now();
        match String::from_utf8_lossy(job.done().await?.body().unwrap_or_default()) {
            text if text.starts_with("Sent") => Ok(begun),
            text => Err(PbxError::unexpected("chat", &text)),
        }
    }

    pub(super) fn close(&self) {
        self.connection.close();
    }

    async fn connect(&self) -> Result<EslClient, PbxError> {
        let FreeswitchEndpoint { address, auth, .. } = &self.endpoint;
        let (client, _, connection) = esl::connect(address, auth, EslOptions::default()).await?;
        super::spawn(connection, "messages");
        // Other programs' background jobs may have any size.
        client.filter("Job-Command", "chat").await?;
        client.subscribe(&["BACKGROUND_JOB"]).await?;
        Ok(client.with_timeout(MESSAGE_WITHIN))
    }
}

/// `pbx.example:5060`, `[2001:db8::1]:5060` → the host alone.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, _)) if !host.ends_with(']') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_its_port() {
        for (host, name) in [
            ("pbx.example:5060", "pbx.example"),
            ("pbx.example", "pbx.example"),
            ("[2001:db8::1]:5060", "[2001:db8::1]"),
            ("[2001:db8::1]", "[2001:db8::1]"),
        ] {
            assert_eq!(without_port(host), name);
        }
    }
}
