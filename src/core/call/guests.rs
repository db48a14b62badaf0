//! Guests of the live calls: people who join one with a code that a client's user reads out to them.
//!
//! | | |
//! |---|---|
//! | a code | is one number's in one call; the client that asked for it is its guests' host |
//! | lets in | up to [`GUESTS_MAX`] guests, until it is unused for [`UNUSED_MAX`] or a guest is dismissed |
//! | a guest | stays until it leaves or is dismissed, its client is away for [`ABSENT_MAX`], or the host is gone |
//!
//! Codes and guests are kept with the live calls alone.

use std::collections::HashMap;
use std::time::Duration;

use crate::core::address::Address;
use crate::core::address::capability::Capability;
use crate::core::base::guest_code::GuestCode;
use crate::core::base::guest_name::GuestName;
use crate::core::base::name::{CallId, ClientId};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;

/// How long a code that nobody uses is good for.
pub const UNUSED_MAX: Duration = Duration::from_secs(10 * 60);
/// How long a guest's client may be away: a phone in a pocket, a page that is loaded again.
pub const ABSENT_MAX: Duration = Duration::from_secs(2 * 60);
/// Maximum number of guests in one call.
pub const GUESTS_MAX: usize = 8;
/// Maximum number of codes at a time. A guess finds one with a probability of 10⁻⁴ at most.
pub const CODES_MAX: usize = 100;

/// The client that has guests in a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestHost {
    /// The call.
    pub call: CallId,
    /// The number of the client.
    pub number: Number,
    /// The client.
    pub client: ClientId,
}

/// Somebody who has joined a call with a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// The guest's own client.
    pub client: ClientId,
    /// Whose guest it is.
    pub host: GuestHost,
    /// The name that the guest has typed.
    pub name: GuestName,
    /// Where the host sends to the guest.
    pub address: Address,
    /// What the guest's client can do.
    pub capabilities: Vec<Capability>,
}

/// What one of a guest's secrets is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GuestAccess {
    /// To read the guest's messages.
    Stream,
    /// To send to the guest.
    ToGuest,
    /// To send to the host in the guest's place.
    ToHost,
}

/// The hashes of a guest's secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestSecrets {
    /// For [`GuestAccess::Stream`].
    pub stream: [u8; 32],
    /// For [`GuestAccess::ToGuest`].
    pub to_guest: [u8; 32],
    /// For [`GuestAccess::ToHost`].
    pub to_host: [u8; 32],
}

/// There are as many codes as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are {CODES_MAX} codes for guests already; try again in a few minutes")]
pub struct TooManyGuestCodes;

/// Why a guest can't join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GuestRefusal {
    /// The code was never made, or is no longer good.
    #[error("there is no such code: it may be mistyped or expired")]
    NoSuchCode,
    /// The call has as many guests as it may.
    #[error("a call has at most {GUESTS_MAX} guests")]
    Full,
}

/// The codes and the guests of all live calls.
#[derive(Debug, Default)]
pub struct Guests {
    codes: HashMap<GuestCode, Code>,
    present: HashMap<ClientId, Presence>,
    secrets: HashMap<[u8; 32], (GuestAccess, ClientId)>,
}

#[derive(Debug)]
struct Code {
    host: GuestHost,
    expires: UnixMillis,
}

#[derive(Debug)]
struct Presence {
    guest: Guest,
    secrets: GuestSecrets,
    /// When the guest's client was last connected.
    connected: UnixMillis,
}

impl GuestSecrets {
    fn each(&self) -> [([u8; 32], GuestAccess); 3] {
        [(self.stream, GuestAccess::Stream), (self.to_guest, GuestAccess::ToGuest), (self.to_host, GuestAccess::ToHost)]
    }
}

impl GuestHost {
    fn is_of(&self, call: &CallId, number: &Number) -> bool {
        self.call == *call && self.number == *number
    }
}

impl Guests {
    /// The host's code and when it expires. The host's previous code is good for longer; that of another client of the same
    /// number in the call is replaced. A new code is the first of `random` that is free.
    ///
    /// # Errors
    /// If there are too many codes.
    pub fn invite(
        &mut self,
        host: GuestHost,
        now: UnixMillis,
        mut random: impl Iterator<Item = GuestCode>,
    ) -> Result<(GuestCode, UnixMillis), TooManyGuestCodes> {
        self.codes
            .retain(|_, code| code.expires > now && (code.host == host || !code.host.is_of(&host.call, &host.number)));
        let expires = now + UNUSED_MAX;
        if let Some((code, known)) = self.codes.iter_mut().find(|(_, known)| known.host == host) {
            known.expires = expires;
            return Ok((*code, expires));
        }
        if self.codes.len() >= CODES_MAX {
            return Err(TooManyGuestCodes);
        }
        let code = random.find(|code| !self.codes.contains_key(code)).ok_or(TooManyGuestCodes)?;
        self.codes.insert(code, Code { host, expires });
        Ok((code, expires))
    }

