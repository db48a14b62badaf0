//! A transfer of files over a data channel, without disk or channel (`web/PROTOCOL.md`, "Files").

pub mod frames;
pub mod receiver;
