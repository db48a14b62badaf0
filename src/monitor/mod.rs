//! What operators see: metrics, totals, and the status page.

pub mod agent;
mod clock;
pub mod lnp;
mod metrics;
mod names;
mod page;
mod totals;

pub use clock::{micros, now};
pub use metrics::Metrics;
pub use names::NAMES;
pub use page::{PAGE, PAGE_CSP};
pub use totals::{Totals, TotalsView};
