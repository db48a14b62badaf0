//! Telling the clients of both numbers that a call rings, how it goes on, and that it was missed.
//!
//! `ringing` is a notice: it reaches connected clients alone, and nothing waits for it. `missed` is stored. Whether a call was
//! missed follows from the call (`core::call::ringing`), so it can be told late, twice, or after a restart.

mod progress;

use std::sync::Arc;

use crate::contract::{ClientForm, MessageBody, NoticeBody, NumberEntry, NumberKind, PeerIdentity, Role};
use crate::core::base::name::CallId;
use crate::core::call::ringing::Alerting;
use crate::core::call::{Call, Phase};
use crate::core::numbering::number::Number;
use crate::monitor::brief;
use crate::node::delivery::{Deliveries, new_delivery, new_notice};
use crate::node::disclosure::Disclosure;
use crate::node::live_calls::LiveCalls;
use crate::push::{Frame, Push};
use crate::store::{Binding, Delivery, Store, StoreError};

/// Tells clients of everything about their calls but other clients.
pub(in crate::node) struct Ringing {
    pub(in crate::node) live: LiveCalls,
    pub(in crate::node) disclosure: Arc<Disclosure>,
    pub(in crate::node) deliveries: Arc<Deliveries>,
    pub(in crate::node) store: Store,
    pub(in crate::node) push: Push,
}

/// A side of a call whose clients are to be told.
struct AlertedSide {
    role: Role,
    number: Number,
    clients: Vec<Binding>,
    /// The other side, as they see it.
    peer: PeerIdentity,
}

/// What the clients of one side of a call are told.
struct SideNotice {
    clients: Vec<Binding>,
    body: NoticeBody,
}

impl Ringing {
    /// Tells connected clients in the background that a new call rings: the agent doesn't wait for it.
    pub(in crate::node) fn ring(self: &Arc<Self>, call: &Call) {
        if call.alerting != Alerting::Both || self.push.hub().connected() == 0 {
            return;
        }
        let (ringing, call) = (self.clone(), call.clone());
        tokio::spawn(brief("ringing", async move {
            if let Err(error) = ringing.ring_now(&call).await {
                tracing::debug!(%error, call = %call.id, "clients were not told that a call rings");
            }
        }));
    }

    async fn ring_now(&self, call: &Call) -> Result<(), StoreError> {
        let notices = self.ringing(call).await?;
        if self.live.call(&call.id).is_none_or(|now| now.phase != Phase::Decided) {
            // It has been answered, or is over.
            return Ok(());
        }
        notices.iter().for_each(|notice| self.notify(&call.id, notice));
        Ok(())
    }

    /// What the clients that a call alerts are told.
    async fn ringing(&self, call: &Call) -> Result<Vec<SideNotice>, StoreError> {
        let alerted = self.live.read(|exchange| exchange.alerted(call));
        self.side_notices(call, &alerted, |role, peer| NoticeBody::Ringing { role, peer }).await
    }

    /// What the clients of these numbers are told of a call that rings as this one, each of the other side.
    async fn side_notices(
        &self,
        call: &Call,
        numbers: &[Number],
        body: impl Fn(Role, PeerIdentity) -> NoticeBody,
    ) -> Result<Vec<SideNotice>, StoreError> {
        let called = self.called(call).await?;
        if !rings_here(call, called.as_ref()) {
            return Ok(Vec::new());
        }
        let sides = self.sides(call, numbers, called.as_ref()).await?.into_iter();
        let notices =
            sides.map(|AlertedSide { role, clients, peer, .. }| SideNotice { clients, body: body(role, peer) });
        Ok(notices.collect())
    }

    fn notify(&self, call: &CallId, SideNotice { clients, body }: &SideNotice) {
        self.deliveries.send_ephemeral(clients, &Frame::notice(&new_notice(call, body.clone())));
    }

    /// Tells the clients of both numbers that a call was missed, if it was. No client is told twice, however often this is
    /// called.
    pub(in crate::node) async fn tell_missed(&self, id: &CallId) -> Result<(), StoreError> {
        let missed: Vec<Call> = self.live.read(|exchange| {
            let missed = exchange.missed_in(id).into_iter();
            missed.filter_map(|id| exchange.call(&id).cloned()).collect()
        });
        for call in missed {
            self.tell_missed_call(&call).await?;
        }
        Ok(())
    }

