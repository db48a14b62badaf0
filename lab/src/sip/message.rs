//! SIP messages as a phone or a trunk saw them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One SIP message: read-only, as it was on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipMessage {
    /// When it was sent or received, since 1970.
    pub at: Duration,
    /// True if the phone or trunk received it, false if it sent it.
    pub received: bool,
    /// `INVITE sip:… SIP/2.0` or `SIP/2.0 200 OK`.
    pub start_line: String,
    /// Names as they were written, and values.
    pub headers: Vec<(String, String)>,
    /// What follows the blank line.
    pub body: String,
}

impl SipMessage {
    /// Parses the text of one message. `None` if it has no start line.
    pub fn parse(at: Duration, received: bool, text: &str) -> Option<SipMessage> {
        let text = text.replace("\r\n", "\n");
        let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let start_line = lines.next().filter(|line| line.contains("SIP/2.0"))?.to_owned();
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect();
        Some(SipMessage { at, received, start_line, headers, body: body.trim_end().to_owned() })
    }

    pub fn method(&self) -> &str {
        if self.start_line.starts_with("SIP/2.0") { "" } else { self.start_line.split(' ').next().unwrap_or("") }
    }

    pub fn status(&self) -> Option<u16> {
        self.start_line.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// The first header of that name, in any case of letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The user part of the request URI: the called number.
    pub fn called(&self) -> &str {
        between(&self.start_line, "sip:", '@')
    }

    /// The user part of From: the calling number.
    pub fn calling(&self) -> &str {
        between(self.header("From").unwrap_or(""), "sip:", '@')
    }

    pub(crate) fn call_id(&self) -> &str {
        self.header("Call-ID").unwrap_or("")
    }

    pub(crate) fn cseq(&self) -> (&str, &str) {
        self.header("CSeq").and_then(|cseq| cseq.split_once(' ')).unwrap_or_default()
    }

    /// The value of a `key=` in the part of a MESSAGE that is for programs.
    pub fn value(&self, key: &str) -> Option<&str> {
        let (_, ours) = self.body.split_once("sidecall:")?;
        ours.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    pub fn is_peer(&self) -> bool {
        self.body.contains("sidecall:peer ")
    }
}

fn between<'a>(text: &'a str, start: &str, end: char) -> &'a str {
    text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).map_or("", |(user, _)| user)
}

pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_is_written() {
        let invite = "INVITE sip:+123@10.0.0.1 SIP/2.0\r\nFrom: \"A\" <sip:1000@x>;tag=1\r\n\
            user-to-user: 61;encoding=hex\r\n\r\nv=0\r\n";
        let invite = SipMessage::parse(Duration::ZERO, true, invite).unwrap();
        assert!(invite.received);
        assert_eq!((invite.called(), invite.calling(), invite.method()), ("+123", "1000", "INVITE"));
        assert_eq!(invite.header("User-to-User"), Some("61;encoding=hex"));
        assert_eq!(invite.body, "v=0");
        let busy = SipMessage::parse(Duration::ZERO, false, "SIP/2.0 486 Busy Here\r\nCall-ID: x\r\n\r\n").unwrap();
        assert_eq!((busy.received, busy.status(), busy.call_id()), (false, Some(486), "x"));
    }
}
