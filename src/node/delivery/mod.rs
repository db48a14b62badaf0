//! How the messages for clients leave the node through a PBX.

pub(in crate::node) mod pbx_links;
mod sip_messages;
