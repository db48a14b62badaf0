//! Phones and trunks of an Asterisk of the lab (`pjsip.conf`), its queue, and the dialplan that they are in.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use crate::pbx::plan::{Plan, fill};
use crate::pbx::tenants::Tenant;
use crate::{PACKET, PHONES, PSTN, PbxConfig, Result};

/// What every endpoint has.
const COMMON: &str = "disallow=all\nallow=ulaw,alaw\ndirect_media=no\nmessage_context=messages";

/// A transport, the phones of `plan`, and `trunks`.
pub(super) fn pjsip(config: &PbxConfig, sip: SocketAddr) -> String {
    let mut text = transport(sip);
    let extensions = config.plan.extensions();
    // SIPp is believed by address: any From. Other phones are who their From says, as is usual.
    let _ = write!(
        text,
        "\n[phones]\ntype=endpoint\ncontext=from-internal\naors={}\n{COMMON}\n\n\
         [phones]\ntype=identify\nendpoint=phones\nmatch={PHONES}\n",
        extensions.join(",")
    );
    for number in &extensions {
        text += &phone(number, "from-internal");
    }
    for tenant in config.tenants {
        text.extend(extensions.iter().map(|number| phone_of(tenant, number)));
    }
    // The packet trunk is trusted; a second PBX of the lab (127.0.0.1) is one as well.
    let local: IpAddr = config.ip.into();
    text += &trunk("sidecall", config.packet, "from-trunk", &[PACKET, config.packet.ip(), local]);
    // A PBX behind a call server has one trunk for everything.
    let pstn: &[IpAddr] = if config.pstn.ip() == config.packet.ip() { &[] } else { &[PSTN, config.pstn.ip()] };
    text += &trunk("pstn", config.pstn, "from-trunk", pstn);
    if let Some(inner) = &config.inner {
        text += &trunk("inner", inner.sip, "from-trunk", &[inner.sip.ip()]);
    }
    text
}

pub(super) fn transport(sip: SocketAddr) -> String {
    format!("\n[lab-udp]\ntype=transport\nprotocol=udp\nbind={sip}\n")
}

/// A phone that registers, and is known by its From.
pub(super) fn phone(number: &str, context: &str) -> String {
    format!(
        "\n[{number}]\ntype=endpoint\ncontext={context}\naors={number}\ncall_group=1\npickup_group=1\n{COMMON}\n\n\
         [{number}]\ntype=aor\nmax_contacts=1\nremove_existing=yes\n"
    )
}

/// As the documentation tells an administrator who has tenants: the PBX has one endpoint of a name.
fn phone_of(tenant: &Tenant, number: &str) -> String {
    let (Tenant { name, .. }, endpoint) = (tenant, tenant.endpoint(number));
    format!(
        "\n[{endpoint}]\ntype=endpoint\ncontext=from-{name}\naors={endpoint}\ncallerid={number} <{number}>\n\
         set_var=SIDECALL_TENANT={name}\nnamed_call_group={name}\nnamed_pickup_group={name}\n{COMMON}\n\n\
         [{endpoint}]\ntype=aor\nmax_contacts=1\nremove_existing=yes\n"
    )
}

/// A trunk to `far`; calls from these addresses are its.
pub(super) fn trunk(name: &str, far: SocketAddr, context: &str, from: &[IpAddr]) -> String {
    let mut text = format!(
        "\n[{name}]\ntype=endpoint\ncontext={context}\naors={name}\n{COMMON}\n\n[{name}]\ntype=aor\ncontact=sip:{far}\n"
    );
    let from: BTreeSet<String> = from.iter().map(IpAddr::to_string).collect();
    if !from.is_empty() {
        let from: Vec<String> = from.into_iter().collect();
        let _ = write!(text, "\n[{name}]\ntype=identify\nendpoint={name}\nmatch={}\n", from.join(","));
    }
    text
}

