//! How many connections the node serves, in total and for each address.
//!
//! The process needs descriptors for its PBX links, its database and its webhooks. Clients get what is left.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::monitor::Metrics;
use crate::node::config::connections::ConnectionsConfig;

/// Connections at most if the configuration doesn't say: beyond that, memory is the limit.
const MAX: usize = 60_000;
/// Descriptors that are never given to clients. Webhooks take up to 256, each peer up to 64.
const RESERVED: usize = 1024;
/// One place in so many is kept for this machine and for proxies: the agent must reach the node in a flood.
const KEPT: usize = 16;
/// An IPv6 /48 gets at most a quarter of all places, unless `per_site` says otherwise. A provider assigns a /48 to one site
/// or one rented server. It holds 65,536 networks (/64), each with a cap of its own.
const SITE: usize = 4;
/// Refusals are logged at most this often.
const LOGGED: Duration = Duration::from_secs(60);

/// Who a connection is counted for: an IPv4 address or an IPv6 /64, which is what one customer gets.
pub(in crate::node) fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(network(ip, 64)),
    }
}

/// The IPv6 network around one that [`source`] has returned. Unique local addresses have none: they are those of the
/// organisation that runs the node.
fn site(source: IpAddr) -> Option<Ipv6Addr> {
    match source {
        IpAddr::V4(_) => None,
        IpAddr::V6(ip) if ip.is_unique_local() => None,
        IpAddr::V6(ip) => Some(network(ip, 48)),
    }
}

fn network(ip: Ipv6Addr, prefix: u32) -> Ipv6Addr {
    Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << (128 - prefix)))
}

/// Raises the soft limit on open files to the hard one, and returns what the process may open.
fn open_files() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    current.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX)
}

/// How many connections fit: the process keeps a quarter of its descriptors, up to [`RESERVED`].
fn room(open_files: usize) -> usize {
    open_files - RESERVED.min(open_files.div_ceil(4))
}

/// Why a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node) enum Full {
    /// The node has as many as it may have.
    Total,
    /// The address has.
    Address,
    /// The network around the address has.
    Site,
}

impl Full {
    fn as_str(self) -> &'static str {
        match self {
            Full::Total => "total",
            Full::Address => "address",
            Full::Site => "site",
        }
    }
}

/// The connections that are open.
#[derive(Debug)]
pub(in crate::node) struct Connections {
    config: ConnectionsConfig,
    max: usize,
    metrics: Metrics,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    /// Only of addresses that are capped.
    by_source: HashMap<IpAddr, usize>,
    by_site: HashMap<Ipv6Addr, usize>,
    refused: u64,
    logged: Option<Instant>,
}

impl Connections {
    pub(in crate::node) fn new(config: &ConnectionsConfig, metrics: Metrics) -> Arc<Connections> {
        let files = open_files();
        let room = room(files);
        let max = config.max.unwrap_or(MAX).min(room);
        if config.max.is_some_and(|wanted| wanted > room) {
            tracing::warn!(max, open_files = files, "node.connections.max is more than the limit on open files allows");
        }
        Arc::new(Connections { config: config.clone(), max, metrics, open: Mutex::default() })
    }

    /// Takes a place for a connection from this address.
    pub(in crate::node) fn take(self: &Arc<Connections>, address: IpAddr, now: Instant) -> Result<Place, Full> {
        let capped = (!self.config.is_proxy(address)).then(|| source(address));
        let mut open = self.lock();
        let full = match capped {
            Some(source) if open.by_source.get(&source).is_some_and(|n| *n >= self.config.per_address) => {
                Some(Full::Address)
            }
            Some(source)
                if site(source).and_then(|site| open.by_site.get(&site)).is_some_and(|n| *n >= self.site_max()) =>
            {
                Some(Full::Site)
            }
            Some(_) if open.total >= self.max - self.max / KEPT => Some(Full::Total),
            _ if open.total >= self.max => Some(Full::Total),
            _ => None,
        };
        if let Some(why) = full {
            self.metrics.connection_refused(why.as_str());
            open.refused += 1;
            if open.logged.is_none_or(|logged| now.saturating_duration_since(logged) >= LOGGED) {
                tracing::warn!(%address, why = why.as_str(), refused = open.refused, "connections are refused");
                (open.logged, open.refused) = (Some(now), 0);
            }
            return Err(why);
        }
        open.total += 1;
        if let Some(source) = capped {
            *open.by_source.entry(source).or_default() += 1;
            if let Some(site) = site(source) {
                *open.by_site.entry(site).or_default() += 1;
            }
        }
        self.metrics.connections_open(open.total);
        Ok(Place { connections: self.clone(), capped })
    }

