//! Typed actions → bytes.
//!
//! A field ends with a line break and an action with an empty line, so a line break in untrusted text would add a field
//! or begin another action. Such text is refused here, so no other code needs to check.

use std::fmt;

use bytes::Bytes;

use super::scrub;
use crate::wire::{CommandError, refuse};

/// Maximum length of a line, in bytes. Asterisk drops a longer one and misreads the rest (`inbuf` in `manager.c`).
const MAX_LINE: usize = 1024;

/// Maximum number of fields that Asterisk reads (`AST_MAX_MANHEADERS` in `manager.h`).
const MAX_FIELDS: usize = 128;

/// One action. It gets its `ActionID` when it is sent. Text that would begin another field or action is refused, and so is
/// text that Asterisk wouldn't read.
#[derive(Clone, PartialEq, Eq)]
pub struct Action {
    name: String,
    /// The fields after `ActionID`, each with its line break.
    fields: String,
    count: usize,
}

impl Action {
    /// An action without fields.
    pub fn new(name: &str) -> Result<Self, CommandError> {
        key("an action's name", name)?;
        Ok(Self::bare(name))
    }

    /// Adds a field. Some keys, such as `Variable`, may be added more than once; `Action` and `ActionID` are ours.
    pub fn with(mut self, name: &str, value: &str) -> Result<Self, CommandError> {
        key("a field's name", name)?;
        refuse("a field's value", value, |_| false)?;
        if name.eq_ignore_ascii_case("ActionID") || name.eq_ignore_ascii_case("Action") {
            return Err(CommandError::Invalid("Action and ActionID are not ours to add"));
        }
        if name.len() + value.len() + 4 > MAX_LINE {
            return Err(CommandError::Invalid("a field is longer than Asterisk reads"));
        }
        self.count += 1;
        // Action and ActionID are fields as well.
        if self.count + 2 > MAX_FIELDS {
            return Err(CommandError::Invalid("more fields than Asterisk reads"));
        }
        self.fields.push_str(&format!("{name}: {value}\r\n"));
        Ok(self)
    }

    /// `Setvar` on a channel, or PBX-wide without one.
    ///
    /// Refuses names with parentheses, which would write a dialplan function. Refuses values with characters that have
    /// a meaning in an application's arguments.
    pub fn set_variable(channel: Option<&str>, name: &str, value: &str) -> Result<Self, CommandError> {
        variable(name, value)?;
        let action = match channel {
            Some(channel) => Self::bare("Setvar").with("Channel", nonempty(channel)?)?,
            None => Self::bare("Setvar"),
        };
        action.with("Variable", name)?.with("Value", value)
    }

    /// `Setvar` of several variables on a channel in one action, using the function `ARRAY`. Fewer actions leave
    /// Asterisk more capacity for calls.
    ///
    /// `ARRAY` splits the values at commas and processes quotes, backslashes, parentheses and brackets
    /// (`__ast_app_separate_args` in `app.c`). All of these are refused, except the brackets of an IPv6 address.
    pub fn set_variables(channel: &str, variables: &[(String, String)]) -> Result<Self, CommandError> {
        if variables.is_empty() {
            return Err(CommandError::Invalid("no variables to set"));
        }
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for (name, value) in variables {
            variable(name, value)?;
            balanced(value)?;
            names.push(name.as_str());
            values.push(value.as_str());
        }
        let action = Self::bare("Setvar").with("Channel", nonempty(channel)?)?;
        action.with("Variable", &format!("ARRAY({})", names.join(",")))?.with("Value", &values.join(","))
    }

    /// `Setvar` of one variable on a channel, whose value is these fields with `|` in between, for the function `CUT`. Each
    /// variable that is set is an event that Asterisk hands to every manager session.
    ///
    /// Refuses in a field what [`Action::set_variables`] refuses in a value.
    pub fn set_fields(channel: &str, name: &str, fields: &[String]) -> Result<Self, CommandError> {
        for field in fields {
            variable(name, field)?;
            balanced(field)?;
        }
        let action = Self::bare("Setvar").with("Channel", nonempty(channel)?)?;
        action.with("Variable", name)?.with("Value", &fields.join("|"))
    }

