//! A WebRTC connection with data channels alone, without socket and clock: the only file that has the WebRTC library's engine.
//!
//! The library asks for one thing: after every change, its output is taken to the end before the next change
//! (`str0m`, "The single-mutation invariant"). So each method that changes something ends with [`MediaConnection::drain`].

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use str0m::change::SdpOffer;
use str0m::channel::{ChannelData, ChannelId};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcError};

use super::crypto::PROVIDER;
use super::description::{with_formats, without_candidates};
use super::error::MediaError;
use super::identity::MediaIdentity;
use super::remote_addresses::RemoteAddresses;

/// What happens on a connection.
#[derive(Debug)]
pub(super) enum ConnectionEvent {
    /// It is up: for the first time, or again.
    Up,
    /// Nothing comes through. It may come back.
    Down,
    /// The other side has closed it. Only a new one helps.
    Gone,
    /// The other side has opened a channel.
    Opened { channel: ChannelId, label: String, protocol: String },
    /// A text came through a channel.
    Text { channel: ChannelId, text: String },
    /// Bytes came through a channel.
    Bytes { channel: ChannelId, bytes: Vec<u8> },
    /// A channel is closed.
    Closed { channel: ChannelId },
}

/// A connection that answers offers.
#[derive(Debug)]
pub(super) struct MediaConnection {
    rtc: Rtc,
    local: SocketAddr,
    candidate: String,
    wake: Instant,
    datagrams: VecDeque<(SocketAddr, Vec<u8>)>,
    events: VecDeque<ConnectionEvent>,
    /// The other side has proved that the certificate is its own.
    is_secure: bool,
}

impl MediaConnection {
    /// A connection over the socket with this address.
    ///
    /// # Errors
    /// If the address is none that another client could reach.
    pub(super) fn new(
        identity: &MediaIdentity,
        local: SocketAddr,
        now: Instant,
    ) -> Result<MediaConnection, MediaError> {
        // Without codecs, the sections for audio and video of an offer are refused.
        let config = Rtc::builder()
            .set_crypto_provider(Arc::new(PROVIDER.clone()))
            .set_dtls_cert(identity.certificate.clone())
            .clear_codecs();
        let mut rtc = config.build(now);
        let host = Candidate::host(local, "udp").map_err(MediaError::connection)?;
        let candidate = rtc.add_local_candidate(host).map(Candidate::to_sdp_string);
        let mut candidate = candidate.ok_or_else(|| MediaError::Connection(format!("{local} can't be used")))?;
        // It is the same after an ICE restart, which changes the ufrag.
        candidate.truncate(candidate.find(" ufrag ").unwrap_or(candidate.len()));
        let mut connection = MediaConnection {
            rtc,
            local,
            candidate,
            wake: now,
            datagrams: VecDeque::new(),
            events: VecDeque::new(),
            is_secure: false,
        };
        connection.drain()?;
        Ok(connection)
    }

    /// How the other side reaches us: `candidate:…`.
    pub(super) fn candidate(&self) -> &str {
        &self.candidate
    }

    /// When [`MediaConnection::timeout`] must be called at the latest.
    pub(super) fn wake(&self) -> Instant {
        self.wake
    }

    /// The next datagram to send.
    pub(super) fn next_datagram(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.datagrams.pop_front()
    }

    /// What happened next.
    pub(super) fn next_event(&mut self) -> Option<ConnectionEvent> {
        self.events.pop_front()
    }

    /// Answers an offer whose certificate has been verified. Those of its candidates that `addresses` admits are tried.
    ///
    /// # Errors
    /// If the library refuses it.
    pub(super) fn answer(
        &mut self,
        sdp: &str,
        addresses: &RemoteAddresses,
        now: Instant,
    ) -> Result<String, MediaError> {
        let (sdp, candidates) = without_candidates(sdp);
        let offer = SdpOffer::from_sdp_string(&sdp).map_err(MediaError::connection)?;
        let answer = self.rtc.sdp_api().accept_offer(offer).map_err(MediaError::connection)?;
        self.drain()?;
        for candidate in candidates {
            self.add_candidate(candidate, addresses, now)?;
        }
        Ok(with_formats(&answer.to_sdp_string()))
    }

