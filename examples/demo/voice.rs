//! B12: the same calls without and with sidecall, as the caller and the far end see them on the wire.

use serde::Serialize;

use crate::one_pbx::VOICE;
use lab::scenario::calls::{SCENES, Scene};
use lab::scenario::pair::{Between, SOON, Theatre};
use lab::scenario::site::Stage;
use lab::{Answer, FarEnd, LabError};

/// Alice calls Frank: without sidecall over the PSTN, with it over the packet trunk.
const SCENE: &Scene = &SCENES[0];

/// What is compared between two organisations.
pub(crate) const BETWEEN: &str = "The voice call between two organisations is as it would be without sidecall";
const ABSENT: (&str, &str) = ("isn't there", "480 Temporarily Unavailable");

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Heard {
    /// What the far end does.
    pub(crate) case: &'static str,
    /// Name and number that the far phone shows.
    pub(crate) shows: String,
    /// What the caller gets: provisional statuses and the final one.
    pub(crate) statuses: Vec<u16>,
    /// The hang-up cause that the caller gets, if there is one.
    pub(crate) cause: Option<String>,
}

/// All calls, twice: one line of `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Compared {
    behaviour: &'static str,
    pub(crate) title: &'static str,
    near: &'static str,
    far: Option<&'static str>,
    /// Who calls whom, and by which way each time.
    pub(crate) what: &'static str,
    pub(crate) without: Vec<Heard>,
    pub(crate) with: Vec<Heard>,
    pub(crate) ok: bool,
}

/// Makes the calls.
pub(crate) fn hear(stage: &mut Stage) -> Result<Vec<Heard>, String> {
    // It rings for a while: whether ringing is passed on must be no matter of who is faster. Nobody declines here: an
    // Asterisk by itself says one of two causes then, by chance. The tests of B12 play that, too.
    let cases = [
        ("rings, then answers", Answer::after(300)),
        ("is busy", Answer::refuse("486 Busy Here")),
        (ABSENT.0, Answer::refuse(ABSENT.1)),
    ];
    let heard = cases.into_iter().map(|(case, answer)| one(stage, case, &answer)).collect();
    far_ends(stage, &Answer::at_once())?;
    heard
}

/// Makes them again and compares.
pub(crate) fn compare(stage: &mut Stage, without: Vec<Heard>) -> Result<Compared, String> {
    let with = hear(stage)?;
    Ok(Compared {
        behaviour: "B12",
        title: VOICE,
        near: stage.pbx.kind().word(),
        far: None,
        what: "Alice calls Frank, first without sidecall over the PSTN, then with it over the packet trunk; Frank's phone",
        ok: with == without,
        without,
        with,
    })
}

/// Alice at A calls Bob at B, whichever way the call goes.
pub(crate) fn hear_between(theatre: &Theatre) -> Result<Vec<Heard>, String> {
    let what = |error: LabError| error.to_string();
    let (alice, bob) = (theatre.domains.a.phone(1).map_err(what)?, theatre.domains.b.phone(1).map_err(what)?);
    let number = theatre.domains.b.number(1);
    let cases = [("rings, then answers", None), ("is busy", Some("486 Busy Here")), (ABSENT.0, Some(ABSENT.1))];
    let one = |(case, refusal): (&'static str, Option<&str>)| {
        let call = alice.call_as(&number, "Alice A.", &[]);
        let there = bob.next_call(SOON).ok_or_else(|| format!("{case}: Bob's phone does not ring"))?;
        there.ring();
        // What is told while it rings must be no matter of who is faster.
        call.wait_ringing(SOON);
        refusal.map_or_else(|| there.answer(), |status| there.refuse(status));
        call.wait_status(SOON);
        call.hang_up();
        let from = there.invite().header("From").unwrap_or_default().to_owned();
        there.wait_ended(SOON);
        Ok(Heard {
            case,
            shows: shown(&from),
            statuses: call.provisional().into_iter().chain(call.status()).collect(),
            cause: call.reason(),
        })
    };
    cases.into_iter().map(one).collect()
}

/// Makes the calls between the two again, over the packet trunk, and compares.
pub(crate) fn compare_between(theatre: &mut Theatre, without: Vec<Heard>) -> Result<Compared, String> {
    theatre.raise(Between::Trunk, "").map_err(|error| error.to_string())?;
    let with = hear_between(theatre)?;
    let blank = theatre.tell("B12", BETWEEN);
    Ok(Compared {
        behaviour: blank.behaviour,
        title: blank.title,
        near: blank.near,
        far: Some(blank.far),
        what: "Alice calls Bob, first without sidecall over the network, then with it over the packet trunk; Bob's phone",
        ok: with == without,
        without,
        with,
    })
}

/// Both trunks' far ends do the same, so that the route doesn't matter.
fn far_ends(stage: &mut Stage, answer: &Answer) -> Result<(), String> {
    stage.clear_far_ends();
    let config = stage.pbx.config();
    let start = |at| FarEnd::start(at, answer).map_err(|e| e.to_string());
    let (packet, pstn) = (start(config.packet)?, start(config.pstn)?);
    (stage.packet, stage.pstn) = (Some(packet), Some(pstn));
    Ok(())
}

fn one(stage: &mut Stage, case: &'static str, answer: &Answer) -> Result<Heard, String> {
    far_ends(stage, answer)?;
    let (mut calls, to) = stage.calls(SCENE);
    calls.display = "\"Alice A.\" ".into();
    let report = calls.place(to).map_err(|e| e.to_string())?;
    let invites = [&stage.packet, &stage.pstn].into_iter().flatten().flat_map(FarEnd::invites).collect::<Vec<_>>();
    let from = invites.first().and_then(|invite| invite.header("From")).unwrap_or("nothing: no call arrived");
    let call = report.calls.first().ok_or("the caller has no trace of its call")?;
    Ok(Heard {
        case,
        shows: shown(from),
        statuses: call.provisional.iter().copied().chain(call.status).collect(),
        cause: call.reason.clone(),
    })
}

/// Name and number: the two trunks' hosts differ, and who calls is what matters.
fn shown(from: &str) -> String {
    from.split('@').next().unwrap_or_default().replace("<sip:", "")
}
