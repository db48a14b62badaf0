//! The decision for a call that is being set up.

use std::sync::Arc;
use std::time::Instant;

use crate::contract::{CallDecision, CallRequest, Role};
use crate::core::address::Address;
use crate::core::address::disclosure::Receiver;
use crate::core::base::name::{CallId, PbxName, TrunkName};
use crate::core::call::remote_side::{AddressSource, RemoteClient, RemoteSide};
use crate::core::call::ringing::Alerting;
use crate::core::call::{Call, Phase};
use crate::core::numbering::emergency::is_emergency;
use crate::core::numbering::number::Number;
use crate::core::routing::portability::{Portability, ServedBy};
use crate::core::routing::route::{NumberFacts, Reason, Route, Side, decide};
use crate::lnp::Lnp;
use crate::monitor::{Totals, now};
use crate::node::config::Routing;
use crate::node::disclosure::Disclosure;
use crate::node::live_calls::{LiveCalls, Opening};
use crate::node::new_id::new_id;
use crate::node::peering::inbound::Inbound;
use crate::node::peering::outbound::Outbound;
use crate::node::ringing::Ringing;
use crate::peer::Peers;
use crate::store::{Facts, Store, StoreError};

/// Decides where calls go.
pub(in crate::node) struct Decisions {
    pub(in crate::node) live: LiveCalls,
    pub(in crate::node) disclosure: Arc<Disclosure>,
    pub(in crate::node) outbound: Arc<Outbound>,
    pub(in crate::node) inbound: Arc<Inbound>,
    pub(in crate::node) ringing: Arc<Ringing>,
    pub(in crate::node) store: Store,
    pub(in crate::node) peers: Arc<Peers>,
    pub(in crate::node) lnp: Lnp,
    pub(in crate::node) routing: Routing,
    pub(in crate::node) totals: Arc<Totals>,
}

/// Why a call was not decided.
#[derive(Debug, thiserror::Error)]
pub(in crate::node) enum DecisionError {
    #[error("the node follows as many calls as it may")]
    Full,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a decision comes to.
struct Decided {
    route: Route,
    reason: Reason,
    address: Option<Address>,
    /// Who serves the called number, and by which trunk.
    ported: Portability,
}

impl Decided {
    /// Nothing is looked up, and the dialplan does what it would do without us. An agent doesn't ask about
    /// such a call.
    fn emergency() -> Decided {
        let (route, reason) = (Route::Pstn, Reason::Emergency);
        Decided { route, reason, address: None, ported: Portability::default() }
    }
}

impl Decisions {
    /// Decides, or registers a call that the PBX has routed by itself. The same leg is the same call.
    pub(in crate::node) async fn decide(&self, mut request: CallRequest) -> Result<CallDecision, DecisionError> {
        let begun = Instant::now();
        if self.store.is_failing() {
            // What can't be written down can't be paired either: let the dialplan do as ever, at once.
            return Err(StoreError::Unavailable("writes are failing".into()).into());
        }
        self.store.check_lease()?;
        if let Some(known) = self.announced_before(&request) {
            return Ok(known);
        }
        if self.live.is_full() {
            return Err(DecisionError::Full);
        }
        let id: CallId = new_id();
        let decided = match request.routed {
            _ if is_emergency(&request.called) => {
                request.received_address = None;
                Decided::emergency()
            }
            Some(reason) => self.registered(&request, reason).await?,
            None => self.route(&request, &id).await?,
        };
        // Lookups take a while, and the process may have stood still.
        self.store.check_lease()?;
        let call = self.open(request, id, decided);
        let took = begun.elapsed();
        self.totals.decided(call.route, call.reason, took);
        tracing::info!(
            call = %call.id,
            pbx = %call.pbx,
            calling = call.calling.as_ref().map(Number::to_string).as_deref().unwrap_or("withheld"),
            called = %call.called,
            route = call.route.as_str(),
            reason = call.reason.as_str(),
            ms = took.as_secs_f64() * 1000.0,
            "decided"
        );
        Ok(answer(&call))
    }

