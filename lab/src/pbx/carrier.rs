//! A telephone company with four kinds of trunks to a PBX of the lab: a real Asterisk, without a snippet. The PBX
//! registers with it, finds it by a host name, speaks TLS and SRTP with it, or IPv6. It hands on `User-to-User`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::net::ca::Ca;
use crate::net::knot::{Knot, Records, ZONE};
use crate::net::ports;
use crate::pbx::asterisk::{self, SECRET};
use crate::pbx::conf;
use crate::pbx::endpoints::phone;
use crate::{Changes, Kind, Pbx, PbxConfig, Phone, Result};

const TEMPLATE: &str = include_str!("../../pbx/carrier.conf");

/// Who registers with it.
const CUSTOMER: &str = "orga";

/// Whose phones are its own: the first is in our directory, the other isn't.
pub const SUBSCRIBERS: [&str; 2] = ["+12125550110", "+13015550199"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trunk {
    /// The PBX registers, and says who it is when it calls.
    Registered,
    /// The PBX knows a host name.
    Named,
    Secure,
    Six,
}

impl Trunk {
    pub const ALL: [Trunk; 4] = [Trunk::Registered, Trunk::Named, Trunk::Secure, Trunk::Six];

    pub fn name(self) -> &'static str {
        ["registered", "named", "secure", "six"][self as usize]
    }

    /// Its name at the carrier: who registers is a customer.
    pub fn at_the_carrier(self) -> &'static str {
        if self == Trunk::Registered { CUSTOMER } else { self.name() }
    }
}

/// The running company. The DNS server that knows its host name is there with it.
#[derive(Debug)]
pub struct Carrier {
    asterisk: Pbx,
    /// Its side of each trunk, in the order of [`Trunk::ALL`].
    addresses: [SocketAddr; 4],
    _knot: Knot,
}

impl Carrier {
    /// Starts it beside a PBX that isn't there yet: what the PBX has to be started with.
    pub fn start(kind: Kind) -> Result<(Carrier, PbxConfig)> {
        let own = Ipv4Addr::new(127, 0, 4, 2);
        let knot = Knot::start_for_resolvers(&Records::default().host("trunk", own))?;
        let IpAddr::V4(resolver) = knot.address().ip() else { unreachable!("the DNS server has an IPv4 address") };
        let at = |last| SocketAddr::new(Ipv4Addr::new(127, 0, 4, last).into(), ports::free());
        let on_six = || SocketAddr::new(Ipv6Addr::LOCALHOST.into(), ports::free());
        let [registered, named, secure, six] = [at(1), at(2), at(3), on_six()];
        let (pbx_secure, pbx_six) = (ports::local(), on_six());
        let plain = PbxConfig { trunk_port: Some(pbx_six.port()), ..PbxConfig::patient() };
        let host = format!("trunk.{ZONE}");
        let pbx = SocketAddr::new(plain.ip.into(), pbx_six.port());
        let part = |name| {
            let values: [(&str, &dyn ToString); 16] = [
                ("REGISTERED", &registered),
                ("NAMED", &named),
                ("SECURE", &secure),
                ("SIX", &six),
                ("REGISTERED_IP", &registered.ip()),
                ("NAMED_IP", &named.ip()),
                ("SECURE_IP", &secure.ip()),
                ("SIX_IP", &six.ip()),
                ("NAMED_PORT", &named.port()),
                ("HOST", &host),
                ("PBX", &pbx),
                ("PBX_IP", &pbx.ip()),
                ("PBX_SECURE", &pbx_secure),
                ("PBX_SECURE_PORT", &pbx_secure.port()),
                ("PBX_SIX", &pbx_six),
                ("PASSWORD", &SECRET),
            ];
            Changes::default().part(TEMPLATE, name, &values)
        };
        let ca = Ca::generate();
        let certified = |changes: Changes, ip: IpAddr| {
            let (certificate, key) = ca.sign(&[&ip.to_string()]);
            changes.add("trunk.crt", certificate).add("trunk.key", key).add("trunk-ca.pem", ca.pem())
        };
        let changes = match kind {
            Kind::Asterisk => certified(part("asterisk"), pbx_secure.ip()),
            Kind::FreeSwitch => {
                let (certificate, key) = ca.sign(&[&pbx_secure.ip().to_string()]);
                part("freeswitch")
                    .ipv6()
                    .add("../certs/agent.pem", certificate + &key)
                    .add("../certs/cafile.pem", ca.pem())
            }
        };
        let config = PbxConfig { changes: changes.resolver(resolver).host(&host, own), ..plain };
        let own = certified(part("carrier"), secure.ip());
        let own = SUBSCRIBERS.iter().fold(own, |changes, number| phone(changes, number, "subscribers"));
        let own = own.add("extensions.conf", conf::project_file("lab/dialplan/carrier.conf")?);
        let asterisk = asterisk::launch(PbxConfig::bare(), registered, &own)?;
        Ok((Carrier { asterisk, addresses: [registered, named, secure, six], _knot: knot }, config))
    }

    pub fn subscriber(&self, n: usize) -> Result<Phone> {
        Phone::register(self.addresses[Trunk::Registered as usize], SUBSCRIBERS[n])
    }

    pub fn at(&self, trunk: Trunk) -> SocketAddr {
        self.addresses[trunk as usize]
    }

    pub fn is_registered(&self) -> bool {
        self.asterisk.console("pjsip show aor orga").contains("sip:")
    }

    pub fn log(&self) -> String {
        self.asterisk.log()
    }
}
