//! A phone that dials the code of a page, as FreeSWITCH announces it.

use crate::esl::EslEvent;
use crate::pbx::event::hold;
use crate::pbx::{Device, EnrolmentCall, PbxEvent, Release};

/// The announcement of `sidecall/enrol.xml`.
pub(super) const ENROL: &str = "sidecall::enrol";

/// `sidecall_calling: 1001`, `sidecall_digits: 123456`. Without a number or digits that can be read it says nothing: the
/// dialplan refuses the code when its hold is over.
pub(super) fn read(event: &EslEvent) -> Option<PbxEvent> {
    let [id, agent, calling, tenant, digits, said, sent] = event.fields([
        "Unique-ID",
        "sidecall_agent",
        "sidecall_calling",
        "sidecall_tenant",
        "sidecall_digits",
        "sidecall_hold",
        "Event-Date-Timestamp",
    ]);
    Some(PbxEvent::EnrolmentDialled(Box::new(EnrolmentCall {
        leg: id?.parse().ok()?,
        agent: agent?.into_owned(),
        device: Device::read(&calling?, tenant.as_deref())?,
        digits: digits?.parse().ok()?,
        hold: hold(&said?)?,
        sent: sent.and_then(|sent| sent.parse().ok()),
        release: Release::Break,
    })))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Recorded on FreeSWITCH 1.10.12, without the fields that nobody reads. The phone says that it is 1001.
    const DIALLED: &str = "Event-Subclass: sidecall%3A%3Aenrol\nEvent-Date-Timestamp: 1795973799342152\n\
        Event-Name: CUSTOM\nsidecall_agent: lab\nsidecall_calling: 1000\nsidecall_digits: 012345\n\
        sidecall_tenant: 127.0.0.1\nsidecall_hold: 2000\nUnique-ID: 3b58d88e-9c3b-4faa-8357-440c7bbfa0e9\n\
        Caller-Caller-ID-Name: Bob\nCaller-Caller-ID-Number: 1001\n";

    fn read_text(text: &str) -> Option<PbxEvent> {
        read(&EslEvent::new(text.to_owned().into()))
    }

    #[test]
    fn a_dialled_code_is_read() {
        let expected = EnrolmentCall {
            leg: "3b58d88e-9c3b-4faa-8357-440c7bbfa0e9".parse().unwrap(),
            agent: "lab".to_owned(),
            device: Device::Named { number: "1000".to_owned(), tenant: Some("127.0.0.1".to_owned()) },
            digits: "012345".parse().unwrap(),
            hold: Duration::from_millis(2_000),
            sent: Some(1_795_973_799_342_152),
            release: Release::Break,
        };
        assert_eq!(read_text(DIALLED), Some(PbxEvent::EnrolmentDialled(Box::new(expected))));
    }

    #[test]
    fn a_code_that_cannot_be_used_says_nothing() {
        for (good, bad) in [
            ("012345", "12345"),
            ("012345", "01234x"),
            ("calling: 1000", "calling: alice"),
            ("calling: 1000", "calling: "),
            ("2000", "soon"),
        ] {
            assert_eq!(read_text(&DIALLED.replace(good, bad)), None, "{bad:?}");
        }
        for field in ["Unique-ID", "sidecall_agent", "sidecall_calling", "sidecall_digits", "sidecall_hold"] {
            let cut: String = DIALLED.lines().filter(|l| !l.starts_with(field)).map(|l| format!("{l}\n")).collect();
            assert_eq!(read_text(&cut), None, "{field}");
        }
    }
}
