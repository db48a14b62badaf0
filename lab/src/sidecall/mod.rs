//! `sidecall run` beside a PBX of the lab: a real process with a configuration of its own.

pub mod age;
pub mod browser;
pub mod clients;
pub mod surroundings;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::net::ports;
use crate::pbx::conf;
use crate::process::{Child, folder, wait_until};
use crate::sidecall::surroundings::Surroundings;
use crate::{Kind, LabError, Pbx, Result};

pub const PBX: &str = "lab";
pub const ADMIN: &str = "admin-token-of-the-laboratory";
const AGENT: &str = "agent-token-of-the-laboratory";

/// What differs from the sample configuration.
#[derive(Debug, Clone, Default)]
pub struct SidecallConfig {
    /// Where the event socket is reached, if not at the PBX itself: a proxy.
    pub event_addr: Option<SocketAddr>,
    /// Where the agent looks for its node, if not in the same process: a proxy, or one or several other processes.
    pub nodes: Vec<SocketAddr>,
    /// The URL of the node's database, if it has no file of its own.
    pub database: Option<String>,
    /// FreeSWITCH: `direct` mode, listening here instead of where the PBX connects to: behind a proxy.
    pub direct: Option<SocketAddr>,
    pub no_trunk: bool,
    /// Asterisk: speak TLS.
    pub tls: bool,
    /// Where the node listens, if others have to know it before it starts.
    pub http: Option<SocketAddr>,
    pub node_lines: String,
    pub clients_lines: String,
    pub routing_lines: String,
    pub pbx_lines: String,
    /// More lines at the end: another `[[pbx]]` (see `pbx_entry`), a `[[peer]]`.
    pub more: String,
    /// Files that those lines name, beside `sidecall.toml`.
    pub files: Vec<(String, String)>,
    pub https: Option<Https>,
    pub surroundings: Surroundings,
}

/// A node's certificate, and who believes it; everything PEM.
#[derive(Debug, Clone)]
pub struct Https {
    pub certificate: String,
    pub key: String,
    /// The file with the CA of peers that show a certificate.
    pub client_ca: Option<&'static str>,
    /// The only CA that this machine's system knows: that of the node.
    pub own_ca: String,
    /// Those that the systems of clients know.
    pub all_cas: String,
}

/// Who is believed on the machine of agent and node, and on those of clients (`SSL_CERT_FILE`).
const OWN_CA: &str = "own-ca.pem";
const ALL_CAS: &str = "all-cas.pem";

/// A running `sidecall`. Dropping it kills it and removes its folder.
#[derive(Debug)]
pub struct Sidecall {
    child: Child,
    surroundings: Surroundings,
    dir: TempDir,
    role: &'static str,
    pub http: SocketAddr,
    scheme: &'static str,
    client: reqwest::blocking::Client,
}

/// The binary under test: the one that `SIDECALL_BINARY` names, else the one that cargo has built with the tests. An
/// example isn't told where that is: cargo puts it beside the folder of the examples.
pub fn binary() -> PathBuf {
    if let Some(path) = ["SIDECALL_BINARY", "CARGO_BIN_EXE_sidecall"].into_iter().find_map(std::env::var_os) {
        return path.into();
    }
    let here = std::env::current_exe().expect("the path of this program");
    let binary = here.parent().and_then(Path::parent).expect("a folder of cargo's").join("sidecall");
    assert!(binary.is_file(), "{} is missing: cargo build --bin sidecall", binary.display());
    binary
}

/// The domain in which the extensions of a PBX of the lab are valid.
pub fn domain(pbx: &Pbx) -> String {
    match pbx.kind() {
        Kind::Asterisk => pbx.config().plan.context.to_owned(),
        Kind::FreeSwitch => pbx.console("global_getvar domain").trim().to_owned(),
    }
}

impl Sidecall {
    /// Starts agent and node in one process, and waits until the PBX is attached.
    pub fn start(pbx: &Pbx) -> Result<Sidecall> {
        Sidecall::start_with(pbx, &SidecallConfig::default())
    }

