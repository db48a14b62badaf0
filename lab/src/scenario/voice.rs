//! What can be told from a call by those who are in it (B12): what each phone got, in order, and what each PBX
//! wrote down. The same call without sidecall and with it is compared line by line.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::{Cdr, Pbx, Phone, SipMessage, wait_until};

/// How long anything may take.
const SOON: Duration = Duration::from_secs(12);
/// To whom nothing was sent for so long nothing more is sent.
const QUIET: Duration = Duration::from_millis(100);

/// Who is at the other end of a trunk.
const TRUNK_END: &str = "far end";

/// Headers whose values people see, or that say why something ends. Of the others it counts that they are there.
const READ: [&str; 14] = [
    "From",
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Remote-Party-ID",
    "Privacy",
    "Diversion",
    "History-Info",
    "Reason",
    "Alert-Info",
    "Call-Info",
    "Subject",
    "Refer-To",
    "X-FS-Display-Name",
    "X-FS-Display-Number",
];

/// A call as it was: lines, by where they were seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observation(BTreeMap<String, Vec<String>>);

impl Observation {
    /// The lines of a place, to be written.
    pub fn at(&mut self, place: &str) -> &mut Vec<String> {
        self.0.entry(place.to_owned()).or_default()
    }

    /// The lines of a place; none if nothing was seen there.
    pub fn lines(&self, place: &str) -> &[String] {
        self.0.get(place).map_or(&[], Vec::as_slice)
    }

    /// The places where something was seen.
    pub(super) fn places(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// Adds what somebody received: a place for each call, in the order in which they began. Within a call the
    /// order is kept; between two calls of one phone it is chance.
    pub fn add(&mut self, who: &str, messages: &[SipMessage]) {
        let mut ids: Vec<&str> = Vec::new();
        for message in messages.iter().filter(|m| what(m).is_some() || m.method() == "INVITE") {
            if !ids.contains(&message.call_id()) {
                ids.push(message.call_id());
            }
        }
        for (n, id) in ids.iter().enumerate() {
            let call: Vec<&SipMessage> = messages.iter().filter(|m| m.call_id() == *id).collect();
            let lines = call.iter().enumerate().filter(|(at, m)| m.received && !repeated(&call[..*at], m));
            let lines = lines.filter_map(|(_, m)| Some(format!("{}{}", what(m)?, details(m))));
            self.at(&format!("{who}, call {}", n + 1)).extend(lines);
        }
    }
}

/// It came before: whoever sends it had no answer in time. A provisional response comes again only to an INVITE
/// that came again, so a second one is a second one.
fn repeated(before: &[&SipMessage], message: &SipMessage) -> bool {
    let same = |name: &str, m: &SipMessage| m.header(name) == message.header(name);
    if message.status().is_some_and(|status| status < 200) {
        let invites = before.iter().filter(|m| !m.received && m.method() == "INVITE" && same("CSeq", m));
        if invites.count() < 2 {
            return false;
        }
    }
    let known =
        |m: &&&SipMessage| m.received && m.start_line == message.start_line && same("Via", m) && same("CSeq", m);
    before.iter().any(|m| known(&m))
}

/// `INVITE`, `180 to INVITE`, and nothing for what a person never notices.
fn what(message: &SipMessage) -> Option<String> {
    match message.status() {
        Some(100 | 401 | 407) => None,
        Some(status) => {
            let method = message.header("CSeq")?.split(' ').nth(1)?;
            (method != "REGISTER").then(|| format!("{status} to {method}"))
        }
        None if ["ACK", "OPTIONS", "MESSAGE"].contains(&message.method()) => None,
        None => Some(message.method().to_owned()),
    }
}

/// Who calls, why it ended, what is offered, how a transfer goes, and which headers there are.
fn details(message: &SipMessage) -> String {
    let mut details = String::new();
    for name in READ {
        // In a response From is the phone itself.
        if let Some(value) = message.header(name).filter(|_| name != "From" || message.status().is_none()) {
            details += &format!(" | {name}: {}", timeless(value));
        }
    }
    for line in message.body.lines() {
        // Ports, and the session's name and number, are new in every call.
        if line.starts_with("m=") {
            let mut words: Vec<_> = line.split(' ').collect();
            words.remove(1);
            details += &format!(" | {}", words.join(" "));
        } else if (line.starts_with("a=") && !line.starts_with("a=rtcp:")) || line.starts_with("SIP/2.0") {
            details += &format!(" | {line}");
        }
    }
    let mut names: Vec<String> =
        message.headers.iter().map(|(name, _)| format!(" | has {}", name.to_ascii_lowercase())).collect();
    names.sort_unstable();
    names.dedup();
    details + &names.concat()
}

/// Without tags, and without hosts: the PSTN and the packet trunk are two, and who calls is what matters.
fn timeless(value: &str) -> String {
    let mut words = value.split('@');
    let mut text = words.next().unwrap_or_default().to_owned();
    for word in words {
        text += word.find(['>', ';', ',', '?']).map_or("", |end| &word[end..]);
    }
    text.split(';').filter(|part| !part.starts_with("tag=")).collect::<Vec<_>>().join(";")
}

/// Where SIP is seen, and how many messages were there before.
type Ear<'a> = (String, Box<dyn Fn() -> Vec<SipMessage> + 'a>, usize);

