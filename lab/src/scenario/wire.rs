//! What must be on the wire while a scenario runs: the caller's address on the trunks that carry it, and
//! on no other leg.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Domains;
use crate::net::capture::{Packet, Packets};
use crate::scenario::calls::Arrives;
use crate::scenario::report::Report;
use crate::scenario::sides::Between;
use crate::scenario::site::carried;
use crate::{HANDSETS, PACKET, PHONES, PSTN, Result};

/// The wire of two organisations, from some moment on.
#[derive(Debug)]
pub struct Wire {
    since: Duration,
    /// A, B, and the PBX behind B.
    hosts: Vec<IpAddr>,
}

impl Wire {
    /// From now on.
    ///
    /// # Errors
    /// If nothing can be captured, unless [`Domains::may_be_unwatched`].
    pub fn tap(domains: &Domains, report: &mut Report) -> Result<Wire> {
        domains.watch(report)?;
        let hosts = domains.pbxs().map(|pbx| pbx.trunk_sip().ip()).collect();
        Ok(Wire { since: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(), hosts })
    }

    /// One call went from A to B by the way that there is, with this address if that is one for it.
    pub fn carries(
        &self,
        between: Between,
        domains: &Domains,
        address: Option<&str>,
        report: &mut Report,
    ) -> Result<()> {
        match between {
            Between::Trunk | Between::Routed | Between::TrunkOfPeers => self.on_the_trunk(domains, address, report),
            Between::Carrier => self.by_the_carrier(domains, address, report),
            Between::Network | Between::Unlisted | Between::Https(_) => self.on_the_network(1, domains, report),
        }
    }

    /// One call went from A to B over the packet trunk, with this address.
    pub(crate) fn on_the_trunk(&self, domains: &Domains, address: Option<&str>, report: &mut Report) -> Result<()> {
        let [a, b] = self.between();
        self.hops(&[(a, b)], domains, address, report)
    }

    /// The same, and from B to the PBX behind it.
    pub(crate) fn on_both_hops(&self, domains: &Domains, address: Option<&str>, report: &mut Report) -> Result<()> {
        let [a, b] = self.between();
        self.hops(&[(a, b), (b, self.hosts[2])], domains, address, report)
    }

    fn hops(
        &self,
        hops: &[(IpAddr, IpAddr)],
        domains: &Domains,
        address: Option<&str>,
        report: &mut Report,
    ) -> Result<()> {
        let Some(packets) = self.read(domains)? else { return Ok(()) };
        for (from, to) in hops {
            let on = one(&packets, *from, *to, report).and_then(|packet| carried(&packet.message));
            report.expect(
                on.is_some() && on.as_deref() == address,
                format!("{on:?} was on the wire from {from} to {to}, and {address:?} reached the client"),
            );
            report
                .expect(!packets.between(*from, *to).0.iter().any(is_call_info), "Call-Info is on a trunk without it");
        }
        report.expect(packets.between(self.hosts[0], PSTN).invites().is_empty(), "the call went over the network too");
        nowhere_else(&packets, hops, report);
        report.say(format!("on the wire, User-to-User carries {}, and no other leg does", address.unwrap_or_default()));
        Ok(())
    }

    /// So many calls went to B over the network, with no address. What the network shows as the caller.
    pub(crate) fn on_the_network(&self, calls: usize, domains: &Domains, report: &mut Report) -> Result<()> {
        let Some(packets) = self.read(domains)? else { return Ok(()) };
        let [a, b] = self.between();
        let on = packets.between(PSTN, b).invites();
        report.expect(on.len() == calls, format!("{} calls from the network, not {calls}", on.len()));
        report.expect(packets.between(a, b).0.is_empty(), "something went over the packet trunk");
        nowhere_else(&packets, &[], report);
        let shown = on.first().map_or("", |p| p.message.calling());
        report.say(format!("on the wire, the network shows {shown}, and no leg has a header of ours"));
        Ok(())
    }

