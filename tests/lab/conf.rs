//! Configuration files of a private instance: copied, then edited by exact replacement.

use std::fs;
use std::path::{Path, PathBuf};

use super::{LabError, Result};

/// The project's own folder, where `dialplan/` is.
pub fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Reads a file of the project, e.g. `dialplan/asterisk/sidecall.conf`.
pub fn project_file(path: &str) -> Result<String> {
    read(&project().join(path))
}

/// Reads a text file.
pub fn read(path: &Path) -> Result<String> {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .map_err(LabError::io(format!("read {}", path.display())))
}

/// Writes a text file, and the folders above it.
pub fn write(path: &Path, text: &str) -> Result<()> {
    let error = || LabError::io(format!("write {}", path.display()));
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(error())?;
    }
    fs::write(path, text).map_err(error())
}

/// Replaces `from`, which has to be there, by `to`.
pub fn replace(path: &Path, from: &str, to: &str) -> Result<()> {
    let text = read(path)?;
    if !text.contains(from) {
        let what = format!("{} has no {from:?}", path.display());
        return Err(LabError::io(what)(std::io::ErrorKind::NotFound.into()));
    }
    write(path, &text.replace(from, to))
}

/// Copies a folder with everything in it. Links are followed.
pub fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    let error = || LabError::io(format!("copy {}", from.display()));
    fs::create_dir_all(to).map_err(error())?;
    for entry in fs::read_dir(from).map_err(error())? {
        let entry = entry.map_err(error())?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else if entry.path().is_file() {
            fs::copy(entry.path(), target).map_err(error())?;
        }
    }
    Ok(())
}

/// Renames `name.conf.sample` to `name.conf`, as packages ship their samples.
pub fn strip_suffix(dir: &Path, suffix: &str) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(LabError::io("samples"))?.flatten() {
        if let Some(name) = entry.file_name().to_str().and_then(|name| name.strip_suffix(suffix)) {
            fs::rename(entry.path(), dir.join(name)).map_err(LabError::io("samples"))?;
        }
    }
    Ok(())
}
