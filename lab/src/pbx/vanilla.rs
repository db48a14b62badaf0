//! FreeSWITCH's vanilla configuration, made that of a PBX of the lab.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::asterisk::SECRET;
use super::conf::{self, Changes};
use super::plan::{Plan, fill};
use crate::net::ports;
use crate::{LabError, PACKET, PHONES, PbxConfig, Result};

const TEMPLATE: &str = include_str!("../../pbx/freeswitch.conf");

/// The files of `lab/dialplan/`: what an administrator has today.
const FILES: [(&str, &str); 5] = [
    ("default.xml", "dialplan/default/00_a_lab.xml"),
    ("public.xml", "dialplan/public/00_a_lab.xml"),
    ("services.xml", "dialplan/lab/services.xml"),
    ("caller-id.xml", "dialplan/lab/caller-id.xml"),
    ("menu.xml", "ivr_menus/lab.xml"),
];

const OUT: &str = "<X-PRE-PROCESS cmd=\"include\" data=\"$${conf_dir}/dialplan/sidecall/out.xml\"/>";

/// Changes the copy in `conf`. It listens at these addresses: for phones, for trunks, and the event socket.
pub(super) fn configure(conf: &Path, built: &Path, config: &PbxConfig, at: [SocketAddr; 3]) -> Result<()> {
    let PbxConfig { plan, packet, inner, .. } = config;
    let [sip, trunk, esl] = at;
    if !config.changes.ipv6 {
        for name in ["internal-ipv6.xml", "external-ipv6.xml"] {
            let _ = fs::remove_file(conf.join("sip_profiles").join(name));
        }
    }
    let _ = fs::remove_file(conf.join("autoload_configs/event_socket.conf.xml"));
    only_built(&conf.join("autoload_configs/modules.conf.xml"), built)?;
    for (file, to) in FILES {
        let out = if config.snippets { OUT } else { "" };
        conf::write(&conf.join(to), &fill(file, plan, &[("OUT", out)])?)?;
    }
    let rtp = ports::free_range(400);
    let mut changes = Changes::default().part(
        TEMPLATE,
        "base",
        &[
            ("IP", &sip.ip()),
            ("SIP", &sip.port()),
            ("TRUNK", &trunk.port()),
            ("ESL", &esl.port()),
            ("PASSWORD", &SECRET),
            ("PHONES", &PHONES),
            ("RTP", &rtp),
            ("RTP_END", &(rtp + 399)),
        ],
    );
    let [one, two] = [1, 2].map(|n| plan.extension(n));
    let queue = |changes: Changes, domain: &str| {
        changes.part(TEMPLATE, "queue", &[("DOMAIN", &domain), ("ONE", &one), ("TWO", &two)])
    };
    changes = queue(changes, "$${domain}");
    gateway(conf, "pstn", config.pstn)?;
    if let Some(inner) = inner {
        gateway(conf, "inner", inner.sip)?;
        let Plan { digit, did, main, .. } = &inner.plan;
        changes = changes.part(TEMPLATE, "inner", &[("X", digit), ("DID", did), ("MAIN", main)]);
    }
    if plan.digit != '1' {
        changes = changes.part(TEMPLATE, "digit", &[("X", &plan.digit)]);
        renumber(&conf.join("directory/default"), plan)?;
    }
    if !config.tenants.is_empty() {
        changes = changes.part(TEMPLATE, "domains", &[]);
    }
    let own = conf::read(&conf.join("directory/default.xml"))?;
    for tenant in config.tenants {
        let domain = tenant.domain();
        // A leg that was called, and is transferred, has its domain by this alone.
        let known = format!("<variables>\n<variable name=\"domain_name\" value=\"{domain}\"/>");
        let text = own.replace("$${domain}", &domain).replace("<variables>", &known);
        conf::write(&conf.join(format!("directory/{}.xml", tenant.name)), &text)?;
        changes = queue(changes, &domain);
    }
    if plan.shows_did {
        changes = changes.part(TEMPLATE, "did", &[]);
    }
    if config.snippets {
        conf::write(&conf.join("dialplan/sidecall.xml"), &conf::project_file("dialplan/freeswitch/sidecall.xml")?)?;
        conf::copy_dir(&conf::project().join("dialplan/freeswitch/sidecall"), &conf.join("dialplan/sidecall"))?;
        gateway(conf, "sidecall", *packet)?;
        let behind = inner.as_ref().map(|inner| format!("\\{}|", inner.plan.main)).unwrap_or_default();
        changes = changes.part(
            TEMPLATE,
            "snippets",
            &[
                ("HOLD", &config.hold_ms),
                ("PACKET", &PACKET),
                ("FAR", &packet.ip()),
                ("IP", &config.ip),
                ("MAIN", &plan.main),
                ("RECEPTION", &plan.reception()),
                ("BEHIND", &behind),
            ],
        );
        if inner.is_some() {
            changes = changes.part(TEMPLATE, "behind", &[]);
        }
        if let Some(agent) = config.direct {
            changes = changes.part(TEMPLATE, "direct", &[("AGENT", &agent)]);
        }
        if !config.call_info.is_empty() {
            changes = changes.part(TEMPLATE, "call-info", &[("CALL_INFO", &config.call_info)]);
        }
    }
    changes.apply(conf, conf)?;
    config.changes.apply(conf, conf)
}

fn only_built(modules: &Path, built: &Path) -> Result<()> {
    let is_built = |line: &&str| match line.split("module=\"").nth(1).and_then(|rest| rest.split('"').next()) {
        Some(name) if line.trim_start().starts_with("<load") => built.join(format!("{name}.so")).is_file(),
        _ => true,
    };
    let text: String = conf::read(modules)?.lines().filter(is_built).map(|line| format!("{line}\n")).collect();
    conf::write(modules, &text)
}

/// Vanilla's extensions begin with 1; these begin with another digit.
fn renumber(directory: &Path, plan: &Plan) -> Result<()> {
    for (old, new) in Plan::default().extensions().iter().zip(plan.extensions()) {
        let file = directory.join(format!("{old}.xml"));
        conf::write(&directory.join(format!("{new}.xml")), &conf::read(&file)?.replace(old, &new))?;
        fs::remove_file(&file).map_err(LabError::io("a phone of vanilla"))?;
    }
    Ok(())
}

/// The project's example trunk with another name and address, and without a ping: the other end may be late.
fn gateway(conf: &Path, name: &str, far: SocketAddr) -> Result<()> {
    let text = conf::project_file("dialplan/freeswitch/trunk.xml")?
        .replace("<gateway name=\"sidecall\">", &format!("<gateway name=\"{name}\">"))
        .replace("192.0.2.10:5060", &far.to_string())
        .replace("<param name=\"ping\" value=\"10\"/>", "");
    conf::write(&conf.join(format!("sip_profiles/external/{name}.xml")), &text)
}
