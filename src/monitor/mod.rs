//! What operators see: metrics, totals, and the status page.

pub mod clock;
mod free_space;
pub mod metrics;
mod status_page;
mod tasks;
mod totals;

pub use clock::{micros, now, wall};
pub use free_space::free_bytes;
pub use metrics::{Metrics, NAMES};
pub use status_page::{PAGE, PAGE_CSP};
pub use tasks::{Beat, Ended, TaskView, Tasks, brief, panicked};
pub use totals::{Totals, TotalsView};