    /// One call went from A to B by a carrier that drops `User-to-User` and hands on `Call-Info`.
    pub(crate) fn by_the_carrier(&self, domains: &Domains, address: Option<&str>, report: &mut Report) -> Result<()> {
        let Some(packets) = self.read(domains)? else { return Ok(()) };
        let [a, b] = self.between();
        let info = address.map(|address| format!("<{address}>;purpose=impp"));
        let has = |packet: Packet| {
            let header = |name| packet.message.header(name).map(str::to_owned);
            (carried(&packet.message), header("User-to-User").is_some(), header("Call-Info"))
        };
        let hops = [(a, PSTN), (PSTN, b)];
        let [out, on] = hops.map(|(from, to)| one(&packets, from, to, report).map(has));
        let both = (address.map(str::to_owned), true, info.clone());
        report.expect(address.is_some() && out.as_ref() == Some(&both), format!("the carrier was given {out:?}"));
        report.expect(on.as_ref() == Some(&(None, false, info)), format!("the carrier hands on {on:?}"));
        nowhere_else(&packets, &hops, report);
        report.say(format!("on the wire, the carrier hands on Call-Info alone: {}", address.unwrap_or_default()));
        Ok(())
    }

    fn read(&self, domains: &Domains) -> Result<Option<Packets>> {
        Ok(domains.captured()?.map(|packets| packets.since(self.since)))
    }

    fn between(&self) -> [IpAddr; 2] {
        [self.hosts[0], self.hosts[1]]
    }
}

/// What is wrong with the wire of one PBX: a call has to arrive in one place, and the caller's address is on the
/// packet trunk, or nowhere.
pub fn problems(packets: &Packets, pbx: IpAddr, arrives: Arrives, address: Option<&str>) -> Vec<String> {
    let mut problems = Vec::new();
    for (place, ip) in [(Arrives::Packet, PACKET), (Arrives::Pstn, PSTN), (Arrives::Phone, PHONES)] {
        let calls = packets.between(pbx, ip).invites();
        if calls.len() != usize::from(place == arrives) {
            problems.push(format!("{} calls were on the wire to {place:?}", calls.len()));
        }
        let on = calls.first().and_then(|packet| carried(&packet.message));
        if place == Arrives::Packet && place == arrives && (address.is_none() || on.as_deref() != address) {
            problems.push(format!("{on:?} was on the wire, and the caller's address is {address:?}"));
        }
    }
    let trunk = |p: &&Packet| (p.from.ip(), p.to.ip()) == (pbx, PACKET);
    let elsewhere = packets.0.iter().filter(|p| has_address(p) && !trunk(p));
    problems.extend(elsewhere.map(|p| format!("an address went from {} to {}: {:?}", p.from, p.to, p.message)));
    problems
}

/// The one call between two hosts.
fn one(packets: &Packets, from: IpAddr, to: IpAddr, report: &mut Report) -> Option<Packet> {
    let calls = packets.between(from, to).invites();
    report.expect(calls.len() == 1, format!("{} calls from {from} to {to}, not one", calls.len()));
    calls.into_iter().next()
}

/// An address, in either header, is on these hops alone, and phones were called.
fn nowhere_else(packets: &Packets, hops: &[(IpAddr, IpAddr)], report: &mut Report) {
    let rings = packets.invites().iter().any(|p| p.to.ip() == HANDSETS);
    report.expect(rings, "no call to a phone was captured");
    for p in &packets.0 {
        let may = hops.contains(&(p.from.ip(), p.to.ip()));
        report.expect(!has_address(p) || may, format!("an address went from {} to {}: {:?}", p.from, p.to, p.message));
    }
}

fn has_address(packet: &Packet) -> bool {
    packet.message.header("User-to-User").is_some() || is_call_info(packet)
}

fn is_call_info(packet: &Packet) -> bool {
    packet.message.header("Call-Info").is_some_and(|info| info.contains("purpose=impp"))
}
