//! Checks one PBX as the agent sees it.

use std::net::IpAddr;

mod hold;
mod manager_filter;
mod probe;

use crate::agent::PbxConfig;
use crate::cli::doctor::emergency;
use crate::cli::doctor::enrolment;
use crate::cli::doctor::listening_ports;
use crate::cli::doctor::report::DoctorReport;
use crate::config::Config;
use crate::contract::PbxKind;
use crate::core::numbering::number::Number;
use crate::node::StatusView;
use crate::pbx::PbxError;
use probe::PbxProbe;

/// Checks one PBX.
pub(super) async fn check(
    config: &Config,
    pbx: &PbxConfig,
    status: Option<&StatusView>,
    extensions: &[Number],
    report: &mut DoctorReport,
) -> anyhow::Result<()> {
    let about = format!("pbx {}", pbx.name);
    bind(pbx, &about, report)?;
    let inspection = match pbx.endpoint().inspect().await {
        Ok(inspection) => inspection,
        Err(error) => return report.problem(&about, format!("{}: {error}", pbx.address), connect_todo(pbx, &error)),
    };
    let trunk = config.node.routing.trunk(&pbx.name).cloned();
    let mut probe = PbxProbe { pbx, about, report, inspection, has_trunk: trunk.is_some() };
    // A query that the PBX refuses doesn't stop the others.
    probe.version().await?;
    probe.configured_bind().await?;
    probe.rights().await?;
    if pbx.kind == PbxKind::Asterisk {
        manager_filter::check(pbx.user.as_deref(), is_here(pbx), &probe.about, probe.report)?;
    }
    probe.tenants()?;
    let dialplan = probe.dialplan().await?;
    let settings = probe.settings(config).await?;
    emergency::check(pbx, &settings, extensions, &probe.about, probe.report)?;
    if let Some(dialplan) = &dialplan {
        enrolment::check(config, pbx.kind, dialplan, &settings, &probe.about, probe.report)?;
    }
    probe.attached(status).await?;
    let uses = dialplan.is_none_or(|dialplan| !dialplan.outgoing.is_empty());
    probe.trunk(trunk, settings.trunk.as_deref(), uses).await?;
    probe.messaging().await?;
    probe.clock().await
}

fn connect_todo(pbx: &PbxConfig, error: &PbxError) -> &'static str {
    match (pbx.kind, error.is_auth(), error.is_timeout()) {
        (PbxKind::Freeswitch, true, _) => {
            "compare the password with event_socket.conf.xml (or esl-password of the directory user), and look at its apply-inbound-acl; then `reload mod_event_socket`"
        }
        (PbxKind::Asterisk, true, _) => {
            "compare user and password with manager.conf (section [sidecall], its permit= lines); then `manager reload`"
        }
        (_, _, true) => {
            "something takes the connection and does not answer: does the PBX hang, or is that another port?"
        }
        (PbxKind::Freeswitch, ..) => {
            "is FreeSWITCH running, mod_event_socket loaded, and its listen-port that of `address`?"
        }
        (PbxKind::Asterisk, ..) => {
            "is Asterisk running, and manager.conf: enabled=yes, port (or tlsenable=yes and tls = true) as in `address`?"
        }
    }
}

fn host_and_port(pbx: &PbxConfig) -> (&str, &str) {
    let (host, port) = pbx.address.rsplit_once(':').unwrap_or((&pbx.address, ""));
    (host.trim_matches(['[', ']']), port)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether the PBX is on this machine.
fn is_here(pbx: &PbxConfig) -> bool {
    let (host, port) = host_and_port(pbx);
    let listens = |ip: IpAddr| port.parse().is_ok_and(|port| listening_ports::on(port).contains(&ip));
    is_loopback(host) || host.parse().is_ok_and(listens)
}

/// Checks who can reach the control port. On this machine the kernel says where it is open; an address
/// elsewhere is reached over the network.
fn bind(pbx: &PbxConfig, about: &str, report: &mut DoctorReport) -> anyhow::Result<()> {
    let (host, port) = host_and_port(pbx);
    if !is_loopback(host) {
        return match (pbx.kind, pbx.tls) {
            (PbxKind::Asterisk, true) => report.ok(about, "the manager interface is reached over TLS"),
            (PbxKind::Asterisk, false) => report.warning(
                about,
                format!("{} is reached over the network in the clear", pbx.address),
                "set tls = true here and tlsenable=yes in manager.conf, or run the agent beside the PBX",
            ),
            (PbxKind::Freeswitch, _) => report.warning(
                about,
                format!("{} is reached over the network, and the event socket has no TLS", pbx.address),
                "run the agent beside the PBX, or go through a tunnel",
            ),
        };
    }
    let open: Vec<_> =
        port.parse().map(listening_ports::on).unwrap_or_default().into_iter().filter(|ip| !ip.is_loopback()).collect();
    if open.is_empty() {
        return Ok(());
    }
    let addresses: Vec<_> = open.iter().map(IpAddr::to_string).collect();
    let found = format!("port {port} is open on {}: others on the network can try passwords", addresses.join(", "));
    let todo = match pbx.kind {
        PbxKind::Freeswitch => "event_socket.conf.xml: <param name=\"listen-ip\" value=\"127.0.0.1\"/>",
        PbxKind::Asterisk => "manager.conf, [general]: bindaddr=127.0.0.1",
    };
    report.warning(about, found, todo)
}
