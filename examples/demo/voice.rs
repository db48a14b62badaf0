//! B12: the same call without and with sidecall, as the caller and the far end see it on the wire.

use serde::Serialize;

use crate::lab::cast::{SCENES, Scene};
use crate::lab::stage::Stage;
use crate::lab::{Answer, FarEnd};

/// Alice calls Frank: without sidecall over the PSTN, with it over the packet trunk.
const SCENE: &Scene = &SCENES[0];

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
    pbx: &'static str,
    pub(crate) without: Vec<Heard>,
    pub(crate) with: Vec<Heard>,
    pub(crate) ok: bool,
}

/// Makes the calls.
pub(crate) fn hear(stage: &mut Stage) -> Result<Vec<Heard>, String> {
    // It rings for a while: whether ringing is passed on must be no matter of who is faster.
    let cases = [
        ("rings, then answers", Answer::after(300)),
        ("is busy", Answer::refuse("486 Busy Here")),
        ("declines", Answer::refuse("603 Decline")),
        ("isn't there", Answer::refuse("480 Temporarily Unavailable")),
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
        title: "The voice call is as it would be without sidecall",
        pbx: stage.pbx.kind().word(),
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
        // The two trunks' hosts differ; who calls is what matters.
        shows: from.split('@').next().unwrap_or_default().replace("<sip:", ""),
        statuses: call.provisional.iter().copied().chain(call.status).collect(),
        cause: call.reason.clone(),
    })
}
