//! The text of a SIP MESSAGE: a sentence for people, then the same for programs.
//!
//! ```text
//! Call with Bob (+12125550100): reach their client at https://node.example/a/x sidecall:peer id=0199… call=0199… role=first number=+12125550100 name=Bob address=https://node.example/a/x caps=text,video
//! ```
//!
//! The text is passed in a PBX command, so it is one line of printable ASCII without `| ' " \ $ { } < >`. Values
//! contain no spaces; names and contents are percent-encoded UTF-8.

use std::fmt;
use std::str::FromStr;

use crate::contract::{Capability, Message, MessageBody, PeerClient, PeerIdentity, Role};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;

/// Separates the sentence from the part for programs.
const SEPARATOR: &str = " sidecall:";

/// A message as the text of a SIP MESSAGE.
#[derive(Debug, Clone, PartialEq)]
pub struct SipText(pub Message);

/// Why a text can't be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SipTextError {
    /// It has no part for programs.
    #[error("has no sidecall: part")]
    NotOurs,
    /// A key is missing, or its value is invalid.
    #[error("has no valid {0}=")]
    Value(&'static str),
    /// The kind of message is unknown to this version.
    #[error("is of an unknown kind")]
    Kind,
}

impl fmt::Display for SipText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Message { id, call, body } = &self.0;
        let id = Escaped(id);
        match body {
            // A softphone can't use `own` or `reply`; its node announces `own`.
            MessageBody::Peer { role, peer, own: _, reply: _ } => {
                write!(f, "Call with {}: reach their client at", Person(peer.name.as_deref(), peer.number.as_ref()))?;
                write!(f, " {}{SEPARATOR}peer id={id} call={call}", peer.address)?;
                write_party(f, *role, peer.number.as_ref(), peer.name.as_deref())?;
                let caps: Vec<&str> = peer.capabilities.iter().map(Capability::as_str).collect();
                write!(f, " address={} caps={}", peer.address, caps.join(","))
            }
            MessageBody::Ended { number } => {
                write!(f, "Call with {} has ended{SEPARATOR}ended id={id} call={call}", Shown(number.as_ref()))?;
                number.iter().try_for_each(|number| write!(f, " number={number}"))
            }
            MessageBody::Missed { role, peer: PeerIdentity { number, name }, at } => {
                let person = Person(name.as_deref(), number.as_ref());
                match role {
                    Role::First => write!(f, "{person} did not answer")?,
                    Role::Second => write!(f, "Missed call from {person}")?,
                }
                write!(f, "{SEPARATOR}missed id={id} call={call}")?;
                write_party(f, *role, number.as_ref(), name.as_deref())?;
                write!(f, " at={}", at.0)
            }
            // Guests write to hosted clients alone. The sender is in the MESSAGE's From.
            MessageBody::Message { content, guest: _, sender: _ } => {
                let text = content.get("text").and_then(|text| text.as_str());
                let json = serde_json::to_string(content).map_err(|_| fmt::Error)?;
                write!(f, "{}{SEPARATOR}message id={id} call={call}", Plain(text.unwrap_or("A message")))?;
                write!(f, " content={}", Escaped(&json))
            }
        }
    }
}

/// Writes the role of the receiver, and who the other party is, for programs.
fn write_party(f: &mut fmt::Formatter<'_>, role: Role, number: Option<&Number>, name: Option<&str>) -> fmt::Result {
    write!(f, " role={}", if role == Role::First { "first" } else { "second" })?;
    if let Some(number) = number {
        write!(f, " number={number}")?;
    }
    name.map_or(Ok(()), |name| write!(f, " name={}", Escaped(name)))
}

/// The name and the number of a party, for people.
struct Person<'a>(Option<&'a str>, Option<&'a Number>);

impl fmt::Display for Person<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Person(Some(name), Some(number)) => write!(f, "{} ({number})", Plain(name)),
            Person(Some(name), None) => write!(f, "{}", Plain(name)),
            Person(None, number) => write!(f, "{}", Shown(number)),
        }
    }
}

