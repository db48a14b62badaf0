//! Why nodes gave no answer, and what that says about them.

use std::time::Duration;

use crate::contract::STANDS_BY;
use crate::core::base::node_list::PROMPT;

/// Why the node gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum NodeClientError {
    /// The circuit breaker of each node is open: none was asked.
    #[error("not asked: the node failed several times in a row")]
    BreakerOpen,
    /// The agent went over to another node meanwhile.
    #[error("another node is used now")]
    Moved,
    /// No answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// No connection, or it broke.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// The node doesn't know the call.
    #[error("it does not know the call")]
    UnknownCall,
    /// An answer that is an error.
    #[error("it answered {status}: {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The problem's detail.
        detail: String,
    },
    /// What no node says: a proxy answers, or somebody else.
    #[error("no node answered: {0}")]
    NotANode(String),
    /// A URL, token or TLS set-up that no request can be made of.
    #[error("the node can't be asked: {0}")]
    Setup(String),
}

impl NodeClientError {
    /// The node doesn't know the call.
    pub fn is_unknown_call(&self) -> bool {
        matches!(self, NodeClientError::UnknownCall)
    }

    /// The node will say the same again.
    pub fn is_final(&self) -> bool {
        self.is_refusal() && !self.is_busy() && !self.is_auth()
    }

    /// The node doesn't know our token.
    pub fn is_auth(&self) -> bool {
        matches!(self, NodeClientError::Refused { status: 401 | 403, .. })
    }

    /// The node is there, and refuses the request.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            NodeClientError::UnknownCall => true,
            NodeClientError::Refused { status, .. } => (400..=499).contains(status) && *status != 404,
            _ => false,
        }
    }

    /// There is no node, it is slow, or it can't work: another one may. A proxy answers for a node that is gone (404, 502,
    /// 504): a node has all that we ask for. A node that doesn't know our token is no node of ours.
    pub(super) fn is_absent(&self) -> bool {
        match self {
            NodeClientError::Late(within) => *within >= PROMPT,
            NodeClientError::Unreachable(_) | NodeClientError::NotANode(_) => true,
            NodeClientError::Refused { status: 401 | 404 | 502..=504, .. } => true,
            _ => false,
        }
    }

    /// Another node serves.
    pub(super) fn stands_by(&self) -> bool {
        matches!(self, NodeClientError::Refused { status: 503, detail } if detail.starts_with(STANDS_BY))
    }

    fn is_busy(&self) -> bool {
        matches!(self, NodeClientError::Refused { status: 408 | 429, .. })
    }

    /// Why none of several nodes answered: what the last one said. That a node stands by is no reason, if there is another.
    pub(super) fn why_none(self, last: NodeClientError) -> NodeClientError {
        let is_none = matches!(self, NodeClientError::BreakerOpen | NodeClientError::Moved);
        if last.stands_by() && !is_none { self } else { last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_refuses_a_request_is_there_and_one_that_cant_work_is_not() {
        let status = |status| NodeClientError::Refused { status, detail: String::new() };
        let late = |ms| NodeClientError::Late(Duration::from_millis(ms));
        for absent in [status(401), status(404), status(502), status(503), status(504), late(240), late(80)] {
            assert!(absent.is_absent(), "{absent}");
        }
        // What is asked with so little time left says nothing about the node.
        for present in [status(403), status(422), status(429), status(500), status(507), late(79)] {
            assert!(!present.is_absent(), "{present}");
        }
        assert!(NodeClientError::Unreachable(String::new()).is_absent() && !NodeClientError::Moved.is_absent());
    }

    #[test]
    fn a_stand_by_is_why_there_is_no_answer_only_if_there_is_no_other_reason() {
        let stands_by = || NodeClientError::Refused { status: 503, detail: STANDS_BY.to_owned() };
        let late = || NodeClientError::Late(Duration::from_millis(240));
        let is_late = |error: NodeClientError| matches!(error, NodeClientError::Late(_));
        assert!(is_late(NodeClientError::BreakerOpen.why_none(late()).why_none(stands_by())));
        assert!(is_late(NodeClientError::BreakerOpen.why_none(stands_by()).why_none(late())));
        assert!(NodeClientError::Moved.why_none(stands_by()).stands_by());
    }
}
