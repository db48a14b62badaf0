//! Everything that speaks SIP: phones, far ends of trunks, and their messages.

pub mod baresip;
pub mod message;
pub mod phone;
pub mod report;
pub mod sipp;
pub mod softphone;
