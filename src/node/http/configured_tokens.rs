//! The tokens of the configuration, which are recognised without asking the database.

use std::collections::HashMap;
use std::sync::Arc;

use crate::core::base::secret::Secret;
use crate::node::NodeError;
use crate::node::config::NodeConfig;
use crate::node::config::tokens::{AgentAccess, BootstrapTokens, SHARED, fits};
use crate::node::http::auth::{Identity, Scope};
use crate::store::{Store, TokenRole, credential_hash};

/// Owners of the configured tokens, by token hash.
#[derive(Default)]
pub(in crate::node) struct ConfiguredTokens(HashMap<[u8; 32], Identity>);

impl ConfiguredTokens {
    /// Takes the configuration's tokens over. Those of administrator and agents are kept hashed in the database too. Those of
    /// peers and of some PBXs' agents are not.
    pub(in crate::node) async fn new(
        config: &NodeConfig,
        bootstrap: &BootstrapTokens,
        store: &Store,
    ) -> Result<ConfiguredTokens, NodeError> {
        let mut known = ConfiguredTokens::default();
        let given = [
            ("config-admin", "node.admin_token_file", TokenRole::Admin, &bootstrap.admin),
            ("config-agent", "node.agent_token_file", TokenRole::Agent, &bootstrap.agent),
        ];
        for (name, key, role, token) in given {
            let wrong = |reason: &str| NodeError::Config { key, reason: reason.to_owned() };
            let add = |token: &Secret| known.add(token.expose().trim(), role.into(), "the two tokens must differ");
            let hash = token.as_ref().map(add).transpose().map_err(wrong)?;
            // Without a token, whoever has the one of before is not let in by its hash in the database.
            store.put_token(role, name, hash).await?;
        }
        for peer in &config.peers {
            let Some(token) = peer.accept_token.as_ref().map(|token| token.expose().trim()) else { continue };
            let reason = |reason| format!("{}: accept_token: {reason}", peer.name);
            let wrong = |error| NodeError::Config { key: "peer", reason: reason(error) };
            known.add(token, Identity::Peer(peer.name.clone()), SHARED).map_err(wrong)?;
        }
        for (n, agent) in config.agent.iter().enumerate() {
            let wrong = |reason| AgentAccess::error(n, reason);
            let scope = Scope::Only(Arc::new(agent.pbxs.clone()));
            known.add(agent.checked().map_err(wrong)?, Identity::Agent(scope), SHARED).map_err(wrong)?;
        }
        Ok(known)
    }

    /// Returns the token's hash, or why it can't be used.
    fn add(&mut self, token: &str, whose: Identity, shared: &'static str) -> Result<[u8; 32], &'static str> {
        fits(token)?;
        let hash = credential_hash(token);
        self.0.insert(hash, whose).map_or(Ok(hash), |_| Err(shared))
    }

    pub(super) fn identity(&self, hash: &[u8; 32]) -> Option<Identity> {
        self.0.get(hash).cloned()
    }
}
