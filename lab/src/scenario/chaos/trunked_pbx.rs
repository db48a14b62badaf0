//! A real PBX with a phone at the other end of each trunk.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use super::evidence::{Arrival, RowRecord};
use crate::sidecall::domain;
use crate::sip::calls::CallOutcome;
use crate::{Cdr, Habit, Kind, Pbx, PbxConfig, Phone, Result, quiet, wait_until};

/// How long anything may take.
const SOON: Duration = Duration::from_secs(12);

#[derive(Debug)]
pub(super) struct TrunkedPbx {
    // Dropped in this order.
    /// At the packet trunk and at the PSTN trunk.
    phones: Vec<Phone>,
    pub(super) pbx: Pbx,
    domain: String,
    /// The number of call records that were read.
    read: usize,
}

/// The calling and the called number, as the signalling has them.
pub(super) type Parties = (String, String);

impl TrunkedPbx {
    pub(super) fn start(kind: Kind) -> Result<TrunkedPbx> {
        let pbx = Pbx::start_with(kind, PbxConfig::default())?;
        let mut trunked = TrunkedPbx { phones: Vec::new(), domain: domain(&pbx), pbx, read: 0 };
        trunked.renew()?;
        Ok(trunked)
    }

    /// New phones, which remember no calls.
    pub(super) fn renew(&mut self) -> Result<()> {
        // The new ones want the same ports.
        self.phones.clear();
        let at = [self.pbx.config().packet, self.pbx.config().pstn];
        self.phones = at.into_iter().map(|at| Phone::listen(at, &Habit::at_once())).collect::<Result<_>>()?;
        Ok(())
    }

    pub(super) fn extension(&self, n: u8) -> String {
        self.pbx.config().plan.extension(n)
    }

    /// The number of an extension in the directory.
    pub(super) fn number(&self, extension: &str) -> String {
        format!("{extension};phone-context={}", self.domain)
    }

    /// The calls that reached the phones, in the order of their INVITEs.
    pub(super) fn arrivals(&self) -> HashMap<Parties, Vec<Arrival>> {
        let mut arrivals: HashMap<Parties, Vec<Arrival>> = HashMap::new();
        for (phone, decided) in self.phones.iter().zip([true, false]) {
            for call in phone.outcomes() {
                let answered = call.status == Some(200);
                let arrival = Arrival { invited: call.invited, decided, answered, over: call.over };
                arrivals.entry(parties(&call)).or_default().push(arrival);
            }
        }
        arrivals.values_mut().for_each(|arrivals| arrivals.sort_by_key(|arrival| arrival.invited));
        arrivals
    }

    /// Waits until no call is up. Returns the channels that stay, as the console shows them.
    pub(super) fn channels(&self) -> Option<String> {
        let command = match self.pbx.kind() {
            Kind::Asterisk => "core show channels concise",
            Kind::FreeSwitch => "show channels",
        };
        (!self.pbx.wait_recorded(SOON)).then(|| format!("{}: {}", self.pbx.kind(), self.pbx.console(command)))
    }

    /// Waits until the PBX has recorded this many answered calls since the last time. Returns their records.
    pub(super) fn rows(&mut self, calls: usize) -> Vec<RowRecord> {
        let mut rows = Vec::new();
        let new = |rows: &[Cdr]| rows.iter().skip(self.read).filter(|row| row.answered).count();
        wait_until(SOON, || {
            rows = self.pbx.cdrs();
            new(&rows) >= calls
        });
        // One too many may come a little later.
        thread::sleep(quiet());
        rows = self.pbx.cdrs();
        let answered = rows.iter().skip(self.read).filter(|row| row.answered);
        let records = answered.map(|row| RowRecord { caller: self.number(&row.src) }).collect();
        self.read = rows.len();
        records
    }
}

pub(super) fn parties(call: &CallOutcome) -> Parties {
    (call.calling.clone(), call.called.clone())
}