/// Watches a call from before its begin.
#[derive(Default)]
pub struct Watch<'a> {
    phones: Vec<&'a Phone>,
    ears: Vec<Ear<'a>>,
    pbxs: Vec<(&'a str, &'a Pbx, usize)>,
}

impl<'a> Watch<'a> {
    /// A PBX, whose records count.
    #[must_use]
    pub fn pbx(mut self, name: &'a str, pbx: &'a Pbx) -> Watch<'a> {
        self.pbxs.push((name, pbx, pbx.cdrs().len()));
        self
    }

    /// Phones: each is to be idle at the end.
    #[must_use]
    pub fn phones(self, phones: impl IntoIterator<Item = &'a Phone>) -> Watch<'a> {
        phones.into_iter().fold(self, |watch, phone| watch.phone(phone.number(), phone))
    }

    /// Far ends of trunks that are phones, of which a call reaches one or comes from one.
    #[must_use]
    pub fn trunk_phones(self, phones: impl IntoIterator<Item = &'a Phone>) -> Watch<'a> {
        phones.into_iter().fold(self, |watch, phone| watch.phone(TRUNK_END, phone))
    }

    fn phone(mut self, who: &str, phone: &'a Phone) -> Watch<'a> {
        self.phones.push(phone);
        self.ears.push((who.to_owned(), Box::new(move || phone.messages()), phone.messages().len()));
        self
    }

    /// What has come since, when all is over and a PBX has written a row.
    ///
    /// # Panics
    /// If a phone is still in a call, or a PBX thinks so.
    pub fn end(self) -> Observation {
        let mut observed = Observation::default();
        for phone in &self.phones {
            assert!(phone.wait_idle(SOON), "a call of {} does not end: {:#?}", phone.number(), phone.messages());
        }
        for (name, pbx, _) in &self.pbxs {
            assert!(pbx.wait_recorded(SOON), "{name} has calls that don't end");
        }
        wait_until(SOON, || self.pbxs.iter().any(|(_, pbx, before)| pbx.cdrs().len() > *before));
        let count = || {
            let messages = self.ears.iter().map(|(_, messages, _)| messages().len()).sum::<usize>();
            messages + self.pbxs.iter().map(|(_, pbx, _)| pbx.cdrs().len()).sum::<usize>()
        };
        let (mut last, mut since) = (count(), Instant::now());
        wait_until(SOON, || {
            let now = count();
            if now != last {
                (last, since) = (now, Instant::now());
            }
            since.elapsed() >= QUIET
        });
        for (who, messages, before) in &self.ears {
            observed.add(who, &messages()[*before..]);
        }
        for (name, pbx, before) in &self.pbxs {
            let row = |row: &Cdr| format!("row | {}", row.columns.join(" | "));
            let mut rows: Vec<String> = pbx.cdrs()[*before..].iter().map(row).collect();
            // Legs that end together are written down in the order in which their threads come to it.
            rows.sort();
            *observed.at(&format!("{RECORDS}{name}")) = rows;
        }
        observed
    }
}

/// What the place begins with where the rows of a PBX stand.
pub(crate) const RECORDS: &str = "records of ";

#[cfg(test)]
mod tests {
    use super::*;

    fn message(received: bool, start: &str, headers: &str) -> SipMessage {
        let text = format!("{start}\r\nCall-ID: 1\r\nVia: SIP/2.0/UDP 127.0.0.1;branch={start}\r\n{headers}\r\n\r\n");
        SipMessage::parse(Duration::ZERO, received, &text).unwrap()
    }

    fn observe(messages: &[SipMessage]) -> Observation {
        let mut observed = Observation::default();
        observed.add("1001", messages);
        observed
    }

    #[test]
    fn ringing_twice_in_another_order_or_with_one_header_more_is_another_call() {
        let invite = message(false, "INVITE sip:1001@a SIP/2.0", "CSeq: 1 INVITE");
        let ring = message(true, "SIP/2.0 180 Ringing", "CSeq: 1 INVITE");
        let early = message(true, "SIP/2.0 183 Session Progress", "CSeq: 1 INVITE");
        let plain = [invite.clone(), ring.clone(), early.clone()];
        let twice = [invite.clone(), ring.clone(), ring.clone(), early.clone()];
        let turned = [invite.clone(), early.clone(), ring.clone()];
        let more = message(true, "SIP/2.0 183 Session Progress", "CSeq: 1 INVITE\r\nX-More: 1");
        for other in [&twice[..], &turned, &[invite.clone(), ring.clone(), more]] {
            assert_ne!(observe(other), observe(&plain), "{other:#?}");
        }
        // The phone was not answered in time and asked again, and so it rang again.
        assert_eq!(observe(&[invite.clone(), invite, ring.clone(), ring, early]), observe(&plain));
    }

    #[test]
    fn what_is_new_in_every_call_is_no_difference() {
        let bye = |tag: &str, host: &str| {
            let from = format!("CSeq: 2 BYE\r\nFrom: \"A\" <sip:1000@{host}:5060>;tag={tag}\r\nReason: Q.850;cause=16");
            message(true, "BYE sip:1001@a SIP/2.0", &from)
        };
        assert_eq!(observe(&[bye("1", "a")]), observe(&[bye("2", "b"), bye("2", "b")]));
        assert_eq!(timeless("\"A\" <sip:1000@a:5060;user=phone>;tag=1;x=y"), "\"A\" <sip:1000;user=phone>;x=y");
    }
}
