//! The device that offers, for tests: what a browser does, with the same library and without a socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::channel::{ChannelConfig, ChannelData, ChannelId};
use str0m::media::{Direction, MediaKind};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};

use super::crypto::PROVIDER;
use super::digits::CertificateFingerprint;
use super::identity::MediaIdentity;

pub(super) struct Offerer {
    identity: MediaIdentity,
    rtc: Rtc,
    local: SocketAddr,
    pending: Option<SdpPendingOffer>,
    wake: Instant,
    pub(super) datagrams: Vec<(SocketAddr, Vec<u8>)>,
    pub(super) is_connected: bool,
    /// Channels that have opened, and those that have closed.
    pub(super) channels: Vec<ChannelId>,
    pub(super) closed: Vec<ChannelId>,
    /// Texts that came through channels.
    pub(super) texts: Vec<String>,
}

impl Offerer {
    pub(super) fn new(local: SocketAddr, now: Instant) -> Offerer {
        Offerer::with(MediaIdentity::new().unwrap(), local, now)
    }

    /// Another connection with the same certificate.
    pub(super) fn anew(&self, now: Instant) -> Offerer {
        Offerer::with(self.identity.clone(), self.local, now)
    }

    fn with(identity: MediaIdentity, local: SocketAddr, now: Instant) -> Offerer {
        let config = Rtc::builder().set_crypto_provider(Arc::new(PROVIDER.clone()));
        let mut rtc = config.set_dtls_cert(identity.certificate.clone()).build(now);
        rtc.add_local_candidate(Candidate::host(local, "udp").unwrap()).unwrap();
        Offerer {
            identity,
            rtc,
            local,
            pending: None,
            wake: now,
            datagrams: Vec::new(),
            is_connected: false,
            channels: Vec::new(),
            closed: Vec::new(),
            texts: Vec::new(),
        }
    }

    pub(super) fn fingerprint(&self) -> CertificateFingerprint {
        self.identity.proof([0; 16]).fingerprint
    }

    /// The first offer: a camera before the control channel, or the channel alone.
    pub(super) fn offer(&mut self, with_camera: bool) -> String {
        let mut change = self.rtc.sdp_api();
        if with_camera {
            change.add_media(MediaKind::Video, Direction::SendOnly, None, None, None);
        }
        change.add_channel("control".to_owned());
        let (offer, pending) = change.apply().unwrap();
        self.pending = Some(pending);
        self.drain();
        offer.to_sdp_string()
    }

    pub(super) fn accept(&mut self, answer: &str) {
        let answer = SdpAnswer::from_sdp_string(answer).unwrap();
        self.rtc.sdp_api().accept_answer(self.pending.take().unwrap(), answer).unwrap();
        self.drain();
    }

    pub(super) fn open(&mut self, label: &str, protocol: &str) -> ChannelId {
        let (label, protocol) = (label.to_owned(), protocol.to_owned());
        let channel =
            self.rtc.direct_api().create_data_channel(ChannelConfig { label, protocol, ..Default::default() });
        self.drain();
        channel
    }

    pub(super) fn close(&mut self, channel: ChannelId) {
        self.rtc.direct_api().close_data_channel(channel);
        self.drain();
    }

    /// Returns false if it must be tried again later.
    pub(super) fn send(&mut self, channel: ChannelId, is_binary: bool, bytes: &[u8]) -> bool {
        let Some(mut open) = self.rtc.channel(channel) else { return false };
        let accepted = open.write(is_binary, bytes).unwrap();
        self.drain();
        accepted
    }

    pub(super) fn receive(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) {
        let input = Input::Receive(now, Receive::new(Protocol::Udp, from, self.local, datagram).unwrap());
        // What is late belongs to an earlier connection.
        if self.rtc.accepts(&input) {
            self.rtc.handle_input(input).unwrap();
            self.drain();
        }
    }

    pub(super) fn timeout(&mut self, now: Instant) {
        self.rtc.handle_input(Input::Timeout(now)).unwrap();
        self.drain();
    }

    /// The time until the next timeout.
    pub(super) fn sleep(&self, now: Instant) -> Duration {
        self.wake.saturating_duration_since(now)
    }

    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(wake) => {
                    self.wake = wake;
                    return;
                }
                Output::Transmit(datagram) => self.datagrams.push((datagram.destination, datagram.contents.into())),
                Output::Event(Event::Connected) => self.is_connected = true,
                Output::Event(Event::ChannelOpen(channel, _)) => self.channels.push(channel),
                Output::Event(Event::ChannelClose(channel)) => self.closed.push(channel),
                Output::Event(Event::ChannelData(ChannelData { data, .. })) => {
                    self.texts.push(String::from_utf8(data).unwrap());
                }
                Output::Event(_) => {}
            }
        }
    }
}
