//! Whose number a leg stands for: what the agent says of a device, resolved with the directory.

use crate::contract::{CallEvent, CallReport, NumberKind};
use crate::core::call::{Call, LegEvent, LegReport};
use crate::core::identity::{Came, Known, is_same, stands_for};
use crate::core::name::{AgentId, CallId};
use crate::core::number::Number;
use crate::core::overtaken::Serial;
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
                let came = if unreadable { Came::Unreadable } else { Came::Dialled };
                LegEvent::Dialled { leg, party: party(store, &called, device.as_ref(), came).await?, trunk }
            }
            CallEvent::Identified { leg, device } => {
                LegEvent::Identified { leg, party: party(store, &called, device.as_ref(), Came::Joined).await? }
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
    came: Came,
) -> Result<Option<Number>, StoreError> {
    let known = known(store, called, device, came).await?;
    Ok(stands_for(called, device, came, known))
}

/// At most two reads, and none for the ordinary call.
async fn known(store: &Store, called: &Number, device: Option<&Number>, came: Came) -> Result<Known, StoreError> {
    let Some(device) = device else {
        let ask = came == Came::Dialled;
        let entry = if ask { store.number(called).await? } else { None };
        let main = entry.is_some_and(|view| view.entry.kind == NumberKind::Main);
        return Ok(Known { main, ..Known::default() });
    };
    if is_same(called, device) {
        return Ok(Known::default());
    }
    if store.facts(device, now()).await?.known.served {
        return Ok(Known { served: true, ..Known::default() });
    }
    let Some(view) = store.number(called).await? else { return Ok(Known::default()) };
    let main = view.entry.kind == NumberKind::Main;
    Ok(Known { main, listed: view.entry.extensions.contains(device), served: false })
}
