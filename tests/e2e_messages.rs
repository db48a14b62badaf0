//! SIP MESSAGEs on each real PBX: dead addresses hold up nothing, and a softphone gets each message once.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

use std::time::Duration;

use lab::scenario::calls::{ALICE, BOB, CAROL, DAVE, ERIN};
use lab::scenario::site::Site;
use lab::sidecall::ADMIN;
use lab::{
    CallReport, Calls, ChaosProxy, Habit, Hosted, Kind, PbxConfig, Phone, Sidecall, SidecallConfig, on_both_pbxs,
    wait_until,
};

/// The hold of the snippets.
const HOLD: Duration = Duration::from_millis(500);
/// What a busy machine may add to a set-up, both PBX and phones being on it.
const NOISE: Duration = Duration::from_millis(700);
/// How long they come: the link is checked every 5 s, and a check that isn't answered fails after 5 s more.
const SECONDS: u32 = 12;
/// How long the same load to a number without dead addresses lasts.
const USUAL_SECONDS: u32 = 3;
/// As many addresses as a number may have.
const DEAD: usize = 64;

/// Softphones have addresses of their own here.
fn config(kind: Kind) -> SidecallConfig {
    // Asterisk sends to addresses of other domains by way of an endpoint.
    let pbx_lines = if kind == Kind::Asterisk { "message_endpoint = \"phones\"\n" } else { "" }.to_owned();
    let clients_lines = "sip_hosts = [\"127.0.0.1\"]\n".to_owned();
    SidecallConfig { pbx_lines, clients_lines, ..SidecallConfig::default() }
}

/// Calls per second to the number with the dead addresses. At 20, a debug build and FreeSWITCH fill two cores by themselves:
/// there 4 in 10 calls to a number without dead addresses miss their hold. `SIDECALL_TEST_RATE` is for other machines and
/// builds.
fn rate(kind: Kind) -> u32 {
    let default = if kind == Kind::Asterisk { 20 } else { 10 };
    std::env::var("SIDECALL_TEST_RATE").ok().and_then(|rate| rate.parse().ok()).unwrap_or(default)
}

fn site(kind: Kind) -> Option<Site> {
    let start_sidecall = |mut site: Site| site.start_sidecall(&config(kind)).map(|()| site);
    lab::or_skip(kind, Site::start(kind, PbxConfig::default()).and_then(start_sidecall))
}

fn new_softphone(habit: &Habit) -> Phone {
    Phone::listen(lab::net::ports::local(), habit).unwrap()
}

