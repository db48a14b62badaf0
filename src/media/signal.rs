//! What the other device of a call says, parsed with limits (`web/PROTOCOL.md`).
//!
//! Only what a client that accepts files can use is parsed: its user invites nobody, and it answers offers and makes none.

use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

use super::INTEGER_MAX;
use super::digits::Sha256Digest;
use super::fields::{Fields, integer, parsed, text};
use super::file_name::clean_file_name;
use super::words::{Commitment, Nonce, Proof};
use crate::contract::Role;
use crate::core::address::{Address, AddressKind};
use crate::core::base::name::{InvitationId, SessionId};

/// Maximum number of files in one invitation.
pub(super) const FILES_MAX: u64 = 10_000;
/// Maximum number of bytes in one invitation, and in one file: 16 TiB.
pub(super) const BYTES_MAX: u64 = 1 << 44;
/// Characters of the longest session description.
const SDP_MAX: usize = 60_000;
/// Maximum number of candidates in one message, and characters of the longest.
const CANDIDATES_MAX: usize = 32;
const CANDIDATE_MAX: usize = 1024;

/// What a device calls itself in one call: 16 to 43 letters, digits, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeviceTag(String);

impl FromStr for DeviceTag {
    type Err = ();

    fn from_str(text: &str) -> Result<DeviceTag, ()> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        let fits = (16..=43).contains(&text.len()) && text.bytes().all(allowed);
        fits.then(|| DeviceTag(text.to_owned())).ok_or(())
    }
}

impl fmt::Display for DeviceTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a device said, and where its answer goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedSignal {
    /// The device.
    pub from: DeviceTag,
    /// Its own address. Without one, answers go to the address of its number.
    pub reply: Option<Address>,
    /// What it said.
    pub signal: Signal,
}

/// What a device can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// It offers files.
    Invite(FileInvite),
    /// It offers a connection.
    Offer(ConnectionOffer),
    /// It can be reached in these ways, too.
    Candidates {
        /// The session.
        session: SessionId,
        /// Which connection of the session they belong to.
        round: u64,
        /// `candidate:…` (RFC 8839 §5.1), one line each, and not checked any further.
        candidates: Vec<String>,
    },
    /// It has given up its connection and asks for a new one.
    Restart {
        /// The session.
        session: SessionId,
        /// The new connection's number, greater than those before.
        round: u64,
    },
    /// It ends a session, or withdraws an invitation.
    Bye {
        /// The session.
        session: Option<SessionId>,
        /// The invitation.
        invitation: Option<InvitationId>,
    },
}

/// An invitation to receive files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInvite {
    /// Its id.
    pub invitation: InvitationId,
    /// The session that it proposes, or that it belongs to.
    pub session: SessionId,
    /// The side that the device is on.
    pub role: Role,
    /// What the device commits to.
    pub commit: Commitment,
    /// The files.
    pub files: FileBundle,
}

/// What a file takes on a disk beside its bytes, at most: the rest of its last block, and new folders, each with a block.
const ENTRY: u64 = 64 << 10;

/// The files of an invitation, as their sender describes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileBundle {
    /// How many there are, 1 to 10,000.
    pub count: u64,
    /// The sum of their sizes.
    pub bytes: u64,
    /// The name of the file, or of the folder, made harmless.
    pub name: String,
}

impl FileBundle {
    /// Bytes that the files take on a disk, at most. Empty files need room, too.
    pub fn room(&self) -> u64 {
        self.bytes.saturating_add(self.count.saturating_mul(ENTRY))
    }
}

/// An offer of a connection (RFC 9429).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionOffer {
    /// The session.
    pub session: SessionId,
    /// Which connection of the session it belongs to.
    pub round: u64,
    /// The description.
    pub sdp: String,
    /// The device's random digits, which its invitation has committed to.
    pub nonce: Option<Nonce>,
    /// Its number among the device's offers of this connection.
    pub number: Option<u64>,
}

/// Parses what a device sent. Nothing is returned if it is of another type, or exceeds a limit.
pub fn parse_signal(content: &Fields) -> Option<ReceivedSignal> {
    let from = parsed(content, "from")?;
    let reply = parsed(content, "reply").filter(|address: &Address| address.kind() == AddressKind::Http);
    let signal = match content.get("type")?.as_str()? {
        "invite" => Signal::Invite(parse_invite(content)?),
        "sdp" => Signal::Offer(parse_offer(content)?),
        "ice" => Signal::Candidates {
            session: parsed(content, "session")?,
            round: round(content),
            candidates: parse_candidates(content)?,
        },
        "restart" => Signal::Restart { session: parsed(content, "session")?, round: round(content) },
        "bye" => {
            let (session, invitation) = (parsed(content, "session"), parsed(content, "invitation"));
            if session.is_none() && invitation.is_none() {
                return None;
            }
            Signal::Bye { session, invitation }
        }
        _ => return None,
    };
    Some(ReceivedSignal { from, reply, signal })
}

