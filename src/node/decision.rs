//! The decision for a call that is being set up.

use std::time::Instant;

use uuid::Uuid;

use super::Problem;
use super::app::App;
use super::offered::receiver;
use crate::contract::{CallDecision, CallRequest, Role};
use crate::core::address::Address;
use crate::core::call::{Call, Phase};
use crate::core::name::{CallId, TrunkName};
use crate::core::number::Number;
use crate::core::portability::Portability;
use crate::core::route::{Known, Reason, Route, Side, decide};
use crate::monitor::now;
use crate::store::{Facts, StoreError};

/// What a decision comes to.
struct Decided {
    route: Route,
    reason: Reason,
    address: Option<Address>,
    /// The trunk of a packet route, if it is another than the PBX's.
    trunk: Option<TrunkName>,
}

impl App {
    /// Decides, or registers a call that the PBX has routed by itself. The same leg is the same call.
    pub(super) async fn decide(&self, request: CallRequest) -> Result<CallDecision, Problem> {
        let begun = Instant::now();
        if self.store.is_failing() {
            // What can't be written down can't be paired either: let the dialplan do as ever, at once.
            return Err(StoreError::Unavailable("writes are failing".into()).into());
        }
        if let Some(known) = self.announced_before(&request) {
            return Ok(known);
        }
        let id: CallId = fresh_id();
        let decided = match request.routed {
            Some(reason) => self.registered(&request, reason).await?,
            None => self.route(&request, &id).await?,
        };
        let call = self.open(request, id, decided);
        let took = begun.elapsed();
        self.totals.decided(call.route, call.reason, took);
        tracing::info!(
            call = %call.call,
            pbx = %call.pbx,
            calling = call.calling.as_ref().map(Number::to_string).as_deref().unwrap_or("withheld"),
            called = %call.called,
            route = call.route.as_str(),
            reason = call.reason.as_str(),
            ms = took.as_secs_f64() * 1000.0,
            "decided"
        );
        Ok(call.decision)
    }

    /// The leg was announced before: the same answer again, unless the PBX says that it did otherwise.
    fn announced_before(&self, request: &CallRequest) -> Option<CallDecision> {
        let mut exchange = self.exchange();
        let call = exchange
            .call_of(&request.pbx, &request.leg)
            .filter(|call| call.leg == request.leg && call.called == request.called)?;
        let mut call = call.clone();
        if let Some(reason) = request.routed.filter(|reason| *reason != call.reason) {
            (call.reason, call.trunk) = (reason, None);
            if call.route == Route::Packet {
                (call.route, call.carried) = (Route::Pstn, None);
            }
            exchange.open(call.clone());
            self.write_behind(&call);
        }
        Some(answer(&call))
    }

    async fn registered(&self, request: &CallRequest, reason: Reason) -> Result<Decided, Problem> {
        let called = self.store.facts(&request.called, now()).await?;
        let here = request.side == Side::Terminating || called.known.home.as_ref() == Some(&request.pbx);
        Ok(Decided { route: if here { Route::Local } else { Route::Pstn }, reason, address: None, trunk: None })
    }

    async fn route(&self, request: &CallRequest, id: &CallId) -> Result<Decided, Problem> {
        let now = now();
        let trunk = self.routing.trunk(&request.pbx).is_some();
        let caller = match &request.calling {
            Some(number) if request.side == Side::Originating => self.store.facts(number, now).await?,
            _ => Facts::default(),
        };
        // B2: the called number of a caller without a client is nobody's business.
        let (called, ported): (Option<Known>, _) = if caller.known.has_client || request.side == Side::Terminating {
            let (facts, ported) = tokio::join!(self.store.facts(&request.called, now), self.portability(request));
            let Facts { mut known, offers, .. } = facts?;
            let to = receiver(known.served);
            if caller.known.has_client && !caller.offers.iter().any(|offer| offer.allows(&to)) {
                return Ok(Decided {
                    route: Route::Pstn,
                    reason: Reason::CallerKeepsAddress,
                    address: None,
                    trunk: None,
                });
            }
            // Only numbers of this node have clients here. Who calls from elsewhere isn't looked up yet.
            let to = receiver(caller.known.has_client || request.side == Side::Terminating);
            known.has_client = offers.iter().any(|offer| offer.allows(&to));
            (Some(known), ported)
        } else {
            (None, Portability::default())
        };
        let (route, reason) = decide(request.side, &request.pbx, trunk, &caller.known, called.as_ref(), &ported);
        let address = request.calling.as_ref().filter(|_| route == Route::Packet).and_then(|number| {
            let scoped = || self.capabilities.address(id, Role::First, number);
            if caller.hosted { scoped() } else { caller.own.clone() }
        });
        Ok(Decided { route, reason, address, trunk: ported.trunk })
    }

    /// Who serves the called number today. A call from a trunk has come to where it goes, so its query
    /// is an administrator's choice.
    async fn portability(&self, request: &CallRequest) -> Portability {
        match request.side {
            Side::Terminating if !self.lnp.asks_terminating() => Portability::default(),
            _ => self.lnp.lookup(&request.called).await,
        }
    }

    fn open(&self, request: CallRequest, id: CallId, decided: Decided) -> Opened {
        let now = now();
        let trunk = decided.trunk.or_else(|| self.routing.trunk(&request.pbx).cloned());
        let trunk = trunk.filter(|_| decided.route == Route::Packet);
        let received = request.received_address.filter(|address| self.capabilities.allows(address));
        let received = received.filter(|_| request.side == Side::Terminating);
        let call = Call {
            legs: Call::announced_leg(&request.leg, request.calling.as_ref(), now),
            id,
            pbx: request.pbx,
            leg: request.leg,
            calling: request.calling,
            called: request.called,
            side: request.side,
            route: decided.route,
            trunk,
            reason: decided.reason,
            carried: decided.address.or(received),
            decided: now,
            answered: None,
            ended: None,
            cause: None,
            phase: Phase::Decided,
            parted: Default::default(),
            last_seq: 0,
        };
        let mut exchange = self.exchange();
        // Two announcements of one leg at the same time: the first one stands.
        if let Some(first) =
            exchange.call_of(&call.pbx, &call.leg).filter(|first| first.leg == call.leg && first.called == call.called)
        {
            return Opened::new(first);
        }
        exchange.open(call.clone());
        // Under the lock, so that no report of this call is written before it.
        self.write_behind(&call);
        Opened::new(&call)
    }

    fn write_behind(&self, call: &Call) {
        if let Err(error) = self.store.save_calls(vec![call.clone()]) {
            tracing::warn!(%error, call = %call.id, "a call could not be written down");
            self.backlog().add(&call.id, Vec::new());
        }
    }
}

/// A call as the log line shows it, and its answer.
struct Opened {
    decision: CallDecision,
    pbx: crate::core::name::PbxName,
    calling: Option<Number>,
    called: Number,
}

impl Opened {
    fn new(call: &Call) -> Opened {
        Opened {
            decision: answer(call),
            pbx: call.pbx.clone(),
            calling: call.calling.clone(),
            called: call.called.clone(),
        }
    }
}

impl std::ops::Deref for Opened {
    type Target = CallDecision;
    fn deref(&self) -> &CallDecision {
        &self.decision
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

/// A new id: a UUID of version 7, so that ids are in the order of their making.
pub(super) fn fresh_id<T: std::str::FromStr>() -> T
where
    T::Err: std::fmt::Debug,
{
    // Hex digits and hyphens are what every name of ours allows.
    Uuid::now_v7().to_string().parse().unwrap_or_else(|_| unreachable!("a UUID is a name"))
}
