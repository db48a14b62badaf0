//! What we say to FreeSWITCH.

use std::time::Instant;

use async_trait::async_trait;

use crate::contract::SipMessage;
use crate::core::base::name::LegId;
use crate::esl::{Command, EslClient};
use crate::pbx::event::enrolled_variable;
use crate::pbx::{Announcement, DialplanAnswer, EnrolmentCall, PbxCommands, PbxError, Snapshot};

use super::sip_messages::FreeswitchMessages;
use super::{FreeswitchEndpoint, snapshot};

/// The connection for answers, the one for questions, the sending side of the event connection, and what sends
/// messages.
#[derive(Debug)]
pub(super) struct FreeswitchCommands {
    /// For answers alone: one that is written in time must not wait there behind a list of channels.
    answers: EslClient,
    client: EslClient,
    listener: EslClient,
    messages: FreeswitchMessages,
}

/// The global variable that names the agent in charge.
const OWNER: &str = "sidecall_agent";

/// The global variable with its heartbeat.
const HEARTBEAT: &str = "sidecall_agent_seen";

impl FreeswitchCommands {
    pub(super) fn new(
        [answers, client, listener]: [EslClient; 3],
        endpoint: &FreeswitchEndpoint,
    ) -> FreeswitchCommands {
        FreeswitchCommands { answers, client, listener, messages: FreeswitchMessages::new(endpoint.clone()) }
    }

    /// A global variable, if it is set.
    pub(super) async fn global(&self, name: &str) -> Result<Option<String>, PbxError> {
        let reply = self.client.api("global_getvar", &[name]).await?;
        // What isn't set prints nothing, and FreeSWITCH makes `-ERR no reply` of that
        // (`api_exec` in mod_event_socket.c).
        if matches!(&*reply.text(), "" | "-ERR no reply") {
            return Ok(None);
        }
        Ok(Some(reply.accepted()?.text().into_owned()))
    }

    async fn set_global(&self, name: &str, value: &str) -> Result<(), PbxError> {
        self.client.api("global_setvar", &[&format!("{name}={value}")]).await?.accepted()?;
        Ok(())
    }

    /// Sets variables and ends the hold, in one write.
    ///
    /// A `uuid_break` that comes before the dialplan sleeps is lost, since every application clears the flag
    /// (`CF_BREAK`) when it begins. The snippet looks at the variables after 60 ms for that.
    async fn release(&self, leg: &LegId, variables: &[(&str, &str)]) -> Result<(), PbxError> {
        let set = Command::set_variables(leg.as_str(), variables)?;
        let release = Command::api("uuid_break", &[leg.as_str(), "all"])?;
        for reply in self.answers.pipeline([set, release]).await? {
            reply.accepted()?;
        }
        Ok(())
    }
}

#[async_trait]
impl PbxCommands for FreeswitchCommands {
    async fn version(&self) -> Result<String, PbxError> {
        Ok(self.client.api("version", &[]).await?.accepted()?.text().into_owned())
    }

    async fn owner(&self) -> Result<Option<String>, PbxError> {
        self.global(OWNER).await
    }

    async fn heartbeat(&self) -> Result<Option<String>, PbxError> {
        self.global(HEARTBEAT).await
    }

    async fn set_owner(&self, agent: Option<&str>) -> Result<(), PbxError> {
        self.set_global(OWNER, agent.unwrap_or_default()).await
    }

    async fn beat(&self, at: i64) -> Result<(), PbxError> {
        self.set_global(HEARTBEAT, &at.to_string()).await
    }

    async fn clock(&self) -> Result<Option<i64>, PbxError> {
        let reply = self.client.api("strmicroepoch", &[]).await?.accepted()?;
        Ok(reply.text().parse().ok())
    }

    async fn answer(&self, held: &Announcement, answer: &DialplanAnswer) -> Result<(), PbxError> {
        let variables = answer.variables();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.release(&held.leg, &variables).await
    }

    async fn answer_enrolment(&self, held: &EnrolmentCall, enrolled: bool) -> Result<(), PbxError> {
        self.release(&held.leg, &[enrolled_variable(enrolled)]).await
    }

    /// What is asked about `known` legs is answered by the channel itself; the
    /// channel list, which FreeSWITCH writes with a delay, only serves to find others.
    async fn snapshot(&self, known: &[LegId]) -> Result<Snapshot, PbxError> {
        snapshot::take(&self.client, known).await
    }

    async fn send_message(&self, from: &str, message: &SipMessage) -> Result<Instant, PbxError> {
        self.messages.send(from, message).await
    }

    fn close_messages(&self) {
        self.messages.close();
    }

    async fn closed(&self) {
        tokio::select! {
            () = self.answers.closed() => {}
            () = self.client.closed() => {}
        }
    }

    async fn ping(&self) -> Result<(), PbxError> {
        for client in [&self.answers, &self.client, &self.listener] {
            client.api("uptime", &[]).await?.accepted()?;
        }
        Ok(())
    }
}
