//! Pure: which SIP MESSAGE goes to the PBX next, and which one is dropped.
//!
//! A MESSAGE to an address that doesn't answer occupies the PBX for long: FreeSWITCH keeps a thread on it for 20 s
//! (`sofia_presence_chat_send` in sofia_presence.c). So:
//!
//! - an address has one message in flight, and a few once it has answered quickly; but one about each call, which keeps
//!   them in order;
//! - a host has some in flight, and fewer to addresses that haven't answered quickly yet;
//! - addresses that haven't answered quickly yet can't take all of a PBX's slots, and those that failed slowly only a
//!   few;
//! - an address that failed rests: its messages are dropped for a while. Its host does not rest: a dead address must not
//!   silence others behind the same proxy.
//!
//! The node gets a dropped message back, and is told how long the address rests.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::recent_ids::RecentIds;
use crate::contract::SipMessage;
use crate::core::address::{Address, SipHost};
use crate::core::base::name::CallId;
use crate::pbx::Slots;

/// A message that takes this long says that its address doesn't answer, or that something on the way is slow.
const SLOW: Duration = Duration::from_secs(2);
/// How long an address rests that failed slowly.
const REST: Duration = Duration::from_secs(30);
/// How long an address rests that refused a message, as a closed port does. FreeSWITCH makes a thread for each message.
const REST_AFTER_REFUSAL: Duration = Duration::from_secs(10);
/// How long a quick answer vouches for an address.
const VOUCHED: Duration = Duration::from_secs(600);
/// How long a message waits at most: later it is no news.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Messages that wait, in total.
const WAITING: usize = 1024;
/// Those of them whose address hasn't answered quickly yet.
const WAITING_UNPROVEN: usize = 768;
/// Those to one host, unless it is the PBX's own domain.
const WAITING_PER_HOST: usize = 128;
/// Those to one address.
const WAITING_PER_ADDRESS: usize = 32;
/// Those to one address that hasn't answered quickly yet: it may never.
const WAITING_PER_UNPROVEN: usize = 4;
/// Messages in flight to one address that has answered quickly.
const FLIGHTS_PER_PROVEN: usize = 4;
/// Messages in flight to one host, unless it is the PBX's own domain.
const FLIGHTS_PER_HOST: usize = 32;
/// Those of them whose address hasn't answered itself.
const UNPROVEN_PER_HOST: usize = 16;
/// Addresses and hosts that are remembered.
const RECORDS: usize = 8192;

/// Why a message is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::agent) enum Why {
    /// Too many messages wait, in total or for its host or address.
    Full,
    /// Its address didn't take the last message.
    Resting,
    /// Its address hasn't answered yet, and other messages to it wait.
    Unanswered,
    /// Its call ended.
    CallEnded,
    /// It waited too long.
    TooOld,
    /// The agent stops.
    Stopped,
}

impl Why {
    /// The word in the metric.
    pub(in crate::agent) fn word(self) -> &'static str {
        match self {
            Why::Full => "full",
            Why::Resting => "resting",
            Why::Unanswered => "unanswered",
            Why::CallEnded => "call-ended",
            Why::TooOld => "too-old",
            Why::Stopped => "stopped",
        }
    }

    /// What the delivery says.
    pub(in crate::agent) fn reason(self) -> &'static str {
        match self {
            Why::Full => "too many SIP MESSAGEs are waiting",
            Why::Resting => "the address did not take the last SIP MESSAGE: it gets none for a while",
            Why::Unanswered => "the address has not answered yet, and other SIP MESSAGEs to it wait",
            Why::CallEnded => "the call ended before the SIP MESSAGE could be sent",
            Why::TooOld => "the SIP MESSAGE waited 30 s for others to be sent",
            Why::Stopped => "the agent was stopped",
        }
    }
}

/// A message that is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::agent) struct Dropped {
    pub id: String,
    pub why: Why,
    /// How long its address gets no message.
    pub rest: Option<Duration>,
}

/// What became of a message in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::agent) enum SendResult {
    /// It was sent.
    Sent,
    /// Its address refused it, or did not answer.
    Failed,
    /// The PBX was never asked, or the connection to it broke: this says nothing about the address.
    NotTried,
}

#[derive(Debug)]
struct QueuedMessage {
    message: SipMessage,
    to: Target,
    since: Instant,
}

#[derive(Debug)]
struct Flight {
    to: Target,
    about: Option<CallId>,
    began: Instant,
    is_proven: bool,
    has_failed: bool,
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    address: Address,
    /// Absent for the PBX's own domain: its users are as many hosts.
    host: Option<SipHost>,
}