    /// The leg was announced before: the same answer again, unless the PBX says that it did otherwise.
    fn announced_before(&self, request: &CallRequest) -> Option<CallDecision> {
        let known = self.live.announced(&request.pbx, &request.leg, &request.called, request.routed)?;
        Some(answer(&known))
    }

    async fn registered(&self, request: &CallRequest, reason: Reason) -> Result<Decided, StoreError> {
        let called = self.store.facts(&request.called, now()).await?;
        let here = request.side == Side::Terminating || called.known.home.as_ref() == Some(&request.pbx);
        Ok(Decided {
            route: if here { Route::Local } else { Route::Pstn },
            reason,
            address: None,
            ported: Portability::default(),
        })
    }

    async fn route(&self, request: &CallRequest, id: &CallId) -> Result<Decided, StoreError> {
        let now = now();
        let caller = match &request.calling {
            Some(number) if request.side == Side::Originating => self.store.facts(number, now).await?,
            _ => Facts::default(),
        };
        // B2: the called number of a caller without a client is nobody's business.
        let (called, ported): (Option<NumberFacts>, _) = if caller.known.has_client || request.side == Side::Terminating
        {
            let (facts, ported) = tokio::join!(self.store.facts(&request.called, now), self.portability(request));
            let Facts { mut known, offers, .. } = facts?;
            // An extension that isn't in the directory, a ring group or a queue, is where the PBX says:
            // behind a trunk there is somebody else's of the same digits.
            if matches!(request.called, Number::Local { .. }) && !known.served && request.side == Side::Originating {
                let reason = Reason::CalledNotServed;
                return Ok(Decided { route: Route::Pstn, reason, address: None, ported });
            }
            // Only numbers of this node have clients here. Who calls from elsewhere isn't looked up yet.
            known.has_client = offers.iter().any(|offer| offer.allows(&Receiver::Served));
            (Some(known), ported)
        } else {
            (None, Portability::default())
        };
        let trunk = self.trunk(&request.pbx, &request.called, &ported.served_by).is_some();
        let (mut route, mut reason) =
            decide(request.side, &request.pbx, trunk, &caller.known, called.as_ref(), &ported);
        let to = match &ported.served_by {
            ServedBy::Peer(peer) => Receiver::Peer(peer),
            ServedBy::Other => Receiver::Unknown,
            ServedBy::Ours | ServedBy::Unknown => {
                self.disclosure.receiver(&request.called, called.is_some_and(|called| called.served))
            }
        };
        if route == Route::Packet && !caller.offers.iter().any(|offer| offer.allows(&to)) {
            (route, reason) = (Route::Pstn, Reason::CallerKeepsAddress);
        }
        let calling = request.calling.as_ref().filter(|_| route == Route::Packet);
        let address = calling.and_then(|number| self.disclosure.inbox_tokens().address(id, Role::First, number));
        Ok(Decided { route, reason, address, ported })
    }

    /// Who serves the called number today. A call from a trunk has come to where it goes, so its query
    /// is an administrator's choice.
    async fn portability(&self, request: &CallRequest) -> Portability {
        match request.side {
            Side::Terminating if !self.lnp.asks_terminating() => Portability::default(),
            _ => self.lnp.lookup(&request.called).await,
        }
    }

    fn open(&self, request: CallRequest, id: CallId, decided: Decided) -> Call {
        let now = now();
        let Portability { served_by, trunk, .. } = decided.ported;
        let trunk = trunk.or_else(|| self.trunk(&request.pbx, &request.called, &served_by).cloned());
        let trunk = trunk.filter(|_| decided.route == Route::Packet);
        let received =
            request.received_address.clone().filter(|address| self.disclosure.inbox_tokens().allows(address));
        let received = received.filter(|_| request.side == Side::Terminating);
        let caller = Call::caller_of(&id, request.calling.as_ref(), request.side);
        let remote = received.as_ref().map(|address| self.received(address, request.calling.as_ref()));
        let withheld = request.withheld
            || self.comes_withheld(&request, remote.as_ref().and_then(|remote| remote.linked_call.as_ref()));
        let call = Call {
            legs: Call::announced_leg(&request.leg, caller.as_ref(), now),
            id,
            pbx: request.pbx,
            leg: request.leg,
            calling: request.calling,
            withheld,
            called: request.called,
            side: request.side,
            route: decided.route,
            trunk,
            reason: decided.reason,
            alerting: Alerting::of(decided.reason, request.routed.is_some()),
            carried: decided.address.or(received),
            announced: request.announced,
            decided: now,
            answered: None,
            ended: None,
            cause: None,
            phase: Phase::Decided,
            parted: Default::default(),
            talks: Vec::new(),
            remote: RemoteSide { served_by, ..remote.unwrap_or_default() },
            last_seq: 0,
            last_by: None,
        };
        let Opening { call, is_new } = self.live.open(call, request.routed);
        if is_new {
            self.reach_out(&call);
            self.ringing.ring(&call);
        }
        call
    }