    fn site_max(&self) -> usize {
        match self.config.per_site {
            Some(0) => usize::MAX,
            Some(most) => most,
            None => self.max.div_ceil(SITE),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub(in crate::node) struct Place {
    connections: Arc<Connections>,
    capped: Option<IpAddr>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.total -= 1;
        if let Some(source) = self.capped {
            give_back(&mut open.by_source, source);
            site(source).into_iter().for_each(|site| give_back(&mut open.by_site, site));
        }
        let total = open.total;
        self.connections.metrics.connections_open(total);
    }
}

fn give_back<T: Eq + Hash>(counts: &mut HashMap<T, usize>, key: T) {
    if let Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(max: usize, per_address: usize) -> Arc<Connections> {
        let config = ConnectionsConfig { max: Some(max), per_address, ..ConnectionsConfig::default() };
        Connections::new(&config, Metrics::install())
    }

    #[test]
    fn an_address_has_its_share_and_loopback_has_none() {
        let (connections, now) = (with(100, 2), Instant::now());
        let take = |address: &str| connections.take(address.parse().unwrap(), now);
        let held = [take("192.0.2.1").unwrap(), take("::ffff:192.0.2.1").unwrap()];
        assert_eq!(take("192.0.2.1").unwrap_err(), Full::Address);
        let _other = take("192.0.2.2").unwrap();
        let _network = [take("2001:db8::1").unwrap(), take("2001:db8::2:0:0:1").unwrap()];
        assert_eq!(take("2001:db8::3").unwrap_err(), Full::Address);
        let _next = take("2001:db8:0:1::1").unwrap();
        let _here: Vec<_> = (0..10).map(|_| take("127.0.0.1").unwrap()).collect();
        drop(held);
        take("192.0.2.1").unwrap();
        assert_eq!(connections.lock().by_source.len(), 3);
    }

    #[test]
    fn an_ipv6_site_has_a_quarter_however_many_networks_it_uses() {
        let (connections, now) = (with(100, 2), Instant::now());
        let take = |network: u16, site: u16| {
            let address = Ipv6Addr::from([0x2001, 0xdb8, site, network, 0, 0, 0, 1]);
            connections.take(address.into(), now)
        };
        let mut held: Vec<_> = (0..100).filter_map(|network| take(network, 1).ok()).collect();
        assert_eq!(held.len(), 25);
        assert_eq!(take(0, 1).unwrap_err(), Full::Site);
        let _others: Vec<_> = (0..25).map(|network| take(network, 2).unwrap()).collect();
        let _v4 = connections.take([192, 0, 2, 1].into(), now).unwrap();
        held.pop();
        held.push(take(0xffff, 1).unwrap());
        held.clear();
        assert_eq!(connections.lock().by_site.len(), 1);
    }

    #[test]
    fn an_organisations_own_ipv6_network_is_not_cut_to_a_quarter() {
        let now = Instant::now();
        let held = |per_site, site: u16| {
            let config = ConnectionsConfig { max: Some(100), per_address: 2, per_site, ..ConnectionsConfig::default() };
            let connections = Connections::new(&config, Metrics::install());
            let address = |network| Ipv6Addr::from([site, 0xdb8, 1, network, 0, 0, 0, 1]).into();
            let held: Vec<_> = (0..60).filter_map(|network| connections.take(address(network), now).ok()).collect();
            held.len()
        };
        let (public, local) = (0x2001, 0xfd00);
        assert_eq!(held(None, public), 25);
        assert_eq!(held(Some(50), public), 50);
        assert_eq!([held(Some(0), public), held(None, local), held(Some(1), local)], [60; 3]);
    }

    #[test]
    fn a_flood_leaves_places_for_this_machine() {
        let (connections, now) = (with(32, 1000), Instant::now());
        let flood: Vec<_> = (0..40).filter_map(|n| connections.take([192, 0, 2, n].into(), now).ok()).collect();
        assert_eq!(flood.len(), 30);
        let here: Vec<_> = (0..40).filter_map(|_| connections.take([127, 0, 0, 1].into(), now).ok()).collect();
        assert_eq!(here.len(), 2);
    }

    #[test]
    fn descriptors_are_kept_for_links_database_and_webhooks() {
        assert_eq!([room(64), room(1024), room(131_072)], [48, 768, 130_048]);
        assert!(with(usize::MAX, 1).max <= open_files() - RESERVED.min(open_files().div_ceil(4)));
    }
}
