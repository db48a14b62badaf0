//! B12: the voice call sounds and behaves as it would without us.
//!
//! Each call is made twice on the same PBX, first without sidecall, then with it, and what the caller
//! and the far end see on the wire is compared.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

mod lab;

use std::time::Duration;

use lab::cast::{Arrives, SCENES, Scene};
use lab::stage::Stage;
use lab::{Answer, CallReport, Cdr, FarEnd, Kind, PbxConfig, SidecallConfig, SipMessage};

fn stage(kind: Kind) -> Option<Stage> {
    // They ring for a while: whether ringing is passed on is no matter of who is faster.
    lab::or_skip(kind, Stage::set_with(kind, PbxConfig::default(), &Answer::after(300)))
}

/// What the far phone is shown and offered, without what is new in every call.
fn offer(invite: &SipMessage) -> Vec<String> {
    let identity = ["From", "P-Asserted-Identity", "Remote-Party-ID", "Privacy", "Diversion", "Call-Info", "Allow"];
    let headers = identity.iter().filter_map(|name| Some((*name, invite.header(name)?)));
    let mut seen: Vec<String> = headers.map(|(name, value)| format!("{name}: {}", without_tag(value))).collect();
    let codecs = invite.body.lines().filter(|l| l.starts_with("a=rtpmap") || l.starts_with("a=fmtp"));
    seen.extend(codecs.map(str::to_owned));
    seen.extend(invite.body.lines().filter(|l| l.starts_with("m=")).map(|l| {
        let mut words = l.split(' ').collect::<Vec<_>>();
        words.remove(1);
        words.join(" ")
    }));
    seen
}

fn without_tag(value: &str) -> String {
    // The PSTN and the packet trunk are two hosts; who calls is what matters.
    let name = value.split('@').next().unwrap_or_default();
    name.to_owned()
}

/// Status, provisional responses and `Reason` of each call.
type Heard = Vec<(Option<u16>, Vec<u16>, Option<String>)>;

/// What the caller hears and sees.
fn heard(report: &CallReport) -> Heard {
    report.calls.iter().map(|c| (c.status, c.provisional.clone(), c.reason.clone())).collect()
}

/// For a phone's 603 an Asterisk by itself says 503 with cause 34, and once in some tens of calls with cause 21.
fn as_most_often(mut heard: Heard) -> Heard {
    for (_, _, reason) in heard.iter_mut().filter(|(status, ..)| *status == Some(503)) {
        *reason = reason.take().map(|reason| reason.replace("cause=21", "cause=34"));
    }
    heard
}

fn place(stage: &Stage, scene: &Scene) -> CallReport {
    let (mut calls, to) = stage.calls(scene);
    calls.display = "\"Alice A.\" ".into();
    calls.place(to).unwrap()
}

fn arrived(stage: &Stage, scene: &Scene) -> Option<SipMessage> {
    match scene.arrives {
        Arrives::Packet => stage.packet.as_ref()?.invites().pop(),
        Arrives::Pstn => stage.pstn.as_ref()?.invites().pop(),
        Arrives::Phone => stage.phone(scene.called).invites().pop(),
    }
}

/// What the PBX wrote down since `seen`: `n` rows at least.
fn records(stage: &Stage, seen: &mut usize, n: usize) -> Vec<Cdr> {
    let rows = stage.pbx.wait_for_cdrs(*seen + n, Duration::from_secs(5)).split_off(*seen);
    *seen += rows.len();
    rows
}

fn b12_caller_id_ringback_codecs_and_records_are_the_same(kind: Kind) {
    let Some(mut stage) = stage(kind) else { return };
    let mut seen = 0;
    let plain: Vec<_> = SCENES
        .iter()
        .map(|scene| {
            let report = place(&stage, scene);
            // Without sidecall every call that leaves takes the PSTN.
            let there = match scene.arrives {
                Arrives::Phone => arrived(&stage, scene),
                _ => stage.pstn.as_ref().and_then(|pstn| pstn.invites().pop()),
            };
            (heard(&report), offer(&there.unwrap()), records(&stage, &mut seen, 1))
        })
        .collect();
    stage.raise(&SidecallConfig::default()).unwrap();
    for (scene, (heard_before, offer_before, records_before)) in SCENES.iter().zip(plain) {
        let report = place(&stage, scene);
        let invite = arrived(&stage, scene).unwrap();
        assert_eq!(records(&stage, &mut seen, 1), records_before, "{} {}", scene.behaviour, scene.title);
        assert_eq!(heard(&report), heard_before, "{} {}", scene.behaviour, scene.title);
        assert_eq!(offer(&invite), offer_before, "{} {}", scene.behaviour, scene.title);
    }
}

fn b12_hang_up_causes_are_the_same(kind: Kind) {
    let Some(mut stage) = stage(kind) else { return };
    let scene = &SCENES[0];
    let refusals = ["486 Busy Here", "480 Temporarily Unavailable", "603 Decline"];
    // Both trunks' far ends refuse the same way, so that the route doesn't matter.
    let mut seen = 0;
    let mut refused = |stage: &Stage| -> Vec<_> {
        refusals
            .iter()
            .map(|status| {
                let _packet = FarEnd::start(stage.pbx.config().packet, &Answer::refuse(status)).unwrap();
                let _pstn = FarEnd::start(stage.pbx.config().pstn, &Answer::refuse(status)).unwrap();
                (heard(&place(stage, scene)), records(stage, &mut seen, 1))
            })
            .collect()
    };
    stage.clear_far_ends();
    let plain = refused(&stage);
    stage.raise(&SidecallConfig::default()).unwrap();
    let with = refused(&stage);
    let plain: Vec<_> = plain.into_iter().map(|(heard, records)| (as_most_often(heard), records)).collect();
    assert_eq!(with, plain, "{}", stage.sidecall().log());
}

fn b12_a_caller_who_gives_up_ends_the_ringing(kind: Kind) {
    let Some(mut stage) = stage(kind) else { return };
    stage.raise(&SidecallConfig::default()).unwrap();
    stage.clear_far_ends();
    let packet = FarEnd::start(stage.pbx.config().packet, &Answer::after(20_000)).unwrap();
    let (mut calls, to) = stage.calls(&SCENES[0]);
    calls.cancel_ms = Some(900);
    let report = calls.place(to).unwrap();
    assert_eq!(report.statuses(), [Some(487)]);
    assert_eq!(packet.wait_for("CANCEL", 1, Duration::from_secs(3)).len(), 1);
    let sidecall = stage.sidecall();
    let ended = || sidecall.calls().iter().all(|c| c["phase"] == "ended");
    assert!(lab::wait_until(Duration::from_secs(5), ended), "{:#?}", sidecall.calls());
}

macro_rules! voice {
    ($($name:ident,)*) => {
        mod asterisk {
            $(#[test] fn $name() { super::$name(super::Kind::Asterisk); })*
        }
        mod freeswitch {
            $(#[test] fn $name() { super::$name(super::Kind::FreeSwitch); })*
        }
    };
}

voice! {
    b12_caller_id_ringback_codecs_and_records_are_the_same,
    b12_hang_up_causes_are_the_same,
    b12_a_caller_who_gives_up_ends_the_ringing,
}
