//! SIP MESSAGEs to addresses and hosts that answer, refuse or stay silent.

use super::*;
use crate::agent::sip_messages::recent_ids::IDS;
use crate::pbx::{asterisk, freeswitch};

const DOMAIN: &str = "pbx.example";

fn message(id: &str, to: &str) -> SipMessage {
    SipMessage {
        id: id.to_owned(),
        to: to.parse().unwrap(),
        from: "+12125550100".parse().unwrap(),
        text: "Call".to_owned(),
        call: Some("call-1".parse().unwrap()),
        about: Some("call-1".parse().unwrap()),
    }
}

/// An outbox with hand-moved time.
struct Moved {
    outbox: Outbox,
    now: Instant,
    made: usize,
}

impl Moved {
    fn new(slots: Slots) -> Moved {
        Moved { outbox: Outbox::new(slots, DOMAIN), now: Instant::now(), made: 0 }
    }

    fn add(&mut self, to: &str) -> Result<(), Why> {
        self.made += 1;
        self.outbox.add(message(&format!("{}-{to}", self.made), to), self.now).map_err(|dropped| dropped.why)
    }

    /// Everything that may go now.
    fn go(&mut self) -> Vec<SipMessage> {
        std::iter::from_fn(|| self.outbox.next(self.now)).collect()
    }

    fn finished(&mut self, message: &SipMessage, result: SendResult, after: Duration) -> usize {
        self.now += after;
        self.outbox.finished(&message.id, result, self.now).1.len()
    }

    /// One message there and back.
    fn send(&mut self, to: &str, result: SendResult, after: Duration) {
        self.add(to).unwrap();
        let sent = self.go();
        assert_eq!(sent.len(), 1, "{to}");
        self.finished(&sent[0], result, after);
    }
}

fn dead(n: usize) -> String {
    format!("sip:x@192.0.2.1:{}", 10_000 + n)
}

const QUICK: Duration = Duration::from_millis(100);
const TIMED_OUT: Duration = Duration::from_secs(20);

#[test]
fn dead_addresses_never_take_all_slots() {
    let mut moved = Moved::new(freeswitch::QUIRKS.slots);
    moved.send("sip:bob@192.0.2.9", SendResult::Sent, QUICK);
    (0..500).for_each(|n| moved.add(&dead(n)).unwrap());
    let first = moved.go();
    assert_eq!(first.len(), moved.outbox.slots.unproven);
    moved.add("sip:bob@192.0.2.9").unwrap();
    assert_eq!(moved.go().len(), 1, "who has answered has slots of their own");
    // Found out, they get only a few.
    moved.now += TIMED_OUT;
    for message in &first {
        moved.finished(message, SendResult::Failed, Duration::ZERO);
    }
    moved.outbox.waiting.clear();
    moved.now += REST;
    (0..90).for_each(|n| moved.add(&dead(n)).unwrap());
    assert_eq!(moved.go().len(), moved.outbox.slots.failed);
    moved.add("sip:carol@192.0.2.10").unwrap();
    assert_eq!(moved.go().len(), 1, "a new address doesn't wait for them");
}

#[test]
fn an_address_that_does_not_answer_rests_and_what_waits_for_it_is_dropped() {
    let mut moved = Moved::new(freeswitch::QUIRKS.slots);
    (0..3).for_each(|_| moved.add(&dead(1)).unwrap());
    let sent = moved.go();
    assert_eq!(sent.len(), 1, "an address has one in flight");
    assert_eq!(moved.finished(&sent[0], SendResult::Failed, TIMED_OUT), 2);
    assert_eq!(moved.add(&dead(1)), Err(Why::Resting));
    assert_eq!(moved.add("sip:y@192.0.2.1:10001"), Ok(()), "nobody else at its host rests");
    moved.outbox.waiting.clear();
    moved.now += REST;
    moved.send(&dead(1), SendResult::Sent, QUICK);
    assert_eq!(moved.add(&dead(1)), Ok(()));
}

#[test]
fn an_address_that_refuses_rests_for_a_moment_and_its_host_does_not() {
    let mut moved = Moved::new(freeswitch::QUIRKS.slots);
    moved.send("sip:gone@proxy.example", SendResult::Failed, QUICK);
    assert_eq!(moved.add("sip:gone@proxy.example"), Err(Why::Resting));
    moved.send("sip:bob@proxy.example", SendResult::Sent, QUICK);
    moved.now += REST_AFTER_REFUSAL;
    assert_eq!(moved.add("sip:gone@proxy.example"), Ok(()));
}

