//! What we say to FreeSWITCH.

use crate::contract::SipMessage;
use crate::core::name::LegId;
use crate::esl::{Client, Command};
use crate::pbx::{Answer, Error, Snapshot};

use super::snapshot;

/// The command connection, and the sending side of the event connection.
#[derive(Debug, Clone)]
pub struct Commands {
    client: Client,
    listener: Client,
    sip_profile: String,
}

/// The global variable that names the agent in charge.
const OWNER: &str = "sidecall_agent";

impl Commands {
    pub(super) fn new(client: Client, listener: Client, sip_profile: String) -> Commands {
        Commands { client, listener, sip_profile }
    }

    /// FreeSWITCH's own words for its version.
    pub async fn version(&self) -> Result<String, Error> {
        Ok(self.client.api("version", &[]).await?.accepted()?.text().into_owned())
    }

    /// The agent that the dialplan speaks to.
    pub async fn owner(&self) -> Result<Option<String>, Error> {
        let reply = self.client.api("global_getvar", &[OWNER]).await?;
        // What isn't set prints nothing, and FreeSWITCH makes `-ERR no reply` of that
        // (`api_exec` in mod_event_socket.c).
        match reply.text() {
            nobody if nobody.is_empty() || nobody == "-ERR no reply" => Ok(None),
            refused if refused.starts_with('-') => Err(Error::unexpected("global_getvar", &refused)),
            owner => Ok(Some(owner.into_owned())),
        }
    }

    /// Makes `agent` the one that the dialplan speaks to, or nobody.
    pub async fn set_owner(&self, agent: Option<&str>) -> Result<(), Error> {
        let assignment = format!("{OWNER}={}", agent.unwrap_or_default());
        self.client.api("global_setvar", &[&assignment]).await?.accepted()?;
        Ok(())
    }

    /// The time on FreeSWITCH's clock, in microseconds since its epoch.
    pub async fn clock(&self) -> Result<Option<i64>, Error> {
        let reply = self.client.api("strmicroepoch", &[]).await?.accepted()?;
        Ok(reply.text().parse().ok())
    }

    /// Writes the answer and ends the hold, in one write.
    ///
    /// A `uuid_break` before the dialplan sleeps is lost: each application begins by clearing `CF_BREAK`
    /// (`switch_core_session_exec_app`). That is why the snippet looks at the variables in between.
    pub async fn answer(&self, leg: &LegId, answer: &Answer) -> Result<(), Error> {
        let variables = answer.variables();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let set = Command::set_variables(leg.as_str(), &variables)?;
        let release = Command::api("uuid_break", &[leg.as_str(), "all"])?;
        for reply in self.client.pipeline([set, release]).await? {
            reply.accepted()?;
        }
        Ok(())
    }

    /// All channels. What is asked about `known` legs is answered by the channel itself; the
    /// channel list, which FreeSWITCH writes with a delay, only serves to find others.
    pub async fn snapshot(&self, known: &[LegId]) -> Result<Snapshot, Error> {
        snapshot::take(&self.client, known).await
    }

    /// A SIP MESSAGE to any address.
    pub async fn send_message(&self, from: &str, message: &SipMessage) -> Result<(), Error> {
        let Some((user, host)) = message.to.sip_parts() else {
            return Err(Error::unexpected("chat", "not a SIP address"));
        };
        let host_name = without_port(host);
        let to = format!("{}/{user}@{host}", self.sip_profile);
        // chat PROTO|FROM|TO|MESSAGE|CONTENT-TYPE (`chat_api_function` in switch_loadable_module.c);
        // the text has none of its separators or quotes.
        let line = format!("sip|{from}@{host_name}|{to}|{}|text/plain", message.text);
        let reply = self.client.api("chat", &[&line]).await?;
        match reply.text() {
            text if text.starts_with("Sent") => Ok(()),
            text => Err(Error::unexpected("chat", &text)),
        }
    }

    /// Waits until the command connection is over.
    pub async fn closed(&self) {
        self.client.closed().await;
    }

    /// Whether both connections are alive.
    pub async fn ping(&self) -> Result<(), Error> {
        self.client.api("uptime", &[]).await?.accepted()?;
        self.listener.api("uptime", &[]).await?.accepted()?;
        Ok(())
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
