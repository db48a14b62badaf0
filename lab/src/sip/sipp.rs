//! Phones and trunks' far ends: SIPp, one process each, every message kept.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::net::ports;
use crate::pbx::conf;
use crate::process::{Child, folder, on_path, wait_until};
use crate::sip::message::{SipMessage, parse_trace};
use crate::sip::report::CallReport;
use crate::{LabError, PHONES, Result};

/// Final responses that a caller takes as an answer, too.
const REFUSALS: [u16; 16] = [302, 400, 401, 403, 404, 407, 408, 410, 480, 484, 486, 487, 488, 500, 503, 603];

const SDP: &str = "Content-Type: application/sdp\nContent-Length: [len]\n\nv=0\no=far 1 1 IN IP4 [local_ip]\ns=-\n\
    c=IN IP4 [local_ip]\nt=0 0\nm=audio [media_port] RTP/AVP 0\na=rtpmap:0 PCMU/8000";

/// What a far end or a registered phone does with a call.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The provisional response, e.g. `180 Ringing`; one that begins with `183` brings media.
    pub ring: Option<&'static str>,
    /// How long it rings, in ms.
    pub delay_ms: u32,
    /// `None`: it answers. Otherwise the refusal, e.g. `486 Busy Here`.
    pub refuse: Option<&'static str>,
    /// It hangs up so many ms after the answer; `None` leaves that to the caller.
    pub hangup_ms: Option<u32>,
}

impl Answer {
    /// Rings and answers at once.
    pub fn at_once() -> Answer {
        Answer { ring: Some("180 Ringing"), delay_ms: 1, refuse: None, hangup_ms: None }
    }

    /// Rings for `delay_ms`, then answers.
    pub fn after(delay_ms: u32) -> Answer {
        Answer { delay_ms, ..Answer::at_once() }
    }

    /// Refuses at once, e.g. with `486 Busy Here` or `503 Service Unavailable`.
    pub fn refuse(status: &'static str) -> Answer {
        Answer { ring: None, refuse: Some(status), ..Answer::at_once() }
    }

    fn scenario(&self) -> Result<String> {
        let part = |name: &str| conf::project_file(&format!("lab/sipp/{name}.xml"));
        let ring = match self.ring {
            Some(status) => {
                let sdp = if status.starts_with("183") { SDP } else { "Content-Length: 0\n" };
                part("ring")?.replace("@STATUS@", status).replace("@SDP@", sdp)
            }
            None => String::new(),
        };
        let last = match self.refuse {
            Some(status) => part("refuse")?.replace("@STATUS@", status),
            None => {
                let hangup = self.hangup_ms.map(|ms| format!(" timeout=\"{ms}\" ontimeout=\"hangup\""));
                part("answer")?.replace("@SDP@", SDP).replace("@HANGUP@", &hangup.unwrap_or_default())
            }
        };
        Ok(part("far-end")?
            .replace("@RING@", &ring)
            .replace("@FINAL@", &last)
            .replace("@DELAY@", &self.delay_ms.max(1).to_string()))
    }
}

/// A SIPp process with its folder.
#[derive(Debug)]
struct Sipp {
    child: Child,
    dir: TempDir,
}

impl Sipp {
    fn start(scenario: &str, local: SocketAddr, args: &[String]) -> Result<Sipp> {
        if on_path("sipp").is_none() {
            return Err(LabError::Missing("no sipp on PATH (Debian package sip-tester)".into()));
        }
        let dir = folder("sipp-")?;
        let file = dir.path().join("scenario.xml");
        conf::write(&file, scenario)?;
        let mut command = Command::new("sipp");
        command
            .current_dir(dir.path())
            .arg("-sf")
            .arg(&file)
            .args(["-i", &local.ip().to_string(), "-p", &local.port().to_string(), "-bind_local"])
            .args(["-mi", &local.ip().to_string(), "-nostdin", "-trace_msg", "-message_file", "messages.log"])
            .args(["-trace_err", "-error_file", "errors.log", "-skip_rlimit"])
            .args(args)
            .env("TERM", "dumb");
        let child = Child::spawn(&mut command, dir.path().join("screen.log"))?;
        Ok(Sipp { child, dir })
    }

    fn messages(&self) -> Vec<SipMessage> {
        conf::read(&self.dir.path().join("messages.log")).map(|text| parse_trace(&text)).unwrap_or_default()
    }
}

/// A far end that waits for calls and messages: a trunk's, or a phone that has registered. It sends the sound that it
/// gets back to where that came from, so a caller who hears himself is heard there, and hears what comes from there.
#[derive(Debug)]
pub struct SippPhone {
    sipp: Sipp,
    /// Where it listens.
    pub addr: SocketAddr,
}

impl SippPhone {
    /// Listens on `addr`.
    pub fn start(addr: SocketAddr, answer: &Answer) -> Result<SippPhone> {
        let media = ports::free_range(4).to_string();
        let echo = ["-rtp_echo", "-mp", &media].map(str::to_owned);
        let sipp = Sipp::start(&answer.scenario()?, addr, &echo)?;
        let bound = wait_until(Duration::from_secs(5), || ports::is_bound(addr));
        if !bound {
            return Err(LabError::Late { what: format!("no SIPp on {addr}"), seconds: 5, log: sipp.child.log() });
        }
        Ok(SippPhone { sipp, addr })
    }

