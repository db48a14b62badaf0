//! Free ports on loopback.
//!
//! A port is free when both UDP and TCP can be bound on every loopback address of the lab. Ports are
//! given out from a range below the ephemeral one, so that a client's own port never takes a server's. Of tests that
//! run at a time each has a part of it, by the runner's number for it, so that no two look at the same port.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 12_000;
/// Ports of a part, and parts.
const COUNT: u32 = 5_000;
const PARTS: u32 = 4;

static NEXT: AtomicU32 = AtomicU32::new(0);

fn candidate(step: u32) -> u16 {
    let slot = std::env::var("NEXTEST_TEST_GLOBAL_SLOT").ok().and_then(|slot| slot.parse::<u32>().ok());
    let part = slot.unwrap_or_else(std::process::id) % PARTS;
    // What an earlier test has left may not be quite over.
    let start = std::process::id().wrapping_mul(397);
    let n = NEXT.fetch_add(step, Ordering::Relaxed);
    u16::try_from(FIRST + part * COUNT + start.wrapping_add(n) % (COUNT - 500)).expect("in range")
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() && UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

/// A port that is free now for TCP and UDP.
pub fn free() -> u16 {
    (0..2_000).map(|_| candidate(1)).find(|port| is_free(*port)).expect("a free port on loopback")
}

/// The first of `n` consecutive free ports, even (an RTP range begins there).
pub fn free_range(n: u16) -> u16 {
    (0..200)
        .map(|_| (candidate(u32::from(n) + 1) + 1) & !1)
        .find(|first| (*first..first + n).all(is_free))
        .expect("a free range of ports on loopback")
}
