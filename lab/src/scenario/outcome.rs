//! What became of a scenario, and whether it is what had to.

use serde::Serialize;

use crate::SipMessage;
use crate::scenario::calls::{Arrives, CallScenario};

/// The address of a client at another organisation.
pub(super) const REMOTE_CLIENT: &str = "https://far.example/a/frank";

/// What became of a scenario: one line of `--json`.
#[derive(Debug, Clone, Serialize)]
pub struct CallResult {
    /// `B1` …
    pub behaviour: &'static str,
    /// One line for a person.
    pub title: &'static str,
    /// Which PBX.
    pub near: &'static str,
    /// The far end is no PBX.
    #[serde(rename = "far")]
    pub remote: Option<&'static str>,
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

/// Compares what became of a scenario with what had to.
pub(super) fn judge(scenario: &CallScenario, invite: Option<&SipMessage>, result: &mut CallResult) {
    let mut problems = std::mem::take(&mut result.problems);
    let mut expect = |ok: bool, problem: String| {
        if !ok {
            problems.push(problem);
        }
    };
    expect(result.answered, "the call was not answered".into());
    expect(result.route == scenario.route, format!("route {:?}, not {:?}", result.route, scenario.route));
    expect(result.reason == scenario.reason, format!("reason {:?}, not {:?}", result.reason, scenario.reason));
    match invite {
        None => expect(false, format!("no call arrived at {:?}", scenario.arrives)),
        Some(invite) => {
            let header = invite.header("User-to-User").is_some();
            expect(header == (scenario.arrives == Arrives::Packet), format!("User-to-User is there: {header}"));
            expect(
                invite.calling() == scenario.caller.dialled,
                format!("the caller ID has become {:?}", invite.calling()),
            );
        }
    }
    if scenario.arrives == Arrives::Packet {
        expect(result.carried_address.is_some(), "no address travelled along".into());
        expect(result.carried_address == result.decided_address, "another address than the caller's did".into());
    }
    let (first, second) = (scenario.paired || scenario.has_remote_client(), scenario.paired);
    expect(
        result.first_client_received.is_some() == first,
        format!("the first client got {:?}", result.first_client_received),
    );
    if scenario.has_remote_client() {
        expect(
            result.first_client_received.as_deref() == Some(REMOTE_CLIENT),
            format!("the far client's address arrived as {:?}", result.first_client_received),
        );
    }
    expect(
        result.second_client_received.is_some() == second,
        format!("the second client got {:?}", result.second_client_received),
    );
    result.ok = problems.is_empty();
    result.problems = problems;
}