    /// `Getvar` on a channel, or PBX-wide without one. The reply has the value in `Value`.
    pub fn get_variable(channel: Option<&str>, name: &str) -> Result<Self, CommandError> {
        let action = match channel {
            Some(channel) => Self::bare("Getvar").with("Channel", channel)?,
            None => Self::bare("Getvar"),
        };
        action.with("Variable", name)
    }

    /// `Redirect`: the channel continues at this place in the dialplan.
    pub fn redirect(channel: &str, context: &str, extension: &str, priority: &str) -> Result<Self, CommandError> {
        Self::bare("Redirect")
            .with("Channel", channel)?
            .with("Context", context)?
            .with("Exten", extension)?
            .with("Priority", priority)
    }

    /// `Filter`: adds a filter to this connection, a regular expression. Only events pass that match one of its
    /// filters. With a leading `!`, matching events are dropped.
    pub fn filter(expression: &str) -> Result<Self, CommandError> {
        Self::bare("Filter").with("Operation", "Add")?.with("Filter", expression)
    }

    /// `Command`: a line of the command-line interface.
    pub fn command(line: &str) -> Result<Self, CommandError> {
        Self::bare("Command").with("Command", line)
    }

    /// `CoreShowChannels`, a list.
    pub fn core_show_channels() -> Self {
        Self::bare("CoreShowChannels")
    }

    /// `Ping`: proof of life.
    pub fn ping() -> Self {
        Self::bare("Ping")
    }

    /// `Logoff`: Asterisk closes the connection.
    pub fn logoff() -> Self {
        Self::bare("Logoff")
    }

    /// The bytes that are sent under this id, which must be one word.
    pub fn to_bytes(&self, id: &str) -> Bytes {
        let Self { name, fields, .. } = self;
        format!("Action: {name}\r\nActionID: {id}\r\n{fields}\r\n").into()
    }

    /// Whether Asterisk closes the connection after its answer.
    pub(super) fn exits(&self) -> bool {
        self.name.eq_ignore_ascii_case("Logoff")
    }

    fn bare(name: &str) -> Self {
        Self { name: name.to_owned(), fields: String::new(), count: 0 }
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = scrub(self.fields.as_bytes());
        f.debug_struct("Action")
            .field("name", &self.name)
            .field("fields", &String::from_utf8_lossy(&fields))
            .finish_non_exhaustive()
    }
}

/// Refuses an empty channel, which would make a variable PBX-wide.
fn nonempty(channel: &str) -> Result<&str, CommandError> {
    if channel.is_empty() { Err(CommandError::Invalid("a channel needs a name")) } else { Ok(channel) }
}

/// The name and value of a variable (see [`Action::set_variable`]).
fn variable(name: &str, value: &str) -> Result<(), CommandError> {
    if name.is_empty() {
        return Err(CommandError::Invalid("a variable needs a name"));
    }
    refuse("a variable's name", name, |c| !(c.is_ascii_alphanumeric() || c == '_'))?;
    refuse("a variable's value", value, |c| {
        matches!(c, ',' | ';' | '|' | '$' | '{' | '}' | '\\' | '"') || c.is_control()
    })
}

/// Refuses parentheses, and brackets that aren't those of an IPv6 address.
fn balanced(value: &str) -> Result<(), CommandError> {
    refuse("a variable's value", value, |c| matches!(c, '(' | ')'))?;
    match value.matches('[').count() == value.matches(']').count() {
        true => Ok(()),
        false => Err(CommandError::Invalid("a variable's value has a bracket without its other half")),
    }
}

