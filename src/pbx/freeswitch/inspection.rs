//! A person's questions to FreeSWITCH.

use async_trait::async_trait;

use super::{FreeswitchCommands, FreeswitchEndpoint, spawn};
use crate::core::base::name::TrunkName;
use crate::esl::{self, EslClient, EslOptions};
use crate::pbx::{Dialplan, Inspection, Messaging, PbxCommands, PbxError, Settings, Trunk};

/// One command connection.
pub(super) struct FreeswitchInspection {
    commands: FreeswitchCommands,
    client: EslClient,
    sip_profile: String,
}

impl FreeswitchInspection {
    pub(super) async fn connect(endpoint: &FreeswitchEndpoint) -> Result<FreeswitchInspection, PbxError> {
        let options = EslOptions::default();
        let (client, _, connection) = esl::connect(&endpoint.address, &endpoint.auth, options).await?;
        spawn(connection, "questions");
        let sip_profile = endpoint.sip_profile.clone();
        let commands = FreeswitchCommands::new([(); 3].map(|()| client.clone()), endpoint);
        Ok(FreeswitchInspection { commands, client, sip_profile })
    }

    async fn ask(&self, name: &str, args: &[&str]) -> Result<String, PbxError> {
        Ok(self.client.api(name, args).await?.text().into_owned())
    }
}

#[async_trait]
impl Inspection for FreeswitchInspection {
    async fn version(&self) -> Result<String, PbxError> {
        self.commands.version().await
    }

    async fn owner(&self) -> Result<Option<String>, PbxError> {
        self.commands.owner().await
    }

    async fn clock(&self) -> Result<Option<i64>, PbxError> {
        self.commands.clock().await
    }

    /// `<param name="listen-ip" value="::"/>`
    async fn listens(&self) -> Result<Option<String>, PbxError> {
        let xml = self.ask("xml_locate", &["configuration", "configuration", "name", "event_socket.conf"]).await?;
        Ok(tags(&xml)
            .find(|tag| tag.is("param", "listen-ip"))
            .and_then(|tag| tag.attribute("value"))
            .map(str::to_owned))
    }

    /// All contexts with what is included in them.
    async fn dialplan(&self) -> Result<Dialplan, PbxError> {
        let xml = self.ask("xml_locate", &["dialplan"]).await?;
        if !xml.contains("<context") {
            return Err(PbxError::unexpected("xml_locate dialplan", &xml));
        }
        Ok(read_dialplan(&xml))
    }

    /// `X-PRE-PROCESS set` makes global variables.
    async fn settings(&self) -> Result<Settings, PbxError> {
        let direct = self.commands.global("sidecall_mode").await?.is_some_and(|mode| mode == "direct");
        Ok(Settings {
            hold: self.commands.global("sidecall_hold").await?,
            trunk: self.commands.global("sidecall_trunk").await?,
            trusted: self.commands.global("sidecall_trusted").await?,
            main: self.commands.global("sidecall_main").await?,
            emergency: self.commands.global("sidecall_emergency").await?,
            outside: self.commands.global("sidecall_outside").await?,
            enrol: self.commands.global("sidecall_enrol").await?.map(|pattern| pattern.replace('\\', "")),
            direct: if direct { self.commands.global("sidecall_direct").await? } else { None },
        })
    }

    /// As the snippet does it. `regex m:/DATA/PATTERN`, since the pattern may have a `|`.
    async fn is_main(&self, pattern: &str, digits: &str) -> Result<bool, PbxError> {
        Ok(self.ask("regex", &[&format!("m:/{digits}/^(?:{pattern})$")]).await? == "true")
    }

    /// `Status \tUP`, `State \tNOREG`; or `Invalid Gateway!`
    async fn trunk(&self, name: &TrunkName) -> Result<Trunk, PbxError> {
        let text = self.ask("sofia", &["status", "gateway", name.as_str()]).await?;
        if text.contains("Invalid Gateway") {
            return Ok(Trunk::Missing);
        }
        let line =
            |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(|value| value.trim().to_owned());
        match line("Status") {
            Some(status) if status.starts_with("UP") => Ok(Trunk::Up),
            Some(status) => Ok(Trunk::Down(format!("{status} {}", line("State").unwrap_or_default()))),
            None => Err(PbxError::unexpected("sofia status gateway", &text)),
        }
    }

