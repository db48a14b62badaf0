//! A person's questions to Asterisk.

use async_trait::async_trait;

use super::{AsteriskCommands, AsteriskEndpoint};
use crate::ami::{Action, AmiClient};
use crate::core::base::name::TrunkName;
use crate::pbx::{Dialplan, Inspection, Messaging, PbxCommands, PbxError, Settings, Trunk};

/// One command connection.
pub(super) struct AsteriskInspection {
    commands: AsteriskCommands,
    client: AmiClient,
}

/// What the agent does, and the write class that allows it.
const NEEDED: &[(&str, &str)] = &[
    ("Setvar", "call"),
    ("Getvar", "call"),
    ("Redirect", "call"),
    ("Status", "call"),
    ("MessageSend", "message"),
    ("CoreSettings", "reporting"),
];

/// The contexts of this version's snippet that other dialplan leads to.
const ENTRIES: &[&str] = &[
    "sidecall-originating",
    "sidecall-terminating",
    "sidecall-attendant",
    "sidecall-out",
    "sidecall-header",
    "sidecall-pass",
    "sidecall-enrol",
];

/// What an earlier snippet lacks: it takes the answer in several variables, which costs Asterisk more.
const JOINED_ANSWER: &str = "answer in one variable";
/// What an earlier snippet lacks (label `late`): without it, an answer after the hold ends the call.
const LATE_ANSWER: &str = "way back after a late answer";

/// The contexts that an application leads to, by its arguments: `CONTEXT,s,1` of `Goto` and `Gosub`, and
/// `CONDITION?CONTEXT,s,1:CONTEXT,s,1` of `GotoIf` and `GosubIf` (`pbx_builtin_gotoif`, `gosubif_exec`).
fn targets(arguments: &str) -> impl Iterator<Item = &str> {
    let branches = arguments.rsplit_once('?').map(|(_, branches)| branches.split(':'));
    let labels = std::iter::once(arguments).chain(branches.into_iter().flatten());
    labels.filter_map(|label| Some(label.split_once(',')?.0))
}

impl AsteriskInspection {
    pub(super) async fn connect(endpoint: &AsteriskEndpoint) -> Result<AsteriskInspection, PbxError> {
        let options = endpoint.options()?;
        let client = super::open(endpoint, options.clone(), "questions").await?;
        let commands = AsteriskCommands::new(client.clone(), endpoint, options);
        Ok(AsteriskInspection { commands, client })
    }
}

#[async_trait]
impl Inspection for AsteriskInspection {
    async fn version(&self) -> Result<String, PbxError> {
        self.commands.version().await
    }

    async fn owner(&self) -> Result<Option<String>, PbxError> {
        self.commands.owner().await
    }

    async fn clock(&self) -> Result<Option<i64>, PbxError> {
        self.commands.clock().await
    }

    /// Needs the class `config`, which an agent hasn't got and doesn't need.
    async fn listens(&self) -> Result<Option<String>, PbxError> {
        let action = Action::new("GetConfig")?.with("Filename", "manager.conf")?.with("Category", "general")?;
        let reply = self.client.send(action).await?;
        // Line-000000-000003: bindaddr=127.0.0.1
        let line = |n: usize| reply.get(&format!("Line-000000-{n:06}"));
        let bind = (0..64).map_while(line).find_map(|line| line.strip_prefix("bindaddr=").map(str::to_owned));
        Ok(bind)
    }

    /// The whole dialplan, since the snippet may be called from anywhere.
    async fn dialplan(&self) -> Result<Dialplan, PbxError> {
        let entries = self.client.list(Action::new("ShowDialPlan")?).await?;
        let mut dialplan = Dialplan { missing: ENTRIES.to_vec(), ..Dialplan::default() };
        let (mut joined, mut late) = (false, false);
        for entry in &entries {
            let [context, label, data, included] =
                entry.fields(["Context", "ExtensionLabel", "AppData", "IncludeContext"]);
            let (context, data) = (context.unwrap_or_default(), data.unwrap_or_default());
            dialplan.missing.retain(|entry| *entry != context);
            if context == "sidecall" {
                dialplan.announces |= label.as_deref() == Some("sidecall-go");
                late |= label.as_deref() == Some("late");
                // SidecallSetup,Agent: ${GLOBAL(SIDECALL_AGENT)},…,Answer: 1
                joined |= data.starts_with("SidecallSetup,") && data.ends_with(",Answer: 1");
                continue;
            }
            if included.as_deref() == Some("sidecall-enrol") {
                dialplan.enrolling.push(context.into_owned());
                continue;
            }
            for target in targets(&data) {
                let contexts = match target {
                    "sidecall-originating" => &mut dialplan.originating,
                    "sidecall-terminating" => &mut dialplan.terminating,
                    "sidecall-attendant" => &mut dialplan.attendants,
                    "sidecall-out" => &mut dialplan.outgoing,
                    _ => continue,
                };
                contexts.push(context.clone().into_owned());
            }
        }
        if !joined {
            dialplan.missing.push(JOINED_ANSWER);
        }
        if !late {
            dialplan.missing.push(LATE_ANSWER);
        }
        let Dialplan { originating, terminating, attendants, outgoing, enrolling, .. } = &mut dialplan;
        for contexts in [originating, terminating, attendants, outgoing, enrolling] {
            contexts.sort_unstable();
            contexts.dedup();
        }
        Ok(dialplan)
    }

