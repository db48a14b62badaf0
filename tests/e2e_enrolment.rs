//! Enrolment by dialling, on each real PBX of this machine: a page shows a code, and the desk phone that dials it enrols
//! the page.

#![allow(clippy::unwrap_used)] // a test that can't go on says where

use std::time::{Duration, Instant};

use lab::net::ports;
use lab::pbx::installed;
use lab::sidecall::{ADMIN, Sidecall, domain};
use lab::{Installed, Kind, Pbx, PbxConfig, Phone};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(10);

/// Dials this; whether the phone hears the three short tones, and not the fast busy tone for three seconds.
fn hears_success(phone: &Phone, dialled: &str) -> bool {
    let call = phone.call(dialled);
    assert!(call.wait_answered(LIMIT), "{:?}", call.status());
    let answered = Instant::now();
    assert!(call.wait_sound(10, LIMIT) && call.wait_ended(LIMIT) && call.ended_there());
    answered.elapsed() < Duration::from_millis(2_500)
}

/// What a page gets: a code to show.
fn page(sidecall: &Sidecall) -> Value {
    let (status, page) = sidecall.send("POST", "/v1/dialled-enrolments", "", &json!({"name": "Browser"}));
    assert_eq!(status, 201, "{page}");
    page
}

fn b15_a_phone_that_dials_the_code_enrols_the_page(kind: Kind) {
    let config = PbxConfig { passwords: true, ..PbxConfig::patient() };
    let Some(pbx) = lab::or_skip(kind, Pbx::start_with(kind, config)) else { return };
    let sidecall = Sidecall::start(&pbx).unwrap();
    let number = format!("1000;phone-context={}", domain(&pbx));
    sidecall.number(&number, "Alice", true);
    let [alice, bob] = ["1000", "1001"].map(|number| Phone::register(pbx.sip(), number).unwrap());

    let shown = page(&sidecall);
    let dial = shown["dial"].as_str().unwrap();
    let wrong = format!("*7433{:06}", (dial[5..].parse::<u32>().unwrap() + 1) % 1_000_000);
    assert!(!hears_success(&alice, &wrong), "no page shows this: {}", sidecall.log());
    assert!(!hears_success(&bob, dial), "1001 is not in the directory: {}", sidecall.log());
    assert_eq!(sidecall.get("/v1/devices")["devices"], json!([]));

    assert!(hears_success(&alice, dial), "{}\n{}", sidecall.log(), pbx.log());
    let path = format!("/v1/dialled-enrolments/{}", shown["id"].as_str().unwrap());
    let (status, told) = sidecall.send("GET", &path, shown["secret"].as_str().unwrap(), &Value::Null);
    assert_eq!((status, &told["state"]), (200, &json!("enrolled")), "{told}");
    assert_eq!(told["device"]["number"], json!(number));
    assert!(!hears_success(&alice, dial), "the code is used up");
    let own = sidecall.send("GET", "/v1/devices", told["token"].as_str().unwrap(), &Value::Null);
    assert_eq!(own.1["devices"], sidecall.send("GET", "/v1/devices", ADMIN, &Value::Null).1["devices"]);
    assert_eq!(own.1["devices"].as_array().map(Vec::len), Some(1));

    // Without sidecall the phone hears that it did not work.
    let late = page(&sidecall);
    drop(sidecall);
    assert!(!hears_success(&alice, late["dial"].as_str().unwrap()));
}

/// What `install.sh` writes lets the phones of a context enrol browsers.
fn install_sh_lets_phones_enrol_browsers(kind: Kind) {
    let config = PbxConfig { snippets: false, passwords: true, ..PbxConfig::patient() };
    let Some(pbx) = lab::or_skip(kind, Pbx::start_with(kind, config)) else { return };
    let context = domain(&pbx);
    let phones: &[&str] = if kind == Kind::Asterisk { &["--phones", "from-internal"] } else { &[] };
    let made = Installed::beside(&pbx, &[&["--context", &context], phones].concat()).unwrap();
    if kind == Kind::Asterisk {
        installed::lead_calls(&pbx, &[("from-internal", "sidecall-phones")]).unwrap();
    }
    installed::reload(&pbx);
    let sidecall = made.start(ports::local()).unwrap();
    sidecall.entry(&format!("1000;phone-context={context}"), json!({"name": "Alice"}));
    let phone = Phone::register(pbx.sip(), "1000").unwrap();
    let shown = page(&sidecall);
    assert!(hears_success(&phone, shown["dial"].as_str().unwrap()), "{}\n{}", sidecall.log(), pbx.log());
    assert_eq!(sidecall.get("/v1/devices")["devices"].as_array().map(Vec::len), Some(1));
}

lab::on_both_pbxs! {
    b15_a_phone_that_dials_the_code_enrols_the_page,
    install_sh_lets_phones_enrol_browsers,
}
