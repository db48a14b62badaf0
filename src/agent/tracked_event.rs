//! What is told to the node of a followed call.

use super::tracker::Key;
use crate::core::call::Event;
use crate::core::name::LegId;
use crate::pbx::Device;

/// Something to tell the node about a call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TrackedEvent {
    /// Which call.
    pub key: Key,
    /// What happened.
    pub event: Event,
    /// The number that is still to be put into the event: how to read it depends on the call.
    pub device: Device,
    /// The call has no legs left: nothing follows.
    pub last: bool,
}

impl TrackedEvent {
    /// An event that names no phone.
    pub(super) fn new(key: Key, event: Event) -> TrackedEvent {
        TrackedEvent { key, event, device: Device::Unnamed, last: false }
    }

    /// A leg of a call is gone.
    pub(super) fn ended(key: Key, leg: &LegId, cause: Option<&str>) -> TrackedEvent {
        TrackedEvent::new(key, Event::Ended { leg: leg.clone(), cause: cause.map(str::to_owned) })
    }
}
