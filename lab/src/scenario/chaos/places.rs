//! A real PBX with a phone at the other end of each trunk.

use std::collections::HashMap;
use std::time::Duration;

use super::check::RowRecord;
use super::load::by_parties;
use crate::sidecall::domain;
use crate::sip::calls::CallOutcome;
use crate::{Cdr, Habit, Kind, Pbx, PbxConfig, Phone, Result, wait_until};

/// How long anything may take.
const SOON: Duration = Duration::from_secs(12);

#[derive(Debug)]
pub(super) struct Place {
    // Dropped in this order.
    /// At the packet trunk and at the PSTN trunk.
    phones: Vec<Phone>,
    pub(super) pbx: Pbx,
    domain: String,
    /// How many records of calls were read.
    read: usize,
}

impl Place {
    pub(super) fn start(kind: Kind) -> Result<Place> {
        let pbx = Pbx::start_with(kind, PbxConfig::default())?;
        let mut place = Place { phones: Vec::new(), domain: domain(&pbx), pbx, read: 0 };
        place.renew()?;
        Ok(place)
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

    /// An extension as the directory has it.
    pub(super) fn number(&self, extension: &str) -> String {
        format!("{extension};phone-context={}", self.domain)
    }

    /// The calls that reached the other end of a trunk, by who is in them.
    pub(super) fn answering(&self) -> HashMap<(String, String), CallOutcome> {
        by_parties(self.phones.iter().flat_map(Phone::outcomes))
    }

    /// The answered calls that the PBX has written down since the last time, once there are so many.
    pub(super) fn rows(&mut self, calls: usize) -> Vec<RowRecord> {
        let mut rows = Vec::new();
        let new = |rows: &[Cdr]| rows.iter().skip(self.read).filter(|row| row.answered).count();
        let recorded = self.pbx.wait_recorded(SOON);
        wait_until(SOON, || {
            rows = self.pbx.cdrs();
            !recorded || new(&rows) >= calls
        });
        let answered = rows.iter().skip(self.read).filter(|row| row.answered);
        let records = answered.map(|row| RowRecord { caller: self.number(&row.src) }).collect();
        self.read = rows.len();
        records
    }
}
