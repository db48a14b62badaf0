//! The program as its users run it: a node of its own, commands, and clients that type.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test binary uses its own part

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

pub const ADMIN: &str = "admin-token-of-the-tests";
pub const AGENT: &str = "agent-token-of-the-tests";
pub const ALICE: &str = "+12125550100";
pub const BOB: &str = "+12125550101";

/// A command with nothing of the environment that would change what it does.
pub fn sidecall(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidecall"));
    for name in ["SIDECALL_TOKEN", "SIDECALL_NODE", "SIDECALL_LOG", "SIDECALL_LOG_FORMAT", "XDG_CONFIG_HOME", "HOME"] {
        command.env_remove(name);
    }
    command.env("SIDECALL_CONFIG", config);
    command
}

/// Runs a command to its end.
pub fn run(config: &Path, args: &[&str]) -> Output {
    sidecall(config).args(args).stdin(Stdio::null()).output().unwrap()
}

/// What it printed.
pub fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What it complained about.
pub fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn wait_until(mut test: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(15) {
        if test() {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Writes a file that nobody else can read.
pub fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A node of its own.
pub struct Node {
    dir: TempDir,
    child: Child,
    pub url: String,
    http: reqwest::blocking::Client,
}

impl Node {
    pub fn start() -> Node {
        Node::start_with("")
    }

    /// With more in its configuration.
    pub fn start_with(more: &str) -> Node {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}");
        private(&dir.path().join("admin.token"), ADMIN);
        private(&dir.path().join("agent.token"), AGENT);
        let config = format!(
            "[node]\nlisten = \"127.0.0.1:{port}\"\ndatabase = \"sidecall.db\"\nadmin_token_file = \"admin.token\"\n\
             agent_token_file = \"agent.token\"\n[agent]\nnode = \"{url}\"\ntoken_file = \"agent.token\"\n{more}"
        );
        std::fs::write(dir.path().join("sidecall.toml"), config).unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::blocking::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
        let child = spawn(&dir.path().join("sidecall.toml"));
        let node = Node { dir, child, url, http };
        node.wait();
        node
    }

    /// Waits until it is ready.
    pub fn wait(&self) {
        let ready = || self.http.get(format!("{}/readyz", self.url)).send().is_ok_and(|a| a.status().is_success());
        assert!(wait_until(ready), "the node is not ready");
    }

    /// As with `kill -9`.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.config());
        self.wait();
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn config(&self) -> std::path::PathBuf {
        self.dir.path().join("sidecall.toml")
    }

    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    pub fn run(&self, args: &[&str]) -> Output {
        run(&self.config(), args)
    }

    /// Runs a command that must succeed.
    pub fn must(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", complaint(&output));
        out(&output)
    }

    /// Adds a number; its clients' token goes to a file.
    pub fn number(&self, number: &str, name: &str) -> String {
        let text = self.must(&["number", "put", number, "--name", name, "--new-credential", "--json"]);
        let value: Value = serde_json::from_str(&text).unwrap();
        let file = self.path(&format!("{name}.token"));
        std::fs::write(&file, value["credential"].as_str().unwrap()).unwrap();
        file
    }

    pub fn send(&self, path: &str, token: &str, body: &Value) -> Value {
        let answer = self.http.post(format!("{}{path}", self.url)).bearer_auth(token).json(body).send().unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().unwrap());
        answer.json().unwrap_or(Value::Null)
    }

    pub fn put(&self, path: &str, token: &str, body: &Value) {
        let answer = self.http.put(format!("{}{path}", self.url)).bearer_auth(token).json(body).send().unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().unwrap());
    }

    pub fn delete(&self, path: &str) {
        let answer = self.http.delete(format!("{}{path}", self.url)).bearer_auth(ADMIN).send().unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    pub fn post(&self, address: &str, body: &Value) {
        assert!(self.http.post(address).json(body).send().unwrap().status().is_success());
    }

    /// A call that is answered at once, as an agent reports it; its id.
    pub fn call(&self, leg: &str, calling: &str, called: &str) -> String {
        let request = json!({"pbx": "test", "leg": format!("{leg}-a"), "calling": calling, "called": called, "side": "originating"});
        let call = self.send("/v1/calls", AGENT, &request)["call"].as_str().unwrap().to_owned();
        let (a, b) = (format!("{leg}-a"), format!("{leg}-b"));
        self.report(
            &call,
            &[
                json!({"seq": 1, "at": 1, "event": "dialled", "leg": b}),
                json!({"seq": 2, "at": 2, "event": "answered", "leg": b}),
                json!({"seq": 3, "at": 3, "event": "bridged", "legs": [a, b]}),
            ],
        );
        call
    }

    /// A call from a trunk that brought an address along, and is answered at once.
    pub fn come(&self, leg: &str, calling: &str, called: &str, received: &str) {
        let request = json!({"pbx": "test", "leg": leg, "calling": calling, "called": called, "side": "terminating",
            "received_address": received});
        let call = self.send("/v1/calls", AGENT, &request)["call"].as_str().unwrap().to_owned();
        let b = format!("{leg}-b");
        let dialled = json!({"seq": 1, "at": 1, "event": "dialled", "leg": b});
        self.report(&call, &[dialled, json!({"seq": 2, "at": 2, "event": "bridged", "legs": [leg, b]})]);
    }

    pub fn report(&self, call: &str, events: &[Value]) {
        self.send(&format!("/v1/calls/{call}/events"), AGENT, &json!({"events": events}));
    }
}

fn spawn(config: &Path) -> Child {
    sidecall(config).arg("node").stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `sidecall client`, with somebody who types.
pub struct Typist {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Typist {
    /// Starts it, with a token's file, and waits until it is connected.
    pub fn start(node: &Node, token: &str, args: &[&str]) -> Typist {
        let mut child = sidecall(&node.config())
            .args(["client", "--token-file", token])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let shown = lines.clone();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                shown.lock().unwrap().push(line);
            }
        });
        let typist = Typist { child, stdin, lines };
        typist.wait_for(if args.contains(&"--json") { "\"connected\"" } else { "you are the client of" });
        typist
    }

    pub fn types(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits for a line with this text.
    pub fn wait_for(&self, text: &str) -> String {
        let find = || self.lines().into_iter().find(|line| line.contains(text));
        assert!(wait_until(|| find().is_some()), "{text:?} is not among {:#?}", self.lines());
        find().unwrap()
    }

    /// The JSON events of a kind.
    pub fn events(&self, kind: &str) -> Vec<Value> {
        let all = self.lines().into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        all.filter(|event| event["event"] == kind).collect()
    }

    /// Waits for the `n`-th event of a kind.
    pub fn event(&self, kind: &str, n: usize) -> Value {
        assert!(wait_until(|| self.events(kind).len() >= n), "no {n} of {kind} in {:#?}", self.lines());
        self.events(kind)[n - 1].clone()
    }

    /// SIGINT, as Ctrl-C sends it; whether it ended well.
    pub fn interrupt(mut self) -> bool {
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        self.has_ended()
    }

    /// Waits for its end; whether that was a good one.
    pub fn has_ended(&mut self) -> bool {
        let mut status = None;
        wait_until(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.is_some_and(|status| status.success())
    }
}

impl Drop for Typist {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