    pub fn start_with(pbx: &Pbx, config: &SidecallConfig) -> Result<Sidecall> {
        let mut sidecall = Sidecall::launch(pbx, config, "run")?;
        sidecall.wait_until_attached()?;
        Ok(sidecall)
    }

    /// Starts one role; doesn't wait for a link.
    pub fn launch(pbx: &Pbx, config: &SidecallConfig, role: &'static str) -> Result<Sidecall> {
        let dir = folder("run-")?;
        let http = config.http.unwrap_or_else(ports::local);
        conf::write(&dir.path().join("admin.token"), ADMIN)?;
        conf::write(&dir.path().join("agent.token"), AGENT)?;
        conf::write(&dir.path().join("pbx.password"), pbx.event_secret())?;
        for (name, text) in &config.files {
            conf::write(&dir.path().join(name), text)?;
        }
        if let Some(https) = &config.https {
            let Https { certificate, key, own_ca, all_cas, .. } = https;
            for (name, text) in [("node.crt", certificate), ("node.key", key), (OWN_CA, own_ca), (ALL_CAS, all_cas)] {
                conf::write(&dir.path().join(name), text)?;
            }
        }
        conf::write(&dir.path().join("sidecall.toml"), &configuration(pbx, config, http))?;
        Sidecall::begin(dir, http, config, role)
    }

    /// Starts agent and node with the configuration in a folder, whose node listens there, and waits until the PBX
    /// is attached.
    pub fn in_folder(dir: TempDir, http: SocketAddr) -> Result<Sidecall> {
        let mut sidecall = Sidecall::begin(dir, http, &SidecallConfig::default(), "run")?;
        sidecall.wait_until_attached()?;
        Ok(sidecall)
    }

    fn begin(dir: TempDir, http: SocketAddr, config: &SidecallConfig, role: &'static str) -> Result<Sidecall> {
        let child = spawn(dir.path(), role, &config.surroundings)?;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = reqwest::blocking::Client::builder().timeout(Duration::from_secs(10)).no_proxy();
        if let Some(https) = &config.https {
            let cas = reqwest::Certificate::from_pem_bundle(https.all_cas.as_bytes()).expect("certificates");
            client = client.tls_certs_only(cas);
        }
        let client = client.build().map_err(|e| LabError::Missing(format!("an HTTP client: {e}")))?;
        let scheme = scheme(config);
        let mut sidecall =
            Sidecall { child, surroundings: config.surroundings.clone(), dir, role, http, scheme, client };
        if role != "agent" {
            sidecall.child.wait_for_port(http, Duration::from_secs(10))?;
        }
        Ok(sidecall)
    }

