//! Whose number a leg stands for: what the agent says of a device, resolved with the directory.

use crate::contract::{CallReport, NumberKind};
use crate::core::call::{Call, Event};
use crate::core::identity::{Came, Known, is_same, stands_for};
use crate::core::name::{AgentId, CallId};
use crate::core::number::Number;
use crate::core::overtaken::Serial;
use crate::monitor::now;
use crate::node::app::App;
use crate::store::StoreError;

impl App {
    /// The reports with the numbers that their legs stand for in the place of devices. Afterwards the
    /// call remembers: a leg is looked up once.
    pub(in crate::node) async fn identify(
        &self,
        id: &CallId,
        agent: Option<&AgentId>,
        reports: &[CallReport],
    ) -> Result<Vec<CallReport>, StoreError> {
        let mut reports = reports.to_vec();
        let is_new = |call: &Call, report: &CallReport| !call.is_repeat(Serial { agent, seq: report.seq }, report.at);
        let new = self.live.read(|exchange| {
            let call = exchange.call(id)?;
            Some((call.called.clone(), reports.iter_mut().filter(|report| is_new(call, report)).collect::<Vec<_>>()))
        });
        let Some((called, new)) = new else { return Ok(reports) };
        for report in new {
            let (number, came) = match &mut report.event {
                Event::Dialled { number, unreadable: true, .. } => (number, Came::Unreadable),
                Event::Dialled { number, .. } => (number, Came::Dialled),
                Event::Identified { number, .. } => (number, Came::Joined),
                _ => continue,
            };
            let known = self.known(&called, number.as_ref(), came).await?;
            *number = stands_for(&called, number.as_ref(), came, known);
        }
        Ok(reports)
    }

    /// At most two reads, and none for the ordinary call.
    async fn known(&self, called: &Number, device: Option<&Number>, came: Came) -> Result<Known, StoreError> {
        let Some(device) = device else {
            let ask = came == Came::Dialled;
            let entry = if ask { self.store.number(called).await? } else { None };
            let main = entry.is_some_and(|view| view.entry.kind == NumberKind::Main);
            return Ok(Known { main, ..Known::default() });
        };
        if is_same(called, device) {
            return Ok(Known::default());
        }
        if self.store.facts(device, now()).await?.known.served {
            return Ok(Known { served: true, ..Known::default() });
        }
        let Some(view) = self.store.number(called).await? else { return Ok(Known::default()) };
        let main = view.entry.kind == NumberKind::Main;
        Ok(Known { main, listed: view.entry.extensions.contains(device), served: false })
    }
}
