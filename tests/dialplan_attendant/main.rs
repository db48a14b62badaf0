//! The dialplan snippets where a call does more than come in and ring: attendants, transfers, Local
//! channels, a PBX behind this one, tenants, withheld callers. On real PBXs, with a stand-in for the agent.

#![allow(clippy::print_stderr, clippy::unwrap_used)]

#[path = "../agent_double/mod.rs"]
mod agent_double;
mod announcements;
mod behind;
mod main_numbers;
mod transfers;

use agent_double::AgentDouble;
use announcements::*;
use behind::*;
use lab::{Calls, Habit, Kind, Pbx, PbxConfig, Phone};
use main_numbers::*;
use transfers::*;

const UUI: &str = "68747470733a2f2f6e6f64652f612f54";
const SENT: &str = "User-to-User: 6162;encoding=hex";
const RECEIVED: &str = "6162;encoding=hex";
const OUTSIDE: &str = "+13015550199";
const MAIN: &str = "+12125552000";

/// The agent's answers are what counts here, not how fast they are: the hold is a long one.
fn start(kind: Kind) -> Option<Pbx> {
    let config = PbxConfig { hold_ms: 2_000, call_info: "sidecall", ..PbxConfig::default() };
    lab::or_skip(kind, Pbx::start_with(kind, config))
}

/// Runs a behaviour on a PBX.
fn on_one(kind: Kind, test: impl Fn(&Pbx)) {
    if let Some(pbx) = start(kind) {
        test(&pbx);
    }
}

/// A phone of the PBX that answers at once.
fn phone(pbx: &Pbx, extension: &str) -> Phone {
    Phone::register_plain(pbx.sip(), extension, &Habit::at_once()).unwrap()
}

/// The remote side of the PSTN trunk, which answers at once.
fn pstn(pbx: &Pbx) -> Phone {
    Phone::listen(pbx.config().pstn, &Habit::at_once()).unwrap()
}

/// Adds to a file of the PBX's configuration.
fn append(pbx: &Pbx, file: &str, text: &str) {
    let file = pbx.etc().join(file);
    let before = std::fs::read_to_string(&file).unwrap_or_default();
    std::fs::write(file, before + text).unwrap();
}

/// How long a caller of the lab's menu says nothing and is sent to the operator, and some more, in ms.
const MENU: u32 = 5_000;

/// A call from a trunk, which is answered.
fn from_trunk(pbx: &Pbx, via: std::net::IpAddr, to: &str) {
    let calls = Calls::new(OUTSIDE, to).via(via).header(SENT).hold(if to == MAIN { MENU } else { 1_000 });
    assert_eq!(calls.place(pbx.trunk_sip()).unwrap().statuses(), [Some(200)], "{}", pbx.log());
}

/// Side, calling, called, received, refused: of each announcement.
fn told(agent: &AgentDouble) -> Vec<[String; 5]> {
    let fields = ["side", "calling", "called", "received", "refused"];
    agent.announcements().iter().map(|seen| fields.map(|field| seen.get(field).to_owned())).collect()
}

lab::on_both_pbxs! {
    the_node_is_never_asked_about_a_main_number,
    who_is_transferred_calls_with_their_own_number,
    an_attendant_may_have_a_context_of_its_own,
    the_address_crosses_to_a_pbx_behind_this_one,
    a_withheld_caller_is_announced_without_a_number,
    a_number_that_leads_to_its_extension_is_announced_once,
    what_a_phone_claims_is_dropped_and_said,
    the_tenant_is_announced,
    the_agent_may_write_the_numbers_for_the_trunk,
}
