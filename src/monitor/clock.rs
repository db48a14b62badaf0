//! The steady clock and the wall clock.
//!
//! [`now`] is what everything that expires or is compared goes by. It is set by the wall clock at the start and runs
//! with `CLOCK_BOOTTIME` from then on, so a step of the wall clock doesn't touch it. [`wall`] is what others go by:
//! webhooks' signatures, offers to other nodes, the PBX's time stamps.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::gauge;
use rustix::time::{ClockId, clock_gettime};

use super::names::CLOCK_STEP;
use crate::core::time::{Mark, UnixMillis};

/// A difference of the two clocks that is worth a line in the log, in microseconds.
const STEP: i64 = 1_000_000;

/// What `CLOCK_BOOTTIME` lacks to [`micros`].
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

/// What the wall clock shows, in milliseconds since 1970.
pub fn wall() -> UnixMillis {
    UnixMillis(wall_micros() / 1_000)
}

/// By how many microseconds the wall clock is ahead of [`micros`]: the sum of its steps since the start.
pub fn step() -> i64 {
    wall_micros().saturating_sub(micros())
}

/// Logs a new step of the wall clock, once, and shows all steps as a metric.
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

/// Where the clock is now, for the next start.
pub fn reading() -> Mark {
    Mark { boot: boot_id(), since_boot: since_boot(), at: micros() }
}

/// Goes on from the mark of an earlier run, if the machine was not restarted since. [`step`] says then by how much
/// the wall clock has left it.
pub fn carry_on(mark: &Mark) {
    if let Some(at) = mark.reads(&boot_id(), since_boot()) {
        OFFSET.store(at - since_boot(), Ordering::Relaxed);
    }
}

/// Where the clock would be if it were set by the wall clock, as at a first start. [`carry_on`] sets it.
pub fn wall_reading() -> Mark {
    Mark { boot: boot_id(), since_boot: since_boot(), at: wall_micros() }
}

fn wall_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn since_boot() -> i64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1_000)
}

/// Which boot of the machine this is; empty where the kernel doesn't say.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