    /// The chat interface `sip` of mod_sofia, and the profile that messages leave by.
    async fn messaging(&self) -> Result<Messaging, PbxError> {
        let chats = self.ask("show", &["chat"]).await?;
        if !chats.lines().any(|line| line.contains("sip")) {
            return Ok(Messaging::Impossible("no chat interface \"sip\": is mod_sofia loaded?".to_owned()));
        }
        let profile = self.ask("sofia", &["status", "profile", &self.sip_profile]).await?;
        if profile.contains("Invalid Profile") {
            return Ok(Messaging::Impossible(format!("there is no SIP profile {}: set sip_profile", self.sip_profile)));
        }
        Ok(Messaging::Possible)
    }

    /// Who is logged in may do everything, unless a directory user's `esl-allowed-api` says less.
    async fn forbidden(&self) -> Result<Vec<(&'static str, &'static str)>, PbxError> {
        Ok(Vec::new())
    }

    /// Its events carry all variables, and its records none.
    async fn channelvars(&self) -> Result<bool, PbxError> {
        Ok(false)
    }
}

fn read_dialplan(xml: &str) -> Dialplan {
    let mut dialplan = Dialplan::default();
    let (mut context, mut extension, mut legs, mut binds_numbers) = ("", "", Vec::new(), false);
    let (mut parts, mut executed, mut announcing) = (Vec::new(), Vec::new(), Vec::new());
    for tag in tags(xml) {
        if tag.name == "extension" {
            extension = tag.attribute("name").unwrap_or_default();
        }
        let data = tag.attribute("data").unwrap_or_default();
        if let Some(part) = data.strip_suffix(" XML sidecall") {
            executed.push(((context, extension), part));
        }
        if data.contains("=sidecall::setup,") {
            announcing.push((context, extension));
        }
        match (tag.name, tag.attribute("name")) {
            ("context", Some(name)) => context = name,
            ("extension", Some("sidecall-originating")) => dialplan.originating.push(context.to_owned()),
            ("extension", Some("sidecall-terminating")) => dialplan.terminating.push(context.to_owned()),
            ("extension", Some("sidecall-attendant")) => dialplan.attendants.push(context.to_owned()),
            ("extension", Some("sidecall-enrol")) => dialplan.enrolling.push(context.to_owned()),
            ("extension", Some("sidecall-leg")) => legs.push(context.to_owned()),
            ("extension", Some(name)) if context == "sidecall" => parts.push(name),
            ("condition", _) if context == "sidecall" => {
                let binding = "/${md5(${sidecall_called})}/${sidecall_place}/";
                binds_numbers |= tag.attribute("field").is_some_and(|field| field.contains(binding));
            }
            // Of an older out.xml, or a copy of it: a number that somebody dials can run a command there.
            ("action", _) if data.contains("sidecall_place=${destination_number}") => {
                dialplan.missing.push("sidecall/out.xml");
            }
            // Of out.xml. Older copies had it behind the announcement.
            ("action", _) if leads_to_the_trunk(data) => match extension {
                "sidecall-originating" | "sidecall-terminating" => dialplan.missing.extend(file_of(extension)),
                _ => dialplan.outgoing.push(context.to_owned()),
            },
            _ => {}
        }
    }
    // attendant.xml includes terminating.xml.
    dialplan.terminating.retain(|context| !dialplan.attendants.contains(context));
    dialplan.outgoing.dedup();
    dialplan.announces = parts.contains(&"route");
    if dialplan.announces {
        let lost = executed.iter().filter(|(_, part)| !parts.contains(part));
        dialplan.missing.extend(lost.filter_map(|((_, extension), _)| file_of(extension)));
    }
    if dialplan.announces && !binds_numbers {
        dialplan.missing.push("sidecall.xml");
    }
    if dialplan.originating.iter().any(|context| !legs.contains(context)) {
        dialplan.missing.push("sidecall/originating.xml");
    }
    if dialplan.terminating.iter().any(|context| !legs.contains(context)) {
        dialplan.missing.push("sidecall/terminating.xml");
    }
    // Older copies execute an extension that announces.
    let older: Vec<_> = executed.iter().filter(|(_, part)| *part == "announce").map(|(place, _)| *place).collect();
    if parts.contains(&"announce") {
        announcing.extend(&older);
    }
    for (contexts, extension) in
        [(&mut dialplan.originating, "sidecall-originating"), (&mut dialplan.terminating, "sidecall-terminating")]
    {
        let all = std::mem::take(contexts).into_iter();
        let (announced, silent) = all.partition(|context| announcing.contains(&(context, extension)));
        *contexts = announced;
        if silent.iter().any(|context: &String| !older.contains(&(context, extension))) {
            dialplan.missing.push("sidecall/announce.xml");
        }
        dialplan.silent.extend(silent);
    }
    dialplan.silent.sort();
    dialplan.silent.dedup();
    dialplan.missing.sort_unstable();
    dialplan.missing.dedup();
    dialplan
}

