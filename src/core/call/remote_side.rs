//! The remote side of a call: what this node knows of it and has sent there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::offer_matching::OfferId;
use crate::core::address::Address;
use crate::core::address::capability::Capability;
use crate::core::base::name::{CallId, PeerName};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;
use crate::core::routing::portability::ServedBy;
use crate::core::routing::route::{Reason, Route};

/// The side of a call that another node serves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteSide {
    /// Who serves the called number, according to a portability source.
    pub served_by: ServedBy,
    /// Its client, once known.
    pub client: Option<RemoteClient>,
    /// The other node's offer that this call was matched with.
    pub offered: Option<OfferId>,
    /// Our offer to the node that serves the called number.
    pub offer: Option<PeerDelivery>,
    /// Answers to the remote client that this node sends for clients that can't, by the number of our client.
    pub answers: BTreeMap<Number, PeerDelivery>,
    /// The number whose client was last announced to the remote side.
    pub announced: Option<Number>,
    /// The remote side was told that it no longer talks to our client. If they talk again, we announce it again.
    pub left: bool,
    /// The call of this node that continues this one, or that this one continues: one of our PBXs called another over a
    /// trunk.
    pub linked_call: Option<CallId>,
    /// Events that the other node reported of its side.
    pub events: Vec<RemoteEvent>,
}

/// An event on the other node's side of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteEvent {
    /// When it happened, by our clock.
    pub at: UnixMillis,
    /// What happened.
    pub what: Milestone,
}

/// The events that nodes tell each other. They name nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum Milestone {
    /// The PBX announced the call.
    Announced,
    /// The node decided.
    Decided {
        /// Where the call goes; absent until a client of that node is known to the other side.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        route: Option<Route>,
        /// Why; absent until then too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Reason>,
    },
    /// Somebody answered.
    Answered,
    /// The two parties hear each other.
    Paired,
    /// A client received the other side's address.
    Pushed,
    /// The last leg ended.
    Ended,
}

/// Another node's client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteClient {
    /// The number that our clients may see; none if withheld.
    pub number: Option<Number>,
    /// The name that our clients may see.
    pub name: Option<String>,
    /// Its address.
    pub address: Address,
    /// What it can do.
    pub capabilities: Vec<Capability>,
    /// How we learned the address.
    pub source: AddressSource,
    /// The node that offered it.
    pub peer: Option<PeerName>,
    /// When we learned it.
    pub at: Option<UnixMillis>,
}

/// How this node received a remote client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AddressSource {
    /// In the call signalling, from a trusted trunk.
    Signalling,
    /// In another node's offer.
    Offer,
    /// In a message to our address.
    Message,
    /// From the node of the person who connected the two parties. Both clients have each other's address already.
    Introduced,
}

/// A delivery to another node: an offer or an answer. It is retried until it is accepted, refused or no longer needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PeerDelivery {
    /// The node, if it is a configured peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerName>,
    /// Its state.
    pub state: PeerDeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// Why the last attempt failed, or why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<UnixMillis>,
    /// When it was accepted or refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<UnixMillis>,
}

/// The state of a delivery to another node. Nothing leads back to pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PeerDeliveryState {
    /// Retried until the call ends.
    Pending,
    /// The other node accepted it.
    Accepted,
    /// The other node refused it.
    Refused,
    /// The call ended first.
    Dropped,
}

/// What [`RemoteSide::learn`] changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learned {
    /// The first client that we learn of.
    New,
    /// Nothing to tell anybody.
    Same,
    /// Another client replaces the first.
    Replaced,
}

impl RemoteSide {
    /// Whether nothing is known and nothing was sent.
    pub fn is_empty(&self) -> bool {
        *self == RemoteSide::default()
    }

    /// Records that the remote side is told that it no longer talks to this number's client.
    pub fn leave(&mut self, number: &Number) {
        self.left = true;
        self.announced.take_if(|told| told == number);
        self.answers.remove(number);
    }

    /// Announces this number's client to the remote side from now on. Returns the numbers whose answers it cancels.
    pub fn announce(&mut self, number: &Number) -> Vec<Number> {
        self.left = false;
        if self.announced.as_ref() == Some(number) {
            return Vec::new();
        }
        self.announced = Some(number.clone());
        self.answers.remove(number);
        let stopped = self.answers.iter_mut().filter(|(_, sent)| sent.state == PeerDeliveryState::Pending);
        stopped.map(|(other, sent)| (sent.drop_pending(), other.clone()).1).collect()
    }

