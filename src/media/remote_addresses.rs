//! Which addresses of the other side are tried: a device must not make us probe a network, or what listens on loopback.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::core::base::token_bucket::TokenBucket;

/// Addresses that are tried at once, and how many more each second.
pub(super) const ADDRESSES_MAX: u32 = 64;
const MORE: f64 = 0.1;
/// Clients use ports that the system has chosen. What is below belongs to services, and they get no packets from us.
const PORT_MIN: u16 = 1024;

/// The addresses that have been tried in a call, in all its sessions and on all their connections.
#[derive(Debug)]
pub struct RemoteAddresses {
    local: IpAddr,
    tried: Mutex<TriedAddresses>,
}

#[derive(Debug)]
struct TriedAddresses {
    known: HashSet<SocketAddr>,
    left: TokenBucket,
}

impl RemoteAddresses {
    /// None yet. `local` is our own address.
    pub fn new(local: IpAddr, now: Instant) -> RemoteAddresses {
        let left = TokenBucket::full(f64::from(ADDRESSES_MAX), now);
        RemoteAddresses { local, tried: Mutex::new(TriedAddresses { known: HashSet::new(), left }) }
    }

    /// Whether an address is tried. One that has been tried may be tried again.
    pub(super) fn admit(&self, address: SocketAddr, now: Instant) -> bool {
        if !self.may_be_a_client(address) {
            return false;
        }
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if tried.known.contains(&address) {
            return true;
        }
        let is_admitted = tried.left.take(1.0, f64::from(ADDRESSES_MAX), MORE, now);
        if is_admitted {
            tried.known.insert(address);
        }
        is_admitted
    }

    fn may_be_a_client(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
        let is_elsewhere = !ip.is_loopback() || self.local.is_loopback();
        address.port() >= PORT_MIN && !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast && is_elsewhere
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn admits(local: &str, address: &str) -> bool {
        let now = Instant::now();
        RemoteAddresses::new(local.parse().unwrap(), now).admit(address.parse().unwrap(), now)
    }

    #[test]
    fn a_device_makes_us_try_64_addresses_and_then_one_every_ten_seconds() {
        let now = Instant::now();
        let addresses = RemoteAddresses::new([192, 0, 2, 1].into(), now);
        let address = |port: u16| SocketAddr::from(([192, 0, 2, 8], port));
        assert_eq!((5000..5200).filter(|port| addresses.admit(address(*port), now)).count(), 64);
        // One that has been tried is no probe.
        assert!(addresses.admit(address(5000), now));
        let later = now + Duration::from_secs(30);
        assert_eq!((5200..5300).filter(|port| addresses.admit(address(*port), later)).count(), 3);
    }

    #[test]
    fn an_address_where_no_client_can_be_is_not_tried() {
        let own = "192.0.2.1";
        for bad in
            ["192.0.2.9:53", "224.0.0.1:5000", "255.255.255.255:5000", "0.0.0.0:5000", "[::]:5000", "[ff02::1]:5000"]
        {
            assert!(!admits(own, bad), "{bad}");
        }
        assert!(admits(own, "192.0.2.9:1024") && admits("2001:db8::1", "[2001:db8::2]:5000"));
    }

    #[test]
    fn a_loopback_address_is_tried_only_from_one() {
        for loopback in ["127.0.0.1:5000", "127.1.2.3:5000", "[::1]:5000", "[::ffff:127.0.0.1]:5000"] {
            assert!(!admits("192.0.2.1", loopback), "{loopback}");
        }
        assert!(admits("127.0.0.1", "127.0.0.1:5000"));
    }
}