    /// The packet trunk to a called number: that of the peer who serves it, or of the PBX.
    fn trunk(&self, pbx: &PbxName, called: &Number, served_by: &ServedBy) -> Option<&TrunkName> {
        self.peers.for_called(called, served_by).and_then(|peer| peer.trunk()).or_else(|| self.routing.trunk(pbx))
    }

    /// What an address in the signalling says of the other side.
    fn received(&self, address: &Address, calling: Option<&Number>) -> RemoteSide {
        // One of our own: the call has gone out of another of our PBXs, and nobody's is somebody else's.
        if let Some(claim) = self.disclosure.inbox_tokens().own(address) {
            let ours = self.live.read(|exchange| exchange.call(&claim.call).and_then(Call::caller));
            let linked_call =
                ours.filter(|number| self.disclosure.inbox_tokens().is_for(&claim, number)).map(|_| claim.call);
            if calling.is_some() || linked_call.is_none() {
                return RemoteSide { linked_call, ..RemoteSide::default() };
            }
            // Withheld on its way: it stays so, and the address is all that this end is shown of the other.
            return RemoteSide {
                linked_call,
                client: Some(self.remote_client(address, None)),
                ..RemoteSide::default()
            };
        }
        RemoteSide { client: Some(self.remote_client(address, calling)), ..RemoteSide::default() }
    }

    /// Whether a call that comes in is one of our own, from another of our PBXs, whose caller withholds the number: the
    /// trunk in between may show it.
    fn comes_withheld(&self, request: &CallRequest, linked_call: Option<&CallId>) -> bool {
        let numbers = |call: &Call| (&call.calling, &call.called) == (&request.calling, &request.called);
        let same = |call: &Call| call.side == Side::Originating && call.phase != Phase::Ended && numbers(call);
        match linked_call {
            Some(linked_call) => {
                self.live.read(|exchange| exchange.call(linked_call).is_some_and(|call| call.withheld))
            }
            None if request.side == Side::Originating || request.calling.is_none() => false,
            None => {
                self.live.read(|exchange| exchange.calls_to(&request.called).any(|call| call.withheld && same(call)))
            }
        }
    }

    fn remote_client(&self, address: &Address, calling: Option<&Number>) -> RemoteClient {
        RemoteClient {
            number: calling.cloned(),
            name: None,
            address: address.clone(),
            capabilities: Vec::new(),
            source: AddressSource::Signalling,
            peer: self.peers.at(address).map(|peer| peer.name().clone()),
            at: Some(now()),
        }
    }

    /// Behind the decision: what other nodes are told of this call, and what they have told us.
    fn reach_out(&self, call: &Call) {
        if let Some(linked_call) = &call.remote.linked_call {
            self.live.change_remote(linked_call, |remote| remote.linked_call = Some(call.id.clone()));
        }
        match call.side {
            _ if call.reason == Reason::Emergency => {}
            // B2: nobody is told of a caller without a client.
            Side::Originating if call.reason != Reason::CallerHasNoClient => self.outbound.offer(call),
            Side::Originating => {}
            Side::Terminating => self.inbound.match_new_call(call),
        }
    }
}

fn answer(call: &Call) -> CallDecision {
    CallDecision {
        call: call.id.clone(),
        route: call.route,
        trunk: call.trunk.clone(),
        address: call.carried.clone().filter(|_| call.route == Route::Packet),
        reason: call.reason,
    }
}
