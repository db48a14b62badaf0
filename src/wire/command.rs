//! What a command may contain.

/// A command that is not sent, because it is unsafe or the PBX wouldn't read it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// An argument contains a character that would end it, or begin another command.
    #[error("{what} may not contain {found:?}")]
    Forbidden {
        /// Which argument.
        what: &'static str,
        /// The first forbidden character.
        found: char,
    },
    /// An argument is missing, empty or too long, or there are too many.
    #[error("{0}")]
    Invalid(&'static str),
}

/// Refuses line breaks, and characters that are `bad` at this place.
pub(crate) fn refuse(what: &'static str, text: &str, bad: impl Fn(char) -> bool) -> Result<(), CommandError> {
    // NUL would end the PBX's C string early.
    match text.chars().find(|&c| matches!(c, '\r' | '\n' | '\0') || bad(c)) {
        Some(found) => Err(CommandError::Forbidden { what, found }),
        None => Ok(()),
    }
}
