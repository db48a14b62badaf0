//! The JSON of the HTTP API: what agent, node, clients and administrators say to each other.

mod call_events;
mod calls;
mod clients;
mod messages;
mod numbers;
mod pbxs;
mod peers;
mod story;

pub use crate::core::capability::Capability;
pub use call_events::{AGENT_CLOCK, AGENT_ID, AGENT_ID_BYTES, CallEvent, CallEvents, CallReport, EventsReply};
pub use calls::{
    AnswerView, CallDecision, CallList, CallRequest, CallView, DeliveryView, FarView, SipMessage, SipMessages,
    SipOutcome,
};
pub use clients::{CLIENTS_LISTED, ClientChange, ClientCreated, ClientForm, ClientList, ClientView, NewClient};
pub use messages::{Body, Message, Peer, Role};
pub use numbers::{ImportMode, ImportReport, LineError, NumberEntry, NumberKind, NumberPage, NumberSwitch, NumberView};
pub use pbxs::{LinkState, PbxKind, PbxReport, PbxView};
pub use peers::{Offer, OfferRefusal, Part, PartStep};
pub use story::{End, Errand, Happening, Step, Two};
