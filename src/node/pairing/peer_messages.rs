//! The deliveries that tell a side of a pair of the other side.

use crate::contract::{MessageBody, PeerClient, Role};
use crate::core::base::name::CallId;
use crate::core::numbering::number::Number;
use crate::node::delivery::new_delivery;
use crate::node::disclosure::inbox_token::InboxTokens;
use crate::store::{Binding, Delivery};

/// One side of a pair.
pub(super) struct Party<'a> {
    pub(super) number: &'a Number,
    pub(super) role: Role,
    pub(super) clients: Vec<Binding>,
}

/// Each client's message about its peer.
pub(super) fn messages(
    tokens: &InboxTokens,
    call: &CallId,
    to: &Party<'_>,
    other: &Number,
    peer: &PeerClient,
    own: Option<&PeerClient>,
) -> Vec<(Delivery, Binding)> {
    let made = to.clients.iter().map(|client| {
        let body = MessageBody::Peer {
            role: to.role,
            peer: peer.clone(),
            own: own.cloned().map(Box::new),
            reply: tokens.client_address(call, to.role, to.number, &client.id),
        };
        (new_delivery(client, [to.number, other], call, body), client.clone())
    });
    made.collect()
}
