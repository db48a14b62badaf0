//! What we say to Asterisk.

use std::time::Instant;

use async_trait::async_trait;

use crate::ami::{Action, AmiClient, AmiOptions};
use crate::contract::SipMessage;
use crate::core::base::name::LegId;
use crate::pbx::event::enrolled_variable;
use crate::pbx::{Announcement, DialplanAnswer, EnrolmentCall, PbxCommands, PbxError, Release, Snapshot};

use super::sip_messages::AsteriskMessages;
use super::translator::micros;
use super::{AsteriskEndpoint, snapshot};

/// The sending side of the event connection, what lists are asked for with, and what sends messages.
#[derive(Debug)]
pub(super) struct AsteriskCommands {
    client: AmiClient,
    endpoint: AsteriskEndpoint,
    options: AmiOptions,
    messages: AsteriskMessages,
}

/// The global variable that names the agent in charge.
const OWNER: &str = "SIDECALL_AGENT";

/// The global variable with its heartbeat.
const HEARTBEAT: &str = "SIDECALL_AGENT_SEEN";

/// The label behind the wait.
const GO: &str = "sidecall-go";

/// The channel variable that holds a whole answer.
const ANSWER: &str = "SIDECALL_ANSWER";

/// Its fields in order, by the names of the variables that they stand for. `sidecall.conf` takes them apart by number.
const ANSWER_FIELDS: [&str; 9] = [
    "sidecall_call",
    "sidecall_route",
    "sidecall_reason",
    "sidecall_trunk",
    "sidecall_number",
    "sidecall_caller",
    "sidecall_extension",
    "sidecall_uui",
    "sidecall_uri",
];

impl AsteriskCommands {
    /// `options` are those that connections for lists and messages are made with.
    pub(super) fn new(client: AmiClient, endpoint: &AsteriskEndpoint, options: AmiOptions) -> AsteriskCommands {
        let messages = AsteriskMessages::new(endpoint.clone(), options.clone());
        AsteriskCommands { client, endpoint: endpoint.clone(), options, messages }
    }

    pub(super) async fn global(&self, name: &str) -> Result<Option<String>, PbxError> {
        let reply = self.client.send(Action::get_variable(None, name)?).await?.accepted()?;
        Ok(reply.get("Value").filter(|v| !v.is_empty()).map(|v| v.into_owned()))
    }

    async fn set_global(&self, name: &str, value: &str) -> Result<(), PbxError> {
        self.client.send(Action::set_variable(None, name, value)?).await?.accepted()?;
        Ok(())
    }

    /// Sets variables and ends the wait, in one write. `Redirect` goes to the label right behind the wait, in the same
    /// extension, so nothing on the stack changes. Asterisk's variables are FreeSWITCH's in capitals.
    async fn release(&self, release: &Release, variables: Vec<(&str, String)>) -> Result<(), PbxError> {
        let Release::Redirect { channel, context, exten, joined } = release else {
            return Err(PbxError::unexpected("Redirect", "not an Asterisk channel"));
        };
        let set = match joined {
            true => Action::set_fields(channel, ANSWER, &answer_fields(&variables))?,
            false => {
                let variables = variables.into_iter().map(|(name, value)| (name.to_ascii_uppercase(), value));
                Action::set_variables(channel, &variables.collect::<Vec<_>>())?
            }
        };
        let redirect = Action::redirect(channel, context, exten, GO)?;
        for reply in self.client.pipeline([set, redirect]).await? {
            reply.accepted()?;
        }
        Ok(())
    }
}

#[async_trait]
impl PbxCommands for AsteriskCommands {
    async fn version(&self) -> Result<String, PbxError> {
        let reply = self.client.send(Action::new("CoreSettings")?).await?.accepted()?;
        let version = reply.get("AsteriskVersion").unwrap_or_default();
        Ok(format!("Asterisk {version}"))
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
        let reply = self.client.send(Action::get_variable(None, "STRFTIME(,,%s.%6q)")?).await?.accepted()?;
        Ok(reply.get("Value").and_then(|v| micros(&v)))
    }

