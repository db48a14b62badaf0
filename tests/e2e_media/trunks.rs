//! Trunks that register, have a host name, encrypt, or speak IPv6: the packet route goes over each with the caller's
//! address, and an address that comes over it is believed if the trunk is trusted.

use crate::house::{House, SOON, both_are_told_of_the_end};
use lab::pbx::carrier::{Carrier, SUBSCRIBERS, Trunk};
use lab::scenario::report::{Since, calls_to};
use lab::scenario::wire::carried;
use lab::{Capture, Changes, Hosted, Kind, Pbx, PbxConfig, Phone, Sidecall, SidecallConfig, or_skip, wait_until};

/// What comes in.
const ADDRESS: &str = "https://127.0.0.1:9/a/of-a-stranger";

pub(super) fn a_trunk_that_registers(kind: Kind) {
    over(Trunk::Registered, kind);
}

pub(super) fn a_trunk_by_host_name(kind: Kind) {
    over(Trunk::Named, kind);
}

pub(super) fn a_trunk_with_tls_and_srtp(kind: Kind) {
    over(Trunk::Secure, kind);
}

pub(super) fn a_trunk_over_ipv6(kind: Kind) {
    over(Trunk::Six, kind);
}

/// Why the snippet believes IPv6 callers only by a list of acl.conf.xml. (An IPv6 caller may also match an IPv4 network:
/// FreeSWITCH then compares memory that nobody wrote. [`Line::back`] tries that.)
#[lab::needs_freeswitch]
#[test]
fn freeswitch_takes_an_ipv6_network_for_ipv4_addresses() {
    let changes = Changes::default().edit(
        "autoload_configs/acl.conf.xml",
        "<network-lists>",
        "<network-lists>\n<list name=\"trunks\" default=\"deny\"><node type=\"allow\" cidr=\"fd00::/8\"/></list>",
    );
    let config = PbxConfig { changes, ..PbxConfig::default() };
    let Some(pbx) = or_skip(Kind::FreeSwitch, Pbx::start_with(Kind::FreeSwitch, config)) else { return };
    let allows = |caller: &str, list: &str| pbx.console(&format!("acl {caller} {list}")).trim() == "true";
    assert!(allows("fd00::1", "fd00::/8") && allows("fd00::1", "trunks"));
    assert!(allows("192.0.2.253", "fd00::/8"), "FreeSWITCH tells the families apart now: correct terminating.xml");
    assert!(!allows("192.0.2.253", "trunks") && !allows("192.0.2.1", "fd00::/8"));
}

/// A PBX, the company that its trunk leads to, and the people at both.
struct Line {
    dave: Phone,
    stranger: Phone,
    alice: Phone,
    bob: Phone,
    house: House,
    carrier: Carrier,
}

fn over(trunk: Trunk, kind: Kind) {
    let Some((carrier, config)) = or_skip(kind, Carrier::start(kind)) else { return };
    let Some(pbx) = or_skip(kind, Pbx::start_with(kind, config)) else { return };
    let node = SidecallConfig {
        no_trunk: true,
        routing_lines: format!("trunk = \"{}\"\n", trunk.name()),
        ..SidecallConfig::default()
    };
    let sidecall = Sidecall::start_with(&pbx, &node).unwrap();
    let house = House { sidecall, pbx };
    if trunk == Trunk::Registered {
        assert!(wait_until(SOON, || carrier.is_registered()), "not registered\n{}\n{}", house.pbx.log(), carrier.log());
    }
    let [dave, stranger] = [0, 1].map(|n| carrier.subscriber(n).unwrap());
    let (alice, bob) = (house.phone("1000"), house.phone("1001"));
    let line = Line { dave, stranger, alice, bob, house, carrier };
    // The carrier's side of the trunk alone: what else there is on the wire goes elsewhere.
    let host = line.carrier.at(trunk).ip();
    let mut wire = Capture::start_with(&format!("host {host}"))
        .unwrap_or_else(|error| panic!("the wire can't be captured: {error}"));
    line.out(trunk);
    line.back(trunk);
    // To and from the carrier there is sound, and nobody can read it or the signalling if the trunk encrypts.
    let secure = trunk == Trunk::Secure;
    let sound = wire.datagrams().unwrap();
    for phone in [&line.alice, &line.dave] {
        assert_eq!(phone.is_readable_in(&sound), !secure, "{} packets of sound", sound.len());
    }
    if secure {
        assert!(sound.len() > 100, "{} packets of sound", sound.len());
        assert!(!wire.file().unwrap().windows(8).any(|octets| octets == b"SIP/2.0 "), "SIP can be read");
    } else {
        let packets = wire.packets().unwrap();
        let sent = packets.invites().iter().filter(|packet| packet.to == line.carrier.at(trunk)).count();
        assert!(sent > 0, "no INVITE went to {}", line.carrier.at(trunk));
    }
}

