//! The free space of the file system that a folder is on.

use std::io;
use std::path::Path;

/// Bytes that a program without special rights can still write there.
///
/// # Errors
/// If the system doesn't say.
pub fn free_bytes(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}
