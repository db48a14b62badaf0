//! What must hold for any events. Compiled with the crate so that it can't fall behind it; run by the
//! fuzzer (`fuzz/`).

use std::collections::HashSet;

use super::snapshot;
use super::translator::FreeswitchTranslator;
use crate::core::base::name::LegId;
use crate::esl::{EslEvent, EslFrame, fuzz::decode};
use crate::pbx::event_reader::Translate;
use crate::pbx::fuzz::Told;

/// Reads a stream of events, and in the middle of it a snapshot of its first half. When every channel
/// that was ever named has hung up, the translator keeps nothing.
pub fn translator(data: &[u8]) {
    let (frames, _) = decode(data, &[]);
    let mut events: Vec<EslEvent> = Vec::new();
    for frame in frames {
        // The reply to `connect` holds channel data in its head.
        events.push(EslEvent::new(frame.head().clone()));
        events.extend(EslFrame::into_event(frame));
    }
    // Fuzzers get further with bare events.
    events.push(EslEvent::new(data.to_vec().into()));
    let (mut translator, mut told, mut named) = (FreeswitchTranslator::default(), Told::default(), HashSet::new());
    let half = events.len() / 2;
    for (n, event) in events.iter().enumerate() {
        let ids = event.fields(["Unique-ID", "Other-Leg-Unique-ID", "Bridge-A-Unique-ID", "Bridge-B-Unique-ID"]);
        named.extend(ids.into_iter().flatten().filter_map(|id| id.parse::<LegId>().ok()));
        told.take(translator.read(event));
        if n == half {
            let snapshot = snapshot::read(&events[..half]);
            named.extend(snapshot.legs.iter().map(|live| live.leg.clone()));
            translator.restart(&snapshot);
            told.restart(&snapshot);
        }
    }
    for leg in named {
        let text = format!("Event-Name: CHANNEL_HANGUP_COMPLETE\nUnique-ID: {leg}\n\n");
        told.take(translator.read(&EslEvent::new(text.into())));
    }
    assert!(translator.is_empty(), "{translator:?}");
    told.nobody_is_left();
}
