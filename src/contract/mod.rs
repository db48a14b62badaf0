//! The JSON of the HTTP API: what agent, node, clients and administrators say to each other.

mod calls;
mod clients;
mod messages;
mod numbers;
mod pbxs;

pub use calls::{
    CallDecision, CallEvents, CallList, CallReport, CallRequest, CallView, DeliveryView, SipMessage, SipMessages,
    SipOutcome,
};
pub use clients::{Capability, ClientChange, ClientCreated, ClientForm, ClientList, ClientView, NewClient};
pub use messages::{Body, Message, Peer, Role};
pub use numbers::{ImportMode, ImportReport, LineError, NumberEntry, NumberKind, NumberPage, NumberSwitch, NumberView};
pub use pbxs::{LinkState, PbxKind, PbxReport, PbxView};
