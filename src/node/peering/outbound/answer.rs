//! Telling the other side's client how a number of ours is reached, for clients that can't do so themselves (B7).

use std::sync::Arc;

use crate::contract::{Message, MessageBody, PeerClient, Role};
use crate::core::address::{Address, AddressKind};
use crate::core::base::name::CallId;
use crate::core::call::Call;
use crate::core::call::remote_side::{AddressSource, PeerDelivery, PeerDeliveryState};
use crate::core::numbering::number::Number;
use crate::monitor::now;
use crate::node::peering::outbound::Outbound;
use crate::node::peering::outbound::peer_tasks::{PeerTask, attempted, until_settled};
use crate::push::SipAnswer;

impl Outbound {
    /// Tells the other side how a number of ours is reached, once, and as often as that takes.
    pub(in crate::node) fn answer(self: &Arc<Self>, call: &CallId, number: &Number, own: PeerClient) {
        let client = self.live.read(|exchange| {
            let remote = &exchange.call(call)?.remote;
            let settled = remote.answers.get(number).is_some_and(|sent| sent.state != PeerDeliveryState::Pending);
            let client = remote.client.as_ref()?;
            Some((client.address.clone(), client.peer.clone(), client.source, settled))
        });
        let Some((address, peer, source, settled)) = client else { return };
        if settled {
            return;
        }
        self.live.change_remote(call, |remote| {
            remote.answers.entry(number.clone()).or_insert_with(|| PeerDelivery::pending(peer, now()));
        });
        match address.kind() {
            AddressKind::Sip => {
                let refused = self.may_answer_by_sip(call, number, &address, source);
                if let Err(error) = refused.and_then(|()| self.answer_by_sip(call, number, own, address)) {
                    self.live.change_remote(call, |remote| {
                        attempted(remote.answers.get_mut(number), PeerDeliveryState::Refused, Some(error))
                    });
                    self.note_answer(call, number, PeerDeliveryState::Refused);
                }
            }
            AddressKind::Http => {
                let (outbound, number) = (self.clone(), number.clone());
                let id = call.clone();
                self.run(call, PeerTask::Answer(number.clone()), async move {
                    let Outbound { live, disclosure, peers, .. } = &*outbound;
                    let state = until_settled(
                        || async {
                            let client = |call: &Call| call.remote.client.clone();
                            let remote = live.read(|exchange| exchange.call(&id).and_then(client));
                            let to = disclosure.remote_receiver(remote.as_ref());
                            disclosure.send_if_disclosed(&number, &to, peers.answer(&address, &own)).await
                        },
                        |state, error| {
                            live.change_remote(&id, |remote| attempted(remote.answers.get_mut(&number), state, error));
                        },
                    )
                    .await;
                    outbound.note_answer(&id, &number, state);
                });
            }
        }
    }

    /// From now on it is this number that the other side is told of: what is still said of another is not
    /// said any more, and what was said of this one before is said again.
    pub(in crate::node) fn switch_announced_client(&self, call: &CallId, number: &Number) {
        let others = self.live.change_remote(call, |remote| remote.announce(number)).unwrap_or_default();
        for other in others {
            self.push.forget_answer(call, &other);
            self.tasks.stop(call, &PeerTask::Answer(other));
        }
    }

    /// Whether our PBX may be asked to send something to a SIP address that somebody else has chosen, or why not. Its
    /// own domain is known by the configuration, and by numbers that have one.
    fn may_answer_by_sip(
        &self,
        call: &CallId,
        number: &Number,
        address: &Address,
        source: AddressSource,
    ) -> Result<(), String> {
        let called = self.live.read(|exchange| exchange.call(call).map(|call| call.called.clone()));
        let own = called.iter().chain([number]).filter_map(Number::context);
        if !self.peers.may_send_to(address) || own.into_iter().any(|own| address.is_at(own.as_str())) {
            return Err("leads into a private network, or back to our own PBX".to_owned());
        }
        // Anybody who knows our client's address can post a message that names another address.
        let vouched = matches!(source, AddressSource::Signalling | AddressSource::Offer);
        self.push.policy().check_answer(address, vouched).map_err(|refusal| refusal.to_string())
    }

    fn answer_by_sip(&self, call: &CallId, number: &Number, own: PeerClient, to: Address) -> Result<(), String> {
        let found = self.live.read(|exchange| {
            let call = exchange.call(call)?;
            let sent = call.remote.answers.get(number);
            let made = sent.and_then(|sent| sent.made);
            Some((call.pbx.clone(), made.unwrap_or(call.decided), sent.is_some_and(PeerDelivery::is_handed_out)))
        });
        let Some((pbx, made, is_handed_out)) = found else { return Ok(()) };
        let from = own.number.clone().unwrap_or_else(|| Number::withheld(call));
        // The same id after a restart: a client tells a repeat by it. Another one when the call has come back to this
        // number: then it is news.
        let message = Message {
            id: format!("answer-{call}-{}-{}", from.digits(), made.0),
            call: call.clone(),
            body: MessageBody::Peer { role: Role::First, peer: own, own: None, reply: None },
        };
        self.push.answer(&pbx, message, number.clone(), from, to, is_handed_out)
    }

    /// What became of answers that went by SIP MESSAGE.
    pub(in crate::node) fn note_sip_answers(&self, outcomes: Vec<SipAnswer>) {
        for SipAnswer { call, number, state, error } in outcomes {
            let outcome = |sent: &mut PeerDelivery| sent.outcome(state, error, now());
            self.live.change_remote(&call, |remote| remote.answers.get_mut(&number).map(outcome));
            if state != PeerDeliveryState::Pending {
                self.note_answer(&call, &number, state);
            }
        }
    }

    fn note_answer(&self, call: &CallId, number: &Number, state: PeerDeliveryState) {
        self.metrics.peer_answer(state);
        tracing::info!(%call, %number, outcome = state.as_str(), "answered the other side's client");
    }
}
