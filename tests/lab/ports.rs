//! Free ports on loopback.
//!
//! A port is free when both UDP and TCP can be bound on every loopback address of the lab. Ports are
//! given out from a range below the ephemeral one, each test process starting elsewhere, so that two
//! processes rarely look at the same port and a client's own port never takes a server's.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 12_000;
const COUNT: u32 = 20_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

fn candidate(step: u32) -> u16 {
    let start = std::process::id().wrapping_mul(397);
    let n = NEXT.fetch_add(step, Ordering::Relaxed);
    u16::try_from(FIRST + start.wrapping_add(n) % (COUNT - 200)).expect("in range")
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
