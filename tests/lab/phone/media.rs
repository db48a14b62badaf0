//! The sound of a call: every phone sends a tone of its own (PCMU, 20 ms), and recognises the tones of
//! others in what it receives, mixed or not. So a test sees who hears whom.

use std::f64::consts::TAU;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::super::{LabError, Result};

/// Samples per second.
const RATE: f64 = 8_000.0;
/// Samples per packet.
const FRAME: usize = 160;
/// What is listened to: the last 100 ms.
const WINDOW: usize = 800;
/// A tone that has been silent so long isn't heard any more.
const FRESH: Duration = Duration::from_millis(150);
/// Payload type of telephone events (RFC 4733), as the phone offers it.
const EVENT: u8 = 101;

/// The tone of the n-th phone, in Hz: apart from each other and from what PBXs play (350 to 480, 620).
pub(super) fn tone(n: u32) -> u32 {
    700 + 90 * (n % 28)
}

#[derive(Debug)]
struct Shared {
    socket: UdpSocket,
    to: Mutex<Option<SocketAddr>>,
    /// The phone's tone goes out.
    speaks: AtomicBool,
    open: AtomicBool,
    digits: Mutex<Vec<u8>>,
    heard: Mutex<Heard>,
    packets: AtomicU64,
}

#[derive(Debug, Default)]
struct Heard {
    samples: Vec<i16>,
    at: Option<Instant>,
}

/// The media of one call. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Media {
    shared: Arc<Shared>,
    /// Where it listens.
    pub addr: SocketAddr,
}

impl Media {
    /// Opens a port and begins to listen; it speaks once it knows where to.
    pub(super) fn open(ip: IpAddr, hertz: u32) -> Result<Media> {
        let socket = UdpSocket::bind((ip, 0)).map_err(LabError::io("a port for RTP"))?;
        let addr = socket.local_addr().map_err(LabError::io("a port for RTP"))?;
        socket.set_read_timeout(Some(Duration::from_millis(100))).map_err(LabError::io("a port for RTP"))?;
        let shared = Arc::new(Shared {
            socket,
            to: Mutex::default(),
            speaks: AtomicBool::new(true),
            open: AtomicBool::new(true),
            digits: Mutex::default(),
            heard: Mutex::default(),
            packets: AtomicU64::new(0),
        });
        let (speaking, listening) = (Arc::clone(&shared), Arc::clone(&shared));
        thread::spawn(move || speak(&speaking, hertz));
        thread::spawn(move || listen(&listening));
        Ok(Media { shared, addr })
    }

    /// Sends to that address from now on.
    pub(super) fn send_to(&self, to: SocketAddr) {
        *self.shared.to.lock().expect("media") = Some(to);
    }

    /// Sends its tone, or nothing.
    pub(super) fn speak(&self, speaks: bool) {
        self.shared.speaks.store(speaks, Ordering::Relaxed);
    }

    /// Sends digits, one after the other.
    pub(super) fn digits(&self, digits: &str) {
        let codes = digits.bytes().filter_map(|d| b"0123456789*#ABCD".iter().position(|c| *c == d));
        self.shared.digits.lock().expect("media").extend(codes.filter_map(|code| u8::try_from(code).ok()));
    }

    /// True while digits wait to be sent.
    pub(super) fn is_dialling(&self) -> bool {
        !self.shared.digits.lock().expect("media").is_empty()
    }

    /// Packets of sound received so far.
    pub(super) fn packets(&self) -> u64 {
        self.shared.packets.load(Ordering::Relaxed)
    }

    /// True if that tone is in what came in the last 100 ms.
    pub(super) fn hears(&self, hertz: u32) -> bool {
        let heard = self.shared.heard.lock().expect("media");
        heard.at.is_some_and(|at| at.elapsed() < FRESH) && has_tone(&heard.samples, f64::from(hertz))
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        self.shared.open.store(false, Ordering::Relaxed);
    }
}

fn speak(shared: &Shared, hertz: u32) {
    let step = TAU * f64::from(hertz) / RATE;
    let (mut sequence, mut stamp, mut phase) = (rand::random::<u16>(), rand::random::<u32>(), 0.0_f64);
    let source = rand::random::<u32>();
    let mut next = Instant::now();
    while shared.open.load(Ordering::Relaxed) {
        next += Duration::from_millis(20);
        thread::sleep(next.saturating_duration_since(Instant::now()));
        let Some(to) = *shared.to.lock().expect("media") else { continue };
        let digit = shared.digits.lock().expect("media").first().copied();
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
            shared.digits.lock().expect("media").remove(0);
            stamp = stamp.wrapping_add(1_600);
            next = Instant::now();
            continue;
        }
        stamp = stamp.wrapping_add(160);
        if !shared.speaks.load(Ordering::Relaxed) {
            continue;
        }
        let mut payload = [0_u8; FRAME];
        for octet in &mut payload {
            phase = (phase + step) % TAU;
            #[allow(clippy::cast_possible_truncation)]
            let sample = (phase.sin() * 5_000.0) as i16;
            *octet = to_ulaw(sample);
        }
        sequence = sequence.wrapping_add(1);
        let _ = shared.socket.send_to(&packet(0, false, sequence, stamp, source, &payload), to);
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

fn listen(shared: &Shared) {
    let mut buffer = [0_u8; 2_048];
    while shared.open.load(Ordering::Relaxed) {
        let Ok((length, _)) = shared.socket.recv_from(&mut buffer) else { continue };
        // PCMU alone: nothing else was offered. RTCP goes to another port.
        if length <= 12 || buffer[0] >> 6 != 2 || buffer[1] & 0x7f != 0 {
            continue;
        }
        shared.packets.fetch_add(1, Ordering::Relaxed);
        let mut heard = shared.heard.lock().expect("media");
        heard.samples.extend(buffer[12..length].iter().map(|octet| from_ulaw(*octet)));
        let surplus = heard.samples.len().saturating_sub(WINDOW);
        heard.samples.drain(..surplus);
        heard.at = Some(Instant::now());
    }
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

/// ITU-T G.711.
fn to_ulaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = sample.unsigned_abs().min(32_635) + 132;
    let exponent = 7 - u8::try_from((magnitude << 1).leading_zeros().min(7)).unwrap_or(7);
    let mantissa = u8::try_from((magnitude >> (exponent + 3)) & 0x0f).unwrap_or(0);
    !(sign | exponent << 4 | mantissa)
}

fn from_ulaw(octet: u8) -> i16 {
    let octet = !octet;
    let (exponent, mantissa) = ((octet >> 4) & 7, i16::from(octet & 0x0f));
    let magnitude = (((mantissa << 3) + 132) << exponent) - 132;
    if octet & 0x80 == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_survives_its_encoding() {
        for sample in [-30_000_i16, -5_000, -100, 0, 7, 100, 5_000, 30_000] {
            let back = from_ulaw(to_ulaw(sample));
            assert!(
                (i32::from(back) - i32::from(sample)).abs() <= i32::from(sample.unsigned_abs() / 16) + 8,
                "{sample} {back}"
            );
        }
    }

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