/// What is known of an address or a host.
#[derive(Debug, Default)]
struct Record {
    /// When it last answered quickly.
    answered: Option<Instant>,
    /// It failed the last time; until when it rests.
    rests: Option<Instant>,
    in_flight: usize,
    unproven_in_flight: usize,
}

impl Record {
    fn is_proven(&self, now: Instant) -> bool {
        self.rests.is_none() && self.answered.is_some_and(|answered| now < answered + VOUCHED)
    }

    fn is_resting(&self, now: Instant) -> bool {
        self.rests.is_some_and(|until| now < until)
    }

    fn is_of_use(&self, now: Instant) -> bool {
        self.in_flight > 0 || self.is_resting(now) || self.is_proven(now)
    }
}

/// The messages that one PBX is to send.
#[derive(Debug)]
pub(in crate::agent) struct Outbox {
    slots: Slots,
    own: Option<SipHost>,
    waiting: VecDeque<QueuedMessage>,
    flights: HashMap<String, Flight>,
    unproven: usize,
    failed: usize,
    addresses: HashMap<Address, Record>,
    hosts: HashMap<SipHost, Record>,
    ids: RecentIds,
    is_closed: bool,
}

impl Outbox {
    /// An empty one; `domain` is the PBX's own.
    pub(in crate::agent) fn new(slots: Slots, domain: &str) -> Outbox {
        Outbox {
            slots,
            own: format!("sip:pbx@{domain}").parse::<Address>().ok().and_then(|own| own.sip_host()),
            waiting: VecDeque::new(),
            flights: HashMap::new(),
            unproven: 0,
            failed: 0,
            addresses: HashMap::new(),
            hosts: HashMap::new(),
            ids: RecentIds::default(),
            is_closed: false,
        }
    }

    /// Takes a message in, unless it was here before.
    pub(in crate::agent) fn add(&mut self, message: SipMessage, now: Instant) -> Result<(), Dropped> {
        if self.ids.contains(&message.id) {
            return Ok(());
        }
        let to = self.target(&message);
        let dropped = |why, rest| Err(Dropped { id: message.id.clone(), why, rest });
        if self.is_closed {
            return dropped(Why::Stopped, None);
        }
        let record = self.addresses.get(&to.address);
        if let Some(until) = record.and_then(|record| record.rests).filter(|until| now < *until) {
            return dropped(Why::Resting, Some(until - now));
        }
        if !record.is_some_and(|record| record.is_proven(now))
            && self.waiting.iter().filter(|other| other.to.address == to.address).count() >= WAITING_PER_UNPROVEN
        {
            // By then one of them has an outcome.
            return dropped(Why::Unanswered, Some(WAIT_MAX));
        }
        if !self.has_room(&to, now) {
            return dropped(Why::Full, None);
        }
        self.ids.remember(&message.id);
        self.waiting.push_back(QueuedMessage { message, to, since: now });
        Ok(())
    }

    fn has_room(&self, to: &Target, now: Instant) -> bool {
        let is_proven = |to: &Target| self.addresses.get(&to.address).is_some_and(|record| record.is_proven(now));
        let waiting = |is: &dyn Fn(&Target) -> bool| self.waiting.iter().filter(|other| is(&other.to)).count();
        self.waiting.len() < WAITING
            && waiting(&|other| other.address == to.address) < WAITING_PER_ADDRESS
            && (to.host.is_none() || waiting(&|other| other.host == to.host) < WAITING_PER_HOST)
            && (self.waiting.len() < WAITING_UNPROVEN
                || is_proven(to)
                || waiting(&|other| !is_proven(other)) < WAITING_UNPROVEN)
    }

    /// The next message that may be sent: it is in flight from now on.
    pub(in crate::agent) fn next(&mut self, now: Instant) -> Option<SipMessage> {
        if self.flights.len() >= self.slots.total {
            return None;
        }
        let at = self.waiting.iter().position(|waiting| self.may_go(waiting, now))?;
        let QueuedMessage { message, to, .. } = self.waiting.remove(at)?;
        let record = self.addresses.get(&to.address);
        let is_proven = record.is_some_and(|record| record.is_proven(now));
        let has_failed = record.is_some_and(|record| record.rests.is_some());
        let flight = Flight { to, about: message.about.clone(), began: now, is_proven, has_failed };
        self.count(&flight, true);
        self.flights.insert(message.id.clone(), flight);
        Some(message)
    }

