//! A real PBX with a phone at the other end of each trunk.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use super::check::RowRecord;
use crate::sidecall::domain;
use crate::sip::calls::CallOutcome;
use crate::{Cdr, Habit, Kind, Pbx, PbxConfig, Phone, Result, wait_until};

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

/// A call as the phones at the other ends of the trunks saw it.
#[derive(Debug)]
pub(super) struct Arrival {
    /// At the phone that answered, or that rang first.
    pub(super) call: CallOutcome,
    /// That phone is at the packet trunk.
    pub(super) decided: bool,
    /// The number of phones that answered.
    pub(super) answers: usize,
}

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

    /// The calls that reached the other ends of the trunks.
    pub(super) fn arrivals(&self) -> HashMap<Parties, Arrival> {
        let mut arrivals = HashMap::new();
        for (phone, decided) in self.phones.iter().zip([true, false]) {
            phone.outcomes().into_iter().for_each(|call| add(&mut arrivals, call, decided));
        }
        arrivals
    }

    /// Waits until no call is up. The channels that stay, if there are any, as the console shows them.
    pub(super) fn channels(&self) -> Option<String> {
        let command = match self.pbx.kind() {
            Kind::Asterisk => "core show channels concise",
            Kind::FreeSwitch => "show channels",
        };
        (!self.pbx.wait_recorded(SOON)).then(|| format!("{}: {}", self.pbx.kind(), self.pbx.console(command)))
    }

    /// The answered calls that the PBX has recorded since the last time. Waits until there are this many.
    pub(super) fn rows(&mut self, calls: usize) -> Vec<RowRecord> {
        let mut rows = Vec::new();
        let new = |rows: &[Cdr]| rows.iter().skip(self.read).filter(|row| row.answered).count();
        wait_until(SOON, || {
            rows = self.pbx.cdrs();
            new(&rows) >= calls
        });
        let answered = rows.iter().skip(self.read).filter(|row| row.answered);
        let records = answered.map(|row| RowRecord { caller: self.number(&row.src) }).collect();
        self.read = rows.len();
        records
    }
}

pub(super) fn parties(call: &CallOutcome) -> Parties {
    (call.calling.clone(), call.called.clone())
}

/// Adds what one phone saw of a call.
fn add(arrivals: &mut HashMap<Parties, Arrival>, call: CallOutcome, decided: bool) {
    let answered = call.status == Some(200);
    match arrivals.entry(parties(&call)) {
        Entry::Vacant(place) => {
            place.insert(Arrival { call, decided, answers: usize::from(answered) });
        }
        Entry::Occupied(mut known) => {
            let known = known.get_mut();
            known.answers += usize::from(answered);
            if answered && known.answers == 1 {
                (known.call, known.decided) = (call, decided);
            }
        }
    }
}
