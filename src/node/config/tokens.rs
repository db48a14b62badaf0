//! The tokens of the configuration: the administrator's, the agents', and those that are bound to some PBXs.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use serde::Deserialize;

use crate::core::base::name::PbxName;
use crate::core::base::secret::Secret;
use crate::node::NodeError;

/// Why a token that was given twice is refused.
pub(in crate::node) const SHARED: &str = "the token is somebody else's too";

/// The tokens that the configuration brings along.
#[derive(Debug, Clone, Default)]
pub struct BootstrapTokens {
    /// The administrator's.
    pub admin: Option<Secret>,
    /// The agents'.
    pub agent: Option<Secret>,
}

/// `[[node.agent]]`: one agent's token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentAccess {
    /// The file that holds the token.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// The token itself.
    #[serde(default)]
    pub token: Option<Secret>,
    /// The PBXs that its holder may speak for.
    pub pbxs: BTreeSet<PbxName>,
}

impl AgentAccess {
    /// The token, if everything fits.
    pub(in crate::node) fn checked(&self) -> Result<&str, &'static str> {
        let token = self.token.as_ref().ok_or("set token_file (or token)")?.expose().trim();
        fits(token)?;
        if self.pbxs.is_empty() {
            return Err("pbxs: name at least one PBX");
        }
        Ok(token)
    }

    /// What is wrong with the table of this index.
    pub(in crate::node) fn error(index: usize, reason: &str) -> NodeError {
        NodeError::Config { key: "node.agent", reason: format!("no. {}: {reason}", index + 1) }
    }
}

/// Checks for values that can't work.
pub(in crate::node) fn check(agents: &[AgentAccess]) -> Result<(), NodeError> {
    let mut tokens = HashSet::new();
    for (n, agent) in agents.iter().enumerate() {
        let wrong = |reason| AgentAccess::error(n, reason);
        if !tokens.insert(agent.checked().map_err(wrong)?) {
            return Err(wrong(SHARED));
        }
    }
    Ok(())
}

/// What a token has to be.
pub(in crate::node) fn fits(token: &str) -> Result<(), &'static str> {
    if token.len() >= 16 && token.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    Err("a token is at least 16 characters of printable ASCII without spaces")
}