    /// Learns of the remote client.
    ///
    /// | known | told | |
    /// |---|---|---|
    /// | nothing | anything | new |
    /// | an address | the same one, in any way | the same: what was missing is added, and who vouches for it |
    /// | by a message or an introduction | another, by a message | instead: whoever answers anew is who talks now |
    /// | otherwise | another | the same: the trusted trunk, or who came first, stands |
    pub fn learn(&mut self, told: RemoteClient) -> Learned {
        let Some(known) = &mut self.client else {
            self.client = Some(told);
            return Learned::New;
        };
        if known.address == told.address {
            known.peer = known.peer.take().or(told.peer);
            known.name = known.name.take().or(told.name);
            if known.capabilities.is_empty() {
                known.capabilities = told.capabilities;
            }
            if known.source == AddressSource::Message && told.source != AddressSource::Message {
                known.source = told.source;
                // What nobody vouched for may have been refused.
                self.answers.retain(|_, sent| sent.state != PeerDeliveryState::Refused);
            }
        } else if matches!(known.source, AddressSource::Message | AddressSource::Introduced)
            && told.source == AddressSource::Message
        {
            *known = told;
            return Learned::Replaced;
        }
        Learned::Same
    }

    /// Someone who talked to our number has connected it with this client, which replaces the client at `instead`.
    pub fn introduce(&mut self, ours: &Number, told: RemoteClient, instead: &Address) -> Learned {
        let learned = match &self.client {
            None => Learned::New,
            Some(known) if known.address == *instead && known.address != told.address => Learned::Replaced,
            Some(_) => return Learned::Same,
        };
        self.client = Some(told);
        self.announced = Some(ours.clone());
        learned
    }

    /// Whether the remote side has this number's address from an introduction.
    pub fn was_introduced(&self, ours: &Number) -> bool {
        let introduced = self.client.as_ref().is_some_and(|client| client.source == AddressSource::Introduced);
        introduced && self.announced.as_ref() == Some(ours)
    }
}

impl PeerDeliveryState {
    /// The word in API, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            PeerDeliveryState::Pending => "pending",
            PeerDeliveryState::Accepted => "accepted",
            PeerDeliveryState::Refused => "refused",
            PeerDeliveryState::Dropped => "dropped",
        }
    }
}

impl PeerDelivery {
    /// A new delivery.
    pub fn pending(peer: Option<PeerName>, at: UnixMillis) -> PeerDelivery {
        PeerDelivery {
            peer,
            state: PeerDeliveryState::Pending,
            attempts: 0,
            error: None,
            made: Some(at),
            settled: None,
        }
    }

    /// Records an attempt and its outcome. An accepted or refused delivery does not change.
    pub fn attempted(&mut self, state: PeerDeliveryState, error: Option<String>, at: UnixMillis) {
        self.hand_out();
        self.outcome(state, error, at);
    }

    /// Records the start of an attempt whose outcome comes later.
    pub fn hand_out(&mut self) {
        if self.state == PeerDeliveryState::Pending {
            self.attempts += 1;
            self.error = None;
        }
    }

    /// Records the outcome of the last attempt. An accepted or refused delivery does not change.
    pub fn outcome(&mut self, state: PeerDeliveryState, error: Option<String>, at: UnixMillis) {
        if self.state == PeerDeliveryState::Pending {
            (self.state, self.error) = (state, error);
            self.settled = (state != PeerDeliveryState::Pending).then_some(at);
        }
    }

    /// Whether an attempt is in flight.
    pub fn is_handed_out(&self) -> bool {
        self.state == PeerDeliveryState::Pending && self.attempts > 0 && self.error.is_none()
    }