#[test]
fn dead_addresses_do_not_silence_their_host() {
    let mut moved = Moved::new(freeswitch::QUIRKS.slots);
    moved.send("sip:dead@proxy.example", SendResult::Failed, TIMED_OUT);
    assert_eq!(moved.add("sip:dead@proxy.example"), Err(Why::Resting));
    assert_eq!(moved.add("sip:bob@proxy.example"), Ok(()));
    assert_eq!(moved.add("sip:carol@proxy.example"), Ok(()));
    assert_eq!(moved.go().len(), 2);
    // New addresses there leave room for those that answer.
    (0..20).for_each(|n| moved.add(&format!("sip:new{n}@proxy.example")).unwrap());
    assert_eq!(moved.go().len(), UNPROVEN_PER_HOST - 2);
}

#[test]
fn users_of_the_pbx_itself_are_no_single_host() {
    let mut moved = Moved::new(freeswitch::QUIRKS.slots);
    (1000..1050).for_each(|n| moved.add(&format!("sip:{n}@{DOMAIN}")).unwrap());
    let sent = moved.go();
    assert_eq!(sent.len(), 50);
    moved.finished(&sent[0], SendResult::Failed, TIMED_OUT);
    assert_eq!(moved.add("sip:1000@pbx.example"), Err(Why::Resting));
    assert_eq!(moved.add("sip:1001@pbx.example"), Ok(()));
}

#[test]
fn messages_to_one_address_stay_in_order_and_are_sent_once() {
    let mut moved = Moved::new(freeswitch::QUIRKS.slots);
    let (peer, ended) = (message("1", "sip:1001@pbx.example"), message("2", "sip:1001@pbx.example"));
    for message in [&peer, &ended, &peer] {
        moved.outbox.add(message.clone(), moved.now).unwrap();
    }
    let sent = moved.go();
    assert_eq!(sent, std::slice::from_ref(&peer));
    moved.outbox.add(peer.clone(), moved.now).unwrap();
    moved.finished(&peer, SendResult::Sent, QUICK);
    assert_eq!(moved.go(), std::slice::from_ref(&ended));
    moved.finished(&ended, SendResult::Sent, QUICK);
    moved.outbox.add(peer.clone(), moved.now).unwrap();
    assert!(moved.go().is_empty(), "it was sent before, whatever became of it");
    moved.outbox.forget("1");
    moved.outbox.add(peer.clone(), moved.now).unwrap();
    assert_eq!(moved.go(), [peer], "the PBX was never asked to send it");
}

#[test]
fn the_farewell_of_one_call_does_not_hold_up_the_next_call() {
    let mut moved = Moved::new(freeswitch::QUIRKS.slots);
    let bob = "sip:bob@192.0.2.9";
    let about = |id: &str, call: &str| SipMessage { about: call.parse().ok(), ..message(id, bob) };
    let [farewell, peer, next, unknown] = [
        about("1", "call-1"),
        about("2", "call-2"),
        about("3", "call-2"),
        SipMessage { about: None, ..message("4", bob) },
    ];
    let add = |moved: &mut Moved, message: &SipMessage| moved.outbox.add(message.clone(), moved.now).unwrap();
    add(&mut moved, &farewell);
    add(&mut moved, &peer);
    assert_eq!(moved.go(), std::slice::from_ref(&farewell), "an address that hasn't answered yet has one in flight");
    moved.finished(&farewell, SendResult::Sent, QUICK);
    assert_eq!(moved.go(), std::slice::from_ref(&peer));
    moved.finished(&peer, SendResult::Sent, QUICK);
    let [farewell, peer] = [about("5", "call-1"), about("6", "call-2")];
    for message in [&farewell, &peer, &next, &unknown] {
        add(&mut moved, message);
    }
    assert_eq!(moved.go(), [farewell, peer.clone()], "what is about one call stays in order");
    moved.finished(&peer, SendResult::Sent, QUICK);
    assert_eq!(moved.go(), [next]);
}

#[test]
fn the_end_of_a_call_drops_what_is_of_no_use_after_it() {
    let mut moved = Moved::new(asterisk::QUIRKS.slots);
    let farewell = SipMessage { call: None, ..message("3", "sip:1001@pbx.example") };
    for message in [message("1", "sip:1001@pbx.example"), message("2", "sip:1001@pbx.example"), farewell.clone()] {
        moved.outbox.add(message, moved.now).unwrap();
    }
    let sent = moved.go();
    assert_eq!(sent.len(), 1, "an address has one in flight");
    assert_eq!(moved.outbox.end_call(&"call-2".parse().unwrap()).len(), 0);
    assert_eq!(moved.outbox.end_call(&"call-1".parse().unwrap()).len(), 1);
    moved.finished(&sent[0], SendResult::Sent, QUICK);
    assert_eq!(moved.go(), [farewell]);
}