    /// Tries an address of the other side. One that can't be used is ignored: browsers hide some behind names that only their
    /// own network resolves, and then the other side reaches us.
    ///
    /// # Errors
    /// If the connection breaks.
    pub(super) fn add_candidate(
        &mut self,
        line: &str,
        addresses: &RemoteAddresses,
        now: Instant,
    ) -> Result<(), MediaError> {
        let parsed = Candidate::from_sdp_string(line).ok().filter(|candidate| candidate.proto() == Protocol::Udp);
        let Some(candidate) = parsed.filter(|candidate| addresses.admit(candidate.addr(), now)) else { return Ok(()) };
        self.rtc.add_remote_candidate(candidate);
        self.drain()
    }

    /// Takes a datagram from the socket. One that isn't the other side's is ignored, and so is one from an address that
    /// `addresses` doesn't admit: the library would try that address.
    ///
    /// # Errors
    /// If the connection breaks.
    pub(super) fn receive(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        addresses: &RemoteAddresses,
        now: Instant,
    ) -> Result<(), MediaError> {
        let Ok(received) = Receive::new(Protocol::Udp, from, self.local, datagram) else { return Ok(()) };
        let input = Input::Receive(now, received);
        if !self.rtc.accepts(&input) || !addresses.admit(from, now) {
            return Ok(());
        }
        if let Err(error) = self.rtc.handle_input(input) {
            // Anybody may have sent it. If it matters, `drain` fails, too.
            tracing::debug!(%error, "a datagram is not understood");
        }
        self.drain()
    }

    /// Time has passed.
    ///
    /// # Errors
    /// If the connection breaks.
    pub(super) fn timeout(&mut self, now: Instant) -> Result<(), MediaError> {
        self.rtc.handle_input(Input::Timeout(now)).map_err(MediaError::connection)?;
        self.drain()
    }

    /// Sends a text. Returns false if the channel isn't open, or the other side doesn't read.
    ///
    /// # Errors
    /// If the connection breaks.
    pub(super) fn send(&mut self, channel: ChannelId, text: &str) -> Result<bool, MediaError> {
        let Some(mut open) = self.rtc.channel(channel) else { return Ok(false) };
        let accepted = open.write(false, text.as_bytes()).map_err(MediaError::connection)?;
        self.drain()?;
        Ok(accepted)
    }

    /// Closes a channel.
    ///
    /// # Errors
    /// If the connection breaks.
    pub(super) fn close_channel(&mut self, channel: ChannelId) -> Result<(), MediaError> {
        self.rtc.direct_api().close_data_channel(channel);
        self.drain()
    }

    /// Tells the other side that the connection ends.
    ///
    /// # Errors
    /// If it is broken already.
    pub(super) fn close(&mut self) -> Result<(), MediaError> {
        self.rtc.close().map_err(MediaError::connection)?;
        self.drain()
    }

    /// Takes all output of the library.
    fn drain(&mut self) -> Result<(), MediaError> {
        loop {
            let output = self.rtc.poll_output().map_err(|error| match error {
                // Descriptions are applied elsewhere: here it is about the certificate that they name.
                RtcError::RemoteSdp(_) => MediaError::Impostor,
                error => MediaError::connection(error),
            })?;
            match output {
                Output::Timeout(wake) => {
                    self.wake = wake;
                    return Ok(());
                }
                Output::Transmit(datagram) => {
                    self.datagrams.push_back((datagram.destination, datagram.contents.into()));
                }
                Output::Event(event) => {
                    let event = self.translate(event);
                    self.events.extend(event);
                }
            }
        }
    }

    fn translate(&mut self, event: Event) -> Option<ConnectionEvent> {
        match event {
            Event::Connected => {
                self.is_secure = true;
                Some(ConnectionEvent::Up)
            }
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => Some(ConnectionEvent::Down),
            Event::IceConnectionStateChange(state) if state.is_connected() && self.is_secure => {
                Some(ConnectionEvent::Up)
            }
            Event::Closed => Some(ConnectionEvent::Gone),
            Event::ChannelOpen(channel, label) => {
                let open = self.rtc.channel(channel);
                let protocol = open.and_then(|open| open.config().map(|config| config.protocol.clone()));
                Some(ConnectionEvent::Opened { channel, label, protocol: protocol.unwrap_or_default() })
            }
            Event::ChannelData(ChannelData { id: channel, binary: true, data: bytes }) => {
                Some(ConnectionEvent::Bytes { channel, bytes })
            }
            Event::ChannelData(ChannelData { id: channel, binary: false, data }) => {
                Some(ConnectionEvent::Text { channel, text: String::from_utf8_lossy(&data).into_owned() })
            }
            Event::ChannelClose(channel) => Some(ConnectionEvent::Closed { channel }),
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
