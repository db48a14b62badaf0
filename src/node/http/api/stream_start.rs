//! The notices that a stream begins with. The client does not get them again.
//!
//! A stream is attached to the hub before the notices that hold are worked out, so that none is lost in between. So a notice of
//! that moment may come by the hub as well.

use std::collections::HashMap;
use std::sync::Arc;

use crate::contract::NoticeBody;
use crate::core::base::name::CallId;
use crate::push::Frame;

/// What a stream began with, for each call of which nothing else has come since.
pub(super) struct StreamStart(HashMap<CallId, Vec<NoticeBody>>);

impl StreamStart {
    /// The start of a stream that begins with these frames.
    pub(super) fn of(frames: &[Arc<Frame>]) -> StreamStart {
        let mut told: HashMap<CallId, Vec<NoticeBody>> = HashMap::new();
        for frame in frames {
            if let Some(body) = &frame.notice {
                told.entry(frame.call.clone()).or_default().push(body.clone());
            }
        }
        StreamStart(told)
    }

    /// Whether a frame of the hub's tells the client what it knows from the start. A call rings before anything else is said
    /// of it, so `ringing` is never news.
    pub(super) fn is_repeat(&mut self, frame: &Frame) -> bool {
        let Some(told) = self.0.get(&frame.call) else { return false };
        let rings = |body: &NoticeBody| matches!(body, NoticeBody::Ringing { .. });
        let is_known = frame.notice.as_ref().is_some_and(|body| rings(body) || told.contains(body));
        if !is_known {
            // From here on, the same again is news.
            self.0.remove(&frame.call);
        }
        is_known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Message, MessageBody, Notice, PeerIdentity, Role};

    fn notice(call: &str, body: NoticeBody) -> Arc<Frame> {
        Frame::notice(&Notice { id: uuid::Uuid::now_v7().to_string(), call: call.parse().unwrap(), body })
    }

    fn ringing(call: &str) -> Arc<Frame> {
        notice(call, NoticeBody::Ringing { role: Role::Second, peer: PeerIdentity::default() })
    }

    fn answered(call: &str, number: &str) -> Arc<Frame> {
        let peer = PeerIdentity { number: Some(number.parse().unwrap()), name: None };
        notice(call, NoticeBody::Answered { role: Role::Second, peer })
    }

    const ALICE: &str = "+12125550100";
    const CAROL: &str = "+12125550102";

    #[test]
    fn what_a_stream_began_with_does_not_come_again() {
        let mut start = StreamStart::of(&[ringing("1"), answered("2", ALICE)]);
        assert!(start.is_repeat(&ringing("1")) && start.is_repeat(&answered("2", ALICE)));
        assert!(!start.is_repeat(&ringing("3")), "another call");
        assert!(!start.is_repeat(&answered("1", ALICE)), "it goes on");
    }

    #[test]
    fn a_call_that_is_answered_does_not_ring_again() {
        let mut start = StreamStart::of(&[answered("1", ALICE), notice("2", NoticeBody::Over)]);
        assert!(start.is_repeat(&ringing("1")) && start.is_repeat(&ringing("2")));
    }

    #[test]
    fn what_comes_again_after_something_else_is_news() {
        let ended =
            Message { id: "1".to_owned(), call: "1".parse().unwrap(), body: MessageBody::Ended { number: None } };
        for other in [answered("1", CAROL), Frame::new(&ended)] {
            let mut start = StreamStart::of(&[answered("1", ALICE)]);
            assert!(!start.is_repeat(&other));
            assert!(!start.is_repeat(&answered("1", ALICE)));
        }
    }
}
