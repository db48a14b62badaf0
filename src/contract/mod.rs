//! The JSON of the HTTP API: what agent, node, clients and administrators say to each other.

mod call_events;
mod calls;
mod claims;
mod client_messages;
mod clients;
mod devices;
mod dialled_enrolments;
mod guests;
mod ice;
mod legacy;
mod nodes;
mod numbers;
mod pbxs;
mod peer_offers;
mod sip_messages;
mod stand_by;
mod timeline;

pub use crate::core::address::capability::Capability;
pub use call_events::{AGENT_CLOCK, AGENT_ID, AGENT_ID_BYTES, CallEvent, CallEvents, CallReport, EventsReply};
pub use calls::{AnswerView, CallDecision, CallList, CallRequest, CallView, DeliveryView, RemoteSideView};
pub use claims::{ClaimOutcome, NewClaim};
pub use client_messages::{Message, MessageBody, Notice, NoticeBody, PeerClient, PeerIdentity, Role};
pub use clients::{CLIENTS_LISTED, ClientChange, ClientCreated, ClientForm, ClientList, ClientView, NewClient};
pub use devices::{
    DEVICES_LISTED, DEVICES_MAX, DeviceChange, DeviceCreated, DeviceList, DeviceView, ENROLMENTS_MAX, EnrolmentCreated,
    NewDevice, NewEnrolment,
};
pub use dialled_enrolments::{
    DialledEnrolment, DialledEnrolmentCreated, EnrolmentConfirmation, EnrolmentConfirmed, NewDialledEnrolment,
};
pub use guests::{GuestCodeCreated, GuestCreated, GuestList, GuestView, NewGuest, NewGuestCode};
pub use ice::{IceServer, IceServers, IceTransportPolicy};
pub use nodes::{NodeRole, NodeView};
pub use numbers::{ImportMode, ImportReport, LineError, NumberEntry, NumberKind, NumberPage, NumberSwitch, NumberView};
pub use pbxs::{LinkState, PbxKind, PbxReport, PbxView};
pub use peer_offers::{Offer, OfferRefusal, SharedTimeline, SharedTimelineEvent};
pub use sip_messages::{SipMessage, SipMessageOutcome, SipMessages};
pub use stand_by::{STANDS_BY, StandByState};
pub use timeline::{PairedNumbers, PeerDeliveryView, TimelineDetail, TimelineEvent, TimelineSide};

/// Header of a node's answers to agents, and of its `/healthz`, while it serves: a UUID that names the process, and is new
/// at each start. Another process may lack what this one was told. Earlier nodes send no such header.
pub const NODE_PROCESS: &str = "sidecall-process";