    async fn settings(&self) -> Result<Settings, PbxError> {
        Ok(Settings {
            hold: self.commands.global("SIDECALL_HOLD").await?,
            trunk: self.commands.global("SIDECALL_TRUNK").await?,
            trusted: self.commands.global("SIDECALL_TRUSTED").await?,
            main: self.commands.global("SIDECALL_MAIN").await?,
            emergency: self.commands.global("SIDECALL_EMERGENCY").await?,
            outside: self.commands.global("SIDECALL_OUTSIDE").await?,
            enrol: self.commands.global("SIDECALL_ENROL").await?,
            direct: None,
        })
    }

    /// As the snippet does it.
    async fn is_main(&self, pattern: &str, digits: &str) -> Result<bool, PbxError> {
        Ok(self.commands.global(&format!("REGEX(\"^({pattern})$\" {digits})")).await?.as_deref() == Some("1"))
    }

    /// The device state says whether there is such an endpoint, and whether a contact answers
    /// (`chan_pjsip_devicestate`); asking PJSIP itself would need the class `system`.
    async fn trunk(&self, name: &TrunkName) -> Result<Trunk, PbxError> {
        let state = self.commands.global(&format!("DEVICE_STATE(PJSIP/{name})")).await?.unwrap_or_default();
        Ok(match state.as_str() {
            "INVALID" | "UNKNOWN" | "" => Trunk::Missing,
            "UNAVAILABLE" => Trunk::Down(state),
            _ => Trunk::Up,
        })
    }

    /// Needs the class `system`.
    async fn messaging(&self) -> Result<Messaging, PbxError> {
        let reply = self.client.send(Action::new("ModuleCheck")?.with("Module", "res_pjsip_messaging")?).await?;
        Ok(match reply.is_ok() {
            true => Messaging::Possible,
            false if reply.message().contains("ermission") => Messaging::Unknown,
            false => Messaging::Impossible("res_pjsip_messaging is not loaded".to_owned()),
        })
    }

    /// `ListCommands` names the actions that this user may run, and no other.
    async fn forbidden(&self) -> Result<Vec<(&'static str, &'static str)>, PbxError> {
        let reply = self.client.send(Action::new("ListCommands")?).await?.accepted()?;
        Ok(NEEDED.iter().filter(|(action, _)| reply.get(action).is_none()).copied().collect())
    }

    /// `ChanVariable: NAME=` stands with every channel, if `channelvars` asks for it. Each variable that is set
    /// then publishes the channel (`ast_channel_publish_varset`), also those of a Gosub that is just being
    /// entered, and the record takes that place for what was called (`base_process_party_a` in `cdr.c`).
    async fn channelvars(&self) -> Result<bool, PbxError> {
        let channels = self.client.list(Action::core_show_channels()).await?;
        Ok(channels.iter().any(|channel| channel.get("ChanVariable").is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::targets;

    #[test]
    fn a_context_is_named_by_a_jump_and_by_a_condition() {
        let context = |arguments| targets(arguments).last();
        assert_eq!(context("sidecall-out,s,1(60,tT)"), Some("sidecall-out"));
        let installed = r#"$["${CHANNEL(channeltype)}" != "Message"]?sidecall-originating,s,1"#;
        assert_eq!(context(installed), Some("sidecall-originating"));
        assert!(targets("$[1]?own,s,1:sidecall-out,s,1(60)").any(|name| name == "sidecall-out"));
        assert_eq!(context("next"), None);
        assert_eq!(context(""), None);
    }
}
