//! `sidecall.toml`: every key, its default and its check.
//!
//! Each room defines its own part. This one reads the file, applies overrides from the environment, reads secrets
//! from their files, and reports errors before anything binds.

mod environment;
mod error;
#[doc(hidden)]
pub mod fuzz;

pub use error::ConfigError;

use std::path::Path;

use serde::Deserialize;
use toml::de::{DeTable, Deserializer};

use crate::agent::{AgentConfig, PbxConfig};
use crate::core::base::secret::Secret;
use crate::node::{BootstrapTokens, NodeConfig, PeerConfig};
use environment::Environment;

/// The whole file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The service node.
    pub node: NodeConfig,
    /// The agent.
    pub agent: AgentConfig,
    /// The PBXs that the agent attaches to.
    pub pbx: Vec<PbxConfig>,
    /// Other organisations' nodes; loading moves them to `node.peers`.
    peer: Vec<PeerConfig>,
    /// The node's own tokens, read from their files.
    #[serde(skip)]
    pub tokens: BootstrapTokens,
}

/// Passwords that everybody knows.
const DEFAULT_PASSWORDS: &[&str] = &["ClueCon", "CHANGE-ME", "changeme", "password", "secret"];

/// The default path of the file.
pub const DEFAULT_PATH: &str = "/etc/sidecall/sidecall.toml";

