//! Checks whether phones can enrol browsers by dialling.

use super::report::DoctorReport;
use crate::config::Config;
use crate::contract::PbxKind;
use crate::pbx::{Dialplan, Settings};

/// Checks where phones can enrol a browser, and that the snippet takes what browsers show.
pub(super) fn check(
    config: &Config,
    kind: PbxKind,
    dialplan: &Dialplan,
    settings: &Settings,
    about: &str,
    report: &mut DoctorReport,
) -> anyhow::Result<()> {
    let shown = &config.node.feature_code;
    // Phones that nobody announces were reported, and an older copy of the snippet too.
    if shown.is_off() || dialplan.originating.is_empty() || !dialplan.missing.is_empty() {
        return Ok(());
    }
    if dialplan.enrolling.is_empty() {
        let include = match kind {
            PbxKind::Asterisk => {
                "put `include => sidecall-enrol` into the context of your phones, then `dialplan reload`"
            }
            PbxKind::Freeswitch => {
                "put sidecall/originating.xml and sidecall/enrol.xml of this version in place, then `reloadxml`"
            }
        };
        let todo = format!("{include}; or set feature_code = \"\" in [node]");
        return report.warning(about, "no context lets phones enrol browsers by dialling", todo);
    }
    if let Some(context) = dialplan.enrolling.iter().find(|context| dialplan.terminating.contains(context)) {
        let found = format!("calls from trunks come into {context}, where phones enrol browsers by dialling");
        let todo = "give calls from trunks a context of their own, in which nobody can enrol";
        return report.warning(about, found, todo);
    }
    let taken = settings.enrol.as_deref().unwrap_or_default();
    // The node of another machine has a configuration of its own.
    if config.tokens.admin.is_some() && !taken.split('|').any(|code| code == shown.as_str()) {
        let found = format!("browsers show {}, and the snippet enrols for {}", shown.as_str(), named(taken));
        let key = match kind {
            PbxKind::Freeswitch => "sidecall_enrol",
            PbxKind::Asterisk => "SIDECALL_ENROL",
        };
        return report.warning(about, found, format!("make feature_code in [node] and {key} in the snippet the same"));
    }
    report.ok(about, format!("phones enrol browsers by dialling, in {}", dialplan.enrolling.join(", ")))
}

fn named(code: &str) -> &str {
    if code.is_empty() { "nothing" } else { code }
}
