//! The record of the clock's last reading, in `settings` under `clock`.

use serde::{Deserialize, Serialize};

use super::Record;
use crate::core::time::Mark;

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

impl From<Mark> for ClockRecord {
    fn from(mark: Mark) -> ClockRecord {
        let Mark { boot, since_boot, at } = mark;
        ClockRecord { boot, since_boot, at }
    }
}

impl From<ClockRecord> for Mark {
    fn from(record: ClockRecord) -> Mark {
        let ClockRecord { boot, since_boot, at } = record;
        Mark { boot, since_boot, at }
    }
}
