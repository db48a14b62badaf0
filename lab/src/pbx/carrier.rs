//! A telephone company with four kinds of trunks to a PBX of the lab: a real Asterisk, without a snippet. The PBX
//! registers with it, finds it by a host name, speaks TLS and SRTP with it, or IPv6. It hands on `User-to-User`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::net::ca::Ca;
use crate::net::knot::{Knot, Records, ZONE};
use crate::net::ports;
use crate::pbx::asterisk::{self, Plans};
use crate::pbx::conf;
use crate::pbx::endpoints::phone;
use crate::pbx::freeswitch::PASSWORD;
use crate::{Changes, Kind, Pbx, PbxConfig, Phone, Result};

/// Who registers with it.
const CUSTOMER: &str = "orga";

/// Whose phones are its own: the first is in our directory, the other isn't.
pub const SUBSCRIBERS: [&str; 2] = ["+12125550110", "+13015550199"];

/// A trunk, from a PBX to the carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trunk {
    /// The PBX registers, and says who it is when it calls.
    Registered,
    /// The PBX knows a host name.
    Named,
    /// TLS and SRTP.
    Secure,
    /// IPv6.
    Six,
}

impl Trunk {
    /// All of them.
    pub const ALL: [Trunk; 4] = [Trunk::Registered, Trunk::Named, Trunk::Secure, Trunk::Six];

    /// Its name at the PBX.
    pub fn name(self) -> &'static str {
        ["registered", "named", "secure", "six"][self as usize]
    }

    /// Its name at the carrier: who registers is a customer.
    pub fn at_the_carrier(self) -> &'static str {
        if self == Trunk::Registered { CUSTOMER } else { self.name() }
    }
}

/// Where the two sides of each trunk are.
#[derive(Debug)]
struct TrunkAddresses {
    /// The carrier's, in the order of [`Trunk::ALL`].
    carrier: [SocketAddr; 4],
    /// The PBX's for TLS, and for IPv6.
    secure: SocketAddr,
    six: SocketAddr,
}

/// The running company. The DNS server that knows its host name is there with it.
#[derive(Debug)]
pub struct Carrier {
    asterisk: Pbx,
    addresses: TrunkAddresses,
    _knot: Knot,
}

const ENDPOINT: &str = "disallow=all\nallow=ulaw,alaw\ndirect_media=no";

impl Carrier {
    /// Starts it beside a PBX that isn't there yet: what the PBX has to be started with.
    ///
    /// # Errors
    /// If anything that it needs isn't on this machine.
    pub fn start(kind: Kind) -> Result<(Carrier, PbxConfig)> {
        let own = Ipv4Addr::new(127, 0, 4, 2);
        let knot = Knot::start_for_resolvers(&Records::default().host("trunk", own))?;
        let IpAddr::V4(resolver) = knot.address().ip() else { unreachable!("the DNS server has an IPv4 address") };
        let at = |last| SocketAddr::new(Ipv4Addr::new(127, 0, 4, last).into(), ports::free());
        let six = || SocketAddr::new(Ipv6Addr::LOCALHOST.into(), ports::free());
        let addresses = TrunkAddresses { carrier: [at(1), at(2), at(3), six()], secure: ports::local(), six: six() };
        let plain = PbxConfig { trunk_port: Some(addresses.six.port()), ..PbxConfig::patient() };
        let ca = Ca::generate();
        let changes = match kind {
            Kind::Asterisk => addresses.for_asterisk(&ca),
            Kind::FreeSwitch => addresses.for_freeswitch(&ca),
        };
        let config = PbxConfig { changes: changes.resolver(resolver).host(&format!("trunk.{ZONE}"), own), ..plain };
        let asterisk = addresses.carrier(&ca, SocketAddr::new(config.ip.into(), addresses.six.port()))?;
        Ok((Carrier { asterisk, addresses, _knot: knot }, config))
    }

    /// Registers the phone of a subscriber.
    pub fn subscriber(&self, n: usize) -> Result<Phone> {
        Phone::register(self.addresses.carrier[Trunk::Registered as usize], SUBSCRIBERS[n])
    }

    /// Where its side of a trunk is.
    pub fn at(&self, trunk: Trunk) -> SocketAddr {
        self.addresses.carrier[trunk as usize]
    }

    /// True if the PBX has registered.
    pub fn is_registered(&self) -> bool {
        self.asterisk.console("pjsip show aor orga").contains("sip:")
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.asterisk.log()
    }
}