/// A number, for people.
struct Shown<'a>(Option<&'a Number>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => write!(f, "{number}"),
            None => f.write_str("a withheld number"),
        }
    }
}

/// Text for people: characters that aren't allowed become question marks.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let harmless = |c: char| c.is_ascii_alphanumeric() || " .,:-_+()/!?@&#%*=".contains(c);
        self.0.chars().try_for_each(|c| fmt::Write::write_char(f, if harmless(c) { c } else { '?' }))
    }
}

/// Text for programs: everything but unreserved characters is percent-encoded (RFC 3986 §2.1).
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.bytes().try_for_each(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => write!(f, "{}", b as char),
            _ => write!(f, "%{b:02X}"),
        })
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(b) = rest.next() {
        bytes.push(match b {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                *hex::decode(digits).ok()?.first()?
            }
            _ => b,
        });
    }
    String::from_utf8(bytes).ok()
}

/// The `key=value` words of the part for programs.
struct Values<'a>(&'a str);

impl<'a> Values<'a> {
    fn get(&self, key: &str) -> Option<&'a str> {
        self.0.split(' ').find_map(|word| word.split_once('=').filter(|(k, _)| *k == key)).map(|(_, value)| value)
    }

    fn parse<T: FromStr>(&self, key: &'static str) -> Result<T, SipTextError> {
        self.get(key).and_then(|value| value.parse().ok()).ok_or(SipTextError::Value(key))
    }

    fn number(&self) -> Result<Option<Number>, SipTextError> {
        self.get("number").map(|_| self.parse("number")).transpose()
    }

    fn name(&self) -> Result<Option<String>, SipTextError> {
        self.get("name").map(|_| self.text("name")).transpose()
    }

    fn text(&self, key: &'static str) -> Result<String, SipTextError> {
        self.get(key).and_then(unescape).ok_or(SipTextError::Value(key))
    }
}

impl FromStr for SipText {
    type Err = SipTextError;

    fn from_str(text: &str) -> Result<SipText, SipTextError> {
        // The last one counts: no value after it contains a space.
        let (_, part) = text.rsplit_once(SEPARATOR).ok_or(SipTextError::NotOurs)?;
        let (kind, values) = part.split_once(' ').ok_or(SipTextError::NotOurs)?;
        let values = Values(values);
        let body = match kind {
            "peer" => MessageBody::Peer { role: role(&values)?, peer: peer(&values)?, own: None, reply: None },
            "ended" => MessageBody::Ended { number: values.number()? },
            "missed" => MessageBody::Missed {
                role: role(&values)?,
                peer: PeerIdentity { number: values.number()?, name: values.name()? },
                at: UnixMillis(values.parse("at")?),
            },
            "message" => {
                let content = serde_json::from_str(&values.text("content")?);
                let content = content.map_err(|_| SipTextError::Value("content"))?;
                MessageBody::Message { content, guest: None, sender: None }
            }
            _ => return Err(SipTextError::Kind),
        };
        Ok(SipText(Message { id: values.text("id")?, call: values.parse("call")?, body }))
    }
}

fn role(values: &Values<'_>) -> Result<Role, SipTextError> {
    match values.get("role") {
        Some("first") => Ok(Role::First),
        Some("second") => Ok(Role::Second),
        _ => Err(SipTextError::Value("role")),
    }
}

fn peer(values: &Values<'_>) -> Result<PeerClient, SipTextError> {
    let caps = values.get("caps").unwrap_or_default().split(',').filter(|word| !word.is_empty());
    let caps: Result<Vec<Capability>, _> = caps.map(|word| Capability::try_from(word.to_owned())).collect();
    Ok(PeerClient {
        number: values.number()?,
        name: values.name()?,
        address: values.parse("address")?,
        capabilities: caps.map_err(|_| SipTextError::Value("caps"))?,
    })
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