    /// Whose guests a code lets in.
    pub fn host(&self, code: GuestCode, now: UnixMillis) -> Option<&GuestHost> {
        self.codes.get(&code).filter(|code| code.expires > now).map(|code| &code.host)
    }

    /// Lets a guest in. The code is good for longer.
    ///
    /// # Errors
    /// If the code is not the host's, or the call has too many guests.
    pub fn admit(
        &mut self,
        code: GuestCode,
        guest: Guest,
        secrets: GuestSecrets,
        now: UnixMillis,
    ) -> Result<(), GuestRefusal> {
        if self.host(code, now) != Some(&guest.host) {
            return Err(GuestRefusal::NoSuchCode);
        }
        let others = self.present.values().filter(|other| other.guest.host.call == guest.host.call);
        if others.count() >= GUESTS_MAX {
            return Err(GuestRefusal::Full);
        }
        self.codes.entry(code).and_modify(|code| code.expires = now + UNUSED_MAX);
        for (hash, access) in secrets.each() {
            self.secrets.insert(hash, (access, guest.client.clone()));
        }
        self.present.insert(guest.client.clone(), Presence { guest, secrets, connected: now });
        Ok(())
    }

    /// The guest whose secret for this has the hash.
    pub fn by_secret(&self, access: GuestAccess, hash: &[u8; 32]) -> Option<&Guest> {
        let (_, client) = self.secrets.get(hash).filter(|(known, _)| *known == access)?;
        self.present.get(client).map(|presence| &presence.guest)
    }

    /// A number's guests in a call, in the order in which they joined.
    pub fn of(&self, call: &CallId, number: &Number) -> Vec<Guest> {
        let all = self.present.values().map(|presence| &presence.guest);
        let mut guests: Vec<Guest> = all.filter(|guest| guest.host.is_of(call, number)).cloned().collect();
        guests.sort_unstable_by(|a, b| a.client.cmp(&b.client));
        guests
    }

    /// Removes a number's guest, and the code by which the guest could return.
    pub fn dismiss(&mut self, number: &Number, guest: &ClientId) -> Option<Guest> {
        let host = &self.present.get(guest).filter(|presence| presence.guest.host.number == *number)?.guest.host;
        self.codes.retain(|_, code| !code.host.is_of(&host.call, number));
        self.remove(guest)
    }

    /// Removes codes that are no longer good, and guests who no longer take part. Returns these guests.
    pub fn end(
        &mut self,
        now: UnixMillis,
        takes_part: impl Fn(&GuestHost) -> bool,
        is_connected: impl Fn(&ClientId) -> bool,
    ) -> Vec<Guest> {
        self.codes.retain(|_, code| code.expires > now && takes_part(&code.host));
        let mut gone = Vec::new();
        for (client, presence) in &mut self.present {
            if is_connected(client) {
                presence.connected = now;
            }
            if now - presence.connected >= ABSENT_MAX || !takes_part(&presence.guest.host) {
                gone.push(client.clone());
            }
        }
        gone.iter().filter_map(|client| self.remove(client)).collect()
    }

    /// Removes the codes and the guests of hosts that are gone. Returns these guests.
    pub fn end_hosts(&mut self, is_gone: impl Fn(&GuestHost) -> bool) -> Vec<Guest> {
        self.codes.retain(|_, code| !is_gone(&code.host));
        let all = self.present.values().map(|presence| &presence.guest);
        let gone: Vec<_> = all.filter(|guest| is_gone(&guest.host)).map(|guest| guest.client.clone()).collect();
        gone.iter().filter_map(|client| self.remove(client)).collect()
    }

    /// Removes a guest. The code stays good, for that guest too.
    pub fn remove(&mut self, guest: &ClientId) -> Option<Guest> {
        let Presence { guest, secrets, .. } = self.present.remove(guest)?;
        for (hash, _) in secrets.each() {
            self.secrets.remove(&hash);
        }
        Some(guest)
    }
}

#[cfg(test)]
#[path = "guests_tests.rs"]
mod tests;
