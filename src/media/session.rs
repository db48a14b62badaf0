//! A session with one other device, apart from its connection: whose descriptions are believed, and which are answered.
//!
//! The other device has invited this one and makes all offers; this one answers. So perfect negotiation (W3C webrtc-pc, 10.7)
//! comes down to this:
//!
//! | input                                      | what follows                                                      |
//! |--------------------------------------------|-------------------------------------------------------------------|
//! | an offer of another round                  | nothing: it belongs to another connection                         |
//! | an offer with another certificate          | the session ends                                                  |
//! | an offer with the number of the last one   | the same answer again: it was lost                                |
//! | any other offer                            | apply it and answer                                               |
//! | `restart` of a greater round               | a new connection, and `restart` of a round that is greater still, |
//! |                                            | at most 20 times in a row; then the session ends                  |
//! | the connection is lost                     | the same with a round of our own, at most five times in a row;    |
//! |                                            | then the session ends                                             |
//!
//! Whoever gets a `restart` offers. A device that sends one expects an offer, so it gets a `restart` back, and offers itself.

use super::INTEGER_MAX;
use super::description::certificate_of;
use super::signal::{ConnectionOffer, FileInvite};
use super::words::{Commitment, Proof, four_words};
use crate::core::base::name::SessionId;
use crate::core::base::time::UnixMillis;

/// Attempts to connect anew without success, after which the session ends.
const REBUILDS_MAX: u32 = 5;

/// Requests for a new connection without success, after which the session ends.
const RESTARTS_MAX: u32 = 20;

/// What to do with a request for a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RestartVerdict {
    /// Nothing: it is an old one.
    Ignore,
    /// Ask the other device to offer the connection of this round.
    Begin(u64),
    /// End the session: this leads nowhere.
    GiveUp,
}

/// What to do with an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OfferVerdict {
    /// Nothing: it belongs to another connection.
    Ignore,
    /// Apply it, and answer.
    Apply,
    /// Send this answer again.
    Repeat(String),
    /// End the session: it names another certificate than the one that was agreed.
    Impostor,
}

/// A session from the side that has accepted an invitation.
#[derive(Debug)]
pub struct MediaSession {
    id: SessionId,
    own: Proof,
    commit: Commitment,
    /// The other device's part, once it is revealed and fits the commitment.
    remote: Option<Proof>,
    /// Which connection it is: 0, then the time when a new one was asked for.
    round: u64,
    /// The number of the last offer, and its answer.
    last: Option<(Option<u64>, String)>,
    /// Since it was connected: how often we have asked for a new connection, and how often the other device has.
    rebuilds: u32,
    restarts: u32,
}

impl MediaSession {
    /// The session that an invitation proposes. `own` is our part of the words.
    pub fn new(invite: &FileInvite, own: Proof) -> MediaSession {
        MediaSession {
            id: invite.session.clone(),
            own,
            commit: invite.commit,
            remote: None,
            round: 0,
            last: None,
            rebuilds: 0,
            restarts: 0,
        }
    }

    /// Its id.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Which connection it is.
    pub(super) fn round(&self) -> u64 {
        self.round
    }

    /// The words to compare by voice, once both parts are known.
    pub(super) fn words(&self) -> Option<[&'static str; 4]> {
        Some(four_words(self.remote.as_ref()?, &self.own))
    }

    /// Judges an offer.
    pub(super) fn offer(&mut self, offer: &ConnectionOffer) -> OfferVerdict {
        if offer.round != self.round {
            return OfferVerdict::Ignore;
        }
        if !self.is_verified(offer) {
            return OfferVerdict::Impostor;
        }
        match &self.last {
            Some((number, answer)) if number.is_some() && *number == offer.number => {
                OfferVerdict::Repeat(answer.clone())
            }
            _ => OfferVerdict::Apply,
        }
    }

    /// The last offer has been applied, and this is its answer.
    pub(super) fn answered(&mut self, number: Option<u64>, answer: String) {
        self.last = Some((number, answer));
    }

    /// Whether an offer is from the device that the session was agreed with.
    fn is_verified(&mut self, offer: &ConnectionOffer) -> bool {
        let Some(fingerprint) = certificate_of(&offer.sdp) else { return false };
        if let Some(remote) = &self.remote {
            return remote.fingerprint == fingerprint;
        }
        let revealed = offer.nonce.map(|nonce| Proof { nonce, fingerprint });
        self.remote = revealed.filter(|proof| proof.commitment() == self.commit);
        self.remote.is_some()
    }

    /// The other device asks for a new connection.
    pub(super) fn restarted(&mut self, round: u64) -> RestartVerdict {
        if round <= self.round {
            return RestartVerdict::Ignore;
        }
        self.restarts += 1;
        if self.restarts > RESTARTS_MAX {
            return RestartVerdict::GiveUp;
        }
        self.begin_round(round + 1).map_or(RestartVerdict::Ignore, RestartVerdict::Begin)
    }

    /// The connection is lost. Returns the round in which we ask for a new one, unless that has been tried often enough.
    pub(super) fn lost(&mut self, now: UnixMillis) -> Option<u64> {
        self.rebuilds += 1;
        (self.rebuilds <= REBUILDS_MAX).then_some(())?;
        self.begin_round(u64::try_from(now.0).unwrap_or(0).max(self.round + 1))
    }

    /// The connection is up.
    pub(super) fn connected(&mut self) {
        self.rebuilds = 0;
        self.restarts = 0;
    }

    fn begin_round(&mut self, round: u64) -> Option<u64> {
        (round <= INTEGER_MAX).then_some(())?;
        self.round = round;
        self.last = None;
        Some(round)
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
