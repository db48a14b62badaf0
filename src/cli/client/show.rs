//! Output of the client: text for a person, JSON for a script.

use std::io::IsTerminal;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::contacts::{Label, called, shown};
use super::sender::{PostContent, SendOutcome};
use super::visitors::{Visitor, visitors_text};
use crate::cli::output::{clean, clock, json as print_json, line, now};
use crate::contract::{Capability, Message, MessageBody, Notice, NoticeBody, PeerIdentity, Role};
use crate::core::base::name::ClientId;
use crate::core::numbering::number::Number;

/// The output format.
#[derive(Debug, Clone, Copy)]
pub(super) struct Show {
    json: bool,
    /// Whether standard input is a terminal, which echoes what is typed; otherwise the client does.
    echo: bool,
    connected: bool,
}

impl Show {
    pub(super) fn new(json: bool) -> Show {
        Show { json, echo: !std::io::stdin().is_terminal(), connected: false }
    }

    /// Whether the output is for a script.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) fn connected(&mut self, client: &ClientId, number: &Number) -> anyhow::Result<()> {
        let again = std::mem::replace(&mut self.connected, true);
        if self.json {
            return event("connected", json!({"client": client, "number": number}));
        }
        match again {
            true => say("connected again"),
            false => say(&format!("you are the client of {number}; waiting for calls (/help says what you can type)")),
        }
    }

    pub(super) fn lost(&self, why: &str, wait: Duration) -> anyhow::Result<()> {
        if self.json {
            return event("disconnected", json!({"why": why, "wait_ms": wait.as_millis() as u64}));
        }
        say(&format!("no stream: {}; trying again", clean(why)))
    }

    pub(super) fn message(&self, message: &Message, peer: Option<&Label>) -> anyhow::Result<()> {
        if self.json {
            return event(message.body.kind(), of_peer(message, peer)?);
        }
        let who = |otherwise: &str| who(peer, otherwise);
        match &message.body {
            MessageBody::Peer { role, peer: theirs, own: _, reply: _ } => {
                let capabilities: Vec<_> = theirs.capabilities.iter().map(Capability::as_str).collect();
                let number = shown(theirs.number.as_ref());
                say(&format!("{} {number}: the call is up, {}", who(""), called(*role)))?;
                line(format!("           their client: {} ({})", theirs.address, capabilities.join(", ")))
            }
            MessageBody::Ended { number } => {
                say(&format!("{}: you no longer talk to each other", who(&shown(number.as_ref()))))
            }
            MessageBody::Missed { role, peer: identity, at: _ } => {
                let what = match role {
                    Role::First => "they did not answer your call",
                    Role::Second => "you missed their call",
                };
                say(&format!("{}: {what}", who(&person(identity))))
            }
            MessageBody::Message { content, guest, sender: _ } => {
                let otherwise = if guest.is_some() { "a guest of yours" } else { "somebody of this call" };
                say(&format!("{}: {}", who(otherwise), content_text(content)))
            }
        }
    }

    /// What a device says of its guests, beside what its user types.
    pub(super) fn visitors(&self, message: &Message, host: Option<&Label>, visitors: &[Visitor]) -> anyhow::Result<()> {
        if self.json {
            let told = json!({"id": message.id, "call": message.call, "guests": visitors});
            return event("guests", of_peer(&told, host)?);
        }
        say(&format!("{} {}", who(host, "somebody of this call"), visitors_text(visitors)))
    }

    pub(super) fn notice(&self, notice: &Notice, peer: Option<&Label>) -> anyhow::Result<()> {
        if self.json {
            // The event `answered` says that the other side knows this client.
            let is_answered = matches!(notice.body, NoticeBody::Answered { .. });
            return event(if is_answered { "talking" } else { notice.body.kind() }, of_peer(notice, peer)?);
        }
        match &notice.body {
            NoticeBody::Ringing { role, peer: identity } => {
                say(&format!("{}: the call rings, {}", who(peer, &person(identity)), called(*role)))
            }
            NoticeBody::Answered { role, peer: identity } => {
                let who = who(peer, &person(identity));
                say(&format!("{who}: the call is up, {}; no client of theirs is known", called(*role)))
            }
            NoticeBody::Over => say(&format!("{}: the call is over for you", who(peer, "a call of yours"))),
            NoticeBody::Claimed { invitation, client: _ } => say(&format!(
                "{}: another client of your number has accepted the invitation {invitation}",
                who(peer, "a call of yours")
            )),
            NoticeBody::GuestJoined { guest, .. } => say(&format!(
                "{}: a guest who goes by \"{}\" has joined: {}",
                who(peer, "a call of yours"),
                clean(guest.name.as_str()),
                guest.address
            )),
            NoticeBody::GuestLeft { .. } => say(&format!("{}: a guest has left", who(peer, "a call of yours"))),
        }
    }

    pub(super) fn outcome(&self, outcome: &SendOutcome) -> anyhow::Result<()> {
        let SendOutcome { to, content, problem } = outcome;
        let text = match content {
            PostContent::Text(text) => text,
            PostContent::Own(_) => return self.answered(to, problem.as_deref()),
            PostContent::Signal(content) => return self.signalled(to, content, problem.as_deref()),
        };
        if self.json {
            let kind = if problem.is_none() { "sent" } else { "failed" };
            return event(kind, json!({"n": to.n, "number": to.number, "text": text, "error": problem}));
        }
        match problem {
            Some(problem) => say(&format!("[{}] {} did not get it: {}", to.n, to.name, clean(problem))),
            None if self.echo => say(&format!("[{}] you: {}", to.n, clean(text))),
            None => Ok(()),
        }
    }

    /// Shows whether our own address reached the other side, which the user didn't type.
    fn answered(&self, to: &Label, problem: Option<&str>) -> anyhow::Result<()> {
        if self.json {
            let kind = if problem.is_none() { "answered" } else { "failed" };
            return event(kind, json!({"n": to.n, "number": to.number, "error": problem}));
        }
        match problem {
            Some(problem) => {
                say(&format!("[{}] {} can't be told how you are reached: {}", to.n, to.name, clean(problem)))
            }
            None => Ok(()),
        }
    }

    /// Shows that what the client itself says about files did not reach the other side.
    fn signalled(&self, to: &Label, content: &Value, problem: Option<&str>) -> anyhow::Result<()> {
        // Where a call is over, so is the session.
        let Some(problem) = problem.filter(|_| content["type"] != "bye") else { return Ok(()) };
        if self.json {
            return event("failed", json!({"n": to.n, "number": to.number, "error": problem}));
        }
        say(&format!("[{}] {} can't be reached about files: {}", to.n, to.name, clean(problem)))
    }

    pub(super) fn note(&self, note: &str) -> anyhow::Result<()> {
        if self.json {
            return event("note", json!({"text": note}));
        }
        line(note)
    }
}

