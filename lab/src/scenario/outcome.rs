//! What became of a scene, and whether it is what had to.

use serde::Serialize;

use crate::SipMessage;
use crate::scenario::calls::{Arrives, Scene};

/// The address of a client at another organisation.
pub(super) const FAR_CLIENT: &str = "https://far.example/a/frank";

/// What became of a scene: one line of `--json`.
#[derive(Debug, Clone, Serialize)]
pub struct Played {
    /// `B1` …
    pub behaviour: &'static str,
    /// One line for a person.
    pub title: &'static str,
    /// Which PBX.
    pub near: &'static str,
    /// The far end is no PBX.
    pub far: Option<&'static str>,
    /// Who called.
    pub calling: String,
    /// Who was called.
    pub called: String,
    /// The route that the call took.
    pub route: String,
    /// Why.
    pub reason: String,
    /// Whether it was answered.
    pub answered: bool,
    /// What the caller's client got: the address of the other side, or what it sent.
    pub first_client_received: Option<String>,
    /// What the called side's client got.
    pub second_client_received: Option<String>,
    /// The address that the far end read out of the call signalling.
    pub carried_address: Option<String>,
    /// The caller's address, as the node has it.
    #[serde(skip)]
    pub decided_address: Option<String>,
    /// INVITE → 200 as the caller saw it, in ms: the median of the calls.
    pub setup_ms: Option<f64>,
    /// The same call without sidecall.
    pub baseline_ms: Option<f64>,
    /// Answer → both clients have the address, in ms.
    pub push_ms: Option<i64>,
    /// Answer → the first client has it, in ms.
    #[serde(skip)]
    pub first_ms: Option<i64>,
    /// Answer → the second client has it, in ms.
    #[serde(skip)]
    pub second_ms: Option<i64>,
    /// Everything was as it must be.
    pub ok: bool,
    /// What was not; absent if all was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// The address in the `User-to-User` header of an INVITE, read as RFC 7433 says, without any of
/// sidecall's own code.
pub fn carried(invite: &SipMessage) -> Option<String> {
    let header = invite.header("User-to-User")?;
    let (hex, parameters) = header.split_once(';')?;
    if !parameters.split(';').any(|p| p.trim() == "encoding=hex") {
        return None;
    }
    let octets: Option<Vec<u8>> =
        (0..hex.len()).step_by(2).map(|n| u8::from_str_radix(hex.get(n..n + 2)?, 16).ok()).collect();
    let octets = octets?;
    let (discriminator, text) = octets.split_first()?;
    (*discriminator == 4 && octets.len() <= 128).then(|| String::from_utf8_lossy(text).into_owned())
}

/// Compares what became of a scene with what had to.
pub(super) fn judge(scene: &Scene, invite: Option<&SipMessage>, played: &mut Played) {
    let mut problems = std::mem::take(&mut played.problems);
    let mut expect = |ok: bool, problem: String| {
        if !ok {
            problems.push(problem);
        }
    };
    expect(played.answered, "the call was not answered".into());
    expect(played.route == scene.route, format!("route {:?}, not {:?}", played.route, scene.route));
    expect(played.reason == scene.reason, format!("reason {:?}, not {:?}", played.reason, scene.reason));
    match invite {
        None => expect(false, format!("no call arrived at {:?}", scene.arrives)),
        Some(invite) => {
            let header = invite.header("User-to-User").is_some();
            expect(header == (scene.arrives == Arrives::Packet), format!("User-to-User is there: {header}"));
            expect(
                invite.calling() == scene.caller.dialled,
                format!("the caller ID has become {:?}", invite.calling()),
            );
        }
    }
    if scene.arrives == Arrives::Packet {
        expect(played.carried_address.is_some(), "no address travelled along".into());
        expect(played.carried_address == played.decided_address, "another address than the caller's did".into());
    }
    let (first, second) = (scene.paired || scene.has_far_client(), scene.paired);
    expect(
        played.first_client_received.is_some() == first,
        format!("the first client got {:?}", played.first_client_received),
    );
    if scene.has_far_client() {
        expect(
            played.first_client_received.as_deref() == Some(FAR_CLIENT),
            format!("the far client's address arrived as {:?}", played.first_client_received),
        );
    }
    expect(
        played.second_client_received.is_some() == second,
        format!("the second client got {:?}", played.second_client_received),
    );
    played.ok = problems.is_empty();
    played.problems = problems;
}
