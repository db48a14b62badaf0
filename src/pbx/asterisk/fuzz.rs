//! What must hold for any events. Compiled with the crate so that it can't fall behind it; run by the
//! fuzzer (`fuzz/`).

use std::collections::HashSet;

pub use crate::ami::AmiEvent;

use super::layout::CHANNEL;
use super::snapshot;
use super::translator::AsteriskTranslator;
use crate::ami::{AmiFrame, fuzz::decode};
use crate::core::numbering::endpoint_names::Endpoints;
use crate::pbx::event_reader::Translate;
use crate::pbx::fuzz::Told;
use crate::pbx::{PbxEvent, Snapshot};

/// Reads the events of an Asterisk whose phones are named by their extensions.
#[derive(Debug, Default)]
pub struct Translator(AsteriskTranslator);

impl Translator {
    /// What an event says.
    pub fn read(&mut self, event: &AmiEvent) -> Vec<PbxEvent> {
        self.0.read(event)
    }

    /// Reads a snapshot, and goes on from it.
    pub fn restart(&mut self, channels: &[AmiEvent], bridges: &[AmiEvent]) -> Snapshot {
        let snapshot = snapshot::read(channels, bridges, &Endpoints::default());
        self.0.restart(&snapshot);
        snapshot
    }

    /// Whether it keeps nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Reads a stream of events, and in the middle of it a snapshot of its first half. When every channel
/// that was ever named has hung up, the translator keeps nothing.
pub fn translator(data: &[u8]) {
    let (mut frames, _) = decode(data, &[]);
    // Fuzzers get further without the greeting.
    frames.extend(decode(&[b"Asterisk Call Manager/11.0.0\r\n", data].concat(), &[]).0);
    let mut events: Vec<AmiEvent> = frames.into_iter().filter_map(AmiFrame::into_event).collect();
    events.push(AmiEvent::new(data.to_vec().into()));
    let (mut translator, mut told, mut named) = (Translator::default(), Told::default(), HashSet::new());
    let half = events.len() / 2;
    for (n, event) in events.iter().enumerate() {
        let channels = ["Channel", "DestChannel", "LocalOneChannel"].map(|key| event.get(key));
        let ids = ["Uniqueid", "DestUniqueid"].map(|key| event.get(key));
        named.extend(channels.into_iter().flatten().map(|channel| (None, Some(channel.into_owned()))));
        named.extend(ids.into_iter().flatten().map(|id| (Some(id.into_owned()), None)));
        told.take(translator.read(event));
        if n == half {
            let snapshot = translator.restart(&events[..half], &events[half..]);
            named.extend(snapshot.legs.iter().map(|live| (Some(live.leg.to_string()), None)));
            told.restart(&snapshot);
        }
    }
    for (id, channel) in named {
        let (id, channel) = (id.as_deref().unwrap_or("none"), channel.as_deref().unwrap_or("PJSIP/none-0"));
        told.take(translator.read(&printed(&format!("Event: Hangup\nUniqueid: {id}\nChannel: {channel}\n"))));
    }
    assert!(translator.is_empty(), "{translator:?}");
    told.nobody_is_left();
}

/// An event with these lines, and each channel that they name as Asterisk prints it.
pub(crate) fn printed(lines: &str) -> AmiEvent {
    let (first, rest) = lines.split_once('\n').unwrap_or((lines, ""));
    let mut rest: Vec<&str> = rest.lines().collect();
    let mut text = format!("{first}\r\n");
    for prefix in ["", "Dest", "LocalOne"] {
        let mut said = CHANNEL.map(|field| {
            let key = format!("{prefix}{field}: ");
            let at = rest.iter().position(|line| line.starts_with(&key));
            (at.map(|at| rest.remove(at).to_owned()), key)
        });
        if said.iter().any(|(line, _)| line.is_some()) {
            said.iter_mut().for_each(|(line, key)| text += &format!("{}\r\n", line.as_ref().unwrap_or(key)));
        }
    }
    rest.into_iter().for_each(|line| text += &format!("{line}\r\n"));
    AmiEvent::new(text.into())
}