/// The queue, with two agents, and one for each tenant.
pub(super) fn queues(config: &PbxConfig) -> String {
    let agents = [1, 2].map(|n| config.plan.extension(n));
    let queue = |name: &str, [one, other]: [String; 2]| {
        format!("\n[{name}]\nstrategy=ringall\ntimeout=60\nmember => PJSIP/{one}\nmember => PJSIP/{other}\n")
    };
    let tenants = config.tenants.iter().map(|tenant| {
        let own = [0, 1].map(|n| tenant.endpoint(&agents[n]));
        queue(tenant.name, own)
    });
    tenants.fold(queue("lab", agents.clone()), |text, own| text + &own)
}

/// What phones can call, once more for a tenant's: its own phones, queue and conference.
fn dialplan_of(tenant: &Tenant, config: &PbxConfig, text: &str) -> String {
    let own = text.split("[from-internal]").nth(1).and_then(|rest| rest.split("[from-trunk]").next());
    let Tenant { name, .. } = tenant;
    let own = format!("\n[from-internal]{}", own.unwrap_or_default())
        .replace("from-internal", &format!("from-{name}"))
        .replace("PJSIP/${EXTEN},", &format!("PJSIP/{},", tenant.endpoint("${EXTEN}")))
        .replace("Queue(lab)", &format!("Queue({name})"))
        .replace("ConfBridge(", &format!("ConfBridge({name}-"));
    let phone = |text: String, number: String| {
        text.replace(&format!("PJSIP/{number}"), &format!("PJSIP/{}", tenant.endpoint(&number)))
    };
    config.plan.extensions().into_iter().fold(own, phone)
}

/// The dialplan, with or without the project's snippet.
pub(super) fn dialplan(config: &PbxConfig) -> Result<String> {
    let Plan { did, shows_did, .. } = config.plan;
    let shown = format!(
        "Set(CALLERID(num)=${{IF($[${{LEN(${{CALLERID(num)}})}} = 4]?{did}${{CALLERID(num):1}}:${{CALLERID(num)}})}})"
    );
    let (mut inner_extensions, mut inner_numbers) = (String::new(), String::new());
    if let Some(inner) = &config.inner {
        let pass = if config.snippets { ",60,b(sidecall-pass^s^1)" } else { ",60" };
        let dial = format!(" same => n,Dial(PJSIP/${{EXTEN}}@inner{pass})\n");
        let Plan { digit, did, main, .. } = inner.plan;
        inner_extensions = format!("exten => _{digit}XXX,1,Gosub(sidecall-originating,s,1)\n{dial}");
        inner_numbers = format!("exten => _{did}XXX,1,Gosub(sidecall-terminating,s,1)\n{dial}");
        let _ = write!(inner_numbers, "exten => {main},1,Gosub(sidecall-attendant,s,1)\n{dial}");
    }
    let text = fill(
        "extensions.conf",
        &config.plan,
        &[
            ("DIAL", if config.feature_codes { "tT" } else { "" }),
            ("OUTGOING", if shows_did { &shown } else { "NoOp()" }),
            ("INNER_EXTENSIONS", &inner_extensions),
            ("INNER_NUMBERS", &inner_numbers),
        ],
    )?;
    // See [`crate::Pbx::call_out_over`].
    let text = text.replace("[globals](+)", "[globals](+)\nLAB_OUT=pstn").replace("@pstn", "@${LAB_OUT}");
    let text = config.tenants.iter().fold(text.clone(), |all, tenant| all + &dialplan_of(tenant, config, &text));
    if config.snippets {
        return Ok(text + "\n#include \"sidecall.conf\"\n");
    }
    // As it is before an administrator installs the snippet.
    let plain = |line: &str| match line.find("Gosub(sidecall-") {
        Some(at) => format!("{}NoOp()\n", &line[..at]),
        None => format!("{line}\n"),
    };
    Ok(text.lines().map(plain).collect())
}
