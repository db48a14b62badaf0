//! Two phones of one number, and a phone with TLS and SRTP.

use crate::house::{House, SOON, both_are_told_of_the_end};
use lab::net::ca::Ca;
use lab::net::ports;
use lab::scenario::report::Since;
use lab::sip::baresip::SOFTPHONE;
use lab::{Baresip, Capture, Changes, Kind, PbxConfig, or_skip};

/// Both ring, and whichever answers is paired as that number: the other phone is nobody. Each may call, too.
pub(super) fn two_phones_of_one_number(kind: Kind) {
    let changes = match kind {
        // `Dial(PJSIP/1003)` alone would call the phone that registered last.
        Kind::Asterisk => Changes::default()
            .edit("pjsip.conf", "[1003]\ntype=aor\nmax_contacts=1\n", "[1003]\ntype=aor\nmax_contacts=2\n")
            .add(
                "extensions.conf",
                "[from-internal]\nexten => 1003,1,Gosub(sidecall-originating,s,1)\n \
                 same => n,Dial(${PJSIP_DIAL_CONTACTS(${EXTEN})},60)\n",
            ),
        Kind::FreeSwitch => Changes::default().edit(
            "sip_profiles/internal.xml",
            "<!--<param name=\"multiple-registrations\" value=\"contact\"/>-->",
            "<param name=\"multiple-registrations\" value=\"contact\"/>",
        ),
    };
    let Some(house) = House::open(kind, PbxConfig { changes, ..PbxConfig::default() }) else { return };
    let ((first, alices), (second, bobs), (third, carols)) =
        (house.person("1000", "Alice"), house.person("1003", "Bob"), house.person("1002", "Carol"));
    let (alice, desk, attic, carol) =
        (house.phone("1000"), house.phone("1003"), house.phone("1003"), house.phone("1002"));
    for (answers, other) in [(&attic, &desk), (&desk, &attic)] {
        let (a, b) = (Since::now(&alices), Since::now(&bobs));
        let call = alice.call("1003");
        let (there, silent) = (answers.next_call(SOON), other.next_call(SOON));
        let (there, silent) = (there.expect("one phone rings"), silent.expect("the other phone rings"));
        there.ring();
        silent.ring();
        assert!(call.wait_ringing(SOON));
        there.answer();
        house.sound_both_ways((&call, &alice), (&there, answers), "two phones ring");
        assert!(silent.wait_ended(SOON), "the other phone rings on");
        house.are_paired((&a, &first), (&b, &second), "two phones ring");
        there.hang_up();
        assert!(call.wait_ended(SOON));
        both_are_told_of_the_end((&a, &first), (&b, &second), "two phones ring");
    }
    for calls in [&attic, &desk] {
        let (a, b) = (Since::now(&alices), Since::now(&bobs));
        let call = calls.call("1000");
        let there = alice.answer_next(SOON).expect("Alice's phone rings");
        house.sound_both_ways((&call, calls), (&there, &alice), "either of two phones calls");
        house.are_paired((&b, &second), (&a, &first), "either of two phones calls");
        call.hang_up();
        both_are_told_of_the_end((&a, &first), (&b, &second), "either of two phones calls");
    }
    // Somebody else picks it up while both ring.
    let (a, b, c) = (Since::now(&alices), Since::now(&bobs), Since::now(&carols));
    let call = alice.call("1003");
    let ringing = [&desk, &attic].map(|phone| phone.next_call(SOON).expect("both phones ring"));
    ringing.iter().for_each(|there| there.ring());
    assert!(call.wait_ringing(SOON));
    let picked = carol.call(if kind == Kind::Asterisk { "*81003" } else { "**1003" });
    house.sound_both_ways((&call, &alice), (&picked, &carol), "picked up while two phones ring");
    assert!(ringing.iter().all(|there| there.wait_ended(SOON)), "a phone rings on");
    house.are_paired((&a, &first), (&c, &third), "picked up while two phones ring");
    assert!(b.stays_without(0), "Bob's client was told of a call that Carol has");
    call.hang_up();
    both_are_told_of_the_end((&a, &first), (&c, &third), "picked up while two phones ring");
}

