//! The lab's PBXs without sidecall: who hears whom after a transfer, a pick-up, in a menu, a queue, a
//! conference. What these tests show is what the same calls with sidecall are compared with.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

use std::time::Duration;

use lab::{Call, Habit, Kind, Pbx, PbxConfig, Phone};

/// How long anything may take.
const SOON: Duration = Duration::from_secs(12);

/// A PBX with four phones, 1000 to 1003.
struct Office {
    phones: Vec<Phone>,
    pbx: Pbx,
}

impl Office {
    fn open(kind: Kind) -> Option<Office> {
        Office::open_with(kind, PbxConfig::default())
    }

    fn open_with(kind: Kind, config: PbxConfig) -> Option<Office> {
        let pbx = lab::or_skip(kind, Pbx::start_with(kind, config))?;
        let phones = (0..4).map(|n| Phone::register(pbx.sip(), &format!("100{n}")).unwrap()).collect();
        Some(Office { phones, pbx })
    }

    fn phone(&self, n: usize) -> &Phone {
        &self.phones[n]
    }

    /// One phone calls another; both ends, answered.
    fn talk(&self, from: usize, to: usize) -> (Call, Call) {
        let call = self.phone(from).call(self.phone(to).number());
        let there = self.phone(to).next_call(SOON).unwrap();
        there.ring();
        there.answer();
        assert!(call.wait_answered(SOON), "{:?}: {}", call.status(), self.pbx.log());
        self.sound_both_ways((&call, from), (&there, to));
        (call, there)
    }

    /// Everybody hangs up, and has no habit any more.
    fn rest(&self) {
        for phone in &self.phones {
            assert!(phone.rest(SOON), "{} does not hang up: {}", phone.number(), self.pbx.log());
        }
    }

    /// Two calls hear each other's phones.
    fn sound_both_ways(&self, (a, phone_a): (&Call, usize), (b, phone_b): (&Call, usize)) {
        assert!(a.wait_hears(self.phone(phone_b), SOON), "{phone_a} hears {phone_b}; {}", self.pbx.log());
        assert!(b.wait_hears(self.phone(phone_a), SOON), "{phone_b} hears {phone_a}; {}", self.pbx.log());
    }

    /// Whoever rings is answered.
    fn answer(&self, n: usize) -> Call {
        let call = self.phone(n).next_call(SOON).unwrap_or_else(|| panic!("100{n} isn't called: {}", self.pbx.log()));
        call.ring();
        call.answer();
        call
    }
}

fn a_menu_finds_the_extension(office: &Office) {
    for (number, keyed, n) in [("5000", "1002", 2), ("5000", "0", 1), ("5000", "", 1)] {
        let call = office.phone(0).call(number);
        assert!(call.wait_answered(SOON), "{}", office.pbx.log());
        call.dtmf(keyed);
        let there = office.answer(n);
        office.sound_both_ways((&call, 0), (&there, n));
        call.hang_up();
        assert!(there.wait_ended(SOON));
    }
}

fn a_ring_group_rings_both_and_one_answers(office: &Office) {
    let call = office.phone(0).call("2000");
    let first = office.phone(1).next_call(SOON).unwrap();
    first.ring();
    let second = office.answer(2);
    assert!(first.wait_ended(SOON));
    office.sound_both_ways((&call, 0), (&second, 2));
}

fn a_queue_rings_its_agents_and_one_answers(office: &Office) {
    office.phone(2).habit(Habit::Ring);
    let call = office.phone(0).call("3000");
    assert!(call.wait_answered(SOON));
    let there = office.answer(1);
    office.sound_both_ways((&call, 0), (&there, 1));
    let other = office.phone(2).next_call(SOON).unwrap();
    assert!(other.wait_ended(SOON));
}

fn a_conference_of_three(office: &Office) {
    let calls: Vec<Call> = (0..3).map(|n| office.phone(n).call("4000")).collect();
    assert!(calls.iter().all(|call| call.wait_answered(SOON)));
    for (a, b) in [(0, 1), (1, 2), (2, 0)] {
        office.sound_both_ways((&calls[a], a), (&calls[b], b));
    }
}

fn what_rings_elsewhere_is_picked_up(office: &Office) {
    let directed = if office.pbx.kind() == Kind::Asterisk { "*81001" } else { "**1001" };
    for code in [directed, "*8"] {
        let call = office.phone(0).call("1001");
        let ringing = office.phone(1).next_call(SOON).unwrap();
        ringing.ring();
        assert!(call.wait_ringing(SOON));
        let picked = office.phone(2).call(code);
        assert!(picked.wait_answered(SOON) && call.wait_answered(SOON), "{}", office.pbx.log());
        office.sound_both_ways((&call, 0), (&picked, 2));
        assert!(ringing.wait_ended(SOON), "{}", office.pbx.log());
        call.hang_up();
        assert!(picked.wait_ended(SOON));
    }
}

