//! Typed commands → bytes.
//!
//! A command ends with an empty line, so a line break in untrusted text would end it and begin another one. Such text
//! is refused here, so no other code needs to check.

use std::fmt;

use bytes::Bytes;

use super::scrub;
use crate::wire::{CommandError, refuse};

/// One command, ready to be sent. No constructor takes an argument with a line break, NUL or another character that isn't
/// allowed at its place.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    wire: Bytes,
    exits: bool,
}

impl Command {
    /// `auth PASSWORD`
    pub fn auth(password: &str) -> Result<Self, CommandError> {
        clean("a password", password)?;
        Ok(Self::line(format!("auth {password}")))
    }

    /// `userauth USER@DOMAIN:PASSWORD`
    pub fn userauth(user: &str, password: &str) -> Result<Self, CommandError> {
        refuse("a user name", user, |c| c == ':' || c == ' ')?;
        clean("a password", password)?;
        Ok(Self::line(format!("userauth {user}:{password}")))
    }

    /// `connect`: the first command on an outbound socket.
    pub fn connect() -> Self {
        Self::line("connect".into())
    }

    /// `exit`: FreeSWITCH closes the connection.
    pub fn exit() -> Self {
        Self { exits: true, ..Self::line("exit".into()) }
    }

    /// `api NAME ARG…`, for example `api uuid_break UUID all`. Only the last argument may hold blanks, so that no argument
    /// becomes two.
    pub fn api(name: &str, args: &[&str]) -> Result<Self, CommandError> {
        Ok(Self::line(format!("api {}", call(name, args)?)))
    }

    /// `bgapi NAME ARG…`, with the job's id of our choosing.
    pub fn bgapi(name: &str, args: &[&str], job: &str) -> Result<Self, CommandError> {
        token("a job id", job)?;
        let call = call(name, args)?;
        Ok(Self::line(format!("bgapi {call}\nJob-UUID: {job}")))
    }

    /// `api uuid_setvar_multi UUID NAME=VALUE;…`
    ///
    /// FreeSWITCH splits the list at `;` and processes quotes and backslashes (`switch_separate_string`). A `${…}` in a
    /// variable runs a function where the dialplan uses the variable in an argument. Values with any of these are
    /// refused, not escaped. FreeSWITCH can take apart 63 variables at most.
    pub fn set_variables(uuid: &str, variables: &[(&str, &str)]) -> Result<Self, CommandError> {
        if variables.is_empty() || variables.len() > 63 {
            return Err(CommandError::Invalid("between 1 and 63 variables can be set"));
        }
        for (name, value) in variables {
            if name.is_empty() {
                return Err(CommandError::Invalid("a variable needs a name"));
            }
            refuse("a variable's name", name, |c| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))?;
            refuse("a variable's value", value, |c| {
                matches!(c, ';' | '$' | '{' | '}' | '\\' | '\'' | '"') || c.is_control()
            })?;
            if value.trim() != *value {
                return Err(CommandError::Invalid("a variable's value has blanks around it"));
            }
        }
        let pairs: Vec<_> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Self::api("uuid_setvar_multi", &[uuid, &pairs.join(";")])
    }

    /// `event plain NAME… [CUSTOM SUBCLASS…]`: subscribes to more events.
    pub fn event(names: &[&str]) -> Result<Self, CommandError> {
        if names.is_empty() {
            return Err(CommandError::Invalid("a subscription names events"));
        }
        for name in names {
            token("an event's name", name)?;
        }
        let names = names.join(" ");
        Ok(Self::line(format!("event plain {names}")))
    }

    /// `filter HEADER VALUE`: limits the events to those that match this filter or another one.
    pub fn filter(header: &str, value: &str) -> Result<Self, CommandError> {
        token("a header's name", header)?;
        clean("a filter's value", value)?;
        Ok(Self::line(format!("filter {header} {value}")))
    }

    /// `sendmsg` that runs an application on the channel of an outbound socket.
    ///
    /// The argument is the body. FreeSWITCH reads a body in one piece, but headers byte by byte, and it gives the CPU away
    /// after each byte (`read_packet` in mod_event_socket.c).
    pub fn execute(application: &str, argument: &str) -> Result<Self, CommandError> {
        token("an application's name", application)?;
        clean("an application's argument", argument)?;
        let mut text = format!("sendmsg\ncall-command: execute\nexecute-app-name: {application}");
        if argument.is_empty() {
            return Ok(Self::line(text));
        }
        text.push_str(&format!("\ncontent-type: text/plain\ncontent-length: {}\n\n{argument}", argument.len()));
        Ok(Self { wire: text.into(), exits: false })
    }

    /// `sendevent NAME` with headers and a body, which may be empty or hold anything but NUL.
    pub fn sendevent(name: &str, headers: &[(&str, &str)], body: &str) -> Result<Self, CommandError> {
        token("an event's name", name)?;
        let mut text = format!("sendevent {name}");
        for (header, value) in headers {
            refuse("a header's name", header, |c| c == ':' || c == ' ')?;
            if header.eq_ignore_ascii_case("content-length") {
                return Err(CommandError::Invalid("the length is counted, not given"));
            }
            clean("a header's value", value)?;
            text.push_str(&format!("\n{header}: {value}"));
        }
        if body.is_empty() {
            return Ok(Self::line(text));
        }
        if body.contains('\0') {
            return Err(CommandError::Forbidden { what: "a body", found: '\0' });
        }
        // The body follows the empty line directly; only its length ends it.
        text.push_str(&format!("\ncontent-length: {}\n\n{body}", body.len()));
        Ok(Self { wire: text.into(), exits: false })
    }

    /// The bytes that are sent.
    pub fn as_bytes(&self) -> &Bytes {
        &self.wire
    }

    /// Whether FreeSWITCH closes the connection after its answer.
    pub(super) fn exits(&self) -> bool {
        self.exits
    }

    fn line(text: String) -> Self {
        Self { wire: (text + "\n\n").into(), exits: false }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = scrub(&self.wire);
        f.debug_tuple("Command").field(&String::from_utf8_lossy(shown.trim_ascii_end())).finish()
    }
}