impl TrunkAddresses {
    /// The company itself. The PBX is at `pbx` where nothing else is said.
    fn carrier(&self, ca: &Ca, pbx: SocketAddr) -> Result<Pbx> {
        let [registered, _, secure, _] = self.carrier;
        let mut pjsip = "\n[global]\ntype=global\nendpoint_identifier_order=username,header,ip\n".to_owned();
        for (trunk, at) in Trunk::ALL.into_iter().zip(self.carrier) {
            let protocol = if trunk == Trunk::Secure { "tls" } else { "udp" };
            pjsip += &format!("\n[t-{}]\ntype=transport\nprotocol={protocol}\nbind={at}\n", trunk.name());
            if trunk == Trunk::Secure {
                pjsip += TLS;
            }
        }
        let endpoint = |name: &str, more: &str| {
            format!("\n[{name}]\ntype=endpoint\ncontext=network\naors={name}\n{ENDPOINT}\n{more}\n")
        };
        // Who registers has a password, and names the caller in P-Asserted-Identity.
        pjsip += &endpoint("orga", "transport=t-registered\nauth=orga\ntrust_id_inbound=yes");
        pjsip += &format!(
            "\n[orga]\ntype=aor\nmax_contacts=1\n\n[orga]\ntype=auth\nauth_type=userpass\nusername=orga\npassword={PASSWORD}\n"
        );
        pjsip += &endpoint("named", "transport=t-named");
        pjsip += &format!(
            "\n[named]\ntype=aor\ncontact=sip:{pbx}\n\n[named]\ntype=identify\nendpoint=named\nmatch={}\n",
            pbx.ip()
        );
        pjsip += &endpoint("secure", "transport=t-secure\nmedia_encryption=sdes");
        pjsip += &format!(
            "\n[secure]\ntype=aor\ncontact=sip:{}\\;transport=tls\n\n\
             [secure]\ntype=identify\nendpoint=secure\nmatch_header=To: /@{}/\n",
            self.secure,
            secure.ip(),
        );
        pjsip += &endpoint("six", "transport=t-six\nrtp_ipv6=yes");
        pjsip +=
            &format!("\n[six]\ntype=aor\ncontact=sip:{}\n\n[six]\ntype=identify\nendpoint=six\nmatch=::1\n", self.six);
        pjsip.extend(SUBSCRIBERS.iter().map(|number| phone(number, "subscribers")));
        let own = secure.ip().to_string();
        let changes = certificates(Changes::default().add("pjsip.conf", pjsip), ca, &own);
        let config = PbxConfig { snippets: false, changes, ..PbxConfig::default() };
        let dialplan = conf::project_file("lab/dialplan/carrier.conf")?;
        asterisk::launch(config, registered, &Plans { dialplan, ..Plans::default() })
    }

    /// The four trunks on an Asterisk.
    fn for_asterisk(&self, ca: &Ca) -> Changes {
        let [registered, named, secure, six] = self.carrier;
        let trunk = |name: &str, contact: String, from: &str, more: &str| {
            format!(
                "\n[{name}]\ntype=endpoint\ncontext=from-trunk\naors={name}\n{ENDPOINT}\n{more}\n\n\
                 [{name}]\ntype=aor\ncontact=sip:{contact}\n\n[{name}]\ntype=identify\nendpoint={name}\nmatch={from}\n"
            )
        };
        let ip = |at: SocketAddr| at.ip().to_string();
        let host = format!("trunk.{ZONE}");
        let pjsip = [
            format!("\n[t-secure]\ntype=transport\nprotocol=tls\nbind={}\n{TLS}", self.secure),
            format!("\n[t-six]\ntype=transport\nprotocol=udp\nbind={}\n", self.six),
            trunk(
                "registered",
                registered.to_string(),
                &ip(registered),
                "outbound_auth=registered\nfrom_user=orga\nsend_pai=yes",
            ),
            format!("\n[registered]\ntype=auth\nauth_type=userpass\nusername=orga\npassword={PASSWORD}\n"),
            format!(
                "\n[registered]\ntype=registration\noutbound_auth=registered\nserver_uri=sip:{registered}\n\
                 client_uri=sip:orga@{registered}\ncontact_user=orga\n"
            ),
            trunk("named", format!("{host}:{}", named.port()), &host, ""),
            trunk(
                "secure",
                format!("{secure}\\;transport=tls"),
                &ip(secure),
                "transport=t-secure\nmedia_encryption=sdes",
            ),
            trunk("six", six.to_string(), &ip(six), "transport=t-six\nrtp_ipv6=yes"),
        ];
        let trusted = ("SIDECALL_TRUSTED=sidecall ", "SIDECALL_TRUSTED=sidecall|registered|named|secure|six ");
        // As Debian ships it: the resolver that knows the hosts file, too.
        let unbound = ("noload => res_resolver_unbound.so\n", "");
        let changes = Changes::default()
            .add("pjsip.conf", pjsip.concat())
            .edit("sidecall.conf", trusted.0, trusted.1)
            .edit("modules.conf", unbound.0, unbound.1);
        certificates(changes, ca, &ip(self.secure))
    }

