//! What operators see: metrics, totals, and the status page.

pub mod agent;
pub mod clock;
pub mod lnp;
mod metrics;
mod names;
mod page;
mod tasks;
mod totals;

pub use clock::{micros, now, wall};
pub use metrics::Metrics;
pub use names::NAMES;
pub use page::{PAGE, PAGE_CSP};
pub use tasks::{Beat, Ended, TaskView, Tasks, brief, panicked};
pub use totals::{Totals, TotalsView};
