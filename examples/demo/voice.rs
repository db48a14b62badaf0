//! B12: the same calls without and with sidecall, as the caller and the far end see them on the wire.

use serde::Serialize;

use crate::one_pbx::VOICE;
use lab::Domains;
use lab::scenario::calls::{CALL_SCENARIOS, CallScenario};
use lab::scenario::report::SOON;
use lab::scenario::sides::Between;
use lab::scenario::site::Site;
use lab::{Habit, LabError, Phone};

/// Alice calls Frank: without sidecall over the PSTN, with it over the packet trunk.
const SCENARIO: &CallScenario = &CALL_SCENARIOS[0];

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
    #[serde(rename = "far")]
    remote: Option<&'static str>,
    /// Who calls whom, and by which way each time.
    pub(crate) what: &'static str,
    pub(crate) without: Vec<Heard>,
    pub(crate) with: Vec<Heard>,
    pub(crate) ok: bool,
}

/// Makes the calls.
pub(crate) fn listen(site: &mut Site) -> Result<Vec<Heard>, String> {
    // It rings for a while: whether ringing is passed on must be no matter of who is faster. Nobody declines here: an
    // Asterisk by itself says one of two causes then, by chance. The tests of B12 play that, too.
    let cases = [
        ("rings, then answers", Habit::after(300)),
        ("is busy", Habit::Refuse("486 Busy Here")),
        (ABSENT.0, Habit::Refuse(ABSENT.1)),
    ];
    let heard = cases.into_iter().map(|(case, answer)| one(site, case, &answer)).collect();
    replace_trunks(site, &Habit::at_once())?;
    heard
}

/// Makes them again and compares.
pub(crate) fn compared(site: &mut Site, without: Vec<Heard>) -> Result<Compared, String> {
    let with = listen(site)?;
    Ok(Compared {
        behaviour: "B12",
        title: VOICE,
        near: site.pbx.kind().word(),
        remote: None,
        what: "Alice calls Frank, first without sidecall over the PSTN, then with it over the packet trunk; Frank's phone",
        ok: with == without,
        without,
        with,
    })
}

/// Alice at A calls Bob at B, whichever way the call goes.
pub(crate) fn listen_between(domains: &Domains) -> Result<Vec<Heard>, String> {
    let what = |error: LabError| error.to_string();
    let (alice, bob) = (domains.a.phone(1).map_err(what)?, domains.b.phone(1).map_err(what)?);
    let number = domains.b.number(1);
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
pub(crate) fn compared_between(domains: &mut Domains, without: Vec<Heard>) -> Result<Compared, String> {
    domains.start_sidecall(Between::Trunk, ["", ""]).map_err(|error| error.to_string())?;
    let with = listen_between(domains)?;
    Ok(Compared {
        behaviour: "B12",
        title: BETWEEN,
        near: domains.a.pbx.kind().word(),
        remote: Some(domains.b.pbx.kind().word()),
        what: "Alice calls Bob, first without sidecall over the network, then with it over the packet trunk; Bob's phone",
        ok: with == without,
        without,
        with,
    })
}

/// Both trunks' far ends do the same, so that the route doesn't matter.
fn replace_trunks(site: &mut Site, answer: &Habit) -> Result<(), String> {
    (site.packet, site.pstn) = (None, None);
    let config = site.pbx.config();
    let start = |at| Phone::listen(at, answer).map_err(|e| e.to_string());
    let (packet, pstn) = (start(config.packet)?, start(config.pstn)?);
    (site.packet, site.pstn) = (Some(packet), Some(pstn));
    Ok(())
}

fn one(site: &mut Site, case: &'static str, answer: &Habit) -> Result<Heard, String> {
    replace_trunks(site, answer)?;
    let (mut calls, to) = site.calls(SCENARIO);
    calls.display = "\"Alice A.\" ".into();
    let report = calls.place(to).map_err(|e| e.to_string())?;
    let invites = [&site.packet, &site.pstn].into_iter().flatten().flat_map(Phone::invites).collect::<Vec<_>>();
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
