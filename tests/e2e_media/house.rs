//! A PBX with sidecall, where some people have phones and clients.

use std::time::Duration;

use lab::scenario::report::{Since, write};
use lab::sidecall::domain;
use lab::{Call, Hosted, Kind, Pbx, PbxConfig, Phone, Sidecall, SidecallConfig};

/// How long anything may take.
pub(super) const SOON: Duration = Duration::from_secs(10);

/// Dropped in this order: sidecall before its PBX.
pub(super) struct House {
    pub(super) sidecall: Sidecall,
    pub(super) pbx: Pbx,
}

impl House {
    /// A PBX of that kind; `None`, and a line that says so, if this machine hasn't got it.
    pub(super) fn open(kind: Kind, config: PbxConfig) -> Option<House> {
        let pbx = lab::or_skip(kind, Pbx::start_with(kind, config))?;
        let sidecall = Sidecall::start_with(&pbx, &SidecallConfig::default()).unwrap();
        Some(House { sidecall, pbx })
    }

    /// Enters an extension in the directory, and starts its client: its number in full, and the client.
    pub(super) fn person(&self, extension: &str, name: &str) -> (String, Hosted) {
        let number = format!("{extension};phone-context={}", domain(&self.pbx));
        self.sidecall.number(&number, name, true);
        let client = Hosted::start(&self.sidecall, &number).unwrap();
        (number, client)
    }

    /// A phone of the lab.
    pub(super) fn phone(&self, extension: &str) -> Phone {
        Phone::register(self.pbx.sip(), extension).unwrap()
    }

    /// Each client is told of the other, once and of nobody else, and what is written to either address arrives at
    /// its client. `what` says when, if not.
    pub(super) fn are_paired(&self, (a, first): (&Since, &str), (b, second): (&Since, &str), what: &str) {
        for (client, other, number) in [(a, b, second), (b, a, first)] {
            let address = client.peer(Some(number)).unwrap_or_else(|| {
                panic!(
                    "{what}: not told of {number}\n{:#?}\n{}\n{}",
                    self.sidecall.calls(),
                    self.sidecall.log(),
                    self.pbx.log()
                )
            });
            let text = format!("{what}: to {number}");
            let status = write(&self.sidecall, &address, &text);
            assert!((200..300).contains(&status), "{what}: {address}: {status}");
            assert!(other.text(&text), "{what}: what is written to {address} doesn't arrive");
        }
        assert!(a.stays_without(1) && b.stays_without(1), "{what}: somebody was told of another person");
    }

    /// Both phones hear each other.
    pub(super) fn sound_both_ways(&self, (a, first): (&Call, &Phone), (b, second): (&Call, &Phone), what: &str) {
        assert!(a.wait_hears(second, SOON), "{what}: the caller hears nothing\n{}", self.pbx.log());
        assert!(b.wait_hears(first, SOON), "{what}: the called one hears nothing\n{}", self.pbx.log());
    }
}

/// Both clients are told that it is over.
pub(super) fn both_are_told_of_the_end((a, first): (&Since, &str), (b, second): (&Since, &str), what: &str) {
    assert!(a.ended(Some(second)) && b.ended(Some(first)), "{what}: not both were told of the end");
}