/// `NAME ARG…`, where only the last argument may hold blanks.
fn call(name: &str, args: &[&str]) -> Result<String, CommandError> {
    token("an API's name", name)?;
    let mut text = name.to_owned();
    for (at, arg) in args.iter().enumerate() {
        if at + 1 < args.len() {
            token("an argument before the last", arg)?;
        } else {
            clean("an argument", arg)?;
        }
        text.push(' ');
        text.push_str(arg);
    }
    Ok(text)
}

/// One word.
fn token(what: &'static str, text: &str) -> Result<(), CommandError> {
    if text.is_empty() {
        return Err(CommandError::Invalid("an argument is empty"));
    }
    refuse(what, text, |c| c == ' ' || c == '\t')
}

/// Anything on one line.
fn clean(what: &'static str, text: &str) -> Result<(), CommandError> {
    refuse(what, text, |_| false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(command: Result<Command, CommandError>) -> String {
        String::from_utf8(command.unwrap().as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn commands_are_written_as_freeswitch_reads_them() {
        assert_eq!(wire(Command::auth("ClueCon")), "auth ClueCon\n\n");
        assert_eq!(wire(Command::userauth("1000@pbx.example", "pw:1")), "userauth 1000@pbx.example:pw:1\n\n");
        assert_eq!(
            wire(Command::event(&["CHANNEL_ANSWER", "CUSTOM", "sidecall::setup"])),
            "event plain CHANNEL_ANSWER CUSTOM sidecall::setup\n\n"
        );
        assert_eq!(wire(Command::api("uuid_break", &["a5cb0e39", "all"])), "api uuid_break a5cb0e39 all\n\n");
        assert_eq!(wire(Command::bgapi("status", &[], "j-1")), "bgapi status\nJob-UUID: j-1\n\n");
        assert_eq!(
            wire(Command::set_variables("u", &[("a", "1"), ("sip_h_X-B", "2")])),
            "api uuid_setvar_multi u a=1;sip_h_X-B=2\n\n"
        );
        assert_eq!(
            wire(Command::execute("multiset", "a=1 b=2")),
            "sendmsg\ncall-command: execute\nexecute-app-name: multiset\ncontent-type: text/plain\n\
             content-length: 7\n\na=1 b=2"
        );
        assert_eq!(
            wire(Command::sendevent("SEND_MESSAGE", &[("user", "1001")], "hü\n")),
            "sendevent SEND_MESSAGE\nuser: 1001\ncontent-length: 4\n\nhü\n"
        );
        assert_eq!(wire(Command::filter("variable_sidecall", "on")), "filter variable_sidecall on\n\n");
    }

    #[test]
    fn no_argument_begins_another_command() {
        for bad in ["x\n\napi system reboot", "x\r", "x\0y"] {
            let attempts = [
                Command::auth(bad),
                Command::userauth("u", bad),
                Command::userauth(bad, "p"),
                Command::api("echo", &[bad]),
                Command::api(bad, &[]),
                Command::api("uuid_break", &[bad, "all"]),
                Command::bgapi("echo", &[bad], "j"),
                Command::bgapi("echo", &[], bad),
                Command::set_variables(bad, &[("a", "b")]),
                Command::set_variables("u", &[("a", bad)]),
                Command::set_variables("u", &[(bad, "b")]),
                Command::event(&[bad]),
                Command::filter("h", bad),
                Command::filter(bad, "v"),
                Command::execute("set", bad),
                Command::execute(bad, ""),
                Command::sendevent("X", &[("h", bad)], ""),
                Command::sendevent("X", &[(bad, "v")], ""),
                Command::sendevent(bad, &[], ""),
            ];
            for attempt in attempts {
                assert!(attempt.is_err());
            }
        }
    }

    #[test]
    fn a_variable_expands_nothing_and_sets_no_other() {
        for bad in ["a;b=c", "${system(id)}", "{x}", "a\\", "it's", "\"", " a", "a\t"] {
            assert!(Command::set_variables("u", &[("v", bad)]).is_err(), "{bad}");
        }
        for bad in ["", "a=b", "^^:a", "a b"] {
            assert!(Command::set_variables("u", &[(bad, "v")]).is_err(), "{bad}");
        }
        assert!(Command::set_variables("u", &[]).is_err());
        assert!(Command::set_variables("u", &[("v", "1"); 64]).is_err());
    }

    #[test]
    fn an_argument_stays_one_argument() {
        assert!(Command::api("uuid_break", &["uuid other", "all"]).is_err());
        assert!(Command::api("uuid_break", &["", "all"]).is_err());
        assert!(Command::api("chat", &["sip|a|b|two words|text/plain"]).is_ok());
    }

    #[test]
    fn a_password_is_not_shown() {
        let shown = format!("{:?}", Command::userauth("u", "hush").unwrap());
        assert!(!shown.contains("hush"), "{shown}");
    }
}
