//! The steady clock and the wall clock.
//!
//! [`now`] is for expiry and comparisons. It starts with the wall clock's time and then follows `CLOCK_BOOTTIME`, so a
//! step of the wall clock doesn't affect it. [`wall`] is for times that others compare: webhook signatures, offers to
//! other nodes, PBX timestamps.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::gauge;
use rustix::time::{ClockId, clock_gettime};

use super::metrics::names::CLOCK_STEP;
use crate::core::base::time::{ClockReading, UnixMillis};

/// Minimum step to log, in microseconds.
const STEP: i64 = 1_000_000;

/// The difference between [`micros`] and `CLOCK_BOOTTIME`.
static OFFSET: LazyLock<AtomicI64> = LazyLock::new(|| AtomicI64::new(wall_micros() - since_boot()));

/// The step that was logged last, in microseconds.
static LOGGED: AtomicI64 = AtomicI64::new(0);

/// Now, in milliseconds since 1970.
pub fn now() -> UnixMillis {
    UnixMillis(micros() / 1_000)
}

/// Now, in microseconds since 1970.
pub fn micros() -> i64 {
    since_boot().saturating_add(OFFSET.load(Ordering::Relaxed))
}

/// The wall clock's time, in milliseconds since 1970.
pub fn wall() -> UnixMillis {
    UnixMillis(wall_micros() / 1_000)
}

/// By how many microseconds the wall clock is ahead of [`micros`]: the sum of its steps since the start.
pub fn step() -> i64 {
    wall_micros().saturating_sub(micros())
}

/// Logs each step of the wall clock once, and exports the sum as a metric.
pub fn note_step() {
    let step = step();
    gauge!(CLOCK_STEP).set(step as f64 / 1e6);
    if (step - LOGGED.load(Ordering::Relaxed)).abs() > STEP {
        LOGGED.store(step, Ordering::Relaxed);
        tracing::warn!(
            seconds = step / 1_000_000,
            "the wall clock was stepped; calls and clients go on by a steady one"
        );
    }
}

/// The current reading, for the next start.
pub fn reading() -> ClockReading {
    ClockReading { boot: boot_id(), since_boot: since_boot(), at: micros() }
}

/// Continues from the reading of an earlier run, unless the machine was restarted since. Then [`step`] includes the
/// steps between the runs.
pub fn carry_on(reading: &ClockReading) {
    if let Some(at) = reading.reads(&boot_id(), since_boot()) {
        OFFSET.store(at - since_boot(), Ordering::Relaxed);
    }
}

/// The reading that the wall clock would give at a first start. [`carry_on`] sets the clock to it.
pub fn wall_reading() -> ClockReading {
    ClockReading { boot: boot_id(), since_boot: since_boot(), at: wall_micros() }
}

fn wall_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn since_boot() -> i64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1_000)
}

/// The id of the current boot; empty if the kernel has none.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
