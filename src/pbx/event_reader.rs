//! Events from a PBX's connection, translated in order.

use std::fmt::{self, Debug};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::Stream;

use super::{PbxEvent, PbxEvents, Snapshot};
use crate::wire::{Events, Item};

/// Puts one PBX's events in our words.
pub(super) trait Translate: Debug + Send + Unpin {
    /// An event as that PBX sends it.
    type Event: Send + Unpin;

    /// What the event says; nothing if it doesn't concern us. Events must be read in order, each once.
    fn read(&mut self, event: &Self::Event) -> Vec<PbxEvent>;

    /// Goes on from a snapshot: what is known may have holes, and channels that are gone.
    fn restart(&mut self, snapshot: &Snapshot);

    /// Whether the event announces a call: that can't wait for its turn.
    fn is_announcement(event: &Self::Event) -> bool;
}

/// The events of one connection.
pub(super) struct EventReader<T: Translate> {
    events: Events<T::Event>,
    translator: T,
    /// What waits for a snapshot.
    held: Option<Vec<Item<T::Event>>>,
}

impl<T: Translate> EventReader<T> {
    pub(super) fn new(events: Events<T::Event>, translator: T) -> EventReader<T> {
        EventReader { events, translator, held: None }
    }
}

fn read<T: Translate>(translator: &mut T, item: &Item<T::Event>) -> Vec<PbxEvent> {
    match item {
        Item::Event(event) => translator.read(event),
        Item::Lost(_) => vec![PbxEvent::Gap { why: "our own queue was full" }],
    }
}

impl<T: Translate> Stream for EventReader<T> {
    type Item = Vec<PbxEvent>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<PbxEvent>>> {
        let EventReader { events, translator, held } = self.get_mut();
        // An event that was taken is read or put aside in the same poll: nobody can give up in between.
        let Some(item) = ready!(events.poll_next(cx)) else { return Poll::Ready(None) };
        match held.as_mut().filter(|_| !matches!(&item, Item::Event(event) if T::is_announcement(event))) {
            Some(held) => {
                held.push(item);
                Poll::Ready(Some(Vec::new()))
            }
            None => Poll::Ready(Some(read(translator, &item))),
        }
    }
}

impl<T: Translate> PbxEvents for EventReader<T> {
    fn hold(&mut self) {
        self.held.get_or_insert_default();
    }

    fn release(&mut self, snapshot: Option<&Snapshot>) -> Vec<PbxEvent> {
        if let Some(snapshot) = snapshot {
            self.translator.restart(snapshot);
        }
        let held = self.held.take().unwrap_or_default();
        held.iter().flat_map(|item| read(&mut self.translator, item)).collect()
    }
}

impl<T: Translate> Debug for EventReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.held.as_ref().map(Vec::len);
        f.debug_struct("EventReader").field("translator", &self.translator).field("held", &held).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};

    use super::*;
    use crate::wire::{EventSender, queue};

    /// Reads the names of legs that answer. One that begins with `call` is announced; after a snapshot all end in `/new`.
    #[derive(Debug, Default)]
    struct Names(&'static str);

    impl Translate for Names {
        type Event = &'static str;

        fn read(&mut self, name: &&'static str) -> Vec<PbxEvent> {
            vec![PbxEvent::Answered { leg: format!("{name}{}", self.0).parse().unwrap() }]
        }

        fn restart(&mut self, _: &Snapshot) {
            self.0 = "/new";
        }

        fn is_announcement(name: &&'static str) -> bool {
            name.starts_with("call")
        }
    }

    fn reader() -> (EventSender<&'static str>, EventReader<Names>) {
        let (sender, events) = queue(8);
        (sender, EventReader::new(events, Names::default()))
    }

    fn push(sender: &EventSender<&'static str>, names: &[&'static str]) {
        names.iter().for_each(|name| sender.push(name));
    }

    fn names(events: Vec<PbxEvent>) -> Vec<String> {
        let name = |event| match event {
            PbxEvent::Answered { leg } => leg.to_string(),
            PbxEvent::Gap { .. } => "gap".to_owned(),
            other => panic!("{other:?}"),
        };
        events.into_iter().map(name).collect()
    }

    /// What comes out, each wait for it given up after one attempt, as in a `select!` that something else always wins.
    fn impatiently(reader: &mut EventReader<Names>) -> Vec<String> {
        let attempts = (0..20).filter_map(|_| reader.next().now_or_never());
        names(attempts.flatten().flatten().collect())
    }

    #[test]
    fn giving_up_the_wait_loses_no_event() {
        let (sender, mut reader) = reader();
        assert!(reader.next().now_or_never().is_none());
        push(&sender, &["a", "b", "c"]);
        assert_eq!(impatiently(&mut reader), ["a", "b", "c"]);
        reader.hold();
        push(&sender, &["d", "call", "e"]);
        assert_eq!(impatiently(&mut reader), ["call"]);
        assert_eq!(names(reader.release(None)), ["d", "e"]);
    }

    #[test]
    fn what_has_waited_is_read_in_order_against_the_snapshot() {
        let (sender, mut reader) = reader();
        sender.push("a");
        assert_eq!(impatiently(&mut reader), ["a"]);
        reader.hold();
        push(&sender, &["b", "call-1", "c"]);
        assert_eq!(impatiently(&mut reader), ["call-1"], "what is announced can't wait");
        sender.push("d");
        assert_eq!(names(reader.release(Some(&Snapshot::default()))), ["b/new", "c/new"], "`d` was not taken yet");
        assert_eq!(impatiently(&mut reader), ["d/new"]);
    }

    #[test]
    fn a_gap_waits_at_its_place() {
        let (sender, mut reader) = reader();
        reader.hold();
        push(&sender, &["1", "2", "3", "4", "5", "6", "7", "8", "lost"]);
        assert_eq!(impatiently(&mut reader), [""; 0]);
        sender.push("9");
        assert_eq!(impatiently(&mut reader), [""; 0]);
        let told = names(reader.release(None));
        assert_eq!(told, ["1", "2", "3", "4", "5", "6", "7", "8", "gap", "9"]);
    }

    #[test]
    fn a_lost_link_ends_the_events_after_the_last_one() {
        let (sender, mut reader) = reader();
        sender.push("a");
        drop(sender);
        assert_eq!(reader.next().now_or_never().unwrap().map(names), Some(vec!["a".to_owned()]));
        assert_eq!(reader.next().now_or_never(), Some(None));
    }
}