    /// Starts it again with the same folder, as systemd does: without waiting for it. A process that still runs is
    /// killed first.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        self.child.kill();
        self.child = spawn(self.dir.path(), self.role, &self.surroundings)?;
        Ok(())
    }

    /// Starts it again with the same folder: the same database and tokens.
    pub fn restart(&mut self) -> Result<()> {
        self.start_again()?;
        if self.role != "agent" {
            self.child.wait_for_port(self.http, Duration::from_secs(10))?;
        }
        Ok(())
    }

    /// Makes its calls older by so many seconds, as if it had been down meanwhile.
    pub fn age(&mut self, seconds: i64) -> Result<()> {
        self.child.terminate(Duration::from_secs(5));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let aged = runtime
            .map(|runtime| runtime.block_on(crate::sidecall::age::age(&self.dir().join("sidecall.db"), seconds)));
        aged.map_err(LabError::io("a runtime"))?.expect("calls in the database");
        self.restart()
    }

    pub fn wait_until_attached(&mut self) -> Result<()> {
        let up = || {
            let status = self.get("/v1/status");
            let all_up = |pbxs: &Vec<Value>| !pbxs.is_empty() && pbxs.iter().all(|p| p["link"] == "up");
            status["pbxs"].as_array().is_some_and(all_up)
        };
        if wait_until(Duration::from_secs(15), up) {
            return Ok(());
        }
        Err(LabError::Late { what: "not attached".into(), seconds: 15, log: self.child.log() })
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    pub fn log(&self) -> String {
        self.child.log()
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.http)
    }

    /// The CAs that a client's machine knows, where the node has a certificate of its own.
    pub fn cas(&self) -> Option<PathBuf> {
        Some(self.dir().join(ALL_CAS)).filter(|file| file.is_file())
    }

    pub fn readiness(&self) -> (u16, String) {
        let answer = self.client.get(self.url("/readyz")).send();
        answer.map_or((0, String::new()), |a| (a.status().as_u16(), a.text().unwrap_or_default()))
    }

    /// GET as administrator; `null` if that fails.
    pub fn get(&self, path: &str) -> Value {
        let answer = self.client.get(self.url(path)).bearer_auth(ADMIN).send();
        answer.and_then(|a| a.json()).unwrap_or(Value::Null)
    }

    /// A request with a token and a JSON body: status and answer.
    pub fn send(&self, method: &str, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let answer = self.client.request(method, self.url(path)).bearer_auth(token).json(body).send();
        match answer {
            Ok(answer) => (answer.status().as_u16(), answer.json().unwrap_or(Value::Null)),
            Err(_) => (0, Value::Null),
        }
    }

    /// An HTTP client that trusts what this node's clients trust.
    pub fn http_client(&self) -> reqwest::blocking::Client {
        self.client.clone()
    }

    /// POST without a token to whatever address a client was given.
    pub fn post(&self, address: &str, body: &Value) -> u16 {
        self.client.post(address).json(body).send().map_or(0, |a| a.status().as_u16())
    }

    /// Adds a number to the directory; its clients' token is [`credential`].
    pub fn number(&self, number: &str, name: &str, here: bool) {
        let mut entry = serde_json::json!({"name": name});
        if here {
            entry["pbx"] = PBX.into();
        }
        self.entry(number, entry);
    }

    /// The same with more than a name: `pbx`, `extensions`, …
    pub fn entry(&self, number: &str, mut entry: Value) {
        entry["credential"] = credential(number).into();
        let path = format!("/v1/numbers/{}", encode(number));
        let (status, answer) = self.send("PUT", &path, ADMIN, &entry);
        assert!((200..300).contains(&status), "{number}: {status} {answer}");
    }

    /// A link to the browser client that connects one browser to a number of the directory.
    pub fn enrol(&self, number: &str) -> String {
        let path = format!("/v1/numbers/{}/enrolments", encode(number));
        let (status, answer) = self.send("POST", &path, ADMIN, &serde_json::json!({}));
        let code = answer["code"].as_str().filter(|_| status == 201);
        let code = code.unwrap_or_else(|| panic!("{number}: {status} {answer}"));
        self.url(&format!("/client/#enrol={code}"))
    }

    /// Binds a client with an own address to a number; what the node answered.
    pub fn bind(&self, number: &str, address: &str) -> Value {
        let body = serde_json::json!({"number": number, "address": address, "capabilities": ["text"]});
        let (status, answer) = self.send("POST", "/v1/clients", &credential(number), &body);
        assert!((200..300).contains(&status), "{number}: {status} {answer}");
        answer
    }

    pub fn calls(&self) -> Vec<Value> {
        let mut answer = self.get("/v1/calls?limit=1000");
        answer["calls"].as_array_mut().map(std::mem::take).unwrap_or_default()
    }
}

pub fn credential(number: &str) -> String {
    format!("credential-of-{}", number.trim_start_matches('+').replace([';', '='], "-"))
}

/// A number as it stands in a path.
pub fn encode(number: &str) -> String {
    number.replace('+', "%2B").replace(';', "%3B").replace('=', "%3D")
}

