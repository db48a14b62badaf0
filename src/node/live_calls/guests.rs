//! Guests of the live calls, under their lock: no guest reaches a call that has ended.

use super::{GRACE, LiveCalls};
use crate::contract::Role;
use crate::core::base::guest_code::GuestCode;
use crate::core::base::name::{CallId, ClientId};
use crate::core::base::time::UnixMillis;
use crate::core::call::exchange::Exchange;
use crate::core::call::guests::{Guest, GuestAccess, GuestHost, GuestRefusal, GuestSecrets, TooManyGuestCodes};
use crate::core::numbering::number::Number;
use crate::store::credential_hash;

/// Characters of a guest's secret, which is a token: 32 random bytes in base64url. No address of a number or a client has as
/// many.
const SECRET: usize = 43;

/// Why a client gets no code for guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::node) enum InviteRefusal {
    /// The number isn't reachable in the call, or the call is unknown or over.
    #[error("the number is not reachable in this call")]
    Unreachable,
    /// The node has too many codes.
    #[error(transparent)]
    TooMany(#[from] TooManyGuestCodes),
}

impl LiveCalls {
    /// A code that lets the host's guests in, and when it expires.
    ///
    /// # Errors
    /// If the host's number isn't reachable in the call, or there are too many codes.
    pub(in crate::node) fn invite_guests(
        &self,
        host: GuestHost,
        now: UnixMillis,
    ) -> Result<(GuestCode, UnixMillis), InviteRefusal> {
        self.locked(|calls| {
            if !is_in(&calls.exchange, &host.call, &host.number, now) {
                return Err(InviteRefusal::Unreachable);
            }
            let random = std::iter::repeat_with(|| GuestCode::new(rand::random()));
            Ok(calls.guests.invite(host, now, random)?)
        })
    }

    /// Whose guests a code lets in.
    pub(in crate::node) fn guest_host(&self, code: GuestCode, now: UnixMillis) -> Option<GuestHost> {
        self.locked(|calls| {
            let host = calls.guests.host(code, now)?;
            is_in(&calls.exchange, &host.call, &host.number, now).then(|| host.clone())
        })
    }

    /// Lets a guest in.
    ///
    /// # Errors
    /// If the code is no longer the host's, or the call has too many guests.
    pub(in crate::node) fn admit_guest(
        &self,
        code: GuestCode,
        guest: Guest,
        secrets: GuestSecrets,
        now: UnixMillis,
    ) -> Result<(), GuestRefusal> {
        self.locked(|calls| {
            if !is_in(&calls.exchange, &guest.host.call, &guest.host.number, now) {
                return Err(GuestRefusal::NoSuchCode);
            }
            calls.guests.admit(code, guest, secrets, now)
        })
    }

    /// The guest whose secret for this it is, while the guest takes part.
    pub(in crate::node) fn guest(&self, access: GuestAccess, secret: &str, now: UnixMillis) -> Option<Guest> {
        let hash = (secret.len() == SECRET).then(|| credential_hash(secret))?;
        self.locked(|calls| {
            let guest = calls.guests.by_secret(access, &hash)?;
            is_in(&calls.exchange, &guest.host.call, &guest.host.number, now).then(|| guest.clone())
        })
    }

    /// A number's guests in a call, and the number's own role there; none if the call is over or the number isn't reachable in
    /// it.
    pub(in crate::node) fn guests_of(
        &self,
        call: &CallId,
        number: &Number,
        now: UnixMillis,
    ) -> Option<(Role, Vec<Guest>)> {
        self.locked(|calls| {
            let role = role(&calls.exchange, call, number)?;
            is_in(&calls.exchange, call, number, now).then(|| (role, calls.guests.of(call, number)))
        })
    }

    /// The role of a number in a call.
    pub(in crate::node) fn role(&self, call: &CallId, number: &Number) -> Option<Role> {
        self.read(|exchange| role(exchange, call, number))
    }

    /// Removes a number's guest, and the code by which the guest could return.
    pub(in crate::node) fn dismiss_guest(&self, number: &Number, guest: &ClientId) -> Option<Guest> {
        self.locked(|calls| calls.guests.dismiss(number, guest))
    }

    /// Removes a guest who leaves. The code stays good, for that guest too.
    pub(in crate::node) fn guest_leaves(&self, guest: &ClientId) -> Option<Guest> {
        self.locked(|calls| calls.guests.remove(guest))
    }

    /// Removes the codes and the guests of hosts that are gone. Returns these guests.
    pub(in crate::node) fn end_guests_of(&self, is_gone: impl Fn(&GuestHost) -> bool) -> Vec<Guest> {
        self.locked(|calls| calls.guests.end_hosts(is_gone))
    }

    /// Removes codes that are no longer good, and guests who no longer take part. Returns these guests. `is_connected`
    /// must not use [`LiveCalls`].
    pub(in crate::node) fn end_guests(&self, now: UnixMillis, is_connected: impl Fn(&ClientId) -> bool) -> Vec<Guest> {
        self.locked(|calls| {
            let exchange = &calls.exchange;
            calls.guests.end(now, |host| is_in(exchange, &host.call, &host.number, now), is_connected)
        })
    }
}

/// Whether a call is up and doesn't go on without the number, and the number is in it or gone for a moment only.
fn is_in(exchange: &Exchange, call: &CallId, number: &Number, now: UnixMillis) -> bool {
    let is_up = exchange.call(call).is_some_and(|call| !exchange.is_over_for(call, number));
    is_up && exchange.reachable(call, now, GRACE).contains(number)
}

fn role(exchange: &Exchange, call: &CallId, number: &Number) -> Option<Role> {
    let call = exchange.call(call)?;
    Some(if exchange.is_caller(call, number) { Role::First } else { Role::Second })
}
