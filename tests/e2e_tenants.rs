//! Two tenants of one PBX with the same extensions, on real PBXs.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

mod lab;

use lab::cast::{ALICE, BOB, SCENES};
use lab::sidecall::domain;
use lab::stage::Stage;
use lab::{Kind, PbxConfig, SidecallConfig, wait_until};
use serde_json::Value;
use std::time::Duration;

/// From now on the dialplan says that calls are this tenant's.
fn belongs_to(stage: &Stage, tenant: &str) {
    let _ = match stage.pbx.kind() {
        Kind::FreeSwitch => stage.pbx.console(&format!("global_setvar lab_tenant={tenant}")),
        Kind::Asterisk => stage.pbx.console(&format!("dialplan set global SIDECALL_TENANT {tenant}")),
    };
}

/// Two tenants, and what tells them apart.
fn stage(kind: Kind) -> Option<Stage> {
    let mut stage = lab::or_skip(kind, Stage::set(kind, PbxConfig::default()))?;
    if kind == Kind::FreeSwitch {
        // As an administrator would, where something else than the domain tells tenants apart.
        let snippet = stage.pbx.dir().join("conf/dialplan/sidecall.xml");
        let text = std::fs::read_to_string(&snippet).unwrap();
        let said = "<condition field=\"${domain_name}\"";
        assert!(text.contains(said));
        std::fs::write(snippet, text.replace(said, "<condition field=\"${lab_tenant}\"")).unwrap();
        let _ = stage.pbx.console("reloadxml");
    }
    let more = format!(
        "[[pbx.tenant]]\nname = \"acme\"\ncontext = \"{}\"\n[[pbx.tenant]]\nname = \"beta.example\"\n\
         [[pbx.tenant.map]]\nextension = \"1001\"\nnumber = \"+12125559001\"\n",
        domain(&stage.pbx)
    );
    stage.raise(&SidecallConfig { more, ..SidecallConfig::default() }).unwrap();
    Some(stage)
}

/// The newest call, once it has ended.
fn ended(stage: &mut Stage, before: usize) -> Value {
    let sidecall = stage.sidecall();
    let over = || sidecall.calls().len() > before && sidecall.calls()[0]["phase"] == "ended";
    assert!(wait_until(Duration::from_secs(5), over), "{:#?}\n{}", sidecall.calls(), sidecall.log());
    sidecall.calls().remove(0)
}

fn tenants_with_the_same_extensions_dont_see_each_other(kind: Kind) {
    let Some(mut stage) = stage(kind) else { return };
    let scene = SCENES.iter().find(|scene| (scene.caller, scene.called) == (ALICE, BOB)).unwrap();
    belongs_to(&stage, "acme");
    let played = stage.play(scene);
    assert!(played.ok, "{played:#?}\n{}\n{}", stage.sidecall().log(), stage.pbx.log());

    // The same digits at the same phones: two people of another company, who have no clients here.
    belongs_to(&stage, "beta.example");
    let (told, known) = (stage.hosted().events("peer").len(), stage.sidecall().calls().len());
    let (calls, to) = stage.calls(scene);
    assert_eq!(calls.hold(500).place(to).unwrap().answered(), 1, "{}", stage.pbx.log());
    let call = ended(&mut stage, known);
    assert_eq!(call["calling"], "1000;phone-context=beta.example");
    assert_eq!((&call["called"], &call["reason"]), (&"+12125559001".into(), &"caller-has-no-client".into()));
    assert_eq!(call["deliveries"], Value::Array(Vec::new()));
    assert_eq!(stage.hosted().events("peer").len(), told, "Alice of acme hears nothing of it");

    // Nobody knows whose: the voice call is as ever, and there is nothing to decide.
    belongs_to(&stage, "gamma");
    let known = stage.sidecall().calls().len();
    let (calls, to) = stage.calls(scene);
    assert_eq!(calls.hold(300).place(to).unwrap().answered(), 1);
    assert_eq!(stage.sidecall().calls().len(), known);
    assert_eq!(stage.hosted().events("peer").len(), told);
}

#[test]
fn asterisk_tenants_with_the_same_extensions_dont_see_each_other() {
    tenants_with_the_same_extensions_dont_see_each_other(Kind::Asterisk);
}

#[test]
fn freeswitch_tenants_with_the_same_extensions_dont_see_each_other() {
    tenants_with_the_same_extensions_dont_see_each_other(Kind::FreeSwitch);
}
