//! What other organisations' nodes tell this one.

pub(in crate::node) mod offer_book;
mod offers;
