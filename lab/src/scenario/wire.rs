//! What must be on the wire while a scenario runs: the caller's address on the trunks that carry it, and on no other
//! leg.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::net::capture::{Packet, Packets};
use crate::scenario::calls::Arrives;
use crate::scenario::sides::Between;
use crate::scenario::{Step, expect};
use crate::{Capture, Domains, HANDSETS, PACKET, PHONES, PSTN, Result, SipMessage};

/// From one host to another.
type Hop = (IpAddr, IpAddr);

/// Since 1970, as packets are stamped.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The address in the `User-to-User` header of an INVITE, read as RFC 7433 says, without any of
/// sidecall's own code.
pub fn carried(invite: &SipMessage) -> Option<String> {
    let (octets, parameters) = invite.header("User-to-User")?.split_once(';')?;
    if !parameters.split(';').any(|p| p.trim() == "encoding=hex") {
        return None;
    }
    let octets = hex::decode(octets).ok()?;
    let (discriminator, text) = octets.split_first()?;
    (*discriminator == 4 && octets.len() <= 128).then(|| String::from_utf8_lossy(text).into_owned())
}

impl Domains {
    /// Captures SIP on all trunks, and between PBXs and phones.
    pub fn capture(&self) -> Result<Capture> {
        let ports = self.pbxs().flat_map(|pbx| [pbx.trunk_sip().port(), pbx.sip().port()]);
        Capture::start(&ports.chain([self.pstn.sip().port()]).collect::<Vec<_>>())
    }

    /// Captures from now on: the checks below ignore what was on the wire before.
    pub(super) fn tap(&self) -> Step<()> {
        let mut state = self.state.borrow_mut();
        if state.wire.is_none() {
            match self.capture() {
                Ok(capture) => state.wire = Some(capture),
                Err(error) if error.is_missing() && self.may_be_unwatched => {
                    state.events.push(format!("the wire was not captured: {error}"));
                }
                Err(error) => return Err(error.into()),
            }
        }
        state.since = now();
        Ok(())
    }

    /// One call went from A to B over the trunk that this setting leads to, with this address if the trunk carries it.
    pub(super) fn carry(&self, between: Between, address: &str) -> Step<()> {
        match between {
            Between::Trunk | Between::Routed | Between::TrunkOfPeers => self.carry_over(2, address),
            Between::Carrier => self.carry_by_call_info(address),
            Between::Network | Between::Unlisted | Between::Https(_) => self.carry_nothing(1),
        }
    }

    /// One call went over the packet trunks between the first `pbxs` of A, B and the PBX behind B, and each trunk carries
    /// this address.
    pub(super) fn carry_over(&self, pbxs: usize, address: &str) -> Step<()> {
        let (Some(packets), hosts) = self.packets()? else { return Ok(()) };
        let hops: Vec<Hop> = hosts[..pbxs].windows(2).map(|hop| (hop[0], hop[1])).collect();
        for hop @ (from, to) in &hops {
            let on = carried(&one(&packets, *hop)?.message);
            let problem = format!("{on:?} was on the wire from {from} to {to}, and {address:?} reached the client");
            expect(on.as_deref() == Some(address), problem)?;
            let call_info = packets.between(*from, *to).0.iter().any(is_call_info);
            expect(!call_info, "Call-Info is on a trunk without it")?;
        }
        expect(packets.between(hosts[0], PSTN).invites().is_empty(), "the call went over the network too")?;
        nowhere_else(&packets, &hops)?;
        self.say(format!("on the wire, User-to-User carries {address}, and no other leg does"));
        Ok(())
    }

    /// This many calls went to B over the network, and no leg carries an address.
    pub(super) fn carry_nothing(&self, calls: usize) -> Step<()> {
        let (Some(packets), hosts) = self.packets()? else { return Ok(()) };
        let on = packets.between(PSTN, hosts[1]).invites();
        expect(on.len() == calls, format!("{} calls from the network, not {calls}", on.len()))?;
        expect(packets.between(hosts[0], hosts[1]).0.is_empty(), "something went over the packet trunk")?;
        nowhere_else(&packets, &[])?;
        let shown = on[0].message.calling();
        self.say(format!("on the wire, the network shows {shown}, and no leg has a header of ours"));
        Ok(())
    }

