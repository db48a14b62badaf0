//! What a host and a guest are told of each other.

use super::{Deliveries, new_message, new_notice};
use crate::contract::{GuestView, MessageBody, NoticeBody, PeerClient, Role};
use crate::core::address::Address;
use crate::core::call::guests::Guest;
use crate::push::Frame;

impl Deliveries {
    /// Opens the mailbox of a guest who is about to join. `role` is the guest's own, and `peer` the host.
    pub(in crate::node) fn guest_joins(&self, guest: &Guest, role: Role, peer: PeerClient) {
        let body = MessageBody::Peer { role, peer, own: None, reply: Some(guest.address.clone()) };
        self.push.guests().open(guest.client.clone(), &new_message(&guest.host.call, body));
    }

    /// Closes the mailbox of a guest who wasn't let in.
    pub(in crate::node) fn guest_refused(&self, guest: &Guest) {
        self.push.guests().close(&guest.client);
    }

    /// Tells the host that a guest has joined. `role` is the host's own, and `reply` its address for answers.
    pub(in crate::node) fn guest_joined(&self, guest: &Guest, role: Role, reply: Option<Address>) {
        self.notify_host(guest, NoticeBody::GuestJoined { role, guest: GuestView::from(guest.clone()), reply });
    }

    /// Ends the streams of a guest who is gone, and tells the host.
    pub(in crate::node) fn guest_left(&self, guest: &Guest) {
        tracing::info!(call = %guest.host.call, number = %guest.host.number, guest = %guest.client, "guest gone");
        self.push.guests().close(&guest.client);
        self.notify_host(guest, NoticeBody::GuestLeft { guest: guest.client.clone() });
    }

    fn notify_host(&self, guest: &Guest, body: NoticeBody) {
        let notice = new_notice(&guest.host.call, body);
        self.push.hub().send_ephemeral(&guest.host.client, &Frame::notice(&notice));
    }
}