    async fn tell_missed_call(&self, call: &Call) -> Result<(), StoreError> {
        let called = self.called(call).await?;
        let numbers = self.live.read(|exchange| exchange.missed_by(call));
        let sides = self.sides(call, &numbers, called.as_ref()).await?;
        let wanted: Vec<_> = sides.into_iter().flat_map(|side| missed_messages(call, side)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let mut routed = self.deliveries.route(wanted, &call.pbx).await?;
        let new = self.store.add_missed(routed.iter().map(|routed| routed.delivery.clone()).collect()).await?;
        routed.retain(|routed| new.contains(&routed.delivery.message.id));
        if !routed.is_empty() {
            tracing::info!(call = %call.id, called = %call.called, messages = routed.len(), "missed");
        }
        self.deliveries.push(routed);
        Ok(())
    }

    /// The directory entry of the called number.
    async fn called(&self, call: &Call) -> Result<Option<NumberEntry>, StoreError> {
        Ok(self.store.number(&call.called).await?.map(|view| view.entry))
    }

    /// The sides of these numbers that have clients. None if a main number is called: its attendant answers, and the
    /// extension that it finds gets a call of its own.
    async fn sides(
        &self,
        call: &Call,
        numbers: &[Number],
        called: Option<&NumberEntry>,
    ) -> Result<Vec<AlertedSide>, StoreError> {
        let mut sides = Vec::new();
        if called.is_some_and(|entry| entry.kind == NumberKind::Main) {
            return Ok(sides);
        }
        for number in numbers {
            let role = if *number == call.called { Role::Second } else { Role::First };
            let clients = self.disclosure.participating_clients(&call.id, number).await?;
            if clients.is_empty() {
                continue;
            }
            let peer = match role {
                Role::First => {
                    let name = called.and_then(|entry| entry.name.clone());
                    PeerIdentity { number: Some(call.called.clone()), name }
                }
                Role::Second => self.caller(call).await?,
            };
            sides.push(AlertedSide { role, number: number.clone(), clients, peer });
        }
        Ok(sides)
    }

    /// The caller, as the called side sees them.
    async fn caller(&self, call: &Call) -> Result<PeerIdentity, StoreError> {
        match call.calling.as_ref().filter(|_| !call.withheld) {
            Some(number) => self.named(number).await,
            None => Ok(PeerIdentity::default()),
        }
    }

    /// A number, and its name in the directory.
    async fn named(&self, number: &Number) -> Result<PeerIdentity, StoreError> {
        let name = self.store.number(number).await?.and_then(|view| view.entry.name);
        Ok(PeerIdentity { number: Some(number.clone()), name })
    }
}

/// Whether a call rings as this one. A call to a main number rings nobody. A call that goes to another of our PBXs arrives
/// there as a call of its own, which rings.
fn rings_here(call: &Call, called: Option<&NumberEntry>) -> bool {
    let is_elsewhere = |entry: &NumberEntry| entry.pbx.as_ref().is_some_and(|home| *home != call.pbx);
    !called.is_some_and(|entry| entry.kind == NumberKind::Main || is_elsewhere(entry))
}

/// Each client's message that the call was missed.
fn missed_messages(call: &Call, side: AlertedSide) -> Vec<(Delivery, Binding)> {
    let AlertedSide { role, number, clients, peer } = side;
    let other = match role {
        Role::First => call.called.clone(),
        Role::Second => call.caller().unwrap_or_else(|| Number::withheld(&call.id)),
    };
    // A caller's softphone has heard that nobody answered.
    let told = clients.into_iter().filter(|client| role == Role::Second || client.form != ClientForm::Sip);
    let made = told.map(|client| {
        let body = MessageBody::Missed { role, peer: peer.clone(), at: call.decided };
        (new_delivery(&client, [&number, &other], &call.id, body), client)
    });
    made.collect()
}
