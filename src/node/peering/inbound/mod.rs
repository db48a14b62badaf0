//! What other organisations' nodes tell this one.

pub(in crate::node) mod offer_book;
mod offers;
pub(in crate::node) mod remote_client;
mod timeline;