fn key(what: &'static str, text: &str) -> Result<(), CommandError> {
    if text.is_empty() {
        return Err(CommandError::Invalid("a name is empty"));
    }
    refuse(what, text, |c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '(' | ')')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(action: Result<Action, CommandError>) -> String {
        String::from_utf8(action.unwrap().to_bytes("7").to_vec()).unwrap()
    }

    #[test]
    fn actions_are_written_as_asterisk_reads_them() {
        assert_eq!(
            wire(Action::set_variable(Some("PJSIP/a-1"), "SIDECALL_ROUTE", "packet")),
            "Action: Setvar\r\nActionID: 7\r\nChannel: PJSIP/a-1\r\n\
             Variable: SIDECALL_ROUTE\r\nValue: packet\r\n\r\n"
        );
        assert_eq!(
            wire(Action::redirect("PJSIP/a-1", "inbound", "35551234", "go")),
            "Action: Redirect\r\nActionID: 7\r\nChannel: PJSIP/a-1\r\nContext: inbound\r\n\
             Exten: 35551234\r\nPriority: go\r\n\r\n"
        );
        assert_eq!(wire(Ok(Action::ping())), "Action: Ping\r\nActionID: 7\r\n\r\n");
        let twice =
            Action::new("Originate").and_then(|a| a.with("Variable", "a=1")).and_then(|a| a.with("Variable", "b=2: 3"));
        assert!(wire(twice).contains("Variable: a=1\r\nVariable: b=2: 3\r\n"));
    }

    #[test]
    fn no_field_begins_another_one() {
        for bad in ["x\r\n\r\nAction: Command", "x\ny", "x\r", "x\0"] {
            let attempts = [
                Action::new(bad),
                Action::ping().with("Key", bad),
                Action::ping().with(bad, "value"),
                Action::set_variable(Some(bad), "V", "v"),
                Action::set_variable(None, bad, "v"),
                Action::set_variable(None, "V", bad),
                Action::get_variable(Some(bad), "V"),
                Action::redirect("c", "x", bad, "1"),
                Action::filter(bad),
                Action::command(bad),
            ];
            for attempt in attempts {
                assert!(attempt.is_err());
            }
        }
        assert!(Action::ping().with("A: b", "c").is_err());
        assert!(Action::ping().with("actionid", "1").is_err());
    }

    #[test]
    fn several_variables_go_in_one_action() {
        let set = |values: &[(&str, &str)]| {
            let owned: Vec<_> = values.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            Action::set_variables("PJSIP/a-1", &owned)
        };
        assert_eq!(
            wire(set(&[("A", "packet"), ("B", "https://[2001:db8::1]/a/x")])),
            "Action: Setvar\r\nActionID: 7\r\nChannel: PJSIP/a-1\r\n\
             Variable: ARRAY(A,B)\r\nValue: packet,https://[2001:db8::1]/a/x\r\n\r\n"
        );
        assert!(set(&[]).is_err());
        for bad in ["a,b", "(", ")", "[", "\"", "\\", "${X}"] {
            assert!(set(&[("A", "1"), ("B", bad)]).is_err(), "{bad}");
        }
        assert!(set(&[("A)", "1")]).is_err());
    }

    #[test]
    fn fields_go_in_one_variable() {
        let set = |fields: &[&str]| {
            let owned: Vec<_> = fields.iter().map(|field| (*field).to_owned()).collect();
            Action::set_fields("PJSIP/a-1", "A", &owned)
        };
        assert_eq!(
            wire(set(&["packet", "", "https://[2001:db8::1]/a/x"])),
            "Action: Setvar\r\nActionID: 7\r\nChannel: PJSIP/a-1\r\n\
             Variable: A\r\nValue: packet||https://[2001:db8::1]/a/x\r\n\r\n"
        );
        for bad in ["a|b", "a,b", "(", ")", "[", "\"", "\\", "${X}", "a\r\nb"] {
            assert!(set(&["1", bad]).is_err(), "{bad}");
        }
        assert!(Action::set_fields("", "A", &["1".to_owned()]).is_err());
        assert!(Action::set_fields("PJSIP/a-1", "A)", &["1".to_owned()]).is_err());
    }

    #[test]
    fn a_variable_expands_nothing_and_writes_no_function() {
        for bad in ["${SHELL(id)}", "a,b", "a\\", "\"", "a;b", "a|b"] {
            assert!(Action::set_variable(None, "V", bad).is_err(), "{bad}");
        }
        for bad in ["", "SHELL(id)", "a b", "a=b"] {
            assert!(Action::set_variable(None, bad, "v").is_err(), "{bad}");
        }
        assert!(Action::set_variable(Some(""), "V", "v").is_err());
    }

    #[test]
    fn what_asterisk_would_not_read_is_not_sent() {
        assert!(Action::ping().with("K", &"x".repeat(1019)).is_ok());
        assert!(Action::ping().with("K", &"x".repeat(1020)).is_err());
        let many = (0..127).try_fold(Action::ping(), |action, _| action.with("Variable", "a=1"));
        assert!(many.is_err());
    }
}