    /// The four trunks on a FreeSWITCH.
    fn for_freeswitch(&self, ca: &Ca) -> Changes {
        let [registered, named, secure, six] = self.carrier;
        let gateway = |name: &str, proxy: String, more: &str| {
            format!(
                "<include>\n<gateway name=\"{name}\"><param name=\"proxy\" value=\"{proxy}\"/>\n\
                 <param name=\"username\" value=\"orga\"/><param name=\"password\" value=\"{PASSWORD}\"/>\n\
                 {more}</gateway>\n</include>\n"
            )
        };
        let plain = "<param name=\"register\" value=\"false\"/><param name=\"caller-id-in-from\" value=\"true\"/>\n";
        let encrypted = format!(
            "{plain}<param name=\"register-transport\" value=\"tls\"/>\n\
             <variables><variable name=\"rtp_secure_media\" value=\"mandatory\" direction=\"outbound\"/></variables>\n"
        );
        // Networks of both families are a list of acl.conf.xml: sidecall.xml says why.
        let ips: String =
            self.carrier.iter().map(|at| format!("<node type=\"allow\" cidr=\"{}\"/>", network(at.ip()))).collect();
        let list = format!("<network-lists>\n<list name=\"trunks\" default=\"deny\">{ips}</list>");
        let set = |name: &str, value: &str| format!("<X-PRE-PROCESS cmd=\"set\" data=\"{name}={value}\"/>");
        let (certificate, key) = ca.sign(&[&self.secure.ip().to_string()]);
        let changes = Changes::default().ipv6();
        changes
            .add(
                "sip_profiles/external/registered.xml",
                gateway(
                    "registered",
                    registered.to_string(),
                    "<param name=\"register\" value=\"true\"/>\n<param name=\"extension\" value=\"auto_to_user\"/>\n",
                ),
            )
            .add("sip_profiles/external/named.xml", gateway("named", format!("trunk.{ZONE}:{}", named.port()), plain))
            .add("sip_profiles/external/secure.xml", gateway("secure", format!("{secure};transport=tls"), &encrypted))
            .add("sip_profiles/external-ipv6/six.xml", gateway("six", six.to_string(), plain))
            .edit("vars.xml", "<include>", format!("<include>\n{}", set("local_ip_v6", "::1")))
            .edit("vars.xml", set("external_ssl_enable", "false"), set("external_ssl_enable", "true"))
            .edit(
                "vars.xml",
                set("external_tls_port", "5081"),
                set("external_tls_port", &self.secure.port().to_string()),
            )
            .edit(
                "sip_profiles/external.xml",
                "\"tls-verify-policy\" value=\"none\"",
                "\"tls-verify-policy\" value=\"out\"",
            )
            .add("../certs/agent.pem", certificate + &key)
            .add("../certs/cafile.pem", ca.pem())
            .edit("autoload_configs/acl.conf.xml", "<network-lists>", list)
            .edit("dialplan/sidecall.xml", "</include>", format!("{}\n</include>", set("sidecall_trusted", "trunks")))
    }
}

fn network(ip: IpAddr) -> String {
    format!("{ip}/{}", if ip.is_ipv6() { 128 } else { 32 })
}

const TLS: &str = "method=tlsv1_2\nverify_server=yes\n\
    cert_file=@ETC@/trunk.crt\npriv_key_file=@ETC@/trunk.key\nca_list_file=@ETC@/trunk-ca.pem\n";

/// What [`TLS`] names.
fn certificates(changes: Changes, ca: &Ca, ip: &str) -> Changes {
    let (certificate, key) = ca.sign(&[ip]);
    changes.add("trunk.crt", certificate).add("trunk.key", key).add("trunk-ca.pem", ca.pem())
}