/// A peer, if it is known.
pub(super) fn who(peer: Option<&Label>, otherwise: &str) -> String {
    peer.map_or_else(|| otherwise.to_owned(), |peer| format!("[{}] {}", peer.n, peer.name))
}

/// Somebody who is no peer yet.
fn person(identity: &PeerIdentity) -> String {
    let number = shown(identity.number.as_ref());
    match identity.name.as_deref().map(clean).filter(|name| !name.trim().is_empty()) {
        Some(name) => format!("{name} {number}"),
        None => number,
    }
}

/// What came from the node as JSON, with the number of the peer that it is about.
fn of_peer(received: &impl Serialize, peer: Option<&Label>) -> anyhow::Result<Value> {
    let mut value = serde_json::to_value(received)?;
    if let (Some(fields), Some(peer)) = (value.as_object_mut(), peer) {
        fields.insert("n".to_owned(), peer.n.into());
    }
    Ok(value)
}

pub(super) fn say(text: &str) -> anyhow::Result<()> {
    line(format!("{}  {text}", clock(now())))
}

/// `{"at":…,"event":"peer",…}`
pub(super) fn event(kind: &str, fields: Value) -> anyhow::Result<()> {
    let mut all = Map::new();
    all.insert("at".to_owned(), now().0.into());
    all.insert("event".to_owned(), kind.into());
    if let Value::Object(fields) = fields {
        // `type` says the same as `event`.
        all.extend(fields.into_iter().filter(|(name, _)| name != "type"));
    }
    print_json(&all)
}

/// The text of a message, or its content as JSON.
pub(super) fn content_text(content: &Map<String, Value>) -> String {
    match (content.get("type").and_then(Value::as_str), content.get("text").and_then(Value::as_str)) {
        (Some("text") | None, Some(text)) => clean(text),
        _ => clean(&Value::Object(content.clone()).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_words_are_shown_and_not_obeyed() {
        let content = |value: Value| content_text(value.as_object().unwrap());
        assert_eq!(content(json!({"type": "text", "text": "hi\x1b]0;x\x07\nyou"})), "hi\u{fffd}]0;x\u{fffd} you");
        assert_eq!(content(json!({"type": "offer", "sdp": "v=0"})), r#"{"sdp":"v=0","type":"offer"}"#);
    }
}
