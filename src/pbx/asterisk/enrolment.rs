//! A phone that dials the code of a page, as Asterisk announces it.

use std::borrow::Cow;

use super::translator::{leg, micros, phone};
use crate::ami::AmiEvent;
use crate::core::numbering::endpoint_names::Endpoints;
use crate::pbx::event::hold;
use crate::pbx::{Device, EnrolmentCall, PbxEvent, Release};

/// The announcement of `[sidecall-enrol]` in `sidecall.conf`.
pub(super) const ENROL: &str = "SidecallEnrol";

/// `Calling` is the caller ID that the phone's endpoint is configured with. Without one, the endpoint's name is the number:
/// `PJSIP/1001-00000019`. If neither is, nothing is said, and the dialplan refuses the code when its hold is over.
pub(super) fn read(event: &AmiEvent, endpoints: &Endpoints) -> Option<PbxEvent> {
    let [channel, agent, calling, tenant, digits, said, sent, context, exten] =
        event.fields(["Channel", "Agent", "Calling", "Tenant", "Digits", "Hold", "Sent", "Context", "Exten"]);
    let channel = channel?;
    let named = phone(&channel, tenant.as_deref(), endpoints);
    let own = match &named {
        Some(Device::Named { tenant: Some(own), .. }) => Some(own.clone()),
        _ => tenant.map(Cow::into_owned),
    };
    let configured = calling.and_then(|calling| Device::read(&calling, own.as_deref()));
    Some(PbxEvent::EnrolmentDialled(Box::new(EnrolmentCall {
        leg: leg(event, "Uniqueid")?,
        agent: agent?.into_owned(),
        device: configured.or(named)?,
        digits: digits?.parse().ok()?,
        hold: hold(&said?)?,
        sent: sent.and_then(|sent| micros(&sent)),
        release: Release::Redirect {
            channel: channel.into_owned(),
            context: context?.into_owned(),
            exten: exten?.into_owned(),
            joined: false,
        },
    })))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Recorded on Asterisk 22.
    const DIALLED: &str = "Event: UserEvent\nPrivilege: user,all\nChannel: PJSIP/1000-00000001\nChannelState: 4\n\
        ChannelStateDesc: Ring\nCallerIDNum: 1000\nCallerIDName: Alice\nConnectedLineNum: <unknown>\n\
        ConnectedLineName: <unknown>\nLanguage: en\nContext: from-internal\nExten: *7433012345\nPriority: 11\n\
        Uniqueid: 1795973796.1\nLinkedid: 1795973796.1\nUserEvent: SidecallEnrol\nAgent: lab\nCalling: 1000\n\
        Digits: 012345\nTenant: \nHold: 2000\nSent: 1795973796.170156\n";

    fn read_text(text: &str) -> Option<PbxEvent> {
        let endpoints = Endpoints::default();
        read(&AmiEvent::new(text.replace('\n', "\r\n").into()), &endpoints)
    }

    fn number(text: &str) -> Option<String> {
        match read_text(text)? {
            PbxEvent::EnrolmentDialled(held) => held.device.number().map(str::to_owned),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_dialled_code_is_read() {
        let expected = EnrolmentCall {
            leg: "1795973796.1".parse().unwrap(),
            agent: "lab".to_owned(),
            device: Device::named("1000"),
            digits: "012345".parse().unwrap(),
            hold: Duration::from_millis(2_000),
            sent: Some(1_795_973_796_170_156),
            release: Release::Redirect {
                channel: "PJSIP/1000-00000001".to_owned(),
                context: "from-internal".to_owned(),
                exten: "*7433012345".to_owned(),
                joined: false,
            },
        };
        assert_eq!(read_text(DIALLED), Some(PbxEvent::EnrolmentDialled(Box::new(expected))));
    }

    #[test]
    fn the_phones_number_is_its_configured_caller_id_or_else_its_endpoint() {
        let says = |calling: &str, endpoint: &str| {
            let text = DIALLED.replace("Calling: 1000", &format!("Calling: {calling}"));
            number(&text.replace("PJSIP/1000-", &format!("PJSIP/{endpoint}-")))
        };
        assert_eq!(says("+12125550101", "alice").as_deref(), Some("+12125550101"));
        assert_eq!(says("", "101").as_deref(), Some("101"));
        assert_eq!(says("", "alice"), None, "what the phone says is no proof");
    }

    #[test]
    fn a_code_that_cannot_be_used_says_nothing() {
        for (good, bad) in [("Digits: 012345", "Digits: 12345"), ("Hold: 2000", "Hold: soon"), ("Channel", "X")] {
            assert_eq!(read_text(&DIALLED.replace(good, bad)), None, "{bad:?}");
        }
    }
}
