//! Telephone numbers: their forms, how a PBX writes them, and which of them are for emergencies.

pub mod did_map;
pub mod emergency;
mod emergency_regions;
pub mod endpoint_names;
pub mod number;
pub mod number_prefix;
pub mod numbering_plan;
pub mod tel_uri;
