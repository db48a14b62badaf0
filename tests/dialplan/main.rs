//! The dialplan snippets on real PBXs, with a stand-in for the agent: what an administrator installs
//! does what it says, and a voice call stays what it was.

#![allow(clippy::print_stderr, clippy::unwrap_used)]

#[path = "../agent_double/mod.rs"]
mod agent_double;
mod announcements;
mod cost;
mod cost_modes;
mod enrolment;
mod hold;
mod hostile;
mod trunk;

use announcements::*;
use cost::*;
use enrolment::*;
use hold::*;
use lab::{CallReport, Calls, Habit, Kind, Pbx, PbxConfig, Phone};
use trunk::*;

const NUMBER: &str = "+12125550100";
const UUI: &str = "68747470733a2f2f6e6f64652f612f54";

/// Runs a behaviour on a PBX.
fn on_one(kind: Kind, test: impl Fn(&Pbx)) {
    on(kind, PbxConfig::default(), test);
}

/// Where it matters what the agent says, and not when.
fn on_one_that_waits(kind: Kind, test: impl Fn(&Pbx)) {
    on(kind, PbxConfig::patient(), test);
}

fn on(kind: Kind, config: PbxConfig, test: impl Fn(&Pbx)) {
    if let Some(pbx) = lab::or_skip(kind, Pbx::start_with(kind, config)) {
        test(&pbx);
    }
}

/// The remote side of the PSTN trunk, which answers at once.
fn pstn(pbx: &Pbx) -> Phone {
    Phone::listen(pbx.config().pstn, &Habit::at_once()).unwrap()
}

/// The remote side of the packet trunk, which answers at once.
fn packet(pbx: &Pbx) -> Phone {
    Phone::listen(pbx.config().packet, &Habit::at_once()).unwrap()
}

/// Sets a variable of each phone's call in front of the snippet, when FreeSWITCH has read the dialplan.
fn set_in_front(pbx: &Pbx, set: &str) {
    let ours = "<X-PRE-PROCESS cmd=\"include\" data=\"sidecall/originating.xml\"/>";
    let front = format!(
        "<extension name=\"in-front\" continue=\"true\"><condition><action application=\"set\" data=\"{set}\"/></condition>\
         </extension>\n{ours}"
    );
    lab::pbx::conf::replace(&pbx.dir().join("conf/dialplan/default.xml"), ours, &front).unwrap();
    let _ = pbx.console("reloadxml");
}

/// Adds to an Asterisk's dialplan.
fn add_extensions(pbx: &Pbx, more: &str) {
    let file = pbx.dir().join("etc/extensions.conf");
    lab::pbx::conf::write(&file, &(lab::pbx::conf::read(&file).unwrap() + more)).unwrap();
    let _ = pbx.console("dialplan reload");
}

fn call(pbx: &Pbx) -> CallReport {
    Calls::new("1000", NUMBER).place(pbx.sip()).unwrap()
}

fn millis(report: &CallReport) -> u128 {
    report.calls[0].answered.unwrap().as_millis()
}

lab::on_both_pbxs! {
    without_an_agent_nothing_happens,
    a_silent_agent_costs_the_hold_and_no_more,
    a_silent_agent_costs_a_call_one_hold_however_many_numbers_it_has,
    the_announcement_says_who_calls_whom,
    an_answer_releases_the_call_quickly,
    the_packet_route_carries_the_address_and_the_caller_id,
    a_call_whose_trunk_fails_falls_back_to_the_pstn,
    a_call_whose_trunk_is_gone_falls_back_to_the_pstn,
    what_the_called_person_does_is_not_tried_again,
    an_answer_that_comes_too_late_costs_no_call,
    a_caller_may_give_up_during_the_hold,
    what_a_phone_claims_goes_no_further,
    a_received_address_is_believed_from_the_trusted_trunk_only,
    a_call_that_passes_two_contexts_is_announced_once,
    early_media_comes_through_as_it_did,
    what_a_caller_can_write_is_never_obeyed,
    the_call_carries_what_a_snapshot_needs,
    emergency_calls_never_wait,
    call_info_is_added_on_the_trunks_that_are_named,
    a_phone_that_dials_a_code_hears_whether_it_was_right,
    a_code_is_refused_after_the_hold_or_without_an_agent,
    a_phone_that_is_sent_to_a_code_enrols_nobody,
    a_trunk_or_a_phone_without_a_password_enrols_nobody,
    a_call_costs_what_the_table_says,
}
