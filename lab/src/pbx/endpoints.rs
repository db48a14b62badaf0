//! Phones and trunks of an Asterisk of the lab (`pjsip.conf`), its queue, and the dialplan that they are in.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use crate::pbx::asterisk::SECRET;
use crate::pbx::conf::Changes;
use crate::pbx::plan::{Plan, fill};
use crate::pbx::tenants::Tenant;
use crate::{PACKET, PHONES, PSTN, PbxConfig, Result};

pub(super) const TEMPLATE: &str = include_str!("../../pbx/asterisk.conf");

const COMMON: &str = "disallow=all\nallow=ulaw,alaw\ndirect_media=no\nmessage_context=messages";

/// Everything that the lab adds: a transport, the phones of a plan, trunks, queues, the dialplan.
pub(super) fn all(config: &PbxConfig, sip: SocketAddr) -> Result<Changes> {
    let extensions = config.plan.extensions();
    let plain: [(&str, &dyn ToString); 3] = [("AORS", &extensions.join(",")), ("PHONES", &PHONES), ("COMMON", &COMMON)];
    let mut changes = transport(Changes::default(), sip).part(TEMPLATE, "plain-phones", &plain);
    for number in &extensions {
        changes = match config.passwords {
            true => phone_with_password(changes, number),
            false => phone(changes, number, "from-internal"),
        };
    }
    let agents = [1, 2].map(|n| config.plan.extension(n));
    changes = queue(changes, "lab", &agents);
    for tenant in config.tenants {
        changes = queue(changes, tenant.name, &[0, 1].map(|n| tenant.endpoint(&agents[n])));
        for number in &extensions {
            let values: [(&str, &dyn ToString); 4] = [
                ("ENDPOINT", &tenant.endpoint(number)),
                ("NUMBER", number),
                ("TENANT", &tenant.name),
                ("COMMON", &COMMON),
            ];
            changes = changes.part(TEMPLATE, "tenant-phone", &values);
        }
    }
    // The packet trunk is trusted; a second PBX of the lab (127.0.0.1) is one as well.
    let packet = [PACKET, config.packet.ip(), config.ip.into()];
    changes = trunk(changes, "sidecall", config.packet, "from-trunk", &packet);
    // A PBX behind a call server has one trunk for everything.
    let pstn: &[IpAddr] = if config.pstn.ip() == config.packet.ip() { &[] } else { &[PSTN, config.pstn.ip()] };
    changes = trunk(changes, "pstn", config.pstn, "from-trunk", pstn);
    if let Some(inner) = &config.inner {
        changes = trunk(changes, "inner", inner.sip, "from-trunk", &[inner.sip.ip()]);
    }
    Ok(changes.add("extensions.conf", dialplan(config)?))
}

pub(super) fn transport(changes: Changes, sip: SocketAddr) -> Changes {
    changes.part(TEMPLATE, "transport", &[("SIP", &sip)])
}

pub(super) fn phone(changes: Changes, number: &str, context: &str) -> Changes {
    changes.part(TEMPLATE, "phone", &[("NUMBER", &number), ("CONTEXT", &context), ("COMMON", &COMMON)])
}

fn phone_with_password(changes: Changes, number: &str) -> Changes {
    let common = format!("{COMMON}\nauth={number}");
    let values: [(&str, &dyn ToString); 4] =
        [("NUMBER", &number), ("CONTEXT", &"from-internal"), ("COMMON", &common), ("PASSWORD", &SECRET)];
    changes.part(TEMPLATE, "phone", &values).part(TEMPLATE, "password", &values)
}

/// A trunk to `far`; calls from these addresses are its.
pub(super) fn trunk(changes: Changes, name: &str, far: SocketAddr, context: &str, from: &[IpAddr]) -> Changes {
    let values: [(&str, &dyn ToString); 4] =
        [("NAME", &name), ("FAR", &far), ("CONTEXT", &context), ("COMMON", &COMMON)];
    let changes = changes.part(TEMPLATE, "trunk", &values);
    let from: BTreeSet<String> = from.iter().map(IpAddr::to_string).collect();
    if from.is_empty() {
        return changes;
    }
    let from = from.into_iter().collect::<Vec<_>>().join(",");
    changes.part(TEMPLATE, "identify", &[("NAME", &name), ("FROM", &from)])
}

fn queue(changes: Changes, name: &str, [one, two]: &[String; 2]) -> Changes {
    changes.part(TEMPLATE, "queue", &[("NAME", &name), ("ONE", one), ("TWO", two)])
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

fn dialplan(config: &PbxConfig) -> Result<String> {
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
        inner_numbers = format!(
            "exten => _{did}XXX,1,Gosub(sidecall-terminating,s,1)\n{dial}\
             exten => {main},1,Gosub(sidecall-attendant,s,1)\n{dial}"
        );
    }
    let more = [
        ("DIAL", if config.feature_codes { "tT" } else { "" }),
        ("OUTGOING", if shows_did { &shown } else { "NoOp()" }),
        ("INNER_EXTENSIONS", &inner_extensions),
        ("INNER_NUMBERS", &inner_numbers),
    ];
    let text = fill("extensions.conf", &config.plan, &more)?;
    let text = config.tenants.iter().fold(text.clone(), |all, tenant| all + &dialplan_of(tenant, config, &text));
    if config.snippets {
        return Ok(text + "\n#include \"sidecall.conf\"\n");
    }
    // As it is before an administrator installs the snippet.
    let plain = |line: &str| match line.find("Gosub(sidecall-") {
        Some(at) => format!("{}NoOp()\n", &line[..at]),
        None => format!("{line}\n"),
    };
    Ok(text.lines().filter(|line| !line.starts_with("include => sidecall-")).map(plain).collect())
}
