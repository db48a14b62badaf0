//! SIP messages as a phone or a trunk saw them.

use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

/// One SIP message out of a trace: read-only, as it was on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipMessage {
    /// Time of day, local time.
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
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        Some(SipMessage { at, received, start_line, headers, body: body.trim_end().to_owned() })
    }

    /// The method of a request, else empty.
    pub fn method(&self) -> &str {
        if self.start_line.starts_with("SIP/2.0") { "" } else { self.start_line.split(' ').next().unwrap_or("") }
    }

    /// The status of a response.
    pub fn status(&self) -> Option<u16> {
        self.start_line.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// The first header of that name, in any case of letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The user part of the request URI: the called number.
    pub fn called(&self) -> &str {
        between(&self.start_line, "sip:", '@')
    }

    /// The user part of From: the calling number.
    pub fn calling(&self) -> &str {
        between(self.header("From").unwrap_or(""), "sip:", '@')
    }

    /// Call-ID.
    pub(crate) fn call_id(&self) -> &str {
        self.header("Call-ID").unwrap_or("")
    }
}

fn between<'a>(text: &'a str, start: &str, end: char) -> &'a str {
    text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).map_or("", |(user, _)| user)
}

/// `2026-11-22 11:00:00.000000` → since midnight.
fn time_of_day(text: &str) -> Option<Duration> {
    let mut parts = text.split_whitespace().nth(1)?.split(':');
    let mut next = || parts.next()?.parse::<f64>().ok();
    let (hours, minutes, seconds) = (next()?, next()?, next()?);
    Some(Duration::from_secs_f64(hours * 3600.0 + minutes * 60.0 + seconds))
}

/// The time of day now, as SIPp stamps its messages.
pub fn now() -> Duration {
    local_time(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// Since 1970 → since midnight, local time.
pub(crate) fn local_time(since_epoch: Duration) -> Duration {
    // The standard library doesn't know the time zone.
    static OFFSET: OnceLock<i64> = OnceLock::new();
    let offset = *OFFSET.get_or_init(|| {
        let out = Command::new("date").arg("+%z").output().map(|out| out.stdout).unwrap_or_default();
        let text = String::from_utf8_lossy(&out).trim().to_owned();
        let part = |range: std::ops::Range<usize>| text.get(range).and_then(|t| t.parse::<i64>().ok()).unwrap_or(0);
        let sign = if text.starts_with('-') { -1 } else { 1 };
        sign * (part(1..3) * 3600 + part(3..5) * 60)
    });
    let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(0) + offset;
    Duration::new(u64::try_from(seconds.rem_euclid(86_400)).unwrap_or(0), since_epoch.subsec_nanos())
}

/// Parses what SIPp's `-trace_msg` writes: a dashed line with the time, `UDP message received [n]
/// bytes :`, a blank line, the message.
pub(crate) fn parse_trace(text: &str) -> Vec<SipMessage> {
    text.split("----------------------------------------------- ")
        .filter_map(|entry| {
            let (time, rest) = entry.split_once('\n')?;
            let (what, message) = rest.split_once("\n\n")?;
            // `[123] bytes` or `(123 bytes)`: the last one may be half written.
            let whole = what.split(['[', '(']).nth(1).and_then(|rest| rest.split([']', ' ']).next()?.parse().ok());
            if whole.is_some_and(|whole: usize| message.len() < whole) {
                return None;
            }
            SipMessage::parse(time_of_day(time)?, what.contains("message received"), message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_split_into_messages() {
        let invite = "INVITE sip:+123@10.0.0.1 SIP/2.0\r\nFrom: \"A\" <sip:1000@x>;tag=1\r\n\
            user-to-user: 61;encoding=hex\r\n\r\nv=0\r\n";
        let busy = "SIP/2.0 486 Busy Here\r\nCall-ID: x\r\n\r\n";
        let text = format!(
            "----------------------------------------------- 2026-11-22 11:00:00.000000\n\
             UDP message received [{}] bytes :\n\n{invite}\n\
             ----------------------------------------------- 2026-11-22 11:00:00.100000\n\
             UDP message sent ({} bytes):\n\n{busy}\n",
            invite.len(),
            busy.len()
        );
        let half = &text[..text.len() - 10];
        assert_eq!(parse_trace(half).len(), 1, "what is half written is no message yet");
        let messages = parse_trace(&text);
        assert_eq!(messages.len(), 2);
        assert!(messages[0].received);
        assert_eq!(messages[0].called(), "+123");
        assert_eq!(messages[0].calling(), "1000");
        assert_eq!(messages[0].header("User-to-User"), Some("61;encoding=hex"));
        assert_eq!(messages[0].body, "v=0");
        assert_eq!((messages[1].received, messages[1].status()), (false, Some(486)));
    }
}
