//! A few commands of the DevTools protocol (<https://chromedevtools.github.io/devtools-protocol/>), one after the other.

use std::io;
use std::net::TcpStream;

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use super::PATIENCE;
use crate::{LabError, Result};

/// The connection to a page of a browser.
#[derive(Debug)]
pub(super) struct DevTools {
    socket: WebSocket<TcpStream>,
    session: Option<Value>,
    /// The number of the last command.
    last: u64,
}

impl DevTools {
    /// Opens a page. `endpoint` is the browser's port and the path of its WebSocket, a line each.
    pub(super) fn connect(endpoint: &str) -> Result<DevTools> {
        let (port, path) = endpoint.split_once('\n').unwrap_or_default();
        let host = format!("127.0.0.1:{port}");
        let stream = TcpStream::connect(&host).map_err(LabError::io("Chromium"))?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(LabError::io("Chromium"))?;
        let (socket, _) = tungstenite::client(format!("ws://{host}{path}"), stream).map_err(broken)?;
        let mut devtools = DevTools { socket, session: None, last: 0 };
        let page = devtools.ask("Target.createTarget", &json!({"url": "about:blank"}))?;
        let attach = json!({"targetId": page["targetId"], "flatten": true});
        devtools.session = Some(devtools.ask("Target.attachToTarget", &attach)?["sessionId"].take());
        Ok(devtools)
    }

    /// Sends a command and waits for its result.
    pub(super) fn ask(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.last += 1;
        let mut command = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            command["sessionId"] = session.clone();
        }
        self.socket.send(Message::text(command.to_string())).map_err(broken)?;
        loop {
            let message = self.socket.read().map_err(broken)?;
            let mut answer: Value = serde_json::from_slice(&message.into_data()).unwrap_or_default();
            match answer["id"] == self.last {
                true if answer["error"].is_null() => return Ok(answer["result"].take()),
                true => return Err(broken(format!("{method}: {}", answer["error"]))),
                false => {}
            }
        }
    }
}

fn broken(error: impl ToString) -> LabError {
    LabError::io("Chromium")(io::Error::other(error.to_string()))
}
