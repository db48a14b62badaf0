//! The sound of a call: every phone sends a tone of its own (G.711, 20 ms), and recognises the tones of
//! others in what it receives, mixed or not. So a test sees who hears whom. In a fax it sends T.38 packets instead.

use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::g711::{from_alaw, from_ulaw, to_alaw, to_ulaw};
use super::sdp::Codec;
use crate::{LabError, Result};

const RATE: f64 = 8_000.0;
const FRAME: usize = 160;
/// What is listened to: the last 100 ms.
const WINDOW: usize = 800;
/// A tone that has been silent so long isn't heard any more.
const FRESH: Duration = Duration::from_millis(150);
/// Payload type of telephone events (RFC 4733), as the phone offers it.
const EVENT: u8 = 101;

/// A T.38 packet behind its sequence number (ITU-T T.38 §9.1): one IFP packet of two octets at most, which says that
/// there is a calling tone, and no packets repeated.
const CALLING_TONE: [u8; 4] = [1, 2, 0, 0];

/// The tone of the n-th phone, in Hz: apart from each other and from what PBXs play (350 to 480, 620).
pub(super) fn tone(n: u32) -> u32 {
    700 + 90 * (n % 28)
}

/// What a phone does with the sound of its calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sound {
    /// It sends a tone of so many Hz, and listens.
    Tone(u32),
    /// It sends what it gets back to where that came from, so a caller who hears himself is heard there.
    Echo,
    /// It neither sends nor listens.
    Silence,
}

impl Sound {
    /// One port is enough for all calls of a phone that only echoes or is silent, and its SIP is as short as can be.
    pub(super) fn is_plain(self) -> bool {
        !matches!(self, Sound::Tone(_))
    }
}

#[derive(Debug)]
struct Shared {
    socket: UdpSocket,
    flow: Mutex<Flow>,
}

#[derive(Debug, Default)]
struct Flow {
    to: Option<SocketAddr>,
    /// The phone's tone goes out.
    speaks: bool,
    codec: Codec,
    digits: VecDeque<u8>,
    heard: Vec<i16>,
    heard_at: Option<Instant>,
    packets: u64,
    alaw: u64,
    faxed: u64,
}

impl Shared {
    fn flow(&self) -> MutexGuard<'_, Flow> {
        self.flow.lock().expect("media")
    }
}

/// The media of one call, or of all calls of a plain phone. Dropping it ends it.
#[derive(Debug, Clone)]
pub(super) struct Media {
    shared: Arc<Shared>,
    sound: Sound,
    pub addr: SocketAddr,
}

impl Media {
    /// Opens a port and begins to listen; it speaks once it knows where to.
    pub(super) fn open(ip: IpAddr, sound: Sound) -> Result<Media> {
        let error = || LabError::io("a port for RTP");
        let socket = UdpSocket::bind((ip, 0)).map_err(error())?;
        let addr = socket.local_addr().map_err(error())?;
        socket.set_read_timeout(Some(Duration::from_millis(100))).map_err(error())?;
        let shared = Arc::new(Shared { socket, flow: Mutex::default() });
        if sound != Sound::Silence {
            let listening = Arc::downgrade(&shared);
            thread::spawn(move || listen(&listening, sound));
        }
        if let Sound::Tone(hertz) = sound {
            let speaking = Arc::downgrade(&shared);
            thread::spawn(move || speak(&speaking, hertz));
        }
        Ok(Media { shared, sound, addr })
    }

    pub(super) fn is_plain(&self) -> bool {
        self.sound.is_plain()
    }

    /// Sends this to that address from now on.
    pub(super) fn send_to(&self, to: SocketAddr, codec: Codec) {
        let mut flow = self.shared.flow();
        (flow.to, flow.codec) = (Some(to), codec);
    }

    pub(super) fn codec(&self) -> Codec {
        self.shared.flow().codec
    }

    pub(super) fn received_as(&self, codec: Codec) -> u64 {
        let flow = self.shared.flow();
        match codec {
            Codec::Pcmu => flow.packets - flow.alaw,
            Codec::Pcma => flow.alaw,
            Codec::T38 => flow.faxed,
        }
    }

    pub(super) fn speak(&self, speaks: bool) {
        self.shared.flow().speaks = speaks;
    }

    pub(super) fn digits(&self, digits: &str) {
        let codes = digits.bytes().filter_map(|d| b"0123456789*#ABCD".iter().position(|c| *c == d));
        self.shared.flow().digits.extend(codes.filter_map(|code| u8::try_from(code).ok()));
    }

    pub(super) fn is_dialling(&self) -> bool {
        !self.shared.flow().digits.is_empty()
    }

    pub(super) fn packets(&self) -> u64 {
        self.shared.flow().packets
    }

    /// True if that phone's tone is in what came in the last 100 ms.
    pub(super) fn hears(&self, other: Sound) -> bool {
        let Sound::Tone(hertz) = other else { panic!("a plain phone has no tone to hear") };
        let flow = self.shared.flow();
        flow.heard_at.is_some_and(|at| at.elapsed() < FRESH) && has_tone(&flow.heard, f64::from(hertz))
    }
}