impl Line {
    fn log(&self) -> String {
        format!("{}\n{}\n{}", self.house.sidecall.log(), self.house.pbx.log(), self.carrier.log())
    }

    /// Alice calls Dave, whose phone is the carrier's, and whose client is at our node.
    fn out(&self, trunk: Trunk) {
        let house = &self.house;
        let (first, alices) = house.person("1000", "Alice");
        let second = SUBSCRIBERS[0];
        house.sidecall.number(second, "Dave", false);
        let daves = Hosted::start(&house.sidecall, second).unwrap();
        let (a, d) = (Since::now(&alices), Since::now(&daves));
        let call = self.alice.call(second);
        let there = self.dave.answer_next(SOON).unwrap_or_else(|| panic!("Dave's phone doesn't ring\n{}", self.log()));
        house.sound_both_ways((&call, &self.alice), (&there, &self.dave), "out");
        assert!(call.wait_sound(50, SOON) && there.wait_sound(50, SOON));
        house.are_paired((&a, &first), (&d, second), "out");
        let decided = calls_to(&house.sidecall, second);
        assert_eq!((&decided[0]["route"], &decided[0]["reason"]), (&"packet".into(), &"called-has-client".into()));
        let invite = there.invite();
        assert_eq!(carried(&invite).as_deref(), decided[0]["address"].as_str(), "{invite:#?}\n{}", self.log());
        assert!(carried(&invite).is_some(), "no address came with the call: {invite:#?}");
        let endpoint = trunk.at_the_carrier();
        let secure = u8::from(trunk == Trunk::Secure);
        let way = invite.header("X-Way").unwrap_or_default();
        assert!(way.starts_with(&format!("{endpoint} to ")) && way.ends_with(&format!("secure={secure}")), "{way}");
        assert!(way.contains(&self.carrier.at(trunk).to_string()), "{way}");
        call.hang_up();
        assert!(there.wait_ended(SOON));
        both_are_told_of_the_end((&a, &first), (&d, second), "out");
    }

    /// A stranger calls Bob, with an address: it is Bob's client's, unless the trunk isn't trusted.
    fn back(&self, trunk: Trunk) {
        let house = &self.house;
        let (_, bobs) = house.person("1001", "Bob");
        let caller = SUBSCRIBERS[1];
        for trusted in [true, false] {
            if !trusted {
                let nobody = if house.pbx.kind() == Kind::Asterisk { "nobody" } else { "192.0.2.1/32" };
                house.pbx.set("sidecall_trusted", nobody);
            }
            let b = Since::now(&bobs);
            let uui = format!("User-to-User: 04{};encoding=hex", hex::encode(ADDRESS));
            let call =
                self.stranger.call_as("+12125551001", "", &[&uui, &format!("X-Trunk: {}", trunk.at_the_carrier())]);
            let there =
                self.bob.answer_next(SOON).unwrap_or_else(|| panic!("Bob's phone doesn't ring\n{}", self.log()));
            house.sound_both_ways((&call, &self.stranger), (&there, &self.bob), "back");
            if trusted {
                assert_eq!(b.peer(Some(caller)).as_deref(), Some(ADDRESS), "{}", self.log());
            }
            assert!(b.stays_without(usize::from(trusted)), "trusted: {trusted}\n{}", self.log());
            there.hang_up();
            assert!(call.wait_ended(SOON));
            assert!(!trusted || b.ended(Some(caller)), "Bob's client isn't told of the end");
        }
    }
}
