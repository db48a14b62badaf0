//! Giving a number's address away: the one place where it is made, and where it is said to whom it may go.

use super::app::App;
use crate::contract::{Capability, Peer, Role};
use crate::core::address::Address;
use crate::core::name::CallId;
use crate::core::number::Number;
use crate::store::{Binding, StoreError};

/// Who would get it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// The clients of another number of this node.
    Served,
    /// A node that is configured as a peer.
    Peer,
    /// Whoever the call reaches, or whoever's address came with it.
    Everyone,
}

/// Whether the address of a number may be given away. A number without a client has none.
pub(super) fn may_offer(has_client: bool, to: Audience) -> bool {
    match to {
        Audience::Served | Audience::Peer | Audience::Everyone => has_client,
    }
}

impl App {
    /// Who gets an address that goes with a call to this number.
    pub(super) fn audience_of(&self, called: &Number) -> Audience {
        if self.peers.serving(called).is_some() { Audience::Peer } else { Audience::Everyone }
    }

    /// The address of a number for one call, if it may be given away. It is the same for all its clients,
    /// whatever their form: the node hands on what comes there.
    pub(super) fn address(
        &self,
        call: &CallId,
        role: Role,
        number: &Number,
        has_client: bool,
        to: Audience,
    ) -> Option<Address> {
        may_offer(has_client, to).then(|| self.capabilities.address(call, role, number)).flatten()
    }

    /// How a number with these clients is shown to the other side, if it may be.
    pub(super) async fn shown(
        &self,
        call: &CallId,
        role: Role,
        number: &Number,
        clients: &[Binding],
        to: Audience,
    ) -> Result<Option<Peer>, StoreError> {
        let Some(address) = self.address(call, role, number, !clients.is_empty(), to) else { return Ok(None) };
        let mut capabilities: Vec<Capability> = Vec::new();
        for capability in clients.iter().flat_map(|client| &client.capabilities) {
            // As many as a node of another organisation takes.
            if !capabilities.contains(capability) && capabilities.len() < CAPABILITIES {
                capabilities.push(capability.clone());
            }
        }
        let name = self.store.number(number).await?.and_then(|view| view.entry.name);
        Ok(Some(Peer { number: Some(number.clone()), name, address, capabilities }))
    }
}

/// Capabilities of one number that are told.
pub(super) const CAPABILITIES: usize = 16;
