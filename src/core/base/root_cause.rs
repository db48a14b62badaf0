//! Why something failed.

use std::error::Error;

/// The text of the innermost error. Outer ones, above all an HTTP client's, only say that something failed.
pub fn cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