#[test]
fn what_waits_is_bounded_in_total_per_host_per_address_and_in_time() {
    let mut moved = Moved::new(freeswitch::QUIRKS.slots);
    let full =
        |moved: &mut Moved, to: &dyn Fn(usize) -> String| (0..2_000).filter(|n| moved.add(&to(*n)).is_ok()).count();
    let mut proven = Moved::new(freeswitch::QUIRKS.slots);
    proven.send("sip:x@one.example", SendResult::Sent, QUICK);
    assert_eq!(full(&mut proven, &|_| "sip:x@one.example".to_owned()), WAITING_PER_ADDRESS);
    assert_eq!(full(&mut moved, &|_| "sip:x@one.example".to_owned()), WAITING_PER_UNPROVEN);
    assert_eq!(full(&mut moved, &|n| format!("sip:{n}@many.example")), WAITING_PER_HOST);
    assert_eq!(full(&mut moved, &dead), WAITING_UNPROVEN - WAITING_PER_HOST - WAITING_PER_UNPROVEN);
    moved.now += WAIT_MAX;
    assert_eq!(moved.outbox.expire(moved.now).len(), WAITING_UNPROVEN);
    assert!(moved.outbox.waiting.is_empty());
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut moved = Moved::new(freeswitch::QUIRKS.slots);
    for n in 0..RECORDS + IDS {
        moved.send(&format!("sip:{n}@{n}.example"), SendResult::Failed, Duration::ZERO);
    }
    moved.now += REST;
    moved.outbox.expire(moved.now);
    assert!(moved.outbox.addresses.is_empty() && moved.outbox.hosts.is_empty() && moved.outbox.ids.len() <= IDS);
}

#[test]
fn an_address_that_has_not_answered_yet_has_few_that_wait() {
    let mut moved = Moved::new(freeswitch::QUIRKS.slots);
    moved.add(&dead(1)).unwrap();
    let sent = moved.go();
    (0..WAITING_PER_UNPROVEN).for_each(|_| moved.add(&dead(1)).unwrap());
    let late = message("late", &dead(1));
    let dropped = moved.outbox.add(late.clone(), moved.now).unwrap_err();
    assert_eq!((dropped.why, dropped.rest), (Why::Unanswered, Some(WAIT_MAX)));
    moved.finished(&sent[0], SendResult::Sent, QUICK);
    assert_eq!(moved.outbox.add(late, moved.now), Ok(()), "it may be handed over again");
}

#[test]
fn the_node_is_told_how_long_an_address_rests() {
    let mut moved = Moved::new(freeswitch::QUIRKS.slots);
    moved.add(&dead(1)).unwrap();
    moved.add(&dead(1)).unwrap();
    let sent = moved.go();
    moved.now += TIMED_OUT;
    let (rest, dropped) = moved.outbox.finished(&sent[0].id, SendResult::Failed, moved.now);
    assert_eq!((rest, dropped[0].rest, dropped[0].why), (Some(REST), Some(REST), Why::Resting));
    moved.now += Duration::from_secs(10);
    let later = moved.outbox.add(message("later", &dead(1)), moved.now).unwrap_err();
    assert_eq!(later.rest, Some(REST - Duration::from_secs(10)));
}

#[test]
fn a_connection_of_ours_that_breaks_says_nothing_about_the_address() {
    let mut moved = Moved::new(freeswitch::QUIRKS.slots);
    moved.add("sip:bob@192.0.2.9").unwrap();
    moved.add("sip:bob@192.0.2.9").unwrap();
    let sent = moved.go();
    assert_eq!(moved.finished(&sent[0], SendResult::NotTried, TIMED_OUT), 0, "what waits for it still does");
    assert_eq!(moved.go().len(), 1);
}

#[test]
fn an_agent_that_stops_gives_back_what_waits_and_what_still_comes() {
    let mut moved = Moved::new(freeswitch::QUIRKS.slots);
    moved.add(&dead(1)).unwrap();
    assert_eq!(moved.outbox.close()[0].why, Why::Stopped);
    assert_eq!(moved.add(&dead(2)), Err(Why::Stopped));
    assert!(moved.go().is_empty());
}
