//! FreeSWITCH's vanilla configuration, made that of a PBX of the lab.

use std::net::SocketAddr;
use std::path::Path;

use super::conf;
use super::freeswitch::PASSWORD;
use super::plan::{Plan, fill};
use crate::net::ports;
use crate::{LabError, PACKET, PHONES, PbxConfig, Result};

/// Changes the copy in `conf`. It listens at these addresses: for phones, for trunks, and the event socket.
pub(super) fn configure(conf: &Path, modules: &Path, config: &PbxConfig, at: [SocketAddr; 3]) -> Result<()> {
    if !config.changes.ipv6 {
        for name in ["internal-ipv6.xml", "external-ipv6.xml"] {
            let _ = std::fs::remove_file(conf.join("sip_profiles").join(name));
        }
    }
    adapt(conf, modules, at)?;
    lab_dialplan(conf, config)?;
    if !config.tenants.is_empty() {
        domains(conf, config)?;
    }
    if config.plan.shows_did {
        show_did(conf)?;
    }
    if config.snippets {
        install_snippets(conf, config)?;
    }
    config.changes.apply(conf, conf)
}

/// Vanilla, made private: own ports, loopback, no STUN, no module that isn't built.
fn adapt(conf: &Path, built: &Path, [sip, trunk, esl]: [SocketAddr; 3]) -> Result<()> {
    let set = |name: &str, value: &str| format!("<X-PRE-PROCESS cmd=\"set\" data=\"{name}={value}\"/>");
    let vars = conf.join("vars.xml");
    let mut text = conf::read(&vars)?
        .replace("cmd=\"stun-set\"", "cmd=\"set\"")
        .replace("stun:stun.freeswitch.org", &sip.ip().to_string());
    text = text.replace(&set("internal_sip_port", "5060"), &set("internal_sip_port", &sip.port().to_string()));
    text = text.replace(&set("external_sip_port", "5080"), &set("external_sip_port", &trunk.port().to_string()));
    // Vanilla makes every call wait 10 s while its password is the well-known one.
    text = text.replace(&set("default_password", "1234"), &set("default_password", PASSWORD));
    let own = format!("{}\n{}", set("local_ip_v4", &sip.ip().to_string()), set("lab_out", "pstn"));
    text = text.replacen("<include>", &format!("<include>\n{own}"), 1);
    conf::write(&vars, &text)?;

    let profiles = conf.join("sip_profiles");
    let internal = profiles.join("internal.xml");
    let mut text = conf::read(&internal)?;
    text = text.replace("name=\"context\" value=\"public\"", "name=\"context\" value=\"default\"");
    text = text.replace(
        "<!-- <param name=\"accept-blind-reg\" value=\"true\"/> -->",
        "<param name=\"accept-blind-reg\" value=\"true\"/>",
    );
    // SIPp is believed by address: no challenge, so that a scenario is one INVITE, and any From. Others
    // are asked for their password.
    text = text.replace("\"apply-inbound-acl\" value=\"domains\"", "\"apply-inbound-acl\" value=\"phones\"");
    conf::replace(
        &conf.join("autoload_configs/acl.conf.xml"),
        "<network-lists>",
        &format!(
            "<network-lists>\n<list name=\"phones\" default=\"deny\"><node type=\"allow\" cidr=\"{PHONES}/32\"/></list>"
        ),
    )?;
    // These listen on fixed ports.
    let unwanted = ["\"ws-binding\"", "\"wss-binding\""];
    text = text
        .lines()
        .filter(|line| !unwanted.iter().any(|name| line.contains(name)))
        .fold(String::new(), |t, l| t + l + "\n");
    conf::write(&internal, &text)?;

    conf::write(
        &conf.join("autoload_configs/event_socket.conf.xml"),
        &format!(
            "<configuration name=\"event_socket.conf\" description=\"Socket Client\"><settings>\n\
             <param name=\"nat-map\" value=\"false\"/>\n<param name=\"listen-ip\" value=\"127.0.0.1\"/>\n\
             <param name=\"listen-port\" value=\"{}\"/>\n<param name=\"password\" value=\"{PASSWORD}\"/>\n\
             </settings></configuration>\n",
            esl.port()
        ),
    )?;

    let switch = conf.join("autoload_configs/switch.conf.xml");
    conf::replace(
        &switch,
        "name=\"sessions-per-second\" value=\"30\"",
        "name=\"sessions-per-second\" value=\"10000\"",
    )?;
    conf::replace(&switch, "name=\"max-sessions\" value=\"1000\"", "name=\"max-sessions\" value=\"10000\"")?;
    let rtp = ports::free_range(400);
    conf::replace(
        &switch,
        "<param name=\"dump-cores\"",
        &format!(
            "<param name=\"rtp-start-port\" value=\"{rtp}\"/>\n<param name=\"rtp-end-port\" value=\"{}\"/>\n<param name=\"dump-cores\"",
            rtp + 399
        ),
    )?;

    let modules = conf.join("autoload_configs/modules.conf.xml");
    let is_built = |line: &str| match line.split("module=\"").nth(1).and_then(|rest| rest.split('"').next()) {
        Some(name) if line.trim_start().starts_with("<load") => built.join(format!("{name}.so")).is_file(),
        _ => true,
    };
    let text = conf::read(&modules)?.lines().filter(|line| is_built(line)).fold(String::new(), |t, l| t + l + "\n");
    conf::write(&modules, &text)
}