fn a_parked_call_comes_back(office: &Office) {
    let (call, there) = office.talk(0, 1);
    assert_eq!(there.refer_to("700"), Some(202));
    assert!(there.wait_ended(SOON), "{}", office.pbx.log());
    assert!(call.wait_deaf_to(office.phone(1), SOON));
    let back = office.phone(2).call("701");
    assert!(back.wait_answered(SOON), "{}", office.pbx.log());
    office.sound_both_ways((&call, 0), (&back, 2));
}

fn calls_are_forwarded_before_they_are_answered(office: &Office) {
    let call = office.phone(0).call("1008");
    let there = office.answer(2);
    office.sound_both_ways((&call, 0), (&there, 2));
    call.hang_up();
    assert!(there.wait_ended(SOON));
    office.phone(1).habit(Habit::Forward("1003".into()));
    let call = office.phone(0).call("1001");
    let there = office.answer(3);
    office.sound_both_ways((&call, 0), (&there, 3));
}

/// Either side of a call may hand it on.
fn a_blind_transfer(office: &Office) {
    for called_side in [true, false] {
        let (call, there) = office.talk(0, 1);
        let (transferring, staying, stays) = if called_side { (&there, &call, 0) } else { (&call, &there, 1) };
        assert_eq!(transferring.refer_to("1003"), Some(202));
        let third = office.answer(3);
        office.sound_both_ways((staying, stays), (&third, 3));
        assert_eq!(transferring.wait_transferred(SOON), Some(200));
        assert!(transferring.wait_ended(SOON));
        third.hang_up();
        assert!(staying.wait_ended(SOON));
    }
}

fn a_consulted_transfer(office: &Office) {
    for called_side in [true, false] {
        let (call, there) = office.talk(0, 1);
        let (transferring, staying, from, stays) =
            if called_side { (&there, &call, 1, 0) } else { (&call, &there, 0, 1) };
        assert!(transferring.hold());
        let (consult, third) = office.talk(from, 3);
        assert_eq!(transferring.consulted_transfer_to(&consult), Some(202));
        office.sound_both_ways((staying, stays), (&third, 3));
        assert!(transferring.wait_ended(SOON) && consult.wait_ended(SOON), "{}", office.pbx.log());
        assert!(staying.is_up() && third.is_up());
        third.hang_up();
        assert!(staying.wait_ended(SOON));
    }
}

fn hold_and_resume(office: &Office) {
    let (call, there) = office.talk(0, 1);
    for inactive in [false, true] {
        assert!(if inactive { there.hold_inactive() } else { there.hold() });
        assert!(call.wait_deaf_to(office.phone(1), SOON));
        assert!(there.resume());
        office.sound_both_ways((&call, 0), (&there, 1));
    }
}

/// Whose line in the record it is, and how it went.
fn calls_are_recorded(office: &Office) {
    assert!(office.pbx.wait_recorded(SOON));
    let before = office.pbx.cdrs().len();
    let (call, there) = office.talk(0, 1);
    call.hang_up();
    assert!(there.wait_ended(SOON));
    let rows = office.pbx.wait_for_cdrs(before + 1, SOON).split_off(before);
    assert_eq!((rows.len(), rows[0].src.as_str(), rows[0].dst.as_str()), (1, "1000", "1001"), "{rows:?}");
    assert!(rows[0].answered, "{rows:?}");
}

/// Asterisk's own `##` and `*2`, keyed while the call is up.
#[test]
fn asterisk_feature_codes_transfer() {
    let config = PbxConfig { feature_codes: true, ..PbxConfig::default() };
    let Some(office) = Office::open_with(Kind::Asterisk, config) else { return };
    let (call, there) = office.talk(0, 1);
    there.dtmf("##1003");
    let third = office.answer(3);
    office.sound_both_ways((&call, 0), (&third, 3));
    assert!(there.wait_ended(SOON));
    third.dtmf("*21002");
    let fourth = office.answer(2);
    office.sound_both_ways((&third, 3), (&fourth, 2));
    third.hang_up();
    office.sound_both_ways((&call, 0), (&fourth, 2));
}

/// All on one PBX, one after the other.
fn who_hears_whom_without_sidecall(kind: Kind) {
    let Some(office) = Office::open(kind) else { return };
    let scenarios: [fn(&Office); 11] = [
        a_menu_finds_the_extension,
        a_ring_group_rings_both_and_one_answers,
        a_queue_rings_its_agents_and_one_answers,
        a_conference_of_three,
        what_rings_elsewhere_is_picked_up,
        a_parked_call_comes_back,
        calls_are_forwarded_before_they_are_answered,
        a_blind_transfer,
        a_consulted_transfer,
        hold_and_resume,
        calls_are_recorded,
    ];
    for scenario in scenarios {
        scenario(&office);
        office.rest();
    }
}

lab::on_both_pbxs! {
    who_hears_whom_without_sidecall,
}
