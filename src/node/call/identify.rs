//! Whose number a leg stands for: what the agent says of a device, resolved with the directory.

use crate::contract::{CallEvent, CallReport, NumberKind};
use crate::core::base::name::{AgentId, CallId};
use crate::core::call::leg_identity::{DeviceFacts, LegOrigin, is_same_number, stands_for};
use crate::core::call::report_order::Serial;
use crate::core::call::{Call, LegEvent, LegReport};
use crate::core::numbering::number::Number;
use crate::monitor::now;
use crate::node::call::events::ReportError;
use crate::node::live_calls::{CallUnavailable, LiveCalls};
use crate::store::{Store, StoreError};

/// Returns the reports with each device replaced by the number it stands for. A repeat, which the exchange ignores, is
/// not looked up.
pub(super) async fn identify(
    live: &LiveCalls,
    store: &Store,
    id: &CallId,
    agent: Option<&AgentId>,
    reports: Vec<CallReport>,
) -> Result<Vec<LegReport>, ReportError> {
    let is_new = |call: &Call, report: &CallReport| !call.is_repeat(Serial { agent, seq: report.seq }, report.at);
    let (called, new) = live
        .read(|exchange| {
            let call = exchange.call(id)?;
            Some((call.called.clone(), reports.iter().map(|report| is_new(call, report)).collect::<Vec<_>>()))
        })
        .ok_or(CallUnavailable::Unknown)?;
    let mut identified = Vec::with_capacity(reports.len());
    for (CallReport { seq, at, event }, is_new) in reports.into_iter().zip(new) {
        let party = async |device: Option<Number>, origin| match is_new {
            true => party(store, &called, device.as_ref(), origin).await,
            false => Ok(None),
        };
        let event = match event {
            CallEvent::Dialled { leg, device, unreadable, trunk } => {
                let origin = if unreadable { LegOrigin::Unreadable } else { LegOrigin::Dialled };
                LegEvent::Dialled { leg, party: party(device, origin).await?, trunk }
            }
            CallEvent::Identified { leg, device } => {
                LegEvent::Identified { leg, party: party(device, LegOrigin::Joined).await? }
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
