//! What must hold for any events. Compiled with the crate so that it can't fall behind it; run by the
//! fuzzer (`fuzz/`).

use std::collections::HashSet;

pub use crate::ami::AmiEvent;

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
        let text = format!("Event: Hangup\r\nUniqueid: {id}\r\nChannel: {channel}\r\n");
        told.take(translator.read(&AmiEvent::new(text.into())));
    }
    assert!(translator.is_empty(), "{translator:?}");
    told.nobody_is_left();
}
