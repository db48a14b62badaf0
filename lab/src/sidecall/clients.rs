//! Multimedia clients: a hosted one in a process of its own, and a webhook that checks signatures.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tempfile::TempDir;

use crate::process::{Child, folder, wait_until};
use crate::sidecall::{Sidecall, binary, credential};
use crate::{ChaosProxy, LabError, Phone, Result};

/// The events that say how a call goes on. Connected clients alone get them.
const PROGRESS: [&str; 3] = ["ringing", "talking", "over"];

/// The path of a webhook that is that of one number.
const HOOK: &str = "/hook";

/// A multimedia client of any form, as the person in front of it sees it.
pub trait Client {
    /// Everything that it has shown so far, in its own format, except how calls go on.
    fn shown(&self) -> Vec<String>;

    fn shows(&self, text: &str) -> bool {
        self.shown().iter().any(|shown| shown.contains(text))
    }
}

impl Client for Hosted {
    fn shown(&self) -> Vec<String> {
        let all = self.all();
        let told = all.iter().filter(|event| PROGRESS.iter().all(|kind| event["event"] != *kind));
        told.map(Value::to_string).collect()
    }
}

impl Client for Webhook {
    fn shown(&self) -> Vec<String> {
        self.lock().accepted.iter().map(Value::to_string).collect()
    }
}

// A softphone shows each SIP MESSAGE as it is.

impl Client for Phone {
    fn shown(&self) -> Vec<String> {
        self.received("MESSAGE").into_iter().map(|message| message.body).collect()
    }
}

/// `sidecall client --json` for one number.
#[derive(Debug)]
pub struct Hosted {
    child: Child,
    http: reqwest::blocking::Client,
    dir: TempDir,
}

impl Hosted {
    pub fn start(sidecall: &Sidecall, number: &str) -> Result<Hosted> {
        Hosted::start_with(sidecall, &sidecall.url(""), number, &[])
    }

    /// One that reaches its node through a proxy.
    pub fn behind(proxy: &ChaosProxy, sidecall: &Sidecall, number: &str) -> Result<Hosted> {
        Hosted::start_with(sidecall, &proxy.url(), number, &[])
    }

    /// One that takes all files that it is sent.
    pub fn receive(sidecall: &Sidecall, number: &str, files: &Path) -> Result<Hosted> {
        let args = ["--accept-files".as_ref(), "--receive".as_ref(), files.as_os_str()];
        Hosted::start_with(sidecall, &sidecall.url(""), number, &args)
    }

    fn start_with(sidecall: &Sidecall, node: &str, number: &str, args: &[&OsStr]) -> Result<Hosted> {
        let dir = folder("client-")?;
        let mut command = Command::new(binary());
        command
            .args(["client", "--json", "--number", number, "--node", node, "--capability", "text"])
            .args(args)
            .env("SIDECALL_TOKEN", credential(number));
        command.envs(sidecall.cas().map(|file| ("SSL_CERT_FILE", file)));
        let mut child = Child::spawn(&mut command, dir.path().join("client.log"))?;
        child.wait_for_line("\"connected\"", Duration::from_secs(10))?;
        Ok(Hosted { child, http: sidecall.http_client(), dir })
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The folder with its log.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Sends a text to an address, as the person in front of this client may. The status of the answer.
    pub fn write(&self, address: &str, text: &str) -> u16 {
        let body = serde_json::json!({"type": "text", "text": text});
        self.http.post(address).json(&body).send().map_or(0, |answer| answer.status().as_u16())
    }

    pub fn all(&self) -> Vec<Value> {
        let log = self.child.log();
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    pub fn events(&self, kind: &str) -> Vec<Value> {
        self.all().into_iter().filter(|event| event["event"] == kind).collect()
    }

    pub fn wait_for(&self, kind: &str, n: usize, limit: Duration) -> Vec<Value> {
        wait_until(limit, || self.events(kind).len() >= n);
        self.events(kind)
    }
}

/// A webhook on loopback that takes what is signed as Standard Webhooks says, and nothing else.
///
/// It may be that of several numbers, each at a path of its own.
#[derive(Debug)]
pub struct Webhook {
    /// Where it is that of the number that [`Webhook::bind`] is given.
    pub url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// By path.
    secrets: HashMap<String, Vec<u8>>,
    accepted: Vec<Value>,
    refused: u32,
    /// So many requests are answered with 503 first.
    failing: u32,
}

impl Webhook {
    pub fn start() -> Result<Webhook> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(LabError::io("webhook"))?;
        let addr: SocketAddr = listener.local_addr().map_err(LabError::io("webhook"))?;
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &state));
            }
        });
        Ok(Webhook { url: format!("http://{addr}{HOOK}"), state })
    }

    /// Binds it to a number and takes the signing secret from the answer.
    pub fn bind(&self, sidecall: &Sidecall, number: &str) {
        self.bind_at(sidecall, number, HOOK);
    }

    /// The same at a path, which stands as `path` in what it accepts.
    pub(crate) fn bind_at(&self, sidecall: &Sidecall, number: &str, path: &str) {
        let answer = sidecall.bind(number, &self.url.replace(HOOK, path));
        let secret = answer["secret"].as_str().expect("a signing secret");
        let secret = STANDARD.decode(secret.trim_start_matches("whsec_")).expect("base64");
        self.lock().secrets.insert(path.to_owned(), secret);
    }

    pub fn fail(&self, n: u32) {
        self.lock().failing = n;
    }

    pub fn accepted(&self, kind: &str) -> Vec<Value> {
        self.lock().accepted.iter().filter(|m| m["type"] == kind).cloned().collect()
    }

    pub fn wait_for(&self, kind: &str, n: usize, limit: Duration) -> Vec<Value> {
        wait_until(limit, || self.accepted(kind).len() >= n);
        self.accepted(kind)
    }

    /// Everything that it has accepted since the last time, and forgets it.
    pub(crate) fn drain(&self) -> Vec<Value> {
        std::mem::take(&mut self.lock().accepted)
    }

    pub fn refused(&self) -> u32 {
        self.lock().refused
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("the webhook's state")
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) {
    let Ok(mut answers) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    while let Some(request) = request(&mut reader) {
        let status = judge(&request, &mut state.lock().expect("the webhook's state"));
        // In one write: the pieces of `write!` would wait for each other's acknowledgement.
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        if answers.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

struct Request {
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

fn request(reader: &mut impl BufRead) -> Option<Request> {
    let mut headers = Vec::new();
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { path, headers, body })
}

/// <https://www.standardwebhooks.com>: HMAC-SHA256 over `id.timestamp.body`.
fn judge(request: &Request, state: &mut State) -> &'static str {
    if state.failing > 0 {
        state.failing -= 1;
        return "503 Service Unavailable";
    }
    let Request { path, headers, body } = request;
    let header = |wanted: &str| headers.iter().find(|(n, _)| n == wanted).map_or("", |(_, v)| v.as_str());
    let secret = state.secrets.get(path).map_or(&[][..], Vec::as_slice);
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length");
    mac.update(format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).as_bytes());
    mac.update(body);
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    if !header("webhook-signature").split(' ').any(|signature| signature == expected) {
        state.refused += 1;
        return "401 Unauthorized";
    }
    if let Ok(mut message) = serde_json::from_slice::<Value>(body) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        message["at"] = serde_json::json!(now.as_millis() as u64);
        message["path"] = path.as_str().into();
        state.accepted.push(message);
    }
    "204 No Content"
}