/// A real softphone whose signalling and sound nobody can read: called, and calling.
pub(super) fn a_phone_with_tls_and_srtp(kind: Kind) {
    let ca = Ca::generate();
    let tls = ports::local();
    let (certificate, key) = ca.sign(&[&tls.ip().to_string()]);
    let changes = match kind {
        Kind::Asterisk => Changes::default()
            .add("phones.crt", certificate)
            .add("phones.key", key)
            .add(
                "pjsip.conf",
                format!(
                    "\n[global]\ntype=global\nendpoint_identifier_order=username,ip\n\n\
                     [lab-tls]\ntype=transport\nprotocol=tls\nmethod=tlsv1_2\nbind={tls}\n\
                     cert_file=@ETC@/phones.crt\npriv_key_file=@ETC@/phones.key\n"
                ),
            )
            .edit("pjsip.conf", "[1004]\ntype=endpoint\n", "[1004]\ntype=endpoint\nmedia_encryption=sdes\n"),
        Kind::FreeSwitch => {
            let set = |name: &str, value: &str| format!("data=\"{name}={value}\"");
            let port = tls.port().to_string();
            Changes::default()
                .add("../certs/agent.pem", certificate + &key)
                .edit("vars.xml", set("internal_ssl_enable", "false"), set("internal_ssl_enable", "true"))
                .edit("vars.xml", set("internal_tls_port", "5061"), set("internal_tls_port", &port))
                // What vanilla has as a comment: who is called with SRTP is who has it in the directory.
                .edit(
                    "dialplan/default.xml",
                    "<!--<action application=\"export\" data=\"nolocal:rtp_secure_media=",
                    "<action application=\"export\" data=\"nolocal:rtp_secure_media=",
                )
                .edit(
                    "dialplan/default.xml",
                    "${user_data(${dialed_extension}@${domain_name} var rtp_secure_media)}\"/>-->",
                    "${user_data(${dialed_extension}@${domain_name} var rtp_secure_media)}\"/>",
                )
                .edit(
                    "directory/default/1004.xml",
                    "<variables>",
                    "<variables>\n<variable name=\"rtp_secure_media\" value=\"mandatory\"/>",
                )
        }
    };
    let Some(house) = House::open(kind, PbxConfig { changes, ..PbxConfig::default() }) else { return };
    let ((first, alices), (second, bobs)) = (house.person("1000", "Alice"), house.person("1004", "Bob"));
    let alice = house.phone("1000");
    let Some(bob) = or_skip(kind, Baresip::register(tls, "1004", &ca)) else { return };
    let (ports, tls_port) = (bob.ports(), tls.port());
    let filter = format!("host {SOFTPHONE} or tcp port {tls_port} or udp portrange {}-{}", ports.start(), ports.end());
    let mut wire = Capture::start_with(&filter).unwrap_or_else(|error| panic!("the wire can't be captured: {error}"));
    for called in [true, false] {
        let what = if called { "the softphone is called" } else { "the softphone calls" };
        let (a, b) = (Since::now(&alices), Since::now(&bobs));
        let call = if called {
            alice.call("1004")
        } else {
            bob.call("1000").unwrap();
            alice
                .answer_next(SOON)
                .unwrap_or_else(|| panic!("{what}: nobody rings\n{}\n{}", bob.log(), house.pbx.log()))
        };
        assert!(call.wait_answered(SOON), "{what}: no answer\n{}\n{}", bob.log(), house.pbx.log());
        // It plays back what it hears.
        assert!(call.wait_sound(50, SOON));
        assert!(call.wait_hears(&alice, SOON), "{what}: no sound\n{}\n{}", bob.log(), house.pbx.log());
        let [(caller, from), (callee, to)] =
            if called { [(&a, &first), (&b, &second)] } else { [(&b, &second), (&a, &first)] };
        house.are_paired((caller, from), (callee, to), what);
        call.hang_up();
        both_are_told_of_the_end((caller, from), (callee, to), what);
        assert!(alice.wait_idle(SOON));
    }
    let sound = wire.datagrams().unwrap();
    assert!(sound.len() > 100, "{} packets of sound", sound.len());
    assert!(!alice.is_readable_in(&sound), "the sound isn't encrypted");
    assert!(!wire.file().unwrap().windows(8).any(|octets| octets == b"SIP/2.0 "), "SIP can be read");
}