    async fn answer(&self, held: &Announcement, answer: &DialplanAnswer) -> Result<(), PbxError> {
        self.release(&held.release, answer.variables()).await
    }

    async fn answer_enrolment(&self, held: &EnrolmentCall, enrolled: bool) -> Result<(), PbxError> {
        let (name, value) = enrolled_variable(enrolled);
        self.release(&held.release, vec![(name, value.to_owned())]).await
    }

    /// Over a connection of its own, which ends with it: Asterisk writes a list before it reads the next action, and an
    /// answer must not wait for that.
    async fn snapshot(&self, _known: &[LegId]) -> Result<Snapshot, PbxError> {
        let listed = async {
            let lists = super::open(&self.endpoint, self.options.clone(), "lists").await?;
            snapshot::take(&lists, &self.endpoint.endpoints).await
        };
        // That this connection ends says nothing about the link, which may still serve calls.
        listed.await.map_err(|error| match error.is_disconnect() {
            true => PbxError::unsent(format_args!("the connection for lists: {error}")),
            false => error,
        })
    }

    /// A SIP MESSAGE: to an endpoint of this PBX, or to any address by way of one.
    async fn send_message(&self, from: &str, message: &SipMessage) -> Result<Instant, PbxError> {
        self.messages.send(from, message).await
    }

    fn close_messages(&self) {
        self.messages.close();
    }

    async fn closed(&self) {
        self.client.closed().await;
    }

    async fn ping(&self) -> Result<(), PbxError> {
        self.client.send(Action::ping()).await?.accepted()?;
        Ok(())
    }
}

/// The values of [`ANSWER_FIELDS`]; the empty string for a variable that isn't set.
fn answer_fields(variables: &[(&str, String)]) -> [String; 9] {
    ANSWER_FIELDS.map(|field| {
        let value = variables.iter().find(|(name, _)| *name == field).map(|(_, value)| value.clone());
        value.unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::routing::route::{Reason, Route};
    use crate::pbx::DialStrings;

    #[test]
    fn an_answer_in_one_variable_has_all_that_several_have() {
        let answer = DialplanAnswer {
            call: Some("01a20359-3d8c-7322-ae1c-79c8dd9a1abc".parse().unwrap()),
            route: Route::Packet,
            trunk: Some("b.example".parse().unwrap()),
            address: Some("https://[2001:db8::1]/a/T".parse().unwrap()),
            dial_strings: DialStrings {
                caller: Some("+12125551001".parse().unwrap()),
                called: Some("+13105556009".parse().unwrap()),
                extension: Some("1009".to_owned()),
            },
            reason: Reason::CalledHasClient,
        };
        let variables = answer.variables();
        assert_eq!(variables.len(), ANSWER_FIELDS.len());
        let uui = variables.iter().find(|(name, _)| *name == "sidecall_uui").unwrap().1.clone();
        let call = "01a20359-3d8c-7322-ae1c-79c8dd9a1abc";
        let numbers = "+13105556009|+12125551001|1009";
        let expected = format!("{call}|packet|called-has-client|b.example|{numbers}|{uui}|https://[2001:db8::1]/a/T");
        assert_eq!(answer_fields(&variables).join("|"), expected);
        let silent = [("sidecall_route", "pstn".to_owned())];
        assert_eq!(answer_fields(&silent).join("|"), "|pstn|||||||");
    }
    #[test]
    fn the_snippet_takes_an_answer_apart_as_it_is_put_together() {
        let snippet = include_str!("../../../dialplan/asterisk/sidecall.conf");
        let names = ANSWER_FIELDS.map(|field| field.trim_start_matches("sidecall_").to_ascii_uppercase());
        assert!(snippet.contains(&format!("{ANSWER}={} ", names.join("|"))));
        // Beside each field stands the variable that it replaces. The reason isn't read, and a trunk is there in any case.
        for (name, n) in names.iter().zip(1..).filter(|(name, _)| !["REASON", "TRUNK"].contains(&name.as_str())) {
            assert!(snippet.contains(&format!("${{CUT({ANSWER},|,{n})}}${{SIDECALL_{name}}}")), "{name}");
        }
    }
}
