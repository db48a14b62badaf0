//! Messages for guests: kept in memory until the guest's client acknowledges them. A guest ends with the process.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::hosted::{Frame, Hub};
use crate::contract::Message;
use crate::core::base::name::ClientId;

/// Maximum number of messages that wait for one guest.
const WAITING_MAX: usize = 64;
/// Maximum size of what waits for one guest, in bytes: a few of the largest messages.
const BYTES_MAX: usize = 256 * 1024;

/// The mailboxes of the guests who are in a call.
#[derive(Debug)]
pub struct GuestMailboxes {
    hub: Hub,
    mailboxes: Mutex<HashMap<ClientId, Mailbox>>,
}

#[derive(Debug)]
struct Mailbox {
    /// Who the guest talks with: the first message of each stream, acknowledged or not. A page that is loaded again asks
    /// for it.
    peer: Arc<Frame>,
    waiting: VecDeque<Arc<Frame>>,
}

impl GuestMailboxes {
    pub(super) fn new(hub: Hub) -> GuestMailboxes {
        GuestMailboxes { hub, mailboxes: Mutex::default() }
    }

    /// Opens a guest's mailbox; `peer` says who the guest talks with.
    pub fn open(&self, guest: ClientId, peer: &Message) {
        self.lock().insert(guest, Mailbox { peer: Frame::new(peer), waiting: VecDeque::new() });
    }

    /// Keeps a message for a guest, and sends it if the guest is connected. False if too much waits already, or the guest is
    /// gone.
    pub fn send(&self, guest: &ClientId, message: &Message) -> bool {
        let mut mailboxes = self.lock();
        let Some(Mailbox { waiting, .. }) = mailboxes.get_mut(guest) else { return false };
        let frame = Frame::new(message);
        let bytes = waiting.iter().map(|waiting| waiting.json.len()).sum::<usize>() + frame.json.len();
        if waiting.len() >= WAITING_MAX || bytes > BYTES_MAX {
            return false;
        }
        waiting.push_back(frame);
        drop(mailboxes);
        self.hub.send(guest, message);
        true
    }

    /// What a guest's new stream begins with; none if the guest is gone.
    pub fn waiting(&self, guest: &ClientId) -> Option<Vec<Arc<Frame>>> {
        let mailboxes = self.lock();
        let Mailbox { peer, waiting } = mailboxes.get(guest)?;
        Some([peer].into_iter().chain(waiting).cloned().collect())
    }

    /// Forgets a message that the guest has.
    pub fn delivered(&self, guest: &ClientId, id: &str) {
        if let Some(mailbox) = self.lock().get_mut(guest) {
            mailbox.waiting.retain(|frame| frame.id.as_deref() != Some(id));
        }
    }

    /// Forgets the messages of a guest who is gone, and closes the guest's streams.
    pub fn close(&self, guest: &ClientId) {
        self.lock().remove(guest);
        self.hub.close(guest);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ClientId, Mailbox>> {
        self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::MessageBody;
    use crate::monitor::Metrics;

    fn message(id: &str, length: usize) -> Message {
        let content = serde_json::Map::from_iter([("text".to_owned(), "x".repeat(length).into())]);
        let body = MessageBody::Message { content, guest: None, sender: None };
        Message { id: id.to_owned(), call: "0199-1".parse().unwrap(), body }
    }

    /// A guest with an empty mailbox.
    fn opened() -> (GuestMailboxes, ClientId) {
        let (mailboxes, guest) = (GuestMailboxes::new(Hub::new(Metrics::install())), "guest".parse().unwrap());
        mailboxes.open(ClientId::clone(&guest), &message("peer", 0));
        (mailboxes, guest)
    }

    fn waiting(mailboxes: &GuestMailboxes, guest: &ClientId) -> Vec<String> {
        let frames = mailboxes.waiting(guest).unwrap_or_default();
        frames.iter().map(|frame| frame.id.clone().unwrap()).collect()
    }

    #[test]
    fn a_message_waits_until_the_guest_has_it() {
        let (mailboxes, guest) = opened();
        assert!(mailboxes.send(&guest, &message("1", 1)));
        let mut stream = mailboxes.hub.attach_guest(&guest);
        assert!(mailboxes.send(&guest, &message("2", 1)));
        assert_eq!(stream.frames.try_recv().unwrap().id.as_deref(), Some("2"));
        assert_eq!(waiting(&mailboxes, &guest), ["peer", "1", "2"]);
        for id in ["1", "peer", "unknown"] {
            mailboxes.delivered(&guest, id);
        }
        assert_eq!(waiting(&mailboxes, &guest), ["peer", "2"], "a page that is loaded again asks who it talks with");
    }

    #[test]
    fn a_guest_who_does_not_read_gets_no_more_than_fits() {
        for (length, fits) in [(1, WAITING_MAX), (60_000, 4)] {
            let (mailboxes, guest) = opened();
            let sent = (0..100).filter(|n| mailboxes.send(&guest, &message(&n.to_string(), length)));
            assert_eq!(sent.count(), fits);
            mailboxes.delivered(&guest, "0");
            assert!(mailboxes.send(&guest, &message("again", length)));
        }
    }

    #[test]
    fn a_guest_who_is_gone_gets_nothing() {
        let (mailboxes, guest) = opened();
        let stream = mailboxes.hub.attach_guest(&guest);
        mailboxes.close(&guest);
        assert!(stream.closed.is_cancelled());
        assert!(!mailboxes.send(&guest, &message("1", 1)) && mailboxes.waiting(&guest).is_none());
        assert!(mailboxes.lock().is_empty());
    }
}
