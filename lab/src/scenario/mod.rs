//! What tests and demo do with all this: people, their calls, and what must come of them.

pub mod between;
pub mod busy;
pub mod calls;
pub mod differences;
pub mod domains;
pub mod letters;
pub mod office;
pub mod outcome;
pub mod people;
pub mod report;
pub mod sides;
pub mod site;
pub mod tenants;
pub mod timeline;
pub mod transfers;
pub mod voice;
pub mod wire;
