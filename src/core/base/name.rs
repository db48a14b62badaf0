//! Names that travel into commands, metrics and pages: short, and of harmless characters only.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("is empty")]
    Empty,
    /// The text is longer than the type allows.
    #[error("is longer than {0} characters")]
    TooLong(usize),
    /// A character outside `A-Z a-z 0-9 . _ - : @` and, for legs, `/`.
    #[error("holds the character {0:?}, which is not allowed")]
    Character(char),
}

fn check(text: &str, max: usize, extra: &[char]) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > max {
        return Err(NameError::TooLong(max));
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || extra.contains(c))) {
        Some(c) => Err(NameError::Character(c)),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $max:expr, $extra:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                check(text, $max, &$extra)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                check(&text, $max, &$extra)?;
                Ok(Self(text.into()))
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.as_str().to_owned()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl utoipa::PartialSchema for $type {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                String::schema()
            }
        }

        impl utoipa::ToSchema for $type {}
    };
}

name!(
    /// A PBX, as the administrator calls it in `[[pbx]]`.
    PbxName, 64, ['.', '_', '-']
);
name!(
    /// A packet trunk: a FreeSWITCH gateway or a PJSIP endpoint.
    TrunkName, 64, ['.', '_', '-']
);
name!(
    /// A tenant of a PBX, as its dialplan calls it: a name or a domain.
    TenantName, 253, ['.', '_', '-']
);
name!(
    /// One channel on a PBX: FreeSWITCH's `Unique-ID`, Asterisk's `Uniqueid`.
    LegId, 150, ['.', '_', '-', ':', '@', '/']
);
name!(
    /// A call, across its legs: made by the node at the decision.
    CallId, 64, ['-']
);
name!(
    /// A client's binding.
    ClientId, 64, ['-']
);
name!(
    /// A device: one installation of a client, with a token of its own.
    DeviceId, 64, ['-']
);
name!(
    /// A page that waits to be enrolled by dialling.
    DialledEnrolmentId, 64, ['-']
);
name!(
    /// An invitation to video, a screen or a file, as the client that sends it calls it.
    InvitationId, 64, ['.', '_', '-']
);
name!(
    /// A session between two devices in a call, as the device that proposes it calls it.
    SessionId, 64, ['.', '_', '-']
);
name!(
    /// An agent, as long as its process runs.
    AgentId, 64, ['-']
);
name!(
    /// Another organisation's node, as the administrator calls it in `[[peer]]`.
    PeerName, 64, ['.', '_', '-']
);
name!(
    /// A telephone operator, as a portability source calls it: a domain, or a code.
    OperatorName, 128, ['.', '_', '-']
);
name!(
    /// A portability source, as the administrator calls it.
    SourceName, 64, ['.', '_', '-']
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_command_would_read_passes() {
        for bad in ["", "a b", "a;b", "a\r\nb", "a|b", "${x}", "a,b", "é", "a\\b", "a'b", "a\"b"] {
            assert!(bad.parse::<LegId>().is_err(), "{bad:?}");
        }
        assert!("PJSIP/anonymous-00000640".parse::<LegId>().is_ok());
        assert!("1795345005.1600".parse::<LegId>().is_ok());
        assert!("x".repeat(65).parse::<TrunkName>().is_err());
    }
}
