//! The record of the clock's last reading, in `settings` under `clock`.

use serde::{Deserialize, Serialize};

use super::Record;
use crate::core::base::time::ClockReading;

/// A clock reading, in microseconds.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct ClockRecord {
    boot: String,
    since_boot: i64,
    at: i64,
}

impl Record for ClockRecord {
    const WHAT: &'static str = "clock";
}

impl From<ClockReading> for ClockRecord {
    fn from(reading: ClockReading) -> ClockRecord {
        let ClockReading { boot, since_boot, at } = reading;
        ClockRecord { boot, since_boot, at }
    }
}

impl From<ClockRecord> for ClockReading {
    fn from(record: ClockRecord) -> ClockReading {
        let ClockRecord { boot, since_boot, at } = record;
        ClockReading { boot, since_boot, at }
    }
}