/// The file of an extension that executes parts of `sidecall.xml`. One of an earlier version executes what is no longer
/// there.
fn file_of(extension: &str) -> Option<&'static str> {
    match extension {
        "sidecall-originating" => Some("sidecall/originating.xml"),
        "sidecall-terminating" => Some("sidecall/terminating.xml"),
        "sidecall-enrol" => Some("sidecall/enrol.xml"),
        _ => None,
    }
}

/// `%[…]` holds variables for this application alone; out.xml of an earlier version has none.
fn leads_to_the_trunk(data: &str) -> bool {
    let data = data.strip_prefix("%[").and_then(|rest| rest.split_once(']')).map_or(data, |(_, data)| data);
    data == "route XML sidecall"
}

/// A tag of FreeSWITCH's own XML, which has no comments and no `>` in attributes.
struct Tag<'x> {
    name: &'x str,
    attributes: &'x str,
}

fn tags(xml: &str) -> impl Iterator<Item = Tag<'_>> {
    xml.split('<').skip(1).filter_map(|tag| {
        let tag = tag.split('>').next()?;
        let (name, attributes) = tag.split_once([' ', '\n', '\t']).unwrap_or((tag, ""));
        Some(Tag { name, attributes })
    })
}

impl<'x> Tag<'x> {
    fn is(&self, tag: &str, name: &str) -> bool {
        self.name == tag && self.attribute("name") == Some(name)
    }