fn speak(shared: &Weak<Shared>, hertz: u32) {
    let step = TAU * f64::from(hertz) / RATE;
    let (mut sequence, mut stamp, mut phase) = (rand::random::<u16>(), rand::random::<u32>(), 0.0_f64);
    let source = rand::random::<u32>();
    let mut page = 0_u16;
    let mut next = Instant::now();
    loop {
        next += Duration::from_millis(20);
        thread::sleep(next.saturating_duration_since(Instant::now()));
        let Some(shared) = shared.upgrade() else { return };
        let (to, digit, speaks, codec) = {
            let flow = shared.flow();
            (flow.to, flow.digits.front().copied(), flow.speaks, flow.codec)
        };
        let Some(to) = to else { continue };
        if let Some(digit) = digit {
            // 100 ms of key, its end three times, 80 ms of pause.
            for n in 0..8_u16 {
                let (ends, length) = (n >= 5, 160 * (n + 1).min(6));
                let mut payload = vec![digit, if ends { 0x80 | 10 } else { 10 }];
                payload.extend(length.to_be_bytes());
                sequence = sequence.wrapping_add(1);
                let _ = shared.socket.send_to(&packet(EVENT, n == 0, sequence, stamp, source, &payload), to);
                thread::sleep(Duration::from_millis(if n < 5 { 20 } else { 5 }));
            }
            thread::sleep(Duration::from_millis(80));
            shared.flow().digits.pop_front();
            stamp = stamp.wrapping_add(1_600);
            next = Instant::now();
            continue;
        }
        stamp = stamp.wrapping_add(160);
        if !speaks {
            continue;
        }
        let Some(kind) = codec.payload_type() else {
            let _ = shared.socket.send_to(&[&page.to_be_bytes()[..], &CALLING_TONE].concat(), to);
            page = (page + 1) & 0x7fff;
            continue;
        };
        let mut payload = [0_u8; FRAME];
        for octet in &mut payload {
            phase = (phase + step) % TAU;
            #[allow(clippy::cast_possible_truncation)]
            let sample = (phase.sin() * 5_000.0) as i16;
            *octet = if codec == Codec::Pcma { to_alaw(sample) } else { to_ulaw(sample) };
        }
        sequence = sequence.wrapping_add(1);
        let _ = shared.socket.send_to(&packet(kind, false, sequence, stamp, source, &payload), to);
    }
}

/// RFC 3550 §5.1.
fn packet(kind: u8, marker: bool, sequence: u16, stamp: u32, source: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, kind | if marker { 0x80 } else { 0 }];
    packet.extend(sequence.to_be_bytes());
    packet.extend(stamp.to_be_bytes());
    packet.extend(source.to_be_bytes());
    packet.extend(payload);
    packet
}

fn listen(shared: &Weak<Shared>, sound: Sound) {
    let mut buffer = [0_u8; 2_048];
    while let Some(shared) = shared.upgrade() {
        let Ok((length, from)) = shared.socket.recv_from(&mut buffer) else { continue };
        let packet = &buffer[..length];
        if sound == Sound::Echo {
            let _ = shared.socket.send_to(packet, from);
            continue;
        }
        let mut flow = shared.flow();
        // A PBX repeats earlier packets behind it.
        if packet.len() > 3 && packet[0] < 0x80 && packet[2..4] == CALLING_TONE[..2] {
            flow.faxed += 1;
        }
        // Nothing else was offered. RTCP goes to another port.
        let Some(samples) = samples(packet) else { continue };
        flow.packets += 1;
        flow.alaw += u64::from(packet[1] & 0x7f == 8);
        flow.heard.extend(samples);
        let surplus = flow.heard.len().saturating_sub(WINDOW);
        flow.heard.drain(..surplus);
        flow.heard_at = Some(Instant::now());
    }
}

/// The sound in an RTP packet of G.711; `None` if it is something else.
fn samples(packet: &[u8]) -> Option<Vec<i16>> {
    let (head, payload) = packet.split_at_checked(12).filter(|(head, _)| head[0] >> 6 == 2)?;
    let decode = match head[1] & 0x7f {
        0 => from_ulaw,
        8 => from_alaw,
        _ => return None,
    };
    (!payload.is_empty()).then(|| payload.iter().map(|octet| decode(*octet)).collect())
}

/// True if that tone is somewhere in these RTP packets.
pub(super) fn is_tone_in<'a>(packets: impl Iterator<Item = &'a [u8]>, sound: Sound) -> bool {
    let Sound::Tone(hertz) = sound else { panic!("a plain phone has no tone to find") };
    let sound: Vec<i16> = packets.filter_map(samples).flatten().collect();
    sound.chunks_exact(WINDOW).any(|window| has_tone(window, f64::from(hertz)))
}

/// Goertzel: the tone has a twentieth of the energy at least, so it is heard among a few others too.
fn has_tone(samples: &[i16], hertz: f64) -> bool {
    if samples.len() < WINDOW {
        return false;
    }
    let factor = 2.0 * (TAU * hertz / RATE).cos();
    let (mut one, mut two, mut energy) = (0.0, 0.0, 0.0);
    for sample in samples {
        let sample = f64::from(*sample);
        (one, two) = (sample + factor * one - two, one);
        energy += sample * sample;
    }
    let power = one * one + two * two - factor * one * two;
    #[allow(clippy::cast_precision_loss)]
    let count = samples.len() as f64;
    energy / count > 10_000.0 && 2.0 * power / (count * energy) > 0.05
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_recognised_alone_and_in_a_mix() {
        let sound = |tones: &[u32]| -> Vec<i16> {
            let at =
                |n: usize| tones.iter().map(|t| (TAU * f64::from(*t) * n as f64 / RATE).sin() * 5_000.0).sum::<f64>();
            (0..WINDOW).map(|n| from_ulaw(to_ulaw(at(n) as i16))).collect()
        };
        let tones: Vec<u32> = (0..28).map(tone).collect();
        let mix = sound(&tones[4..7]);
        for (n, hertz) in tones.iter().enumerate() {
            assert!(has_tone(&sound(&[*hertz]), f64::from(*hertz)), "{hertz}");
            assert_eq!(has_tone(&mix, f64::from(*hertz)), (4..7).contains(&n), "{hertz}");
            assert!(!has_tone(&sound(&[350, 440, 480]), f64::from(*hertz)));
        }
    }
}
