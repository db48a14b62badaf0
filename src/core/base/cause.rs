//! Why something failed.

use std::error::Error;

/// What the innermost error says: the outer ones, those of an HTTP client above all, only say that something failed.
pub fn cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
