//! Probes a PBX for each thing that an agent needs.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use super::hold;
use crate::agent::PbxConfig;
use crate::cli::doctor::report::DoctorReport;
use crate::config::Config;
use crate::contract::{LinkState, PbxKind};
use crate::core::base::name::TrunkName;
use crate::node::StatusView;
use crate::pbx::{Dialplan, Inspection, Messaging, PbxError, Settings, Trunk};

/// Maximum clock difference. Beyond it an old announcement may pass for a new one.
const CLOCK: Duration = Duration::from_secs(1);

/// Probes a PBX that accepts our login.
pub(super) struct PbxProbe<'a> {
    pub(super) pbx: &'a PbxConfig,
    pub(super) about: String,
    pub(super) report: &'a mut DoctorReport,
    pub(super) inspection: Box<dyn Inspection>,
    /// Whether the node's configuration names a packet trunk for this PBX.
    pub(super) has_trunk: bool,
}

impl PbxProbe<'_> {
    fn refused(&mut self, what: &str, error: &PbxError) -> anyhow::Result<()> {
        self.report.unknown(&self.about, format!("{what}: {error}"))
    }

    pub(super) async fn version(&mut self) -> anyhow::Result<()> {
        let version = match self.inspection.version().await {
            Ok(version) => version,
            Err(error) => return self.refused("its version", &error),
        };
        self.report.ok(&self.about, format!("{version} at {}, and it lets us in", self.pbx.address))?;
        let known = match self.pbx.kind {
            PbxKind::Freeswitch => version.contains(" 1.10"),
            PbxKind::Asterisk => major(&version).is_none_or(|major| major >= 18),
        };
        if known {
            return Ok(());
        }
        self.report.warning(
            &self.about,
            "sidecall is tested with FreeSWITCH 1.10 and Asterisk 18 to 22",
            "try calls before you rely on it",
        )
    }

    pub(super) async fn configured_bind(&mut self) -> anyhow::Result<()> {
        match self.inspection.listens().await {
            Ok(Some(listens)) => match listens.parse::<IpAddr>() {
                Ok(ip) if ip.is_loopback() => {
                    self.report.ok(&self.about, format!("the event socket listens on {listens} alone"))
                }
                Ok(ip) if ip.is_unspecified() => self.report.warning(
                    &self.about,
                    format!("it is set to listen on every address ({listens})"),
                    "set it to 127.0.0.1 (listen-ip in event_socket.conf.xml, bindaddr in manager.conf)",
                ),
                _ => Ok(()),
            },
            // Asterisk tells only users with the class `config`; the kernel's view was checked before.
            Ok(None) | Err(_) => Ok(()),
        }
    }

    pub(super) async fn rights(&mut self) -> anyhow::Result<()> {
        match self.inspection.forbidden().await {
            Ok(forbidden) if forbidden.is_empty() => {
                self.report.ok(&self.about, "our user may do all that is needed")?;
            }
            Ok(forbidden) => {
                let actions: Vec<_> = forbidden.iter().map(|(action, class)| format!("{action} ({class})")).collect();
                let todo =
                    "manager.conf, [sidecall]: read=call,user and write=call,message,reporting; then `manager reload`";
                self.report.problem(&self.about, format!("the manager user may not: {}", actions.join(", ")), todo)?;
            }
            Err(error) => self.refused("rights", &error)?,
        }
        match self.inspection.channelvars().await {
            Ok(true) => self.report.warning(
                &self.about,
                "manager.conf names channelvars: call detail records get `s` as the called number of announced calls",
                "take channelvars out, unless something else needs them; then `manager reload`",
            ),
            Ok(false) => Ok(()),
            Err(error) => self.refused("channelvars", &error),
        }
    }

    /// Warns about tenants without endpoints: Asterisk's events identify a phone's tenant only by endpoint name.
    pub(super) fn tenants(&mut self) -> anyhow::Result<()> {
        let mut unnamed = self.pbx.tenant.iter().filter(|tenant| tenant.endpoints.is_empty());
        match unnamed.next().filter(|_| self.pbx.kind == PbxKind::Asterisk) {
            None => Ok(()),
            Some(tenant) => self.report.warning(
                &self.about,
                format!(
                    "nothing says which phones are those of tenant {}: of theirs, who picks up, or answers in a ring \
                     group, a queue or after a forward, is nobody's",
                    tenant.name
                ),
                format!("[[pbx.tenant]]: endpoints = [\"{}-XXXX\"], as they are named in pjsip.conf", tenant.name),
            ),
        }
    }

    /// Returns what the PBX has loaded of the snippet; `None` if it doesn't say, or has loaded none.
    pub(super) async fn dialplan(&mut self) -> anyhow::Result<Option<Dialplan>> {
        let dialplan = match self.inspection.dialplan().await {
            Ok(dialplan) => dialplan,
            Err(error) => return self.refused("the dialplan", &error).map(|()| None),
        };
        let Dialplan { announces, originating, terminating, silent, attendants, outgoing, missing, .. } = &dialplan;
        let reload = match self.pbx.kind {
            PbxKind::Freeswitch => "`reloadxml`",
            PbxKind::Asterisk => "`dialplan reload`",
        };
        if !*announces {
            let todo = format!("put the snippet in place (install.sh, or dialplan/ of the package), then {reload}");
            self.report.problem(&self.about, "the snippet is not loaded: no call is announced", todo)?;
            return Ok(None);
        }
        if !missing.is_empty() {
            let todo = format!(
                "run install.sh again, or put this version's files in place, with your settings at the top of the old one; then {reload}"
            );
            let found = format!("the snippet is an older copy, without this version's {}", missing.join(", "));
            self.report.warning(&self.about, found, todo)?;
        }
        if !silent.is_empty() {
            let found = format!("calls come into the snippet in {}, which announces none of them", silent.join(", "));
            let todo = format!("put this version's files in place there, then {reload}");
            self.report.problem(&self.about, found, todo)?;
        }
        if !attendants.is_empty() {
            let found =
                format!("main numbers are answered in {}, and nobody is asked about them", attendants.join(", "));
            self.report.ok(&self.about, found)?;
        }
        for (what, contexts, name) in
            [("phones", originating, "sidecall-originating"), ("trunks", terminating, "sidecall-terminating")]
        {
            match contexts.is_empty() {
                false => self
                    .report
                    .ok(&self.about, format!("calls from {what} are announced in {}", contexts.join(", ")))?,
                // Said above. They may come in there.
                true if !silent.is_empty() => {}
                true => {
                    let todo =
                        format!("include {name} first in the context that calls from {what} come into, then {reload}");
                    self.report.warning(&self.about, format!("no context announces calls from {what}"), todo)?;
                }
            }
        }
        self.outgoing(outgoing)?;
        if originating.is_empty() && terminating.is_empty() && silent.is_empty() {
            let todo = format!("include the snippet in your contexts, then {reload}");
            self.report.problem(&self.about, "the snippet is loaded, and nothing leads to it", todo)?;
        }
        Ok(Some(dialplan))
    }

    /// Checks that a route of the dialplan tries the packet trunk, if there is one.
    fn outgoing(&mut self, contexts: &[String]) -> anyhow::Result<()> {
        if !contexts.is_empty() {
            let found = format!("calls may take the packet trunk where {} calls out", contexts.join(", "));
            return self.report.ok(&self.about, found);
        }
        if !self.has_trunk {
            return Ok(());
        }
        let todo = match self.pbx.kind {
            PbxKind::Asterisk => {
                "in front of a Dial that calls out: same => n,Gosub(sidecall-out,s,1(60,tT)), with its timeout and options"
            }
            PbxKind::Freeswitch => "include sidecall/out.xml in front of a bridge that calls out",
        };
        let found = "a packet trunk is configured, and no route of the dialplan tries it: no call takes it";
        self.report.warning(&self.about, found, todo)
    }

    pub(super) async fn settings(&mut self, config: &Config) -> anyhow::Result<Settings> {
        let settings = match self.inspection.settings().await {
            Ok(settings) => settings,
            Err(error) => {
                self.refused("the snippet's settings", &error)?;
                return Ok(Settings::default());
            }
        };
        let hold = settings.hold.as_deref();
        if let Some((found, todo)) = hold.and_then(|hold| hold::fault(self.pbx.kind, hold, config.agent.deadline_ms)) {
            self.report.warning(&self.about, found, todo)?;
        }
        if settings.trusted.as_deref().is_some_and(|trusted| trusted.starts_with("192.0.2.")) {
            let todo =
                "set sidecall_trusted in dialplan/sidecall.xml to the network of the trunk that brings addresses";
            self.report.warning(
                &self.about,
                "the trusted trunk is still the example's: no address from a trunk is believed",
                todo,
            )?;
        }
        if settings.trusted.as_deref().is_some_and(has_ipv6_network) {
            self.report.warning(
                &self.about,
                "sidecall_trusted has an IPv6 network: no address from a trunk is believed",
                "put the networks into a list of autoload_configs/acl.conf.xml, and its name into sidecall_trusted",
            )?;
        }
        match (&settings.direct, self.pbx.direct) {
            (Some(to), None) => {
                let todo = format!("set direct = \"{to}\" in [[pbx]], or sidecall_mode=hold in the snippet");
                self.report.problem(
                    &self.about,
                    "the snippet is in direct mode, and the agent doesn't listen for it",
                    todo,
                )?;
            }
            (Some(to), Some(ours)) if to.rsplit(':').next() != ours.to_string().rsplit(':').next() => {
                let found = format!("the snippet connects to {to}, and the agent listens on {ours}");
                self.report.problem(&self.about, found, "make sidecall_direct and direct in [[pbx]] the same")?;
            }
            _ => {}
        }
        Ok(settings)
    }

    pub(super) async fn attached(&mut self, status: Option<&StatusView>) -> anyhow::Result<()> {
        let owner = match self.inspection.owner().await {
            Ok(owner) => owner,
            Err(error) => return self.refused("which agent is attached", &error),
        };
        let seen = status.and_then(|status| status.pbxs.iter().find(|view| view.pbx == self.pbx.name));
        match (owner, seen) {
            (None, _) => self.report.problem(
                &self.about,
                "no agent is attached: no call is announced",
                "start it: systemctl start sidecall, or sidecall run (its log says why it can't attach)",
            ),
            (Some(owner), Some(seen)) if seen.report.agent == owner => match seen.report.link {
                LinkState::Up => {
                    self.report.ok(&self.about, format!("agent {owner} is attached and reports to the node"))
                }
                link => {
                    let why = seen.report.error.as_deref().unwrap_or("no reason given");
                    let found = format!("agent {owner} is attached, and the node takes its link for {link:?}: {why}")
                        .to_lowercase();
                    self.report.problem(&self.about, found, "look at the agent's log; does it reach agent.node?")
                }
            },
            (Some(owner), Some(seen)) => {
                let found = format!("agent {owner} is in charge; the one that the node knows is {}", seen.report.agent);
                self.report.warning(&self.about, found, "do two agents run for this PBX? One of them only follows")
            }
            (Some(owner), None) if status.is_some() => {
                let found = format!("agent {owner} is attached, and the node has heard nothing of it");
                self.report.problem(
                    &self.about,
                    found,
                    "is it killed or hung (then calls wait for the hold)? Does it reach agent.node?",
                )
            }
            (Some(owner), None) => self.report.ok(&self.about, format!("agent {owner} is attached")),
        }
    }

    /// Checks the packet trunk. The one that the snippet names as installed needn't exist while no route `uses` it.
    pub(super) async fn trunk(
        &mut self,
        named: Option<TrunkName>,
        of_snippet: Option<&str>,
        uses: bool,
    ) -> anyhow::Result<()> {
        let needed = named.is_some() || uses;
        let whose = if named.is_some() { "node.routing" } else { "the snippet" };
        let Some(name) = named.or_else(|| of_snippet.and_then(|name| name.parse().ok())) else {
            return self.report.warning(
                &self.about,
                "no packet trunk is named",
                "set trunk in [node.routing], or in the snippet",
            );
        };
        let (kind, reload) = match self.pbx.kind {
            PbxKind::Freeswitch => ("gateway", "`sofia profile external rescan`"),
            PbxKind::Asterisk => ("PJSIP endpoint", "`pjsip reload`"),
        };
        match self.inspection.trunk(&name).await {
            Ok(Trunk::Up) => self.report.ok(&self.about, format!("the packet trunk {name} is there")),
            Ok(Trunk::Down(state)) => self.report.warning(
                &self.about,
                format!("the packet trunk {name} is there and doesn't answer ({})", state.trim()),
                "calls take the PSTN meanwhile; look at its address and at the far end",
            ),
            Ok(Trunk::Missing) if !needed => {
                self.report.ok(&self.about, "there is no packet trunk, which only calls to other organisations need")
            }
            Ok(Trunk::Missing) => self.report.problem(
                &self.about,
                format!("there is no {kind} {name}, which {whose} names"),
                format!("make it (dialplan/ has an example), then {reload}; or name one that is there"),
            ),
            Err(error) => self.refused("the packet trunk", &error),
        }
    }

    pub(super) async fn messaging(&mut self) -> anyhow::Result<()> {
        match self.inspection.messaging().await {
            Ok(Messaging::Possible) => self.report.ok(&self.about, "it can send SIP MESSAGEs to softphones"),
            Ok(Messaging::Impossible(why)) => self.report.warning(
                &self.about,
                format!("it can't send SIP MESSAGEs: {why}"),
                "needed only for clients with sip: addresses",
            ),
            Ok(Messaging::Unknown) => self.report.unknown(
                &self.about,
                "res_pjsip_messaging: the manager user may not ask (`module show like messaging` tells)",
            ),
            Err(error) => self.refused("SIP MESSAGE", &error),
        }
    }

    pub(super) async fn clock(&mut self) -> anyhow::Result<()> {
        let before = SystemTime::now();
        let theirs = match self.inspection.clock().await {
            Ok(Some(micros)) => SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(micros).unwrap_or(0)),
            Ok(None) => return Ok(()),
            Err(error) => return self.refused("its clock", &error),
        };
        let apart = theirs.duration_since(before).unwrap_or_else(|earlier| earlier.duration());
        if apart <= CLOCK {
            return self.report.ok(&self.about, "its clock and ours agree");
        }
        let found = format!("its clock and ours are {} apart", crate::cli::output::span(apart));
        self.report.warning(&self.about, found, "run NTP (chrony, systemd-timesyncd) on both")
    }
}

/// `Asterisk 22.10.0~dfsg…`
fn major(version: &str) -> Option<u32> {
    let number = version.split_ascii_whitespace().nth(1)?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Whether `sidecall_trusted` itself contains IPv6 networks. FreeSWITCH confuses the address families there
/// (`switch_check_network_list_ip_port_token` in `switch_core.c`), so the snippet trusts no address; in an ACL list it
/// tells them apart. On Asterisk the variable holds endpoint names.
fn has_ipv6_network(trusted: &str) -> bool {
    trusted.split(',').any(|network| network.contains(':') && network.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::has_ipv6_network;

    #[test]
    fn ipv6_networks_belong_into_a_list() {
        for (trusted, has) in [
            ("192.0.2.10/32,fd00::/8", true),
            ("2001:db8::1/128", true),
            ("192.0.2.10/32,198.51.100.0/24", false),
            ("trunks", false),
            ("sidecall|carrier", false),
        ] {
            assert_eq!(has_ipv6_network(trusted), has, "{trusted}");
        }
    }
}
