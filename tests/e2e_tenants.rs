//! Two tenants of one PBX with the same extensions, at once, on real PBXs.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

use std::thread;
use std::time::Duration;

use lab::pbx::tenants::{ACME, BETA, Tenant};
use lab::scenario::people::People;
use lab::scenario::transfers::TRANSFERS;
use lab::{Kind, Pbx, PbxConfig, Phone, Sidecall, SidecallConfig, never, wait_until};
use serde_json::{Value, json};

/// What acme's people do while beta's do the other.
const AT_ONCE: [(&str, &str); 4] = [
    ("blind, by the caller", "blind, by the caller"),
    ("directed pick-up", "ring group"),
    ("forwarded by the phone (302)", "group pick-up"),
    ("queue", "forwarded by the phone (302)"),
];

const SOON: Duration = Duration::from_secs(5);

/// A PBX with both tenants, four people of each, and sidecall. Dropped in this order.
struct House {
    acme: People,
    beta: People,
    sidecall: Sidecall,
    pbx: Pbx,
}

fn open(kind: Kind) -> lab::Result<House> {
    let pbx = Pbx::start_with(kind, PbxConfig { tenants: &[ACME, BETA], ..PbxConfig::patient() })?;
    let tenant = |Tenant { name, endpoints }: Tenant| {
        // FreeSWITCH says itself whose phone it rings.
        let endpoints = format!("endpoints = [\"{endpoints}\"]\n");
        let endpoints = if kind == Kind::Asterisk { &endpoints } else { "" };
        format!("[[pbx.tenant]]\nname = \"{name}\"\ncontext = \"{name}.example\"\n{endpoints}")
    };
    let direct = "[[pbx.tenant.map]]\nextension = \"100X\"\nnumber = \"+1212555900X\"\n";
    let more = tenant(ACME) + &tenant(BETA) + direct;
    let sidecall = Sidecall::start_with(&pbx, &SidecallConfig { more, ..SidecallConfig::default() })?;
    let local = |extension: &str| format!("{extension};phone-context={}", ACME.domain());
    let outer = |extension: &str| format!("+121255590{}", &extension[2..]);
    let acme = People::on_one(&pbx, &sidecall, local, |extension| ACME.phone(&pbx, extension))?;
    let beta = People::on_one(&pbx, &sidecall, outer, |extension| BETA.phone(&pbx, extension))?;
    Ok(House { acme, beta, sidecall, pbx })
}

/// Whoever talks is paired, and the others' clients hear nothing: a stranger would stand in what was told.
fn run(people: &mut People, name: &str) -> Result<(), String> {
    let transfer = TRANSFERS.iter().find(|transfer| transfer.name == name).unwrap();
    transfer.run(people, || ()).map_err(|problem| format!("{name}: {problem}"))
}

/// The newest call, once it has ended.
fn ended(house: &House, before: usize) -> Value {
    let calls = || house.sidecall.calls();
    let over = || calls().len() > before && calls()[0]["phase"] == "ended";
    assert!(wait_until(SOON, over), "{:#?}\n{}", calls(), house.sidecall.log());
    calls().remove(0)
}

/// A call to 1001, as ever.
fn call(caller: &Phone, called: &Phone) {
    let call = caller.call("1001");
    let there = called.answer_next(SOON).unwrap();
    assert!(call.wait_answered(SOON) && call.wait_hears(called, SOON) && there.wait_hears(caller, SOON));
    call.hang_up();
    assert!(there.wait_ended(SOON));
}

fn tenants_are_apart(kind: Kind) {
    let Some(mut house) = lab::or_skip(kind, open(kind)) else { return };
    for (ours, theirs) in AT_ONCE {
        let (acme, beta) = (&mut house.acme, &mut house.beta);
        let played = thread::scope(|scope| {
            let ours = scope.spawn(|| run(acme, ours));
            let theirs = run(beta, theirs);
            [ours.join().unwrap(), theirs]
        });
        let (calls, log) = (house.sidecall.calls(), house.sidecall.log());
        assert_eq!(played, [Ok(()), Ok(())], "{kind}\n{calls:#?}\n{log}\n{}", house.pbx.log());
    }

    // Whoever of beta has no client calls as ever, and is nobody of acme.
    house.acme.rewind().unwrap();
    house.beta.rewind().unwrap();
    let known = house.sidecall.calls().len();
    call(&BETA.phone(&house.pbx, "1004").unwrap(), &house.beta.phones[1]);
    let last = ended(&house, known);
    assert_eq!((&last["calling"], &last["called"]), (&json!("+12125559004"), &json!("+12125559001")));
    assert_eq!((&last["reason"], &last["deliveries"]), (&json!("caller-has-no-client"), &json!([])));

    // Nobody knows whose these are: the voice call is as ever, and there is nothing to decide.
    let known = house.sidecall.calls().len();
    let [caller, called] = ["1000", "1001"].map(|extension| Phone::register(house.pbx.sip(), extension).unwrap());
    call(&caller, &called);
    let told = || [&house.acme, &house.beta].map(|people| [0, 1, 2, 3].map(|n| people.told(n)).concat());
    let nothing = never(|| house.sidecall.calls().len() > known || told().concat() != "");
    assert!(nothing, "{:?}\n{:#?}", told(), house.sidecall.calls());
}

#[test]
fn asterisk_tenants_with_the_same_extensions_dont_hear_of_each_other() {
    tenants_are_apart(Kind::Asterisk);
}

#[lab::needs_freeswitch]
#[test]
fn freeswitch_tenants_with_the_same_extensions_dont_hear_of_each_other() {
    tenants_are_apart(Kind::FreeSwitch);
}
