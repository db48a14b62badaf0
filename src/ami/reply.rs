//! The answer to one action.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use super::error::AmiError;
use super::event::{all, fields};
use super::frame::{END_OF_OUTPUT, follows, is_follows};

/// The answer to one action.
#[derive(Clone, PartialEq, Eq)]
pub struct AmiReply {
    fields: Bytes,
    /// A command's output in the form before Asterisk 14; empty otherwise.
    output: Bytes,
}

impl AmiReply {
    pub(super) fn new(mut raw: Bytes) -> Self {
        let at = match is_follows(&raw) {
            true => follows(&raw),
            false => raw.len(),
        };
        let output = raw.split_off(at);
        Self { fields: raw, output }
    }

    /// `false` for `Response: Error`.
    pub fn is_ok(&self) -> bool {
        !self.get("Response").is_some_and(|response| response.eq_ignore_ascii_case("Error"))
    }

    /// Turns a refusal into [`AmiError::Refused`].
    pub fn accepted(self) -> Result<Self, AmiError> {
        if self.is_ok() { Ok(self) } else { Err(AmiError::Refused(self.message().into_owned())) }
    }

    /// `Message`, or the empty string.
    pub fn message(&self) -> Cow<'_, str> {
        self.get("Message").unwrap_or_default()
    }

    /// One field; `None` if the reply doesn't have it.
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let [value] = fields(&self.fields, [name]);
        value
    }

    /// A command's output, with `\n` between lines.
    ///
    /// ```text
    /// Response: Success                       Response: Follows
    /// Message: Command output follows         Privilege: Command
    /// Output: first line                      first line
    /// Output: second line                     second line
    ///                                         --END COMMAND--
    /// ```
    pub fn output(&self) -> String {
        if self.output.is_empty() {
            let lines: Vec<_> = all(&self.fields, "Output").collect();
            return lines.join("\n");
        }
        let text = self.output.trim_ascii_end();
        let text = text.strip_suffix(END_OF_OUTPUT).unwrap_or(text);
        String::from_utf8_lossy(text.trim_ascii_end()).replace("\r\n", "\n")
    }
}

impl fmt::Debug for AmiReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmiReply")
            .field("is_ok", &self.is_ok())
            .field("message", &self.message())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_the_same_in_both_forms() {
        let new = "Response: Success\r\nActionID: 7\r\nMessage: Command output follows\r\n\
                   Output: Name: x\r\nOutput: \r\nOutput: end";
        let old = "Response: Follows\r\nPrivilege: Command\r\nActionID: 7\r\n\
                   Name: x\n\nend\n--END COMMAND--";
        for form in [new, old] {
            let reply = AmiReply::new(Bytes::copy_from_slice(form.as_bytes()));
            assert_eq!(reply.output(), "Name: x\n\nend");
            assert_eq!(reply.get("ActionID").as_deref(), Some("7"));
            assert_eq!(reply.get("Name"), None);
            assert!(reply.is_ok());
        }
    }

    #[test]
    fn a_refusal_says_why() {
        let reply = AmiReply::new(Bytes::from_static(b"Response: Error\r\nMessage: No such channel"));
        assert_eq!(reply.message(), "No such channel");
        assert!(reply.accepted().unwrap_err().is_refused());
    }
}
