//! The program as systemd runs it: a process with a folder of its own.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const ALICE: &str = "+12125550100";
const ADMIN: &str = "admin-token-of-the-tests";
pub(crate) const AGENT: &str = "agent-token-of-the-tests";
/// Debian's package `faketime`.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

type SetUp = Box<dyn Fn(&mut Command, &mut String)>;

pub(crate) struct Daemon {
    _own: Option<TempDir>,
    dir: PathBuf,
    child: Child,
    role: &'static str,
    url: String,
    set_up: SetUp,
    http: reqwest::blocking::Client,
    runs: u32,
}

pub(crate) fn wait_until(limit: Duration, mut test: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < limit {
        if test() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// A wall clock that [`Daemon::step`] can step; the steady ones stay real.
pub(crate) fn own_clock(command: &mut Command) {
    assert!(Path::new(FAKETIME).is_file(), "this test needs Debian's package faketime");
    command.env("LD_PRELOAD", FAKETIME).env("FAKETIME_TIMESTAMP_FILE", "clock").env("FAKETIME_CACHE_DURATION", "1");
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("NO_FAKE_STAT", "1");
}

pub(crate) fn real_time() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// How a process is started whose database is on this server.
pub(crate) fn on(server: &lab::Postgres) -> impl Fn(&mut Command, &mut String) + Clone + use<> {
    let url = server.url();
    move |_: &mut Command, config: &mut String| *config = config.replace("sidecall.db", &url)
}

impl Daemon {
    pub(crate) fn start(role: &'static str, set_up: impl Fn(&mut Command, &mut String) + 'static) -> Daemon {
        let own = tempfile::tempdir().unwrap();
        let dir = own.path().to_owned();
        let mut daemon = Daemon::start_in(&dir, role, set_up);
        daemon._own = Some(own);
        daemon
    }

    /// `set_up` changes how it is started, and its configuration.
    pub(crate) fn start_in(
        dir: &Path,
        role: &'static str,
        set_up: impl Fn(&mut Command, &mut String) + 'static,
    ) -> Daemon {
        let daemon = Daemon::begin_in(dir, role, set_up);
        daemon.wait_ready();
        daemon
    }

    /// As [`Daemon::start`], on a database that another process has.
    pub(crate) fn stand_by(role: &'static str, set_up: impl Fn(&mut Command, &mut String) + 'static) -> Daemon {
        let own = tempfile::tempdir().unwrap();
        let dir = own.path().to_owned();
        let mut daemon = Daemon::begin_in(&dir, role, set_up);
        daemon._own = Some(own);
        daemon.says("the node stands by", Duration::from_secs(15));
        daemon
    }

    fn begin_in(dir: &Path, role: &'static str, set_up: impl Fn(&mut Command, &mut String) + 'static) -> Daemon {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        for (name, token) in [("admin.token", ADMIN), ("agent.token", AGENT), ("clock", "+0\n")] {
            fs::write(dir.join(name), token).unwrap();
            fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::blocking::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
        let (url, set_up): (_, SetUp) = (format!("http://127.0.0.1:{port}"), Box::new(set_up));
        let child = spawn(dir, role, &url, &set_up, 0);
        Daemon { _own: None, dir: dir.to_owned(), child, role, url, set_up, http, runs: 0 }
    }

    pub(crate) fn wait_ready(&self) {
        assert!(wait_until(Duration::from_secs(15), || self.ready().0 == 200), "{:?}\n{}", self.ready(), self.log());
    }

    /// As systemd does; a process that still runs is killed first.
    pub(crate) fn start_again(&mut self) {
        self.begin_again();
        self.wait_ready();
    }

    /// As [`Daemon::start_again`], but doesn't wait until it is ready.
    pub(crate) fn begin_again(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.runs += 1;
        self.child = spawn(&self.dir, self.role, &self.url, &self.set_up, self.runs);
    }

    /// Its wall clock is so many seconds ahead of the real one from now on.
    pub(crate) fn step(&self, seconds: i64) {
        fs::write(self.dir.join("clock.new"), format!("{seconds:+}\n")).unwrap();
        fs::rename(self.dir.join("clock.new"), self.dir.join("clock")).unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Sends it a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        assert!(Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap().success());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// What the last run logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.join(format!("log-{}", self.runs))).unwrap()
    }

    /// Waits for its end at most so long.
    pub(crate) fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let mut status = None;
        wait_until(limit, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status
    }

    /// Status and text of `/readyz`.
    pub(crate) fn ready(&self) -> (u16, String) {
        self.answer("/readyz")
            .map_or((0, String::new()), |answer| (answer.status().as_u16(), answer.text().unwrap_or_default()))
    }

    /// What is there for whoever has no token.
    pub(crate) fn answer(&self, path: &str) -> reqwest::Result<reqwest::blocking::Response> {
        self.http.get(format!("{}{path}", self.url)).send()
    }

    /// `/readyz` fails with these words, so long from now at the latest.
    pub(crate) fn says(&self, words: &str, within: Duration) {
        let said = || {
            let (status, text) = self.ready();
            status == 503 && text.contains(words)
        };
        assert!(wait_until(within, said), "{:?}\n{}", self.ready(), self.log());
    }

    fn send(&self, method: reqwest::Method, path: &str, token: &str, body: &Value) -> Value {
        let request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(token);
        let answer = request.json(body).send().unwrap();
        assert!(answer.status().is_success(), "{path}: {}\n{}", answer.text().unwrap(), self.log());
        answer.json().unwrap_or(Value::Null)
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        self.http.get(format!("{}{path}", self.url)).bearer_auth(ADMIN).send().unwrap().json().unwrap_or(Value::Null)
    }

    pub(crate) fn number(&self, number: &str) {
        let path = format!("/v1/numbers/{}", number.replace('+', "%2B"));
        self.send(reqwest::Method::PUT, &path, ADMIN, &json!({"credential": credential(number)}));
    }

    /// Binds a webhook; its client's id.
    pub(crate) fn bind(&self, number: &str, address: &str) -> String {
        let body = json!({"number": number, "address": address});
        let bound = self.send(reqwest::Method::POST, "/v1/clients", &credential(number), &body);
        bound["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn is_bound(&self, client: &str) -> bool {
        let listed = self.get("/v1/clients");
        listed["clients"].as_array().is_some_and(|all| all.iter().any(|bound| bound["id"] == client))
    }

    /// A call that is announced; its id.
    pub(crate) fn call(&self, leg: &str, calling: &str, called: &str) -> String {
        let body = json!({"pbx": "a", "leg": leg, "calling": calling, "called": called, "side": "originating"});
        self.send(reqwest::Method::POST, "/v1/calls", AGENT, &body)["call"].as_str().unwrap().to_owned()
    }

    pub(crate) fn report(&self, call: &str, event: &Value) {
        self.send(reqwest::Method::POST, &format!("/v1/calls/{call}/events"), AGENT, &json!({"events": [event]}));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn credential(number: &str) -> String {
    format!("credential-of-{}", number.trim_start_matches('+'))
}

fn spawn(dir: &Path, role: &str, url: &str, set_up: &SetUp, run: u32) -> Child {
    let listen = url.trim_start_matches("http://");
    let mut config = format!(
        "[node]\nlisten = \"{listen}\"\ndatabase = \"sidecall.db\"\nadmin_token_file = \"admin.token\"\n\
         agent_token_file = \"agent.token\"\n[agent]\nnode = \"{url}\"\ntoken_file = \"agent.token\"\n"
    );
    // Whatever stands before a program is its own: what is set up may run it in something else.
    let mut command = Command::new("env");
    set_up(&mut command, &mut config);
    fs::write(dir.join("sidecall.toml"), config).unwrap();
    let log = File::create(dir.join(format!("log-{run}"))).unwrap();
    command.arg(env!("CARGO_BIN_EXE_sidecall")).args(["--config", "sidecall.toml", role]).current_dir(dir);
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

/// SQLite's own program, on a database that somebody else has open.
pub(crate) mod sqlite {
    use std::io::Write;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};

    pub(crate) struct Session(Child);

    impl Session {
        pub(crate) fn open(file: &Path) -> Session {
            // The node may be writing at this moment: wait for it instead of giving up.
            let mut command = Command::new("sqlite3");
            command.args(["-cmd", ".timeout 5000"]).arg(file);
            Session(command.stdin(Stdio::piped()).spawn().unwrap())
        }

        pub(crate) fn say(&mut self, line: &str) {
            writeln!(self.0.stdin.as_mut().unwrap(), "{line}").unwrap();
        }
    }

    impl Drop for Session {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    pub(crate) fn ask(file: &Path, query: &str) -> String {
        let answer = Command::new("sqlite3").arg(file).arg(query).output().unwrap();
        String::from_utf8_lossy(&answer.stdout).into_owned()
    }
}