    /// Drops the delivery, because the call ended.
    pub fn drop_pending(&mut self) {
        if self.state == PeerDeliveryState::Pending {
            self.state = PeerDeliveryState::Dropped;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str, source: AddressSource, name: Option<&str>) -> RemoteClient {
        RemoteClient {
            number: None,
            name: name.map(str::to_owned),
            address: address.parse().unwrap(),
            capabilities: Vec::new(),
            source,
            peer: None,
            at: None,
        }
    }

    #[test]
    fn a_trusted_trunk_stands_and_the_same_address_is_one() {
        let mut remote = RemoteSide::default();
        assert_eq!(remote.learn(client("https://a.example/a/1", AddressSource::Signalling, None)), Learned::New);
        assert_eq!(remote.learn(client("https://evil.example/a/1", AddressSource::Offer, Some("Eve"))), Learned::Same);
        assert_eq!(
            remote.learn(client("https://evil.example/a/1", AddressSource::Message, Some("Eve"))),
            Learned::Same
        );
        assert_eq!(remote.learn(client("https://a.example/a/1", AddressSource::Offer, Some("Alice"))), Learned::Same);
        let known = remote.client.unwrap();
        assert_eq!((known.source, known.name.as_deref()), (AddressSource::Signalling, Some("Alice")));
    }

    #[test]
    fn who_answers_last_is_who_talks() {
        let mut remote = RemoteSide::default();
        assert_eq!(remote.learn(client("https://b.example/a/bob", AddressSource::Message, Some("Bob"))), Learned::New);
        assert_eq!(remote.learn(client("https://b.example/a/bob", AddressSource::Message, Some("Bob"))), Learned::Same);
        assert_eq!(
            remote.learn(client("https://b.example/a/carol", AddressSource::Message, Some("Carol"))),
            Learned::Replaced
        );
        assert_eq!(remote.client.unwrap().name.as_deref(), Some("Carol"));
    }

    #[test]
    fn an_address_that_a_node_vouches_for_is_answered_though_a_message_came_first() {
        let mut remote = RemoteSide::default();
        let address = "https://a.example/a/1";
        remote.learn(client(address, AddressSource::Message, None));
        for (number, state) in
            [("+12125550101", PeerDeliveryState::Refused), ("+12125550102", PeerDeliveryState::Accepted)]
        {
            let mut sent = PeerDelivery::pending(None, UnixMillis(0));
            sent.state = state;
            remote.answers.insert(number.parse().unwrap(), sent);
        }
        assert_eq!(remote.learn(client(address, AddressSource::Offer, None)), Learned::Same);
        assert_eq!(remote.client.as_ref().map(|client| client.source), Some(AddressSource::Offer));
        assert_eq!(remote.answers.values().map(|sent| sent.state).collect::<Vec<_>>(), [PeerDeliveryState::Accepted]);
        remote.learn(client(address, AddressSource::Message, None));
        assert_eq!(remote.client.map(|client| client.source), Some(AddressSource::Offer));
    }

    #[test]
    fn who_is_introduced_takes_the_place_of_whom_their_node_names() {
        let bob = "+12125550101".parse().unwrap();
        let introduced = || client("https://b.example/a/carol", AddressSource::Introduced, Some("Carol"));
        let (alice, eve) = ("https://a.example/a/1".parse().unwrap(), "https://evil.example/a/1".parse().unwrap());
        let mut remote = RemoteSide::default();
        remote.learn(client("https://a.example/a/1", AddressSource::Signalling, None));
        assert_eq!(remote.introduce(&bob, introduced(), &eve), Learned::Same);
        assert!(!remote.was_introduced(&bob));
        assert_eq!(remote.introduce(&bob, introduced(), &alice), Learned::Replaced);
        assert_eq!(remote.introduce(&bob, introduced(), &alice), Learned::Same);
        assert!(remote.was_introduced(&bob));
        assert_eq!(
            remote.learn(client("https://b.example/a/dan", AddressSource::Message, Some("Dan"))),
            Learned::Replaced
        );
        assert!(!remote.was_introduced(&bob));
    }

    #[test]
    fn who_comes_back_is_told_of_again() {
        let (bob, carol) = ("+12125550101".parse().unwrap(), "+12125550102".parse().unwrap());
        let mut remote = RemoteSide::default();
        assert_eq!(remote.announce(&bob), []);
        remote.answers.insert(bob.clone(), PeerDelivery::pending(None, UnixMillis(1)));
        assert_eq!(remote.announce(&bob), []);
        assert_eq!(remote.announce(&carol), std::slice::from_ref(&bob));
        assert_eq!(remote.answers[&bob].state, PeerDeliveryState::Dropped);
        assert_eq!((remote.announce(&bob), remote.answers.len()), (vec![], 0));
    }

    #[test]
    fn what_is_settled_stays_so() {
        let mut sent = PeerDelivery::pending(None, UnixMillis(1));
        sent.attempted(PeerDeliveryState::Pending, Some("no connection".to_owned()), UnixMillis(2));
        assert_eq!(sent.settled, None);
        sent.attempted(PeerDeliveryState::Accepted, None, UnixMillis(3));
        sent.drop_pending();
        sent.attempted(PeerDeliveryState::Refused, Some("late".to_owned()), UnixMillis(4));
        assert_eq!((sent.state, sent.attempts, sent.error), (PeerDeliveryState::Accepted, 2, None));
        assert_eq!((sent.made, sent.settled), (Some(UnixMillis(1)), Some(UnixMillis(3))));
    }
}
