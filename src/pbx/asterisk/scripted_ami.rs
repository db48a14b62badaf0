//! A manager interface for tests.

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

/// Logs everybody in. `says` has the value of each variable that is asked for, is told the name of any other action, and
/// refuses with `None`.
pub(super) async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, says: impl Fn(&str) -> Option<&'static str>) {
    let mut far = BufReader::new(stream);
    far.write_all(b"Asterisk Call Manager/11.0.0\r\n").await.unwrap();
    let (mut action, mut line) = (Vec::new(), String::new());
    while far.read_line(&mut line).await.unwrap_or(0) > 0 {
        match line.trim_end() {
            "" => {
                let field = |name| action.iter().find_map(|line: &String| line.strip_prefix(name));
                let asked = field("Variable: ").or(field("Action: ").filter(|name| *name != "Login"));
                let said = asked.map_or(Some(""), &says);
                let (response, value) = (if said.is_some() { "Success" } else { "Error" }, said.unwrap_or(""));
                let id = field("ActionID: ").unwrap();
                let reply = format!("Response: {response}\r\nActionID: {id}\r\nValue: {value}\r\n\r\n");
                far.write_all(reply.as_bytes()).await.unwrap();
                action.clear();
            }
            text => action.push(text.to_owned()),
        }
        line.clear();
    }
}
