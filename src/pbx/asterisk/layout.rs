//! Whether an event is as Asterisk prints it, or has lines that a caller has written.
//!
//! Asterisk decodes `%0D%0A` in the user part of a SIP address. It prints numbers and extensions as they are
//! (`ast_manager_build_channel_state_string_prefix` in manager_channels.c), so such a text brings lines of its own:
//!
//! ```text
//! CallerIDNum: 1001
//! Uniqueid: 1795345005.7            a line of the caller
//! CallerIDName: Alice               Asterisk's next line
//! …
//! Uniqueid: 1795345005.1600         Asterisk's own
//! ```
//!
//! Neither the first nor the last of two lines with one name is always Asterisk's: a caller's text stands in front of some of
//! its fields and behind others. So an event with two such lines is not believed at all. Behind each text that a caller may
//! have written, Asterisk always prints the same line. If another one is there, the caller has written it. If the caller has
//! written that line, too, it is there twice. So no line of a caller goes unnoticed.
//!
//! An empty line in such a text ends the event, and what comes behind it is an event of its own. `eventfilter` in
//! `dialplan/asterisk/manager.conf` has Asterisk drop all of it. Without that line, too, an event of a channel counts only with
//! the channel's whole block, which is longer than a number or an extension of PJSIP can be. `BridgeDestroy`, `FullyBooted` and
//! `Shutdown` are short enough, so without that line a caller can write them. The last two only have the agent take a snapshot.

use memchr::memchr;

use crate::ami::AmiEvent;
use crate::wire::lines;

/// The fields of a channel in Asterisk's order. Another event may have them with a prefix: `DestChannel`.
pub(super) const CHANNEL: [&str; 14] = [
    "Channel",
    "ChannelState",
    "ChannelStateDesc",
    "CallerIDNum",
    "CallerIDName",
    "ConnectedLineNum",
    "ConnectedLineName",
    "Language",
    "AccountCode",
    "Context",
    "Exten",
    "Priority",
    "Uniqueid",
    "Linkedid",
];

/// A channel's fields that anybody may have written, and what Asterisk prints behind them.
const UNFILTERED: [(&str, &str); 3] =
    [("CallerIDNum", "CallerIDName"), ("ConnectedLineNum", "ConnectedLineName"), ("Exten", "Priority")];

/// The same of the fields of one event: `Status`, `BridgeListItem` and `BridgeEnter`. Nothing follows `DialString`.
const UNFILTERED_ONCE: [(&str, Option<&str>); 5] = [
    ("DNID", Some("EffectiveConnectedLineNum")),
    ("EffectiveConnectedLineName", Some("TimeToHangup")),
    ("Data", Some("Nativeformats")),
    ("BridgeName", Some("BridgeNumChannels")),
    ("DialString", None),
];

/// The most lines of one event. Those that we read have about forty, and one for each variable that is shown.
const MAX_LINES: usize = 512;

/// Whether Asterisk alone can have written the lines of this event. It must have the block of a channel for each of
/// `prefixes`, and of the one that `Channel` names, if it has that line.
pub(super) fn is_genuine(event: &AmiEvent, prefixes: &[&str]) -> bool {
    keys(event).is_some_and(|keys| {
        let named = keys.contains(&CHANNEL[0]).then_some("");
        let mut prefixes = prefixes.iter().copied().chain(named);
        all_differ(&keys) && keys_follow(&keys) && prefixes.all(|prefix| has_channel(&keys, prefix))
    })
}

/// The name of each line. None if a line isn't one of Asterisk's.
fn keys(event: &AmiEvent) -> Option<Vec<&str>> {
    let raw = event.as_bytes();
    let raw = raw.strip_suffix(b"\r\n").unwrap_or(raw);
    let mut rest = lines(raw).map(|line| (line.strip_suffix(b"\r"), line)).peekable();
    let mut keys = Vec::with_capacity(64);
    while let Some((ended, line)) = rest.next() {
        // Asterisk ends each line with both characters.
        let line = if rest.peek().is_some() { ended? } else { ended.unwrap_or(line) };
        if memchr(b'\r', line).is_some() || keys.len() == MAX_LINES {
            return None;
        }
        keys.push(key(line)?);
    }
    Some(keys)
}

/// `Uniqueid: 1.1` → `Uniqueid`
fn key(line: &[u8]) -> Option<&str> {
    std::str::from_utf8(&line[..memchr(b':', line)?]).ok()
}

/// Whether no name is there twice. Each variable has a line of the same name, `ChanVariable: SIDECALL_SIDE=originating`.
fn all_differ(keys: &[&str]) -> bool {
    let repeated = |n: usize, key: &str| keys[..n].iter().any(|other| other.eq_ignore_ascii_case(key));
    keys.iter().enumerate().all(|(n, key)| key.ends_with("Variable") || !repeated(n, key))
}

/// Whether what Asterisk prints behind a text that anybody may have written is there.
fn keys_follow(keys: &[&str]) -> bool {
    keys.iter().enumerate().all(|(n, key)| {
        let next = keys.get(n + 1).copied();
        let of_a_channel = UNFILTERED.iter().find_map(|(name, follower)| Some((key.strip_suffix(name)?, follower)));
        let once = UNFILTERED_ONCE.iter().find(|(name, _)| name == key);
        of_a_channel.is_none_or(|(prefix, follower)| next.and_then(|next| next.strip_prefix(prefix)) == Some(follower))
            && once.is_none_or(|(_, follower)| next == *follower)
    })
}

/// Whether a channel's block is there, with nothing in between. A later Asterisk has more behind it.
fn has_channel(keys: &[&str], prefix: &str) -> bool {
    let names = keys.iter().map(|key| key.strip_prefix(prefix));
    let mut names = names.skip_while(|name| *name != Some(CHANNEL[0]));
    CHANNEL.iter().all(|field| names.next() == Some(Some(field)))
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
