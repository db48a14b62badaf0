//! How the messages for clients leave the node: the PBX that each goes by, and what the agents are given of them.

mod guest_messages;
pub(in crate::node) mod pbx_links;
pub(in crate::node) mod post_budget;
pub(in crate::node) mod sip_handout;

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::contract::{ClientForm, Message, MessageBody, Notice, NoticeBody};
use crate::core::base::name::{CallId, PbxName};
use crate::core::numbering::number::Number;
use crate::monitor::now;
use crate::node::disclosure::sender_of;
use crate::push::{Frame, Push};
use crate::store::{Binding, Delivery, Store, StoreError};

/// Where numbers are at home, as far as it was looked up.
type Homes = HashMap<Number, Option<PbxName>>;

/// A delivery, and how it goes.
pub(in crate::node) struct RoutedDelivery {
    pub(in crate::node) delivery: Delivery,
    pub(in crate::node) client: Binding,
    /// The PBX that it goes by if it is a SIP MESSAGE.
    pub(in crate::node) via: PbxName,
}

/// A delivery to this client that nobody has attempted yet. `number` is the client's, and `other` the one on the other side.
pub(in crate::node) fn new_delivery(
    client: &Binding,
    [number, other]: [&Number; 2],
    call: &CallId,
    body: MessageBody,
) -> Delivery {
    Delivery {
        number: number.clone(),
        other: other.clone(),
        client: client.id.clone(),
        form: client.form,
        message: new_message(call, body),
        attempts: 0,
        created: now(),
    }
}

/// A message with an id of its own.
pub(in crate::node) fn new_message(call: &CallId, body: MessageBody) -> Message {
    Message { id: Uuid::now_v7().to_string(), call: call.clone(), body }
}

/// A notice with an id of its own.
pub(in crate::node) fn new_notice(call: &CallId, body: NoticeBody) -> Notice {
    Notice { id: Uuid::now_v7().to_string(), call: call.clone(), body }
}

/// Finds the PBX that each delivery goes by, and hands those that are written down to push.
pub(in crate::node) struct Deliveries {
    store: Store,
    push: Push,
}

impl Deliveries {
    pub(in crate::node) fn new(store: Store, push: Push) -> Deliveries {
        Deliveries { store, push }
    }

    /// Hands deliveries on; `pbx` is that of their call.
    pub(in crate::node) async fn send(
        &self,
        deliveries: Vec<(Delivery, Binding)>,
        pbx: &PbxName,
    ) -> Result<(), StoreError> {
        self.push(self.route(deliveries, pbx).await?);
        Ok(())
    }

    /// Sends an ephemeral message or a notice to those of these clients that are connected, past the store. Returns how many
    /// it reached.
    pub(in crate::node) fn send_ephemeral(&self, clients: &[Binding], frame: &Arc<Frame>) -> usize {
        clients.iter().filter(|client| self.push.hub().send_ephemeral(&client.id, frame)).count()
    }

    /// Finds the PBX that each delivery goes by; `pbx` is that of their call.
    pub(in crate::node) async fn route(
        &self,
        deliveries: Vec<(Delivery, Binding)>,
        pbx: &PbxName,
    ) -> Result<Vec<RoutedDelivery>, StoreError> {
        let mut homes = Homes::default();
        let mut routed = Vec::with_capacity(deliveries.len());
        for (delivery, client) in deliveries {
            let via = self.pbx_for(&mut homes, &delivery, &client, pbx).await?;
            routed.push(RoutedDelivery { delivery, client, via });
        }
        Ok(routed)
    }

    /// Starts to deliver what has been written down.
    pub(in crate::node) fn push(&self, deliveries: Vec<RoutedDelivery>) {
        let mut refused = Vec::new();
        for RoutedDelivery { delivery, client, via } in deliveries {
            let from = sender_of(&delivery);
            refused.extend(self.push.send(delivery, &client, &from, &via).err());
        }
        self.push.refused(refused);
    }

    /// Waits for the outcome of a SIP MESSAGE that an agent was given before a restart.
    pub(in crate::node) async fn await_outcome(
        &self,
        delivery: Delivery,
        binding: &Binding,
        pbx: &PbxName,
    ) -> Result<(), StoreError> {
        let via = self.pbx_for(&mut Homes::default(), &delivery, binding, pbx).await?;
        let from = sender_of(&delivery);
        self.push.await_outcome(delivery, binding, &from, &via);
        Ok(())
    }

    /// The PBX that a delivery goes by, if it is a SIP MESSAGE: a softphone is registered where its number is at
    /// home, if that is known.
    async fn pbx_for(
        &self,
        homes: &mut Homes,
        delivery: &Delivery,
        binding: &Binding,
        pbx: &PbxName,
    ) -> Result<PbxName, StoreError> {
        if binding.form != ClientForm::Sip {
            return Ok(pbx.clone());
        }
        if !homes.contains_key(&delivery.number) {
            let facts = self.store.facts(&delivery.number, now()).await?;
            homes.insert(delivery.number.clone(), facts.known.home);
        }
        Ok(homes.get(&delivery.number).cloned().flatten().unwrap_or_else(|| pbx.clone()))
    }

    /// Nothing is tried any more for a call that is forgotten, and what was said in it is not kept.
    pub(in crate::node) async fn cancel_call(&self, call: &CallId) -> Result<(), StoreError> {
        self.cancel_calls(vec![call.clone()]).await
    }

    /// As [`Deliveries::cancel_call`], for several calls in one write.
    pub(in crate::node) async fn cancel_calls(&self, calls: Vec<CallId>) -> Result<(), StoreError> {
        calls.iter().for_each(|call| self.push.end_call(call, true));
        self.store.drop_pending(calls, true).await
    }
}
