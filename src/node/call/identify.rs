//! Whose number a leg stands for: what the agent says of a device, resolved with the directory.

use crate::contract::{CallEvent, CallReport, NumberKind};
use crate::core::base::name::{AgentId, CallId};
use crate::core::call::identity::{DeviceFacts, LegOrigin, is_same_number, stands_for};
use crate::core::call::report_order::Serial;
use crate::core::call::{Call, LegEvent, LegReport};
use crate::core::numbering::number::Number;
use crate::monitor::now;
use crate::node::state::LiveCalls;
use crate::store::{Store, StoreError};

/// What the exchange is to apply: new reports, with the numbers that their legs stand for in the place of devices.
/// Afterwards the call remembers: a leg is looked up once.
pub(super) async fn identify(
    live: &LiveCalls,
    store: &Store,
    id: &CallId,
    agent: Option<&AgentId>,
    reports: Vec<CallReport>,
) -> Result<Vec<LegReport>, StoreError> {
    let is_new = |call: &Call, report: &CallReport| !call.is_repeat(Serial { agent, seq: report.seq }, report.at);
    let new = live.read(|exchange| {
        let call = exchange.call(id)?;
        Some((call.called.clone(), reports.into_iter().filter(|report| is_new(call, report)).collect::<Vec<_>>()))
    });
    let Some((called, new)) = new else { return Ok(Vec::new()) };
    let mut identified = Vec::with_capacity(new.len());
    for CallReport { seq, at, event } in new {
        let event = match event {
            CallEvent::Dialled { leg, device, unreadable, trunk } => {
                let origin = if unreadable { LegOrigin::Unreadable } else { LegOrigin::Dialled };
                LegEvent::Dialled { leg, party: party(store, &called, device.as_ref(), origin).await?, trunk }
            }
            CallEvent::Identified { leg, device } => {
                LegEvent::Identified { leg, party: party(store, &called, device.as_ref(), LegOrigin::Joined).await? }
            }
            CallEvent::Answered { leg } => LegEvent::Answered { leg },
            CallEvent::Bridged { legs } => LegEvent::Bridged { legs },
            CallEvent::Unbridged { legs } => LegEvent::Unbridged { legs },
            CallEvent::Ended { leg, cause } => LegEvent::Ended { leg, cause },
        };
        identified.push(LegReport { seq, at, event });
    }
    Ok(identified)
}

/// The number that a leg stands for.
async fn party(
    store: &Store,
    called: &Number,
    device: Option<&Number>,
    origin: LegOrigin,
) -> Result<Option<Number>, StoreError> {
    let known = known(store, called, device, origin).await?;
    Ok(stands_for(called, device, origin, known))
}

/// At most two reads, and none for the ordinary call.
async fn known(
    store: &Store,
    called: &Number,
    device: Option<&Number>,
    origin: LegOrigin,
) -> Result<DeviceFacts, StoreError> {
    let Some(device) = device else {
        let ask = origin == LegOrigin::Dialled;
        let entry = if ask { store.number(called).await? } else { None };
        let main = entry.is_some_and(|view| view.entry.kind == NumberKind::Main);
        return Ok(DeviceFacts { main, ..DeviceFacts::default() });
    };
    if is_same_number(called, device) {
        return Ok(DeviceFacts::default());
    }
    if store.facts(device, now()).await?.known.served {
        return Ok(DeviceFacts { served: true, ..DeviceFacts::default() });
    }
    let Some(view) = store.number(called).await? else { return Ok(DeviceFacts::default()) };
    let main = view.entry.kind == NumberKind::Main;
    Ok(DeviceFacts { main, listed: view.entry.extensions.contains(device), served: false })
}
