//! Telephone numbers: their forms, how a PBX writes them, and which of them are for emergencies.

pub mod did_map;
pub mod emergency;
mod emergency_numbers;
pub mod endpoint;
pub mod number;
pub mod plan;
pub mod prefix;
pub mod tel;