    fn attribute(&self, name: &str) -> Option<&'x str> {
        let mut rest = self.attributes;
        while let Some((key, value)) = rest.split_once("=\"") {
            let (value, after) = value.split_once('"')?;
            if key.trim() == name {
                return Some(value);
            }
            rest = after;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As announce.xml has it.
    const SETUP: &str = "<condition><action application=\"socket\" data=\"${sidecall_direct}\"/><anti-action application=\"event\" \
                         data=\"Event-Name=CUSTOM,Event-Subclass=sidecall::setup,sidecall_agent=${sidecall_agent}\"/></condition>";

    /// A dialplan that lacks nothing.
    fn whole() -> String {
        let xml = r#"<context name="default"><extension name="sidecall-leg"/><extension name="sidecall-originating">SETUP</extension></context>
            <context name="public"><extension name="sidecall-leg"/><extension name="sidecall-terminating">SETUP</extension></context>
            <context name="ivr"><extension name="sidecall-attendant"/><extension name="sidecall-leg"/><extension name="sidecall-terminating">SETUP</extension></context>
            <context name="sidecall"><extension name="route"><condition field="${sidecall_route}/${md5(${sidecall_called})}/${sidecall_place}/${sidecall_call}" expression="x"/></extension></context>
            <context name="out"><extension name="any"><condition><action application="execute_extension" data="%[sidecall_place=${md5(${destination_number})}]route XML sidecall"/></condition></extension></context>"#;
        xml.replace("SETUP", SETUP)
    }

    #[test]
    fn contexts_and_what_is_in_them() {
        let xml = &r#"<section name="dialplan" description="x">
            <context name="default"><extension name="sidecall-originating" continue="true"><condition field="a" expression="^(.+)$"/>SETUP</extension>
            <extension name="route"/><extension name="sidecall-enrol"/></context>
            <context name="public"><extension continue="true" name="sidecall-terminating">SETUP</extension></context>
            <context name="sidecall"><extension name="route"><condition/></extension></context></section>"#.replace("SETUP", SETUP);
        let dialplan = read_dialplan(xml);
        assert_eq!(dialplan.originating, ["default"]);
        assert_eq!(dialplan.enrolling, ["default"]);
        assert_eq!(dialplan.terminating, ["public"]);
        assert!(dialplan.announces && dialplan.attendants.is_empty());
        assert_eq!(dialplan.missing, ["sidecall.xml", "sidecall/originating.xml", "sidecall/terminating.xml"]);
        let without = xml.replace("<context name=\"sidecall\">", "<context name=\"other\">");
        assert!(!read_dialplan(&without).announces);
        let whole = &whole();
        let dialplan = read_dialplan(whole);
        assert_eq!(dialplan.outgoing, ["out"]);
        assert_eq!((dialplan.terminating, dialplan.attendants), (vec!["public".to_owned()], vec!["ivr".to_owned()]));
        assert_eq!(dialplan.missing, Vec::<&str>::new());
        let earlier = whole.replace("%[sidecall_place=${md5(${destination_number})}]", "");
        assert_eq!(read_dialplan(&earlier).outgoing, ["out"]);
        let runs = "<action application=\"set\" data=\"sidecall_place=${destination_number}\"/>";
        let older = whole.replace("<action ", &format!("{runs}{runs}<action "));
        assert_eq!(read_dialplan(&older).missing, ["sidecall/out.xml"]);
        let older = whole.replace("${md5(${sidecall_called})}", "${sidecall_called}");
        assert_eq!(read_dialplan(&older).missing, ["sidecall.xml"]);
        let older = whole.replace("<extension name=\"any\">", "<extension name=\"sidecall-originating\">");
        assert!(read_dialplan(&older).missing.contains(&"sidecall/originating.xml"));
        assert_eq!(read_dialplan(&older).outgoing, Vec::<String>::new());
    }

    #[test]
    fn a_context_that_announces_no_call_is_named() {
        let (whole, none) = (whole(), Vec::<&str>::new());
        let read = |xml: &str| {
            let Dialplan { originating, terminating, silent, missing, .. } = read_dialplan(xml);
            ([originating, terminating, silent].map(|contexts| contexts.join(" ")), missing)
        };
        let places =
            |originating: &str, terminating: &str, silent: &str| [originating, terminating, silent].map(str::to_owned);
        assert_eq!(read(&whole), (places("default", "public", ""), none.clone()));
        // Without announce.xml; on FusionPBX its conditions were not pasted.
        let without = whole.replace(SETUP, "");
        assert_eq!(read(&without), (places("", "", "default public"), vec!["sidecall/announce.xml"]));
        let without = whole.replacen(SETUP, "", 1);
        assert_eq!(read(&without), (places("", "public", "default"), vec!["sidecall/announce.xml"]));
        // Of an earlier version, beside the new sidecall.xml and the old one.
        let announces = "<action application=\"execute_extension\" data=\"announce XML sidecall\"/>";
        let older = whole.replacen(SETUP, announces, 1);
        assert_eq!(read(&older), (places("", "public", "default"), vec!["sidecall/originating.xml"]));
        let route = "<extension name=\"route\">";
        let consistent = older.replace(route, &format!("<extension name=\"announce\"/>{route}"));
        assert_eq!(read(&consistent), (places("default", "public", ""), none));
        // A name is said once.
        let older = older.replace(announces, &format!("{announces}{announces}")).replacen(
            "<extension name=\"sidecall-leg\"/>",
            "",
            2,
        );
        assert_eq!(read(&older).1, ["sidecall/originating.xml", "sidecall/terminating.xml"]);
    }
}