/// The value of a metric, summed over all series whose labels contain `label`.
fn metric(sidecall: &Sidecall, name: &str, label: &str) -> f64 {
    let page = sidecall.http_client().get(sidecall.url("/metrics")).bearer_auth(ADMIN).send().unwrap().text().unwrap();
    let series = page.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    series.filter(|line| line.contains(label)).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

fn sip_deliveries(call: &serde_json::Value) -> usize {
    let all = call["deliveries"].as_array().into_iter().flatten();
    all.filter(|delivery| delivery["form"] == "sip" && delivery["message"] == "peer").count()
}

fn no_call_lost_none_held_too_long(report: &CallReport, count: u32, log: &str) {
    report.none_lost_or_later_than(HOLD + NOISE, count, log);
}

/// The calls of which somebody was told more or less than once.
fn told_once(calls: &[String], told: &[String], who: &str) -> Vec<String> {
    let count = |call: &String| told.iter().filter(|other| *other == call).count();
    calls
        .iter()
        .filter(|call| count(call) != 1)
        .map(|call| format!("{who} was told {} times of {call}", count(call)))
        .collect()
}

/// One number has 64 addresses where nobody answers: closed ports, and firewalls that drop packets.
fn dead_addresses_hold_up_nothing(kind: Kind) {
    let Some(mut site) = site(kind) else { return };
    let (rate, calls, usual_calls) = (rate(kind), SECONDS * rate(kind), USUAL_SECONDS * rate(kind));
    let [alice, bob, carol, erin] = [ALICE, BOB, CAROL, ERIN].map(|person| site.number(person));
    let softphone = new_softphone(&Habit::Wait);
    site.sidecall().bind(&alice, &softphone.address());
    let carols = Hosted::start(site.sidecall(), &carol).unwrap();
    let silent: Vec<_> = (0..DEAD / 2).map(|_| new_softphone(&Habit::Silent)).collect();
    // Nobody listens there any more.
    let closed = (0..DEAD - silent.len()).map(|_| new_softphone(&Habit::Silent).address());
    for address in silent.iter().map(Phone::address).chain(closed) {
        site.sidecall().bind(&erin, &address);
    }
    let to = site.pbx.sip();
    let applied = |sidecall: &Sidecall| metric(sidecall, "sidecall_agent_answers_total", "applied=\"yes\"");
    // What is usual on this machine: the same load to a number without dead addresses.
    let plain = Calls::new(CAROL.dialled, DAVE.dialled).times(usual_calls, rate).hold(1_500).place(to).unwrap();
    assert_eq!(plain.answered(), usual_calls as usize);
    let before = applied(site.sidecall());
    let usual = 1.0 - before / f64::from(usual_calls);
    let load = Calls::new(CAROL.dialled, ERIN.dialled).times(calls, rate).hold(1_500).start(to).unwrap();
    // Meanwhile Alice calls Bob, whose softphones answer.
    let between = Calls::new(ALICE.dialled, BOB.dialled).times(12, 1).hold(2_500).start(to).unwrap();
    let (load, between) = (load.finish(Duration::from_secs(50)), between.finish(Duration::from_secs(50)));
    let log = site.sidecall().log();
    no_call_lost_none_held_too_long(&load.unwrap(), calls, &log);
    no_call_lost_none_held_too_long(&between.unwrap(), 12, &log);
    for words in ["no link to the PBX", "no snapshot"] {
        assert!(!log.contains(words), "{log}");
    }
    let sidecall = site.sidecall();
    assert_eq!(metric(sidecall, "sidecall_agent_link_up", ""), 1.0);
    let in_time = applied(sidecall) - before;
    let lost = f64::from(calls + 12) - in_time;
    assert!(
        lost / f64::from(calls + 12) <= usual + 0.02,
        "{lost} calls were answered late, {usual} of one usually\n{log}"
    );
    // Whoever can be reached was told of each call once, and while it was up: the node drops what comes later.
    let all = sidecall.calls();
    let of = |called: &str| -> Vec<String> {
        let to = all.iter().filter(|call| call["called"] == *called);
        to.map(|call| call["call"].as_str().unwrap().to_owned()).collect()
    };
    let (to_erin, to_bob) = (of(&erin), of(&bob));
    assert_eq!((to_erin.len(), to_bob.len()), (calls as usize, 12));
    let shown = |hosted: &Hosted, n: usize| -> Vec<String> {
        let told = hosted.wait_for("peer", n, Duration::from_secs(5));
        told.iter().map(|event| event["call"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let mut problems = told_once(&to_erin, &shown(&carols, (calls + usual_calls) as usize), "Carol");
    problems.extend(told_once(&to_bob, &shown(site.hosted(), 12), "Alice"));
    let copies = softphone.wait_for_peers(12, Duration::from_secs(5));
    let copies: Vec<String> = copies.iter().filter_map(|copy| copy.value("call")).map(str::to_owned).collect();
    problems.extend(told_once(&to_bob, &copies, "Alice's softphone"));
    let bobs = site.bob.received("MESSAGE");
    let bobs: Vec<String> = to_bob
        .iter()
        .flat_map(|call| {
            let told = bobs
                .iter()
                .filter(move |m| m.body.contains("sidecall:peer ") && m.body.contains(&format!("call={call} ")));
            told.map(move |_| call.clone())
        })
        .collect();
    problems.extend(told_once(&to_bob, &bobs, "Bob's softphone"));
    let failed = all.iter().filter(|call| call["called"] == *bob).flat_map(|call| {
        let undelivered = call["deliveries"].as_array().into_iter().flatten().filter(|d| d["state"] != "delivered");
        undelivered.map(|d| d.to_string()).collect::<Vec<_>>()
    });
    assert!(problems.is_empty(), "{problems:#?}\n{:#?}\n{log}", failed.collect::<Vec<_>>());
    // The dead ones were tried, and none of them twice for one message.
    let mut tried = 0;
    for dead in &silent {
        let mut ids: Vec<String> =
            dead.received("MESSAGE").iter().filter_map(|copy| copy.value("id")).map(str::to_owned).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "a message came twice to {}", dead.address());
        tried += usize::from(all > 0);
    }
    assert_eq!(tried, silent.len());
    // On FreeSWITCH they rest from their first failure on, and no delivery is made for them.
    let rested = metric(site.sidecall(), "sidecall_sip_messages_dropped_total", "resting");
    let made: usize = all.iter().filter(|call| call["called"] == *erin).map(sip_deliveries).sum();
    let limit = DEAD * calls as usize / 2;
    assert!(kind == Kind::Asterisk || rested > 0.0 && made < limit, "{rested} rested, {made} were made");
}

/// Whatever a softphone does with a message, and while the node that handed it out is killed, it gets one copy.
fn a_softphone_gets_one_copy_of_a_message(kind: Kind) {
    let Some(mut site) = site(kind) else { return };
    let manners = [Habit::Wait, Habit::Late(Duration::from_secs(7)), Habit::Silent, Habit::Silent];
    let softphones = manners.clone().map(|manner| new_softphone(&manner));
    let alice = site.number(ALICE);
    for softphone in &softphones {
        site.sidecall().bind(&alice, &softphone.address());
    }
    // Longer than the node once waited before it handed a message out again.
    let call = Calls::new(ALICE.dialled, BOB.dialled).hold(13_000).start(site.pbx.sip()).unwrap();
    for softphone in &softphones {
        assert_eq!(softphone.wait_for_peers(1, Duration::from_secs(5)).len(), 1, "{}", site.sidecall().log());
    }
    std::thread::sleep(Duration::from_millis(8_500));
    site.sidecall().child().kill();
    site.sidecall().restart().unwrap();
    site.sidecall().wait_until_attached().unwrap();
    assert_eq!(call.finish(Duration::from_secs(40)).unwrap().answered(), 1);
    for (softphone, manner) in softphones.iter().zip(manners) {
        let peers = softphone.received("MESSAGE").iter().filter(|copy| copy.is_peer()).count();
        assert_eq!(peers, 1, "{manner:?}\n{}", site.sidecall().log());
    }
}

/// While the agent has no link it sends nothing, and knows it: the message is sent when the link is back.
fn a_message_waits_for_the_link(kind: Kind) {
    let Some(mut site) = lab::or_skip(kind, Site::start(kind, PbxConfig::default())) else { return };
    let proxy = ChaosProxy::start(site.pbx.event_addr()).unwrap();
    site.start_sidecall(&SidecallConfig { event_addr: Some(proxy.addr()), ..config(kind) }).unwrap();
    let call = Calls::new(ALICE.dialled, BOB.dialled).hold(14_000).start(site.pbx.sip()).unwrap();
    let alice = site.number(ALICE);
    assert_eq!(site.hosted().wait_for("peer", 1, Duration::from_secs(5)).len(), 1, "{}", site.sidecall().log());
    // Bob's softphone has its message: what the cut interrupts is not what this is about.
    let sent = |site: &mut Site| metric(site.sidecall(), "sidecall_agent_sip_messages_total", "result=\"sent\"");
    assert!(wait_until(Duration::from_secs(5), || sent(&mut site) > 0.0), "{}", site.sidecall().log());
    proxy.refuse(true);
    proxy.cut();
    assert!(wait_until(Duration::from_secs(3), || site.sidecall().log().contains("no link to the PBX")));
    // A client that comes now is told of the call that is up.
    let softphone = new_softphone(&Habit::Wait);
    site.sidecall().bind(&alice, &softphone.address());
    // The agent says every two seconds how its link is, and is given nothing.
    std::thread::sleep(Duration::from_secs(3));
    assert!(softphone.received("MESSAGE").is_empty());
    let unsent = metric(site.sidecall(), "sidecall_agent_sip_messages_total", "result=\"unsent\"");
    let dropped = metric(site.sidecall(), "sidecall_agent_sip_messages_dropped_total", "");
    assert_eq!((unsent, dropped), (0.0, 0.0), "{}", site.sidecall().log());
    proxy.refuse(false);
    assert_eq!(softphone.wait_for_peers(1, Duration::from_secs(6)).len(), 1, "{}", site.sidecall().log());
    assert_eq!(call.finish(Duration::from_secs(40)).unwrap().answered(), 1);
    assert_eq!(softphone.received("MESSAGE").iter().filter(|copy| copy.is_peer()).count(), 1);
}

/// `sip:pstn@DOMAIN` names a trunk, as an endpoint of Asterisk. It gets no message; Bob's phone, which is named in the same
/// way, gets his.
#[test]
fn asterisk_a_trunk_is_no_softphone() {
    let Some(mut site) = site(Kind::Asterisk) else { return };
    let alice = site.number(ALICE);
    let trunk = format!("sip:pstn@{}", site.domain);
    site.sidecall().bind(&alice, &trunk);
    let call = Calls::new(ALICE.dialled, BOB.dialled).hold(3_000).start(site.pbx.sip()).unwrap();
    let deliveries = |site: &mut Site, state: &str| -> Vec<String> {
        let calls = site.sidecall().calls();
        let all = calls.iter().flat_map(|call| call["deliveries"].as_array().into_iter().flatten());
        let found = all.filter(|d| d["form"] == "sip" && d["message"] == "peer" && d["state"] == *state);
        found.map(|d| format!("{} {}", d["number"], d["error"])).collect()
    };
    let told = || !deliveries(&mut site, "failed").is_empty() && !deliveries(&mut site, "delivered").is_empty();
    assert!(wait_until(Duration::from_secs(3), told), "{}", site.sidecall().log());
    let failed = deliveries(&mut site, "failed");
    assert!(failed.iter().all(|d| d.contains(&alice) && d.contains("a trunk and not a phone")), "{failed:?}");
    assert!(deliveries(&mut site, "delivered").iter().all(|d| !d.contains(&alice)));
    // The packet trunk is known by name, and a client can't even bind it.
    let bound = site.sidecall().http_client().post(site.sidecall().url("/v1/clients")).bearer_auth(ADMIN);
    let packet = format!("sip:sidecall@{}", site.domain);
    let bound = bound.json(&serde_json::json!({"number": alice, "address": packet})).send().unwrap();
    assert_eq!(bound.status(), 422);
    assert_eq!(call.finish(Duration::from_secs(20)).unwrap().answered(), 1);
}

/// A softphone that was off is told of a call that began meanwhile, once it is on again. Only FreeSWITCH says that it was off.
#[lab::needs_freeswitch]
#[test]
fn a_softphone_that_is_back_is_told_of_the_call_that_is_up() {
    let Some(mut site) = site(Kind::FreeSwitch) else { return };
    let alice = site.number(ALICE);
    let addr = lab::net::ports::local();
    site.sidecall().bind(&alice, &format!("sip:softphone@{addr}"));
    let failed = |site: &mut Site| metric(site.sidecall(), "sidecall_agent_sip_messages_total", "result=\"failed\"");
    let first = Calls::new(ALICE.dialled, BOB.dialled).hold(1_000).place(site.pbx.sip()).unwrap();
    assert_eq!(first.answered(), 1);
    assert!(wait_until(Duration::from_secs(3), || failed(&mut site) > 0.0), "{}", site.sidecall().log());
    let second = Calls::new(ALICE.dialled, BOB.dialled).hold(15_000).start(site.pbx.sip()).unwrap();
    assert_eq!(site.hosted().wait_for("peer", 2, Duration::from_secs(5)).len(), 2, "{}", site.sidecall().log());
    let softphone = Phone::listen(addr, &Habit::Wait).unwrap();
    let copies = softphone.wait_for_peers(1, Duration::from_secs(14));
    let up = site.sidecall().calls().into_iter().find(|call| call["phase"] != "ended").unwrap();
    let told: Vec<_> = copies.iter().filter_map(|copy| copy.value("call")).collect();
    assert_eq!(told, [up["call"].as_str().unwrap()], "{}", site.sidecall().log());
    assert_eq!(second.finish(Duration::from_secs(40)).unwrap().answered(), 1);
}

on_both_pbxs! {
    dead_addresses_hold_up_nothing,
    a_softphone_gets_one_copy_of_a_message,
    a_message_waits_for_the_link,
}