fn round(content: &Fields) -> u64 {
    integer(content, "round", INTEGER_MAX).unwrap_or(0)
}

fn parse_invite(content: &Fields) -> Option<FileInvite> {
    if content.get("kind")?.as_str()? != "files" {
        return None;
    }
    let files = content.get("files")?.as_object()?;
    let files = FileBundle {
        count: integer(files, "count", FILES_MAX).filter(|count| *count > 0)?,
        bytes: integer(files, "bytes", BYTES_MAX)?,
        name: clean_file_name(text(files, "name", 4096)?),
    };
    Some(FileInvite {
        invitation: parsed(content, "invitation")?,
        session: parsed(content, "session")?,
        role: match content.get("role")?.as_str()? {
            "first" => Role::First,
            "second" => Role::Second,
            _ => return None,
        },
        commit: Sha256Digest::parse(text(content, "commit", 64)?)?,
        files,
    })
}

fn parse_offer(content: &Fields) -> Option<ConnectionOffer> {
    if content.get("kind")?.as_str()? != "offer" {
        return None;
    }
    Some(ConnectionOffer {
        session: parsed(content, "session")?,
        round: round(content),
        sdp: text(content, "sdp", SDP_MAX)?.to_owned(),
        nonce: text(content, "nonce", 32).and_then(Nonce::parse),
        number: integer(content, "offer", INTEGER_MAX),
    })
}

/// Those that are one line of a sensible length. The empty one, which says that there are no more, is left out.
fn parse_candidates(content: &Fields) -> Option<Vec<String>> {
    let all = content.get("candidates")?.as_array().filter(|all| all.len() <= CANDIDATES_MAX)?;
    let lines = all.iter().filter_map(|candidate| text(candidate.as_object()?, "candidate", CANDIDATE_MAX));
    Some(lines.filter(|line| !line.contains(['\r', '\n'])).map(str::to_owned).collect())
}

/// What is said to the other device. `from` and `reply` are added where it is posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnSignal {
    /// Accepts an invitation.
    Accept {
        /// The invitation.
        invitation: InvitationId,
        /// The session that the files come through.
        session: SessionId,
        /// Our own side of the call.
        role: Role,
        /// Our part of the words.
        own: Proof,
    },
    /// Refuses an invitation.
    Decline(InvitationId),
    /// Answers an offer.
    Description {
        /// The session.
        session: SessionId,
        /// Which connection of the session it belongs to.
        round: u64,
        /// The number of the offer, if it has one.
        number: Option<u64>,
        /// The description.
        sdp: String,
    },
    /// Says how we are reached.
    Candidate {
        /// The session.
        session: SessionId,
        /// Which connection of the session it belongs to.
        round: u64,
        /// `candidate:…`
        candidate: String,
        /// The section of the description that it belongs to: its name, and its place.
        section: (String, usize),
    },
    /// Asks for a new connection.
    Restart {
        /// The session.
        session: SessionId,
        /// The new connection's number.
        round: u64,
    },
    /// Ends a session.
    Bye(SessionId),
}

impl OwnSignal {
    /// The object to post.
    pub fn content(&self) -> Value {
        match self {
            OwnSignal::Accept { invitation, session, role, own } => json!({
                "type": "accept", "invitation": invitation, "session": session, "role": role,
                "nonce": own.nonce.to_string(), "fingerprint": own.fingerprint.to_string(),
            }),
            OwnSignal::Decline(invitation) => json!({"type": "decline", "invitation": invitation}),
            OwnSignal::Description { session, round, number, sdp } => {
                let mut content = json!({
                    "type": "sdp", "kind": "answer", "session": session, "round": round, "sdp": sdp, "tracks": {},
                    "ephemeral": true,
                });
                if let Some(number) = number {
                    content["offer"] = (*number).into();
                }
                content
            }
            OwnSignal::Candidate { session, round, candidate, section: (mid, index) } => json!({
                "type": "ice", "session": session, "round": round, "ephemeral": true,
                "candidates": [{"candidate": candidate, "sdpMid": mid, "sdpMLineIndex": index}],
            }),
            OwnSignal::Restart { session, round } => {
                json!({"type": "restart", "session": session, "round": round, "ephemeral": true})
            }
            OwnSignal::Bye(session) => json!({"type": "bye", "session": session}),
        }
    }
}

#[cfg(test)]
#[path = "signal_tests.rs"]
mod tests;
