//! A followed call, and how the phones of its legs are read as numbers.

use super::reconcile::CallIdentity;
use crate::agent::call::CallHandle;
use crate::contract::CallEvent;
use crate::core::base::time::UnixMillis;
use crate::core::call::LegEvent;
use crate::core::call::leg_identity::is_dialled_as;
use crate::core::numbering::number::Number;
use crate::core::numbering::numbering_plan::PbxNumberingPlan;
use crate::pbx::Device;

/// A call and how numbers are written in it.
pub(in crate::agent) struct FollowedCall {
    pub call: CallHandle,
    pub identity: CallIdentity,
    pub tenant: Option<String>,
    /// When the PBX announced it, if it did.
    pub announced: Option<UnixMillis>,
}

impl FollowedCall {
    /// What the node is told of an event.
    pub(in crate::agent) fn report(&self, plan: &PbxNumberingPlan, event: LegEvent<Device>) -> CallEvent {
        match event {
            LegEvent::Dialled { leg, party, trunk } => {
                let device = self.dialled(plan, &party);
                let unreadable = device.is_none() && party != Device::Unnamed;
                CallEvent::Dialled { leg, device, unreadable, trunk }
            }
            LegEvent::Identified { leg, party } => CallEvent::Identified { leg, device: self.device(plan, &party) },
            LegEvent::Answered { leg } => CallEvent::Answered { leg },
            LegEvent::Bridged { legs } => CallEvent::Bridged { legs },
            LegEvent::Unbridged { legs } => CallEvent::Unbridged { legs },
            LegEvent::Ended { leg, cause } => CallEvent::Ended { leg, cause },
        }
    }

    /// Whose phone it is.
    fn device(&self, plan: &PbxNumberingPlan, device: &Device) -> Option<Number> {
        let Device::Named { number, tenant } = device else { return None };
        plan.device(number, tenant.as_deref(), self.tenant.as_deref()).ok()
    }

    /// Of a leg that was dialled without a word on whose phone it is, what was called is believed.
    fn dialled(&self, plan: &PbxNumberingPlan, device: &Device) -> Option<Number> {
        let as_called = || match device {
            Device::Named { number, tenant: None } => {
                let called = &self.identity.called;
                let same = plan.of(self.tenant.as_deref()).read(number).as_ref() == Ok(called);
                (same || is_dialled_as(called, number)).then(|| called.clone())
            }
            _ => None,
        };
        self.device(plan, device).or_else(as_called)
    }
}