/// What an administrator has today (`lab/dialplan/`).
fn lab_dialplan(conf: &Path, config: &PbxConfig) -> Result<()> {
    let plan = &config.plan;
    let (mut inner_extensions, mut inner_numbers) = (String::new(), String::new());
    if let Some(inner) = &config.inner {
        gateway(conf, "inner", inner.sip)?;
        let bridge = |name: &str, numbers: String| {
            format!(
                "<extension name=\"{name}\"><condition field=\"destination_number\" expression=\"^({numbers})$\">\n\
                 <action application=\"bridge\" data=\"{{${{sidecall_pass}}}}sofia/gateway/inner/$1\"/>\n\
                 </condition></extension>"
            )
        };
        let Plan { digit, did, main, .. } = inner.plan;
        inner_extensions = bridge("lab-inner-extensions", format!("{digit}\\d{{3}}"));
        inner_numbers = bridge("lab-inner-numbers", format!("\\{did}\\d{{3}}|\\{main}"));
    }
    let out = "<X-PRE-PROCESS cmd=\"include\" data=\"$${conf_dir}/dialplan/sidecall/out.xml\"/>";
    let more = [
        ("INNER_EXTENSIONS", inner_extensions.as_str()),
        ("INNER_NUMBERS", &inner_numbers),
        ("OUT", if config.snippets { out } else { "" }),
    ];
    for context in ["default", "public"] {
        // See [`crate::Pbx::call_out_over`].
        let text = fill(&format!("{context}.xml"), plan, &more)?.replace("gateway/pstn/", "gateway/${lab_out}/");
        conf::write(&conf.join(format!("dialplan/{context}/00_a_lab.xml")), &text)?;
    }
    conf::write(&conf.join("dialplan/lab/services.xml"), &fill("services.xml", plan, &[])?)?;
    let before = "<extension name=\"Local_Extension\">";
    let with = format!("<X-PRE-PROCESS cmd=\"include\" data=\"lab/services.xml\"/>\n    {before}");
    conf::replace(&conf.join("dialplan/default.xml"), before, &with)?;
    conf::write(&conf.join("ivr_menus/lab.xml"), &fill("menu.xml", plan, &[])?)?;
    conf::write(&conf.join("dialplan/lab/caller-id.xml"), &fill("caller-id.xml", plan, &[])?)?;
    queue(conf, plan, "$${domain}")?;
    if plan.digit != '1' {
        renumber(conf, plan)?;
    }
    gateway(conf, "pstn", config.pstn)
}

/// The queue of a domain, with two agents.
fn queue(conf: &Path, plan: &Plan, domain: &str) -> Result<()> {
    let agent = |n| format!("<member timeout=\"60\" simo=\"1\" lag=\"1\">user/{}@{domain}</member>", plan.extension(n));
    conf::replace(
        &conf.join("autoload_configs/fifo.conf.xml"),
        "<fifos>",
        &format!(
            "<fifos>\n<fifo name=\"lab@{domain}\" importance=\"0\" outbound_strategy=\"ringall\" outbound_per_cycle=\"2\">{}{}</fifo>",
            agent(1),
            agent(2)
        ),
    )
}

/// A domain of its own in the directory for each tenant, and phones are in the domain that they say: what vanilla
/// tells those who "need more than ONE domain".
fn domains(conf: &Path, config: &PbxConfig) -> Result<()> {
    let internal = conf.join("sip_profiles/internal.xml");
    let forced = |line: &&str| !line.contains("name=\"force-");
    let text = conf::read(&internal)?;
    conf::write(&internal, &text.lines().filter(forced).fold(String::new(), |t, l| t + l + "\n"))?;
    let own = conf::read(&conf.join("directory/default.xml"))?;
    for tenant in config.tenants {
        let domain = tenant.domain();
        // A leg that was called, and is transferred, has its domain by this alone.
        let known = format!("<variables>\n<variable name=\"domain_name\" value=\"{domain}\"/>");
        let text = own.replace("$${domain}", &domain).replace("<variables>", &known);
        conf::write(&conf.join(format!("directory/{}.xml", tenant.name)), &text)?;
        queue(conf, &config.plan, &domain)?;
    }
    Ok(())
}