fn spawn(dir: &Path, role: &str, surroundings: &Surroundings) -> Result<Child> {
    let mut command = surroundings.command(dir, &binary())?;
    command.arg("--config").arg(dir.join("sidecall.toml")).arg(role);
    command.env("SIDECALL_LOG", std::env::var("SIDECALL_LOG").unwrap_or_else(|_| "info,sidecall=debug".into()));
    if dir.join(OWN_CA).is_file() {
        command.env("SSL_CERT_FILE", dir.join(OWN_CA));
    }
    let log = dir.join(format!("sidecall-{}.log", std::process::id() ^ rand::random::<u32>()));
    Child::spawn(&mut command, log)
}

fn configuration(pbx: &Pbx, config: &SidecallConfig, http: SocketAddr) -> String {
    let nodes = if config.nodes.is_empty() { &[http] } else { config.nodes.as_slice() };
    let nodes: Vec<String> = nodes.iter().map(|node| format!("{}://{node}", scheme(config))).collect();
    let nodes = match nodes.as_slice() {
        [node] => format!("node = {node:?}"),
        several => format!("nodes = {several:?}"),
    };
    let trunk = if config.no_trunk { "" } else { "trunk = \"sidecall\"\n" };
    let routing = match format!("{trunk}{}", config.routing_lines) {
        lines if lines.is_empty() => lines,
        lines => format!("[node.routing]\n{lines}"),
    };
    let tls = config.https.as_ref().map(|https| {
        let client_ca = https.client_ca.map(|file| format!("client_ca = \"{file}\"\n")).unwrap_or_default();
        format!("[node.tls]\ncert = \"node.crt\"\nkey = \"node.key\"\n{client_ca}")
    });
    let tls = tls.unwrap_or_default();
    format!(
        "[node]\nlisten = \"{http}\"\ndatabase = \"{database}\"\nadmin_token_file = \"admin.token\"\n\
         agent_token_file = \"agent.token\"\n{node_lines}[node.clients]\nwebhook_hosts = [\"127.0.0.0/8\"]\n{clients}{storage}{routing}\
         [agent]\n{nodes}\ntoken_file = \"agent.token\"\n\n{entry}{more}",
        node_lines = config.node_lines.clone() + &tls,
        clients = config.clients_lines,
        storage = config.surroundings.storage(),
        database = config.database.as_deref().unwrap_or_else(|| config.surroundings.database()),
        entry = pbx_entry(PBX, pbx, config),
        more = config.more,
    )
}

fn scheme(config: &SidecallConfig) -> &'static str {
    if config.https.is_some() { "https" } else { "http" }
}

/// A `[[pbx]]`. All PBXs of the lab have one secret.
pub(crate) fn pbx_entry(name: &str, pbx: &Pbx, config: &SidecallConfig) -> String {
    let kind = pbx.kind().word();
    let (tls_addr, tls_lines) = match pbx.event_tls() {
        Some((addr, ca)) if config.tls => (Some(addr), format!("tls = true\ntls_ca_file = {ca:?}\n")),
        _ => (None, String::new()),
    };
    let address = config.event_addr.or(tls_addr).unwrap_or_else(|| pbx.event_addr());
    let user = pbx.event_user().map(|user| format!("user = {user:?}\n")).unwrap_or_default();
    // Only a FreeSWITCH connects to its agent.
    let own = pbx.config().direct.filter(|_| pbx.kind() == Kind::FreeSwitch);
    let direct = config.direct.or(own).map(|direct| format!("direct = \"{direct}\"\n")).unwrap_or_default();
    format!(
        "[[pbx]]\nname = \"{name}\"\nkind = \"{kind}\"\naddress = \"{address}\"\n{user}{tls_lines}{direct}\
         password_file = \"pbx.password\"\ncontext = \"{domain}\"\nregion = \"US\"\n{lines}",
        domain = domain(pbx),
        lines = config.pbx_lines,
    )
}