impl Config {
    /// Reads a configuration. Fails if the file can't be read, or a key or value is wrong.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::File { path: path.to_owned(), error })?;
        Config::from_text(&text, path)
    }

    fn from_text(text: &str, path: &Path) -> Result<Config, ConfigError> {
        let mut config = Config::parse(text, path, &Environment::of_process())?;
        config.read_secrets(path)?;
        config.check(path)?;
        Ok(config)
    }

    /// Parses the text only: reads no secrets, and skips checks that span several keys.
    fn parse(text: &str, path: &Path, environment: &Environment) -> Result<Config, ConfigError> {
        let mut table = DeTable::parse(text).map_err(|error| ConfigError::syntax(path, text, &error))?;
        let overlaid = environment.overlay(table.get_mut());
        let mut config: Config = serde_path_to_error::deserialize(Deserializer::from(table))
            .map_err(|error| ConfigError::key(path, text, &overlaid, &error))?;
        config.node.peers = std::mem::take(&mut config.peer);
        config.own_domains();
        config.trunks();
        let base = path.parent().unwrap_or(Path::new("."));
        config.locate(base);
        Ok(config)
    }

    /// Resolves a path relative to the configuration file.
    fn locate(&mut self, base: &Path) {
        let node = &mut self.node;
        let tls = node.tls.iter_mut().flat_map(|tls| {
            let required = [&mut tls.cert, &mut tls.key].into_iter();
            required.chain(&mut tls.client_ca)
        });
        let peers = node.peers.iter_mut().flat_map(|peer| {
            let tokens = [&mut peer.token_file, &mut peer.accept_token_file];
            tokens.into_iter().chain([&mut peer.ca_file, &mut peer.client_cert, &mut peer.client_key])
        });
        let tokens = [&mut node.admin_token_file, &mut node.agent_token_file, &mut self.agent.token_file];
        let tokens = tokens.into_iter().chain([&mut node.ice.secret_file]);
        let sources = node.lnp.source.iter_mut().map(|source| &mut source.token_file);
        let agents = node.agent.iter_mut().map(|agent| &mut agent.token_file);
        let pbxs = self.pbx.iter_mut().flat_map(|pbx| [&mut pbx.password_file, &mut pbx.tls_ca_file]);
        let optional = tokens.chain(sources).chain(agents).chain(pbxs).chain(peers).flatten();
        for path in tls.chain(optional) {
            *path = base.join(&path);
        }
        node.database = node.database.clone().below(base);
    }

    /// The domains of the PBXs' extensions, which softphones use in their `sip:` addresses.
    fn own_domains(&mut self) {
        for context in self.pbx.iter().flat_map(PbxConfig::contexts) {
            self.node.clients.own(context.as_str());
        }
    }

    /// The endpoints that are known to be trunks, which have no clients.
    fn trunks(&mut self) {
        let routing = &self.node.routing;
        let packet = routing.trunk.iter().chain(routing.pbx.values().filter_map(|pbx| pbx.trunk.as_ref()));
        let names =
            packet.map(ToString::to_string).chain(self.pbx.iter().filter_map(|pbx| pbx.message_endpoint.clone()));
        self.node.clients.trunks = names.collect();
    }

    fn read_secrets(&mut self, config: &Path) -> Result<(), ConfigError> {
        let files = [
            ("agent.token_file".to_owned(), &mut self.agent.token, &self.agent.token_file),
            ("node.ice.secret_file".to_owned(), &mut self.node.ice.secret, &self.node.ice.secret_file),
            ("node.agent_token_file".to_owned(), &mut self.tokens.agent, &self.node.agent_token_file),
            ("node.admin_token_file".to_owned(), &mut self.tokens.admin, &self.node.admin_token_file),
        ];
        let passwords = self.pbx.iter_mut().map(|pbx| {
            let key = format!("pbx {}: password_file", pbx.name);
            (key, &mut pbx.password, &pbx.password_file)
        });
        let sources = self.node.lnp.source.iter_mut().map(|source| {
            let key = format!("node.lnp.source {}: token_file", source.name);
            (key, &mut source.token, &source.token_file)
        });
        let agents = self.node.agent.iter_mut().enumerate().map(|(n, agent)| {
            let key = format!("[[node.agent]] no. {}: token_file", n + 1);
            (key, &mut agent.token, &agent.token_file)
        });
        let tokens = self.node.peers.iter_mut().flat_map(|peer| {
            let key = |name: &str| format!("peer {}: {name}", peer.name);
            [
                (key("token_file"), &mut peer.token, &peer.token_file),
                (key("accept_token_file"), &mut peer.accept_token, &peer.accept_token_file),
            ]
        });
        for (key, secret, file) in files.into_iter().chain(passwords).chain(sources).chain(agents).chain(tokens) {
            let Some(path) = file else { continue };
            let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Key {
                path: config.display().to_string(),
                problem: format!("{key}: {} can't be read: {error}", path.display()),
            })?;
            *secret = Some(text.trim_end_matches(['\r', '\n']).to_owned().into());
        }
        Ok(())
    }

    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let wrong = |problem: String| Err(ConfigError::Key { path: path.display().to_string(), problem });
        if let Err(error) = self.node.check() {
            return wrong(error.to_string());
        }
        if let Err(problem) = self.agent.check() {
            return wrong(format!("agent.{problem}"));
        }
        let (asking, deciding) = (self.node.lnp.deadline_ms, self.agent.decides_within().as_millis());
        if !self.node.lnp.source.is_empty() && u128::from(asking) >= deciding {
            return wrong(format!(
                "node.lnp.deadline_ms: {asking} leaves no time for the decision, which has {deciding} ms of agent.deadline_ms"
            ));
        }
        for (n, pbx) in self.pbx.iter().enumerate() {
            let name = &pbx.name;
            let port = pbx.address.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then_some(port));
            if !port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0)) {
                return wrong(format!("pbx {name}: address: write {:?} as HOST:PORT", pbx.address));
            }
            if self.pbx[..n].iter().any(|other| other.name == *name) {
                return wrong(format!("pbx.name: two PBXs are called {name}"));
            }
            match pbx.password.as_ref().map(Secret::expose) {
                None | Some("") => return wrong(format!("pbx {name}: set password_file (or password)")),
                Some(known) if DEFAULT_PASSWORDS.contains(&known) => {
                    return wrong(format!(
                        "pbx {name}: the password is a well-known default; change it on the PBX first"
                    ));
                }
                Some(_) => {}
            }
            let endpoint = pbx.endpoint().check().map_err(|error| error.to_string());
            if let Err(problem) = endpoint.and_then(|()| pbx.check_plan()) {
                return wrong(format!("pbx {name}: {problem}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        Config::from_text(text, Path::new("sidecall.toml")).unwrap_err().to_string()
    }

    const PBX: &str = r#"
        [[pbx]]
        name = "fs"
        kind = "freeswitch"
        address = "127.0.0.1:8021"
        context = "pbx.a.example"
        password = "x1y2z3"
    "#;

    #[test]
    fn an_empty_file_is_a_configuration() {
        assert!(Config::from_text("", Path::new("x")).unwrap().pbx.is_empty());
    }

    #[test]
    fn an_unknown_kind_of_pbx_is_told_the_others() {
        let said = problem(&PBX.replace("freeswitch", "frEEswitch"));
        assert!(said.contains("kind") && said.contains("asterisk"), "{said}");
    }

    #[test]
    fn default_passwords_are_refused() {
        let said = problem(&PBX.replace("x1y2z3", "ClueCon"));
        assert!(said.contains("well-known") && said.contains("fs"), "{said}");
        let said = problem(&PBX.replace("password = \"x1y2z3\"", ""));
        assert!(said.contains("password_file"), "{said}");
    }

    #[test]
    fn two_pbxs_of_one_name_are_refused() {
        assert!(problem(&format!("{PBX}{PBX}")).contains("two PBXs"));
    }

    #[test]
    fn peers_are_checked_and_named() {
        let peer = |rest: &str| format!("[[peer]]\nname = \"b\"\nurl = \"https://node.b.example\"\n{rest}");
        let config = Config::from_text(&peer("prefixes = [\"+1310555\"]"), Path::new("x")).unwrap();
        assert_eq!(config.node.peers[0].name.as_str(), "b");
        for (rest, said) in [
            ("prefixes = [\"1310\"]", "[[peer]] no. 1: prefixes"),
            ("trunc = \"x\"", "trunc"),
            ("client_cert = \"x.pem\"", "peer: b: client_cert and client_key"),
            ("certificate = \"node.b.example\"", "peer: b: certificate: needs client_ca"),
            ("token_file = \"no-such-file\"", "peer b: token_file"),
            (&peer(""), "two peers are called b"),
        ] {
            let problem = problem(&peer(rest));
            assert!(problem.contains(said), "{rest}: {problem}");
        }
        let plain = problem(&peer("").replace("https", "http"));
        assert!(plain.contains("must begin with https:"), "{plain}");
    }

    #[test]
    fn a_secret_file_that_is_not_there_is_named() {
        let said = problem("[agent]\ntoken_file = \"no-such-token\"");
        assert!(said.starts_with("sidecall.toml: agent.token_file: ") && said.contains("no-such-token"), "{said}");
    }

    #[test]
    fn portability_that_cant_work_is_named() {
        let source = "[[node.lnp.source]]\nname = \"x\"\nkind = \"http\"\n";
        assert!(problem(&source.replace("http", "dns")).contains("[[node.lnp.source]] no. 1: kind"));
        assert!(problem(source).contains("node.lnp.source x: url"));
        let source = format!("{source}url = \"https://lnp.example/{{number}}\"\n");
        let said = problem(&format!("{source}token_file = \"no-such\"\n"));
        assert!(said.contains("node.lnp.source x: token_file: ") && said.contains("no-such"), "{said}");
        let said = problem(&format!("[node.lnp]\ndeadline_ms = 400\n{source}"));
        assert!(said.contains("node.lnp.deadline_ms: 400") && said.contains("400 ms of agent.deadline_ms"), "{said}");
        // A second node is asked in the time that the first one leaves.
        let nodes = "[agent]\nnodes = [\"https://a.example\", \"https://b.example\"]\n";
        let said = problem(&format!("[node.lnp]\ndeadline_ms = 240\n{source}{nodes}"));
        assert!(said.contains("node.lnp.deadline_ms: 240") && said.contains("240 ms of agent.deadline_ms"), "{said}");
    }

    #[test]
    fn values_that_cant_work_are_named_before_anything_is_made() {
        let said = problem("[node]\npublic_url = \"http://node.example\"");
        assert!(said.starts_with("sidecall.toml: node.public_url: "), "{said}");
        let said = problem("[node]\norigins = [\"https://crm.example\", \"*\"]");
        assert!(said.contains("[[node.origins]] no. 2: \"*\" would let"), "{said}");
        let said = problem("[node]\nlisten = \"localhost:8600\"");
        assert!(said.contains("node.listen") && said.contains("127.0.0.1:8600"), "{said}");
        for address in ["192.0.2.1", ":8021", "192.0.2.1:x", "192.0.2.1:0"] {
            let said = problem(&PBX.replace("127.0.0.1:8021", address));
            assert!(said.contains("pbx fs: address"), "{said}");
        }
        let said = problem(&PBX.replace("pbx.a.example", "a b"));
        assert!(said.contains("[[pbx]] no. 1: context: "), "{said}");
    }

    #[test]
    fn number_rules_that_cant_be_are_named() {
        let rule = |table: &str, extension: &str, number: &str| {
            format!("[[{table}]]\nextension = \"{extension}\"\nnumber = \"{number}\"\n")
        };
        let map = |extension: &str, number: &str| rule("pbx.map", extension, number);
        let tenant = |keys: &str| format!("[[pbx.tenant]]\n{keys}\n");
        let (acme, beta) = (tenant("name = \"acme.example\""), tenant("name = \"beta.example\""));
        let shared = rule("pbx.tenant.map", "1001", "+12125551001");
        for (rules, named) in [
            ("outside_prefix = \"nine\"".to_owned(), "[[pbx]] no. 1: outside_prefix: "),
            ("outside_numbers = \"local\"".to_owned(), "[[pbx]] no. 1: outside_numbers: "),
            ("withheld = [\"nobody\"]".to_owned(), "pbx fs: withheld: "),
            (map("1XXX", "+1212555XX"), "[[pbx]] no. 1: map: no. 1: "),
            (map("1XXX", "+12125551XXX") + &map("1001", "+12125550000"), "pbx fs: map: one extension"),
            (map("1XXX", "+12125551XXX") + &map("2001", "+12125551001"), "pbx fs: map: one number"),
            (map("1XXX", "+12125551XXX") + &acme, "pbx fs: map: "),
            (tenant("name = \"acme\""), "pbx fs: tenant acme: context: "),
            (tenant("name = \"a b\""), "[[pbx]] no. 1: tenant: no. 1: name: "),
            (acme.clone() + &tenant("name = \"a\"\ncontext = \"acme.example\""), "pbx fs: tenant a: "),
            (acme.clone() + &shared + &beta + &shared, "pbx fs: map: one number"),
            ("endpoints = [\"sip-XXXX\"]\n".to_owned(), "pbx fs: endpoints: only for an Asterisk"),
        ] {
            let said = problem(&format!("{PBX}{rules}"));
            assert!(said.contains(named), "{rules}: {said}");
        }
        let other = rule("pbx.tenant.map", "1001", "+12125552001");
        let both = Config::from_text(&format!("{PBX}{acme}{shared}{beta}{other}"), Path::new("x")).unwrap();
        assert!(both.pbx[0].plan().has("beta.example"));
    }

    #[test]
    fn names_of_phones_that_cant_be_are_named() {
        let pbx = PBX.replace("freeswitch", "asterisk");
        let endpoints = |rules: &[&str]| format!("endpoints = {rules:?}\n");
        let tenant = |name: &str, rules: &[&str]| {
            format!("[[pbx.tenant]]\nname = \"{name}\"\ncontext = \"{name}.example\"\n{}", endpoints(rules))
        };
        let acme = tenant("acme", &["acme-XXXX"]);
        for (rules, named) in [
            (endpoints(&["phone"]), "[[pbx]] no. 1: endpoints: no. 1: \"phone\" doesn't say which extension"),
            (endpoints(&["a b = 1001"]), "[[pbx]] no. 1: endpoints: no. 1: \"a b\""),
            (tenant("acme", &["acme-XX = X"]), "[[pbx]] no. 1: tenant: no. 1: endpoints: no. 1: "),
            (
                endpoints(&["sip-XXXXXXX"]),
                "pbx fs: endpoints: \"sip-XXXXXXX = XXXXXXX\": an extension has at most 6 digits",
            ),
            (
                acme.clone() + "extension_digits = 3\n",
                "pbx fs: endpoints: \"acme-XXXX = XXXX\": an extension has at most 3",
            ),
            (endpoints(&["sip-XXXX", "sip-1001 = 5"]), "pbx fs: endpoints: one phone would be two: "),
            (acme.clone() + &tenant("beta", &["acme-XXXX"]), "pbx fs: endpoints: one phone would be two: "),
            (endpoints(&["sip-XXXX"]) + &acme, "pbx fs: endpoints: where there are tenants"),
        ] {
            let said = problem(&format!("{pbx}{rules}"));
            assert!(said.contains(named), "{rules}: {said}");
        }
        let both =
            Config::from_text(&format!("{pbx}{acme}{}", tenant("beta", &["XXXX_beta"])), Path::new("x")).unwrap();
        let endpoints = both.pbx[0].endpoints();
        let whose = |name: &str| endpoints.read(name).map(|(number, tenant)| (number, tenant.unwrap().to_string()));
        assert_eq!(whose("acme-1001"), Some(("1001".to_owned(), "acme".to_owned())));
        assert_eq!(whose("1001_beta"), Some(("1001".to_owned(), "beta".to_owned())));
        assert_eq!(whose("1001"), None);
    }
}