    fn may_go(&self, QueuedMessage { message, to, .. }: &QueuedMessage, now: Instant) -> bool {
        let nothing = Record::default();
        let address = self.addresses.get(&to.address).unwrap_or(&nothing);
        let is_proven = address.is_proven(now);
        let has_slot = is_proven
            || (self.unproven < self.slots.unproven && (address.rests.is_none() || self.failed < self.slots.failed));
        let has_host = to.host.as_ref().is_none_or(|host| {
            let host = self.hosts.get(host).unwrap_or(&nothing);
            host.in_flight < FLIGHTS_PER_HOST && (is_proven || host.unproven_in_flight < UNPROVEN_PER_HOST)
        });
        let is_free = address.in_flight == 0
            || is_proven && address.in_flight < FLIGHTS_PER_PROVEN && !self.is_in_flight(&to.address, &message.about);
        is_free && has_slot && has_host
    }

    /// Whether a message about this call is on its way to the address. One about no known call may be about any.
    fn is_in_flight(&self, address: &Address, about: &Option<CallId>) -> bool {
        let mut there = self.flights.values().filter(|flight| flight.to.address == *address);
        there.any(|flight| flight.about.is_none() || about.is_none() || flight.about == *about)
    }

    /// A message is no longer in flight. How long its address rests, and what waits for that address and is dropped.
    pub(in crate::agent) fn finished(
        &mut self,
        id: &str,
        result: SendResult,
        now: Instant,
    ) -> (Option<Duration>, Vec<Dropped>) {
        let Some(flight) = self.flights.remove(id) else { return (None, Vec::new()) };
        self.count(&flight, false);
        let is_slow = now.duration_since(flight.began) >= SLOW;
        let Target { address, .. } = flight.to;
        match (result, is_slow) {
            (SendResult::Sent, false) => {
                let record = self.addresses.entry(address).or_default();
                (record.answered, record.rests) = (Some(now), None);
                (None, Vec::new())
            }
            (SendResult::Failed, _) => {
                let rest = if is_slow { REST } else { REST_AFTER_REFUSAL };
                let record = self.addresses.entry(address.clone()).or_default();
                (record.answered, record.rests) = (None, Some(now + rest));
                (Some(rest), self.drop_waiting(Why::Resting, Some(rest), |waiting| waiting.to.address == address))
            }
            (SendResult::Sent, true) | (SendResult::NotTried, _) => (None, Vec::new()),
        }
    }

    /// A call is over: what is of no use after it is dropped.
    pub(in crate::agent) fn end_call(&mut self, call: &CallId) -> Vec<Dropped> {
        self.drop_waiting(Why::CallEnded, None, |waiting| waiting.message.call.as_ref() == Some(call))
    }

    /// What has waited too long is dropped.
    pub(in crate::agent) fn expire(&mut self, now: Instant) -> Vec<Dropped> {
        if self.addresses.len() + self.hosts.len() > RECORDS {
            self.addresses.retain(|_, record| record.is_of_use(now));
            self.hosts.retain(|_, record| record.is_of_use(now));
        }
        self.drop_waiting(Why::TooOld, None, |waiting| now.duration_since(waiting.since) >= WAIT_MAX)
    }

    /// The agent stops: everything that waits is dropped, and whatever comes.
    pub(in crate::agent) fn close(&mut self) -> Vec<Dropped> {
        self.is_closed = true;
        self.drop_waiting(Why::Stopped, None, |_| true)
    }

    /// A message that wasn't sent may be handed over again.
    pub(in crate::agent) fn forget(&mut self, id: &str) {
        self.ids.forget(id);
    }

    fn drop_waiting(
        &mut self,
        why: Why,
        rest: Option<Duration>,
        is_over: impl Fn(&QueuedMessage) -> bool,
    ) -> Vec<Dropped> {
        let (over, left): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|waiting| is_over(waiting));
        self.waiting = left;
        let dropped: Vec<_> = over.into_iter().map(|waiting| Dropped { id: waiting.message.id, why, rest }).collect();
        // The node may hand them over again.
        dropped.iter().for_each(|dropped| self.forget(&dropped.id));
        dropped
    }

    fn count(&mut self, flight: &Flight, begins: bool) {
        let change = |count: &mut usize| *count = if begins { *count + 1 } else { count.saturating_sub(1) };
        let address = self.addresses.entry(flight.to.address.clone()).or_default();
        let host = flight.to.host.as_ref().map(|host| self.hosts.entry(host.clone()).or_default());
        for record in host.into_iter().chain([address]) {
            change(&mut record.in_flight);
            if !flight.is_proven {
                change(&mut record.unproven_in_flight);
            }
        }
        if !flight.is_proven {
            change(&mut self.unproven);
        }
        if flight.has_failed {
            change(&mut self.failed);
        }
    }

    fn target(&self, message: &SipMessage) -> Target {
        let host = message.to.sip_host().filter(|host| Some(host) != self.own.as_ref());
        Target { address: message.to.clone(), host }
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
