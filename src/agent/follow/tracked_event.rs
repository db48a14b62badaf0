//! What is told to the node of a followed call.

use super::tracker::Key;
use crate::core::base::name::LegId;
use crate::core::call::LegEvent;
use crate::pbx::Device;

/// Something to tell the node about a call.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::agent) struct TrackedEvent {
    /// Which call.
    pub key: Key,
    /// What happened. How the number of a device is read depends on the call.
    pub event: LegEvent<Device>,
    /// The call has no legs left: nothing follows.
    pub last: bool,
}

impl TrackedEvent {
    /// An event that is not the call's last one.
    pub(in crate::agent) fn new(key: Key, event: LegEvent<Device>) -> TrackedEvent {
        TrackedEvent { key, event, last: false }
    }

    /// A leg of a call is gone.
    pub(in crate::agent) fn ended(key: Key, leg: &LegId, cause: Option<&str>) -> TrackedEvent {
        TrackedEvent::new(key, LegEvent::Ended { leg: leg.clone(), cause: cause.map(str::to_owned) })
    }
}
