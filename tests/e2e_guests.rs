//! Guests, on each real PBX of this machine: a person at another organisation's phone, without a client, joins the call
//! with a code that the caller reads out.

#![allow(clippy::unwrap_used)] // a test that can't go on says where

use std::io::{BufRead, BufReader};
use std::time::Duration;

use lab::scenario::calls::{ALICE, FRANK};
use lab::scenario::site::Site;
use lab::sidecall::credential;
use lab::{Client, Kind, PbxConfig, Phone, SidecallConfig, arrives, wait_until};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(10);

fn b14_a_person_without_a_client_joins_by_a_code(kind: Kind) {
    let Some(mut site) = lab::or_skip(kind, Site::ready(kind, PbxConfig::default(), &SidecallConfig::default())) else {
        return;
    };
    let alice = site.number(ALICE);
    let client = site.hosted().events("connected")[0]["client"].clone();
    let phone = Phone::connect(site.pbx.sip(), ALICE.dialled).unwrap();
    let talk = phone.call(FRANK.dialled);
    assert!(talk.wait_answered(LIMIT), "{:?}", talk.status());
    let sidecall = site.sidecall();
    let call = sidecall.calls()[0]["call"].as_str().unwrap().to_owned();

    let invite = || {
        let path = format!("/v1/calls/{call}/guests");
        sidecall.send("POST", &path, &credential(&alice), &json!({"client": client}))
    };
    let (status, invited) = invite();
    assert_eq!((status, &invited["link"]), (201, &json!(sidecall.url("/j"))), "{invited}");
    let join = |code: &Value| {
        let guest = json!({"code": code, "name": "Frank", "capabilities": ["text"]});
        sidecall.send("POST", "/v1/guests", "", &guest)
    };
    let (status, guest) = join(&invited["code"]);
    assert_eq!((status, &guest["peer"]["name"]), (201, &json!(ALICE.name)), "{guest}");
    let stream =
        sidecall.http_client().get(sidecall.url("/v1/guests/stream")).bearer_auth(guest["token"].as_str().unwrap());
    let stream = stream.header("Accept", "text/event-stream").send().unwrap();
    assert_eq!(stream.status(), 200);

    let [to_alice, to_guest] = [&guest["peer"]["address"], &guest["address"]].map(|at| at.as_str().unwrap());
    assert_eq!(sidecall.post(to_alice, &json!({"type": "text", "text": "from the guest"})), 202);
    assert_eq!(sidecall.post(to_guest, &json!({"type": "text", "text": "from the host"})), 202);
    let mut lines = BufReader::new(stream).lines();
    assert!(lines.any(|line| line.unwrap().contains("from the host")));

    talk.hang_up();
    assert!(talk.wait_ended(LIMIT));
    let gone = || sidecall.post(to_alice, &json!({"type": "typing", "ephemeral": true})) == 404;
    assert!(wait_until(LIMIT, gone), "a guest ends with the call: {}", sidecall.log());
    assert_eq!(join(&invited["code"]).0, 404);
    assert_eq!(invite().0, 404);
    // The stream ends, too.
    lines.for_each(drop);
    let client = site.hosted();
    assert!(arrives(LIMIT, || client.shows("from the guest")));
}

lab::on_both_pbxs! {
    b14_a_person_without_a_client_joins_by_a_code,
}
