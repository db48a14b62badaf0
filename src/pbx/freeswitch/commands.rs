//! What we say to FreeSWITCH.

use std::time::Instant;

use async_trait::async_trait;

use crate::contract::SipMessage;
use crate::core::name::LegId;
use crate::esl::{Client, Command};
use crate::pbx::{Announcement, Answer, Error, PbxCommands, Snapshot};

use super::messages::Messages;
use super::{Endpoint, snapshot};

/// The connection for answers, the one for questions, the sending side of the event connection, and what sends
/// messages.
#[derive(Debug)]
pub(super) struct Commands {
    /// For answers alone: one that is written in time must not wait there behind a list of channels.
    answers: Client,
    client: Client,
    listener: Client,
    messages: Messages,
}

/// The global variable that names the agent in charge.
const OWNER: &str = "sidecall_agent";

/// The global variable in which it says that it is still there.
const SEEN: &str = "sidecall_agent_seen";

impl Commands {
    pub(super) fn new([answers, client, listener]: [Client; 3], endpoint: &Endpoint) -> Commands {
        Commands { answers, client, listener, messages: Messages::new(endpoint.clone()) }
    }

    async fn global(&self, name: &str) -> Result<Option<String>, Error> {
        let reply = self.client.api("global_getvar", &[name]).await?;
        // What isn't set prints nothing, and FreeSWITCH makes `-ERR no reply` of that
        // (`api_exec` in mod_event_socket.c).
        match reply.text() {
            nobody if nobody.is_empty() || nobody == "-ERR no reply" => Ok(None),
            refused if refused.starts_with('-') => Err(Error::unexpected("global_getvar", &refused)),
            value => Ok(Some(value.into_owned())),
        }
    }

    async fn set_global(&self, name: &str, value: &str) -> Result<(), Error> {
        self.client.api("global_setvar", &[&format!("{name}={value}")]).await?.accepted()?;
        Ok(())
    }
}

#[async_trait]
impl PbxCommands for Commands {
    /// FreeSWITCH's own words for its version.
    async fn version(&self) -> Result<String, Error> {
        Ok(self.client.api("version", &[]).await?.accepted()?.text().into_owned())
    }

    /// The agent that the dialplan speaks to.
    async fn owner(&self) -> Result<Option<String>, Error> {
        self.global(OWNER).await
    }

    /// What it has said last as a sign of life.
    async fn heartbeat(&self) -> Result<Option<String>, Error> {
        self.global(SEEN).await
    }

    /// Makes `agent` the one that the dialplan speaks to, or nobody.
    async fn set_owner(&self, agent: Option<&str>) -> Result<(), Error> {
        self.set_global(OWNER, agent.unwrap_or_default()).await
    }

    /// Says that the agent in charge is there.
    async fn beat(&self, at: i64) -> Result<(), Error> {
        self.set_global(SEEN, &at.to_string()).await
    }

    /// The time on FreeSWITCH's clock, in microseconds since its epoch.
    async fn clock(&self) -> Result<Option<i64>, Error> {
        let reply = self.client.api("strmicroepoch", &[]).await?.accepted()?;
        Ok(reply.text().parse().ok())
    }

    /// Writes the answer and ends the hold, in one write.
    ///
    /// A `uuid_break` that comes before the dialplan sleeps is lost, since every application clears the flag
    /// (`CF_BREAK`) when it begins. The snippet looks at the variables after 60 ms for that.
    async fn answer(&self, held: &Announcement, answer: &Answer) -> Result<(), Error> {
        let variables = answer.variables();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let set = Command::set_variables(held.leg.as_str(), &variables)?;
        let release = Command::api("uuid_break", &[held.leg.as_str(), "all"])?;
        for reply in self.answers.pipeline([set, release]).await? {
            reply.accepted()?;
        }
        Ok(())
    }

    /// All channels. What is asked about `known` legs is answered by the channel itself; the
    /// channel list, which FreeSWITCH writes with a delay, only serves to find others.
    async fn snapshot(&self, known: &[LegId]) -> Result<Snapshot, Error> {
        snapshot::take(&self.client, known).await
    }

    /// A SIP MESSAGE to any address.
    async fn send_message(&self, from: &str, message: &SipMessage) -> Result<Instant, Error> {
        self.messages.send(from, message).await
    }

    /// Closes the connection for messages until the next one.
    fn close_messages(&self) {
        self.messages.close();
    }

    /// Waits until a command connection is over.
    async fn closed(&self) {
        tokio::select! {
            () = self.answers.closed() => {}
            () = self.client.closed() => {}
        }
    }

    /// Whether all connections are alive.
    async fn ping(&self) -> Result<(), Error> {
        for client in [&self.answers, &self.client, &self.listener] {
            client.api("uptime", &[]).await?.accepted()?;
        }
        Ok(())
    }
}
