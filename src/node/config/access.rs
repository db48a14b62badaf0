//! `[[node.agent]]`: agents' tokens that are bound to their PBXs.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

use crate::core::name::PbxName;
use crate::core::secret::Secret;
use crate::node::server::fits;
use crate::node::{NodeError, Problem};
use crate::store::credential_hash;

/// One agent's token.
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

/// The PBXs that an agent may speak for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::node) enum Scope {
    /// All: the token of `agent_token_file`.
    All,
    /// These.
    Only(Arc<BTreeSet<PbxName>>),
}

impl Scope {
    pub(in crate::node) fn covers(&self, pbx: &PbxName) -> bool {
        match self {
            Scope::All => true,
            Scope::Only(pbxs) => pbxs.contains(pbx),
        }
    }

    /// Refuses what is said for another PBX.
    pub(in crate::node) fn check(&self, pbx: &PbxName) -> Result<(), Problem> {
        let refused = || Problem::forbidden(format!("the token is not for the PBX {pbx}"));
        self.covers(pbx).then_some(()).ok_or_else(refused)
    }
}

impl AgentAccess {
    /// The token, if everything fits.
    fn checked(&self) -> Result<&str, &'static str> {
        let token = self.token.as_ref().ok_or("set token_file (or token)")?.expose().trim();
        fits(token)?;
        if self.pbxs.is_empty() {
            return Err("pbxs: name at least one PBX");
        }
        Ok(token)
    }
}

/// Looks for values that can't work.
pub(in crate::node) fn check(agents: &[AgentAccess]) -> Result<(), NodeError> {
    scopes(agents, |_| false).map(drop)
}

/// The scopes of the configured tokens, by the tokens' hashes. `is_taken`: the token is somebody else's too.
pub(in crate::node) fn scopes(
    agents: &[AgentAccess],
    is_taken: impl Fn(&[u8; 32]) -> bool,
) -> Result<HashMap<[u8; 32], Scope>, NodeError> {
    let mut scopes = HashMap::new();
    for (n, agent) in agents.iter().enumerate() {
        let wrong = |reason: &str| NodeError::Config { key: "node.agent", reason: format!("no. {}: {reason}", n + 1) };
        let hash = credential_hash(agent.checked().map_err(wrong)?);
        if is_taken(&hash) || scopes.insert(hash, Scope::Only(Arc::new(agent.pbxs.clone()))).is_some() {
            return Err(wrong("the token is somebody else's too"));
        }
    }
    Ok(scopes)
}