    /// One call went from A to B by a carrier that drops `User-to-User` and hands on `Call-Info`.
    pub(super) fn carry_by_call_info(&self, address: &str) -> Step<()> {
        let (Some(packets), hosts) = self.packets()? else { return Ok(()) };
        let info = Some(format!("<{address}>;purpose=impp"));
        let hops = [(hosts[0], PSTN), (PSTN, hosts[1])];
        for (hop, uui) in hops.into_iter().zip([true, false]) {
            let message = one(&packets, hop)?.message;
            let on = (carried(&message), message.header("User-to-User").is_some(), message.header("Call-Info"));
            let wanted = (uui.then(|| address.to_owned()), uui, info.as_deref());
            expect(on == wanted, format!("from {} to {} there is {on:?}", hop.0, hop.1))?;
        }
        nowhere_else(&packets, &hops)?;
        self.say(format!("on the wire, the carrier hands on Call-Info alone: {address}"));
        Ok(())
    }

    /// What was captured since the tap, and the hosts of the PBXs. Nothing only if the wire may be unwatched.
    fn packets(&self) -> Step<(Option<Packets>, Vec<IpAddr>)> {
        let mut state = self.state.borrow_mut();
        expect(state.wire.is_some() || self.may_be_unwatched, "the wire was not tapped")?;
        let packets = state.wire.as_mut().map(Capture::packets).transpose()?;
        let since = packets.map(|packets| packets.since(state.since));
        Ok((since, self.pbxs().map(|pbx| pbx.trunk_sip().ip()).collect()))
    }
}

/// On the wire of one PBX, a call has to arrive in one place, and the caller's address is on the packet trunk, or
/// nowhere.
pub(super) fn arrives_once(packets: &Packets, pbx: IpAddr, arrives: Arrives, address: Option<&str>) -> Step<()> {
    for (place, ip) in [(Arrives::Packet, PACKET), (Arrives::Pstn, PSTN), (Arrives::Phone, PHONES)] {
        let calls = packets.between(pbx, ip).invites();
        let wanted = usize::from(place == arrives);
        expect(calls.len() == wanted, format!("{} calls were on the wire to {place:?}", calls.len()))?;
        if place == Arrives::Packet && place == arrives {
            let on = carried(&calls[0].message);
            let problem = format!("{on:?} was on the wire, and the caller's address is {address:?}");
            expect(address.is_some() && on.as_deref() == address, problem)?;
        }
    }
    only_on(packets, &[(pbx, PACKET)])
}

/// The one call between two hosts.
fn one(packets: &Packets, (from, to): Hop) -> Step<Packet> {
    let mut calls = packets.between(from, to).invites();
    expect(calls.len() == 1, format!("{} calls from {from} to {to}, not one", calls.len()))?;
    Ok(calls.remove(0))
}

/// An address is on these hops alone, and phones were called.
fn nowhere_else(packets: &Packets, hops: &[Hop]) -> Step<()> {
    let rings = packets.invites().iter().any(|p| p.to.ip() == HANDSETS);
    expect(rings, "no call to a phone was captured")?;
    only_on(packets, hops)
}

/// An address, in either header, is on these hops alone.
fn only_on(packets: &Packets, hops: &[Hop]) -> Step<()> {
    let has_address = |p: &&Packet| p.message.header("User-to-User").is_some() || is_call_info(p);
    let stray = packets.0.iter().filter(has_address).find(|p| !hops.contains(&(p.from.ip(), p.to.ip())));
    stray.map_or(Ok(()), |p| Err(format!("an address went from {} to {}: {:?}", p.from, p.to, p.message)))
}

fn is_call_info(packet: &Packet) -> bool {
    packet.message.header("Call-Info").is_some_and(|info| info.contains("purpose=impp"))
}
