//! A real browser: Debian's Chromium without a window, with a camera of moving test pictures.
//!
//! It is driven over its DevTools port: the crate for WebDriver, `fantoccini`, brings `webdriver`, whose licence (MPL-2.0)
//! `deny.toml` doesn't allow.

mod devtools;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, thread};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Child, folder, on_path, wait_until};
use crate::{LabError, Result, server_or_skip};
use devtools::DevTools;

const PROGRAM: &str = "chromium";
const ARGUMENTS: [&str; 10] = [
    "--headless",
    // Chromium refuses to run as root with its sandbox; the pages are our own.
    "--no-sandbox",
    "--no-first-run",
    "--lang=en-GB",
    "--accept-lang=en-GB",
    "--remote-debugging-port=0",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--auto-select-desktop-capture-source=Entire screen",
    // Both browsers are on this machine, where nobody resolves the names that would hide its addresses.
    "--disable-features=WebRtcHideLocalIpsWithMdns",
];
/// The file of its profile to which Chromium writes its port and the path of its WebSocket, a line each.
const ENDPOINT: &str = "DevToolsActivePort";

/// The input for files, once the button for files is shown and can be clicked.
const FILES_INPUT: &str = "[...document.querySelectorAll('button.action:not(:disabled)')]\
    .some(button => button.textContent === 'Files' && button.offsetParent !== null)\
    ? document.querySelector('input[type=file][aria-label=Files]') : null";

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The page is looked at so often.
const PAUSE: Duration = Duration::from_millis(50);

/// How long it may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// A browser with one page and a profile of its own. Dropping it ends it and removes the profile.
#[derive(Debug)]
pub struct Browser {
    devtools: RefCell<DevTools>,
    child: Child,
    profile: TempDir,
}

impl Browser {
    /// The program.
    pub fn find() -> Result<PathBuf> {
        on_path(PROGRAM).ok_or_else(|| LabError::Missing(format!("{PROGRAM} in PATH (Debian's package of that name)")))
    }

    /// Whether it is installed; if it isn't, one line says that the test was skipped.
    pub fn is_here_or_skip() -> bool {
        server_or_skip(PROGRAM, Browser::find()).is_some()
    }

    /// Starts one with an empty page.
    pub fn start() -> Result<Browser> {
        let (program, profile) = (Browser::find()?, folder("browser-")?);
        let mut command = Command::new(program);
        command.args(ARGUMENTS).arg(format!("--user-data-dir={}", profile.path().display()));
        let mut child = Child::spawn(&mut command, profile.path().join("log"))?;
        let mut endpoint = None;
        wait_until(PATIENCE, || {
            let written = fs::read_to_string(profile.path().join(ENDPOINT)).ok();
            endpoint = written.filter(|text| text.lines().count() == 2);
            endpoint.is_some() || !child.is_running()
        });
        let endpoint = endpoint.ok_or_else(|| LabError::late("Chromium doesn't start", PATIENCE, child.log()))?;
        Ok(Browser { devtools: RefCell::new(DevTools::connect(&endpoint)?), child, profile })
    }

    /// Goes to a page.
    pub fn open(&self, link: &str) -> Result<()> {
        self.ask("Page.navigate", &json!({ "url": link })).map(drop)
    }

    /// Waits until the page shows a text.
    pub fn sees(&self, text: &str) -> Result<()> {
        self.until(&format!("the page doesn't show {text:?}"), || Ok(self.shown()?.contains(text)))
    }

    /// Clicks the button with this accessible name, as soon as there is one that can be clicked.
    pub fn click(&self, button: &str) -> Result<()> {
        self.with("button", button, "function() { return !this.disabled && (this.click(), true) }")
    }

    /// Writes a message and sends it.
    pub fn write(&self, text: &str) -> Result<()> {
        self.with("textbox", "Write a message", "function() { this.focus(); return true }")?;
        self.ask("Input.insertText", &json!({ "text": text }))?;
        self.click("Send")
    }

    /// Chooses a file to send, as soon as the page takes files.
    pub fn send(&self, file: &Path) -> Result<()> {
        self.until("the page takes no files", || {
            let input = self.ask("Runtime.evaluate", &json!({ "expression": FILES_INPUT }))?;
            let Some(input) = input["result"]["objectId"].as_str() else { return Ok(false) };
            self.ask("DOM.setFileInputFiles", &json!({"files": [file], "objectId": input})).map(|_| true)
        })
    }

    /// Waits until the video with this label has decoded so many more frames.
    pub fn watches(&self, label: &str, frames: u64) -> Result<()> {
        let video = format!("document.querySelector('video[aria-label={}]')", json!(label));
        let decoded = format!("{video}?.getVideoPlaybackQuality().totalVideoFrames");
        let mut before = None;
        self.until(&format!("{label:?}: {frames} more frames aren't decoded"), || {
            let now = self.evaluate(&decoded)?.as_u64();
            before = before.or(now);
            Ok(now.zip(before).is_some_and(|(now, before)| now >= before + frames))
        })
    }

    /// The text of the page.
    fn shown(&self) -> Result<String> {
        Ok(self.evaluate("document.body?.innerText")?.as_str().unwrap_or_default().to_owned())
    }

    /// Calls a function on the element with this role and accessible name, until it returns `true`. To the page it is as if
    /// the person had clicked.
    fn with(&self, role: &str, name: &str, function: &str) -> Result<()> {
        self.until(&format!("the page has no {role} {name:?}"), || {
            let document = &self.ask("Runtime.evaluate", &json!({"expression": "document"}))?["result"]["objectId"];
            let query = json!({"objectId": document, "role": role, "accessibleName": name});
            let found = self.ask("Accessibility.queryAXTree", &query)?;
            let mut nodes = found["nodes"].as_array().into_iter().flatten();
            let Some(node) = nodes.find(|node| node["ignored"] == false) else { return Ok(false) };
            let element = self.ask("DOM.resolveNode", &json!({"backendNodeId": node["backendDOMNodeId"]}))?;
            let id = &element["object"]["objectId"];
            let call =
                json!({"objectId": id, "functionDeclaration": function, "userGesture": true, "returnByValue": true});
            Ok(self.ask("Runtime.callFunctionOn", &call)?["result"]["value"] == true)
        })
    }

    /// The value of a script.
    fn evaluate(&self, script: &str) -> Result<Value> {
        let answer = self.ask("Runtime.evaluate", &json!({"expression": script, "returnByValue": true}))?;
        Ok(answer["result"]["value"].clone())
    }

    /// Waits until `test` holds. The page may change between two commands: what fails because of that is tried again.
    fn until(&self, problem: &str, mut test: impl FnMut() -> Result<bool>) -> Result<()> {
        let holds = wait_until(PATIENCE, || {
            thread::sleep(PAUSE);
            test().unwrap_or(false)
        });
        if holds { Ok(()) } else { Err(LabError::late(problem, PATIENCE, self.shown()?)) }
    }

    fn ask(&self, method: &str, params: &Value) -> Result<Value> {
        self.devtools.borrow_mut().ask(method, params)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.child.terminate(GRACE);
        // Its other processes end with it, and until then they write to the profile.
        wait_until(GRACE, || fs::remove_dir_all(self.profile.path()).is_ok());
    }
}