/// Vanilla's extensions begin with 1; these begin with another digit.
fn renumber(conf: &Path, plan: &Plan) -> Result<()> {
    for file in ["default", "public", "features"] {
        let from = "expression=\"^(10[01][0-9])$\"";
        conf::replace(
            &conf.join(format!("dialplan/{file}.xml")),
            from,
            &from.replace("(1", &format!("({}", plan.digit)),
        )?;
    }
    let directory = conf.join("directory/default");
    for (old, new) in Plan::default().extensions().iter().zip(plan.extensions()) {
        let file = directory.join(format!("{old}.xml"));
        conf::write(&directory.join(format!("{new}.xml")), &conf::read(&file)?.replace(old, &new))?;
        std::fs::remove_file(&file).map_err(LabError::io("a phone of vanilla"))?;
    }
    Ok(())
}

/// The outgoing caller ID, before everything of vanilla.
fn show_did(conf: &Path) -> Result<()> {
    let begin = "<context name=\"default\">";
    let with = format!("{begin}\n    <X-PRE-PROCESS cmd=\"include\" data=\"lab/caller-id.xml\"/>");
    conf::replace(&conf.join("dialplan/default.xml"), begin, &with)
}

/// The project's example trunk with another name and address, and without a ping: SIPp may be late.
fn gateway(conf: &Path, name: &str, far: SocketAddr) -> Result<()> {
    let text = conf::project_file("dialplan/freeswitch/trunk.xml")?
        .replace("<gateway name=\"sidecall\">", &format!("<gateway name=\"{name}\">"))
        .replace("192.0.2.10:5060", &far.to_string())
        .replace("<param name=\"ping\" value=\"10\"/>", "");
    conf::write(&conf.join(format!("sip_profiles/external/{name}.xml")), &text)
}

/// As the documentation tells an administrator.
fn install_snippets(conf: &Path, config: &PbxConfig) -> Result<()> {
    let main = conf.join("dialplan/sidecall.xml");
    conf::write(&main, &conf::project_file("dialplan/freeswitch/sidecall.xml")?)?;
    conf::copy_dir(&conf::project().join("dialplan/freeswitch/sidecall"), &conf.join("dialplan/sidecall"))?;
    for (file, context, snippet) in [("default.xml", "default", "originating"), ("public.xml", "public", "terminating")]
    {
        let path = format!("sidecall/{snippet}.xml");
        let begin = format!("<context name=\"{context}\">");
        let with = format!("{begin}\n    <X-PRE-PROCESS cmd=\"include\" data=\"{path}\"/>");
        conf::replace(&conf.join("dialplan").join(file), &begin, &with)?;
    }
    let setting = |from: &str, to: &str| conf::replace(&main, &format!("data=\"{from}\""), &format!("data=\"{to}\""));
    setting("sidecall_hold=500", &format!("sidecall_hold={}", config.hold_ms))?;
    // A second PBX of the lab (127.0.0.1) is a trusted trunk as well.
    let trusted = format!("sidecall_trusted={PACKET}/32,{}/32,{}/32", config.packet.ip(), config.ip);
    setting("sidecall_trusted=192.0.2.10/32", &trusted)?;
    // It stands in a regular expression, where + is escaped.
    let behind = config.inner.as_ref().map(|inner| format!("\\{}|", inner.plan.main)).unwrap_or_default();
    let own = format!("\\{}|\\{}", config.plan.main, config.plan.reception());
    setting("sidecall_main=", &format!("sidecall_main={own}|{behind}5000"))?;
    if config.inner.is_some() {
        setting("sidecall_behind=no", "sidecall_behind=yes")?;
    }
    if let Some(agent) = config.direct {
        setting("sidecall_mode=hold", "sidecall_mode=direct")?;
        setting("sidecall_direct=127.0.0.1:8022", &format!("sidecall_direct={agent}"))?;
    }
    if !config.call_info.is_empty() {
        setting("sidecall_call_info=", &format!("sidecall_call_info={}", config.call_info))?;
        for profile in ["internal", "external"] {
            conf::replace(
                &conf.join(format!("sip_profiles/{profile}.xml")),
                "<param name=\"debug\" value=\"0\"/>",
                "<param name=\"debug\" value=\"0\"/>\n<param name=\"parse-all-invite-headers\" value=\"true\"/>",
            )?;
        }
    }
    gateway(conf, "sidecall", config.packet)
}