    /// Registers `number` with the PBX at `pbx` and waits for calls there.
    pub fn register(pbx: SocketAddr, number: &str, answer: &Answer) -> Result<SippPhone> {
        let addr = SocketAddr::new(PHONES, ports::free());
        let scenario = conf::project_file("lab/sipp/register.xml")?.replace("@FROM@", number);
        let mut sipp = Sipp::start(&scenario, addr, &[pbx.to_string(), "-m".into(), "1".into()])?;
        match sipp.child.wait(Duration::from_secs(5)) {
            Some(status) if status.success() => {}
            _ => {
                let errors = conf::read(&sipp.dir.path().join("errors.log")).unwrap_or_default();
                return Err(LabError::Late { what: format!("{number} is not registered"), seconds: 5, log: errors });
            }
        }
        drop(sipp);
        SippPhone::start(addr, answer)
    }

    /// Every message so far, sent and received.
    pub fn messages(&self) -> Vec<SipMessage> {
        self.sipp.messages()
    }

    /// The requests of that method that it received, without retransmissions.
    pub fn received(&self, method: &str) -> Vec<SipMessage> {
        let mut found: Vec<SipMessage> = Vec::new();
        for message in self.messages() {
            let is_new = || {
                !found.iter().any(|m| m.call_id() == message.call_id() && m.header("CSeq") == message.header("CSeq"))
            };
            if message.received && message.method() == method && is_new() {
                found.push(message);
            }
        }
        found
    }

    /// The INVITEs that it received.
    pub fn invites(&self) -> Vec<SipMessage> {
        self.received("INVITE")
    }

    /// Waits until it has received `n` requests of that method, and returns them (fewer, if it is late).
    pub fn wait_for(&self, method: &str, n: usize, limit: Duration) -> Vec<SipMessage> {
        wait_until(limit, || self.received(method).len() >= n);
        self.received(method)
    }

    /// Where its files are.
    pub fn dir(&self) -> PathBuf {
        self.sipp.dir.path().to_path_buf()
    }
}

/// Calls to be placed by one phone.
#[derive(Debug, Clone)]
pub struct Calls {
    /// The user part of From.
    pub from: String,
    /// The display name in From, as it goes on the wire, e.g. `"A" `.
    pub display: String,
    /// The user part of the request URI.
    pub to: String,
    /// How many.
    pub count: u32,
    /// How many per second.
    pub rate: u32,
    /// How long each talks, in ms.
    pub hold_ms: u32,
    /// Header lines added to the INVITE, without line end.
    pub headers: Vec<String>,
    /// The caller gives up so many ms after the INVITE was taken.
    pub cancel_ms: Option<u32>,
    /// Where they come from: `PHONES`, or a trunk's address.
    pub local: std::net::IpAddr,
}

impl Calls {
    /// One call of a phone that talks for 200 ms.
    pub fn new(from: &str, to: &str) -> Calls {
        Calls {
            from: from.into(),
            display: String::new(),
            to: to.into(),
            count: 1,
            rate: 10,
            hold_ms: 200,
            headers: Vec::new(),
            cancel_ms: None,
            local: PHONES,
        }
    }

    /// So many calls, so many per second.
    pub fn times(mut self, count: u32, rate: u32) -> Calls {
        (self.count, self.rate) = (count, rate);
        self
    }

    /// Each talks so long.
    pub fn hold(mut self, hold_ms: u32) -> Calls {
        self.hold_ms = hold_ms;
        self
    }

    /// Adds a header to the INVITE.
    pub fn header(mut self, line: &str) -> Calls {
        self.headers.push(line.into());
        self
    }

    /// The calls come from that address, e.g. [`crate::PACKET`]: a trunk.
    pub fn via(mut self, local: std::net::IpAddr) -> Calls {
        self.local = local;
        self
    }

    /// Starts them towards `pbx`.
    pub fn start(&self, pbx: SocketAddr) -> Result<Caller> {
        let name = if self.cancel_ms.is_some() { "gives-up" } else { "caller" };
        let refusals: Vec<String> = REFUSALS
            .iter()
            .map(|status| format!("  <recv response=\"{status}\" optional=\"true\" next=\"refused\"/>"))
            .collect();
        let headers: String = self.headers.iter().map(|line| format!("{line}\n")).collect();
        let scenario = conf::project_file(&format!("lab/sipp/{name}.xml"))?
            .replace("@REFUSALS@", &refusals.join("\n"))
            .replace("@HOLD@", &self.cancel_ms.unwrap_or(self.hold_ms).to_string())
            .replace("@HEADERS@", &headers)
            .replace("@DISPLAY@", &self.display)
            .replace("@FROM@", &self.from)
            .replace("@TO@", &self.to);
        let args = [
            pbx.to_string(),
            "-m".into(),
            self.count.to_string(),
            "-r".into(),
            self.rate.to_string(),
            "-l".into(),
            "5000".into(),
        ];
        let local = SocketAddr::new(self.local, ports::free());
        Ok(Caller { sipp: Sipp::start(&scenario, local, &args)? })
    }

    /// Places them and waits for their end.
    pub fn place(&self, pbx: SocketAddr) -> Result<CallReport> {
        let seconds = self.count / self.rate.max(1) + self.hold_ms / 1000 + 40;
        self.start(pbx)?.finish(Duration::from_secs(u64::from(seconds)))
    }
}

/// A phone that is calling.
#[derive(Debug)]
pub struct Caller {
    sipp: Sipp,
}

impl Caller {
    /// What has happened so far.
    pub fn report(&self) -> CallReport {
        CallReport::from_trace(self.sipp.messages())
    }

    /// Waits for the end of all calls.
    pub fn finish(mut self, limit: Duration) -> Result<CallReport> {
        if self.sipp.child.wait(limit).is_none() {
            let what = "calls have not ended".to_owned();
            return Err(LabError::Late { what, seconds: limit.as_secs(), log: self.sipp.child.log() });
        }
        Ok(self.report())
    }
}
