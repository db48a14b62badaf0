//! Everything that speaks SIP: phones, calls by the dozen, and their messages.

pub mod baresip;
pub mod calls;
pub mod message;
pub mod phone;
