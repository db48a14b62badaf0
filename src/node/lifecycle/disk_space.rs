//! The free space on the database's disk.
//!
//! Below a floor the node keeps only what calls need: decisions, and which clients are paired. It refuses the rest, so
//! that the database never fails for lack of space.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::monitor::{Metrics, free_bytes};
use crate::node::config::{MB, StorageConfig};

/// The free space on the database's disk.
#[derive(Debug)]
pub(in crate::node) struct Space {
    /// None if the database is a server's.
    folder: Option<PathBuf>,
    floor: u64,
    low: AtomicBool,
    metrics: Metrics,
}

impl Space {
    pub(in crate::node) fn new(database: Option<&Path>, config: &StorageConfig, metrics: Metrics) -> Space {
        let folder = database.map(|file| file.parent().unwrap_or(Path::new("")));
        let folder = folder.map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
        let space = Space {
            folder: folder.map(Path::to_owned),
            floor: config.free_mb.saturating_mul(MB),
            low: AtomicBool::new(false),
            metrics,
        };
        space.measure();
        space
    }

    /// Whether only decisions and pairs are kept.
    pub(in crate::node) fn is_low(&self) -> bool {
        self.low.load(Ordering::Relaxed)
    }

    /// Measures the free space.
    pub(in crate::node) fn measure(&self) {
        let Some(folder) = &self.folder else { return };
        let free = match free_bytes(folder) {
            Ok(free) => free,
            Err(error) => return tracing::debug!(%error, "the free space can't be measured"),
        };
        let was_low = self.is_low();
        let low = is_low(free, self.floor, was_low);
        self.low.store(low, Ordering::Relaxed);
        self.metrics.store_space(free, low);
        match (was_low, low) {
            (false, true) => tracing::error!(
                free_mb = free / MB,
                floor_mb = self.floor / MB,
                "the database's disk is nearly full: only decisions and pairs are kept"
            ),
            (true, false) => tracing::info!(free_mb = free / MB, "the database's disk has space again"),
            _ => {}
        }
    }
}

/// Space that comes and goes at the floor must not change everything each second.
fn is_low(free: u64, floor: u64, was_low: bool) -> bool {
    free < if was_low { floor.saturating_add(floor / 10) } else { floor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_left_with_some_space_to_spare() {
        assert!(!is_low(100, 100, false) && is_low(99, 100, false));
        assert!(is_low(109, 100, true) && !is_low(110, 100, true));
        assert!(!is_low(0, 0, false));
    }
}
