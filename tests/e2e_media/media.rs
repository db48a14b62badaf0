//! What changes while people talk: the codec, hold, a session timer, and a call that becomes a fax.

use std::time::Duration;

use crate::house::{House, SOON, both_are_told_of_the_end};
use lab::scenario::report::Since;
use lab::sip::phone::Codec;
use lab::{Call, Changes, Kind, PbxConfig, SipMessage, wait_until};

/// The shortest that RFC 4028 allows; the PBX refreshes at half of it, or a little later.
const EXPIRES: u64 = 90;

/// The caller's phone lets the PBX refresh the session every 45 to 60 seconds. Meanwhile it changes its codec, holds
/// and resumes; then the PBX refreshes the session. Whoever talks stays paired through all of it.
pub(super) fn a_refreshed_session_and_another_codec(kind: Kind) {
    // An Asterisk does it as it is.
    let changes = match kind {
        Kind::Asterisk => Changes::default(),
        Kind::FreeSwitch => Changes::default()
            .edit(
                "sip_profiles/internal.xml",
                "<!--<param name=\"minimum-session-expires\" value=\"120\"/>-->",
                format!("<param name=\"minimum-session-expires\" value=\"{EXPIRES}\"/>"),
            )
            .edit(
                "sip_profiles/internal.xml",
                "<!--<param name=\"session-timeout\" value=\"1800\"/>-->",
                format!("<param name=\"session-timeout\" value=\"{EXPIRES}\"/>"),
            ),
    };
    let Some(house) = House::open(kind, PbxConfig { changes, ..PbxConfig::default() }) else { return };
    let ((first, alices), (second, bobs)) = (house.person("1000", "Alice"), house.person("1001", "Bob"));
    let (alice, bob) = (house.phone("1000"), house.phone("1001"));
    let (a, b) = (Since::now(&alices), Since::now(&bobs));
    let timer = format!("Session-Expires: {EXPIRES};refresher=uas");
    let call = alice.call_as("1001", "", &["Supported: timer", &timer, &format!("Min-SE: {EXPIRES}")]);
    let there = bob.answer_next(SOON).expect("Bob's phone rings");
    house.sound_both_ways((&call, &alice), (&there, &bob), "at first");
    house.are_paired((&a, &first), (&b, &second), "at first");
    let agreed = call.messages().into_iter().find(|m| m.received && m.status() == Some(200) && is_of(m, "INVITE"));
    let agreed = agreed.and_then(|m| m.header("Session-Expires").map(str::to_owned)).unwrap_or_default();
    assert!(agreed.starts_with(&EXPIRES.to_string()) && agreed.contains("refresher=uas"), "agreed: {agreed:?}");

    for codec in [Codec::Pcma, Codec::Pcmu] {
        let before = call.received_as(codec);
        assert!(call.change_to(codec), "{codec:?} is refused\n{}", house.pbx.log());
        assert_eq!(call.codec(), codec);
        assert!(wait_until(SOON, || call.received_as(codec) > before + 25), "no {codec:?} comes\n{}", house.pbx.log());
        house.sound_both_ways((&call, &alice), (&there, &bob), "with another codec");
    }
    assert!(call.hold() && there.wait_deaf_to(&alice, SOON), "it isn't held");
    assert!(call.resume(), "it isn't resumed");
    house.sound_both_ways((&call, &alice), (&there, &bob), "after a hold");

    // The first request that nobody asked for.
    let refreshes = |call: &Call| {
        let asked = |m: &&SipMessage| m.received && ["INVITE", "UPDATE"].contains(&m.method());
        call.messages().iter().filter(asked).filter(|m| m.header("Session-Expires").is_some()).count()
    };
    let before = refreshes(&call);
    let limit = Duration::from_secs(EXPIRES);
    assert!(wait_until(limit, || refreshes(&call) > before), "no refresh in {limit:?}:\n{:#?}", call.messages());
    house.sound_both_ways((&call, &alice), (&there, &bob), "after the refresh");
    assert!(a.stays_without(1) && b.stays_without(1), "somebody was told of the same person again");
    assert!(alices.events("ended").is_empty() && bobs.events("ended").is_empty(), "somebody was told of an end");
    call.hang_up();
    both_are_told_of_the_end((&a, &first), (&b, &second), "at the end");
}

fn is_of(message: &SipMessage, method: &str) -> bool {
    message.header("CSeq").is_some_and(|cseq| cseq.ends_with(method))
}

/// Who is called turns the call into a fax, as a fax machine does: T.38 packets go both ways, and the two stay paired
/// until it ends.
pub(super) fn a_fax_over_t38(kind: Kind) {
    let changes = match kind {
        Kind::Asterisk => ["1000", "1001"].into_iter().fold(Changes::default(), |changes, number| {
            let section = format!("[{number}]\ntype=endpoint\n");
            let with = format!("{section}t38_udptl=yes\nt38_udptl_ec=redundancy\n");
            changes.edit("pjsip.conf", section, with)
        }),
        // Both legs have to say so: each may be the one that is asked.
        Kind::FreeSwitch => Changes::default().edit(
            "dialplan/default.xml",
            "<context name=\"default\">",
            "<context name=\"default\">\n<extension name=\"fax\" continue=\"true\"><condition>\n\
             <action application=\"export\" data=\"fax_enable_t38=true\"/>\n\
             <action application=\"export\" data=\"t38_passthru=true\"/>\n</condition></extension>",
        ),
    };
    let Some(house) = House::open(kind, PbxConfig { changes, ..PbxConfig::default() }) else { return };
    let ((first, alices), (second, bobs)) = (house.person("1000", "Alice"), house.person("1001", "Bob"));
    let (alice, bob) = (house.phone("1000"), house.phone("1001"));
    let (a, b) = (Since::now(&alices), Since::now(&bobs));
    let call = alice.call("1001");
    let there = bob.answer_next(SOON).expect("Bob's phone rings");
    house.sound_both_ways((&call, &alice), (&there, &bob), "before the fax");
    house.are_paired((&a, &first), (&b, &second), "before the fax");
    assert!(there.change_to(Codec::T38), "T.38 is refused\n{}", house.pbx.log());
    for (side, name) in [(&call, "the caller"), (&there, "the called one")] {
        assert!(wait_until(SOON, || side.codec() == Codec::T38), "{name} gets no T.38\n{}", house.pbx.log());
        let arrive = wait_until(SOON, || side.received_as(Codec::T38) > 25);
        assert!(arrive, "{} packets at {name}\n{}", side.received_as(Codec::T38), house.pbx.log());
    }
    assert!(a.stays_without(1) && b.stays_without(1), "somebody was told of the same person again");
    assert!(alices.events("ended").is_empty() && bobs.events("ended").is_empty(), "somebody was told of an end");
    there.hang_up();
    both_are_told_of_the_end((&a, &first), (&b, &second), "at the end of the fax");
}
