//! The answer to one action.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use super::error::AmiError;
use super::event::{all, fields};

/// The answer to one action.
#[derive(Clone, PartialEq, Eq)]
pub struct AmiReply {
    raw: Bytes,
}

impl AmiReply {
    pub(super) fn new(raw: Bytes) -> Self {
        Self { raw }
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
        let [value] = fields(&self.raw, [name]);
        value
    }

    /// A command's output, with `\n` between lines.
    ///
    /// ```text
    /// Response: Success
    /// Message: Command output follows
    /// Output: first line
    /// Output: second line
    /// ```
    pub fn output(&self) -> String {
        let lines: Vec<_> = all(&self.raw, "Output").collect();
        lines.join("\n")
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
    fn output_that_looks_like_fields_is_output() {
        let text = "Response: Success\r\nActionID: 7\r\nMessage: Command output follows\r\n\
                    Output: Name: x\r\nOutput: \r\nOutput: end";
        let reply = AmiReply::new(Bytes::from_static(text.as_bytes()));
        assert_eq!(reply.output(), "Name: x\n\nend");
        assert_eq!(reply.get("ActionID").as_deref(), Some("7"));
        assert_eq!(reply.get("Name"), None);
        assert!(reply.is_ok());
    }

    #[test]
    fn a_refusal_says_why() {
        let reply = AmiReply::new(Bytes::from_static(b"Response: Error\r\nMessage: No such channel"));
        assert_eq!(reply.message(), "No such channel");
        assert!(reply.accepted().unwrap_err().is_refused());
    }
}
