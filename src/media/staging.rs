//! Where the files of a transfer are until all of them are verified: in a hidden folder beside their place.
//!
//! Nothing is ever overwritten: a name that exists gets a number. And nothing is written outside the folder that the user
//! chose: what arrives goes into a new folder with a random name, in which nobody has put a link.
//!
//! The hidden folder is locked while its transfer goes on. A process that is killed leaves it behind without a lock, and
//! [`remove_leftovers`] removes it.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, RenameFlags, flock, fsync, open, renameat_with};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::file_name::numbered;
use super::receive_folder::{PromisedRoom, ReceiveFolder};

/// What the names of hidden folders begin with. Sixteen hexadecimal digits follow.
const HIDDEN: &str = ".sidecall-";
/// Attempts to find a name that doesn't exist.
const NUMBERS_MAX: u32 = 10_000;

/// A file that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: u64,
}

/// The files of one transfer.
#[derive(Debug)]
pub(super) struct Staging {
    folder: Arc<ReceiveFolder>,
    room: PromisedRoom,
    name: String,
    is_one_file: bool,
    hidden: PathBuf,
    /// Holds the lock.
    _lock: Option<File>,
    files: Vec<SavedFile>,
    /// How often each path has been sent. Ten thousand equal ones must not be searched for from the first each time.
    numbers: HashMap<PathBuf, u32>,
    open: Option<File>,
}

impl Staging {
    /// For files that will be in `folder` and take this `room` there. Several that share no folder
    /// get one called `name`. `random` is for this transfer alone.
    pub(super) fn new(
        folder: &Arc<ReceiveFolder>,
        name: &str,
        is_one_file: bool,
        room: u64,
        random: u64,
    ) -> io::Result<Staging> {
        let room = folder.promise(room)?;
        let hidden = folder.path().join(format!("{HIDDEN}{random:016x}"));
        fs::create_dir(&hidden)?;
        // Where folders can't be locked, nobody removes them either.
        let lock = locked(&hidden).ok();
        let (folder, name) = (folder.clone(), name.to_owned());
        let (files, numbers) = (Vec::new(), HashMap::new());
        Ok(Staging { folder, room, name, is_one_file, hidden, _lock: lock, files, numbers, open: None })
    }

    /// Begins a file. The names of its path are clean.
    pub(super) fn open(&mut self, path: &[String]) -> io::Result<()> {
        let (name, folders) = path.split_last().ok_or(ErrorKind::InvalidInput)?;
        let folders: &[String] = if self.is_one_file { &[] } else { folders };
        let mut folder = self.hidden.clone();
        for name in folders {
            folder.push(name);
            // One at a time: the hidden folder itself, if it is gone, is not made again without its lock.
            match fs::create_dir(&folder) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => made?,
            }
        }
        let number = self.numbers.entry(folder.join(name)).or_insert(0);
        let create = |path: &Path| File::options().write(true).create_new(true).open(path);
        let (path, file) = claim(&folder, name, number, create)?;
        self.files.push(SavedFile { path, bytes: 0 });
        self.open = Some(file);
        Ok(())
    }

    /// Appends to the open file.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (Some(file), Some(saved)) = (&mut self.open, self.files.last_mut()) else {
            return Err(ErrorKind::NotFound.into());
        };
        file.write_all(bytes)?;
        saved.bytes += bytes.len() as u64;
        self.room.use_up(bytes.len() as u64);
        Ok(())
    }

    /// The open file is complete: it is on the disk, or this fails.
    pub(super) fn close(&mut self) -> io::Result<()> {
        self.open.take().map_or(Ok(()), |file| file.sync_all())
    }

    /// All files are complete: puts them in their place.
    pub(super) fn finish(&mut self) -> io::Result<Vec<SavedFile>> {
        let mut entries = fs::read_dir(&self.hidden)?.collect::<io::Result<Vec<_>>>()?;
        // What was sent as one folder or file keeps its name.
        let (from, name) = match (entries.pop(), entries.is_empty()) {
            (Some(only), true) => (only.path(), only.file_name().to_string_lossy().into_owned()),
            _ => (self.hidden.clone(), self.name.clone()),
        };
        // Their names must be on the disk, too: those in the folders that move, and then that of what has moved.
        self.folders().iter().try_for_each(|folder| sync_folder(folder))?;
        let (to, ()) = claim(self.folder.path(), &name, &mut 0, |to| move_to_new(&from, to))?;
        if let Err(error) = sync_folder(self.folder.path()) {
            fs::rename(&to, &from)?;
            return Err(error);
        }
        // The files are in their place, whatever follows: a hidden folder that stays is empty, and removed at the next start.
        if from != self.hidden {
            let _ = fs::remove_dir(&self.hidden);
        }
        let mut files = std::mem::take(&mut self.files);
        for file in &mut files {
            let inside = file.path.strip_prefix(&from).unwrap_or(Path::new(""));
            file.path = if inside.as_os_str().is_empty() { to.clone() } else { to.join(inside) };
        }
        Ok(files)
    }

    /// All folders with files, up to the hidden one.
    fn folders(&self) -> BTreeSet<&Path> {
        let mut folders = BTreeSet::new();
        for file in &self.files {
            folders.extend(file.path.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.hidden)));
        }
        folders
    }

    /// Keeps nothing.
    pub(super) fn discard(&mut self) -> io::Result<()> {
        self.open = None;
        match fs::remove_dir_all(&self.hidden) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Removes the hidden folders that this user's processes left when they were killed. One that can't be removed stays.
///
/// # Errors
/// If the folder can't be read.
pub fn remove_leftovers(folder: &Path) -> io::Result<()> {
    remove_leftovers_of(geteuid().as_raw(), folder)
}

fn remove_leftovers_of(user: u32, folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix(HIDDEN));
        let is_hidden = name.is_some_and(|random| random.len() == 16 && random.bytes().all(|b| b.is_ascii_hexdigit()));
        // Other users of the folder tidy up for themselves.
        if !is_hidden || !fs::symlink_metadata(&path).is_ok_and(|found| found.uid() == user) {
            continue;
        }
        // It is somebody's who is alive, or no folder at all.
        let Ok(_lock) = locked(&path) else { continue };
        if let Err(error) = fs::remove_dir_all(&path) {
            tracing::warn!(%error, path = %path.display(), "an incomplete transfer can't be removed");
        }
    }
    Ok(())
}

/// Opens a folder, which is no link to one, and locks it.
fn locked(folder: &Path) -> io::Result<File> {
    let opened = open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    flock(&opened, FlockOperation::NonBlockingLockExclusive)?;
    Ok(opened.into())
}

/// Waits until the names in a folder are on the disk.
fn sync_folder(folder: &Path) -> io::Result<()> {
    match fsync(File::open(folder)?) {
        // Its file system does that by itself, or never.
        Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
        synced => synced.map_err(io::Error::from),
    }
}

/// Moves something to where nothing is, in one step.
fn move_to_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // NFS, for one, has no such step.
        Err(Errno::INVAL | Errno::NOSYS) => move_to_placeholder(from, to),
        moved => moved.map_err(io::Error::from),
    }
}

/// Moves something to where nothing is, in two steps: the new place is made first, and is our own. A process that is killed in
/// between leaves it empty.
fn move_to_placeholder(from: &Path, to: &Path) -> io::Result<()> {
    let is_folder = from.is_dir();
    if is_folder {
        fs::create_dir(to)?;
    } else {
        File::create_new(to)?;
    }
    fs::rename(from, to).inspect_err(|_| {
        // The error says why.
        let _ = if is_folder { fs::remove_dir(to) } else { fs::remove_file(to) };
    })
}

/// Makes something in a folder under the first name that doesn't exist. `number` is that of the last one, or 0.
fn claim<T>(
    folder: &Path,
    name: &str,
    number: &mut u32,
    make: impl Fn(&Path) -> io::Result<T>,
) -> io::Result<(PathBuf, T)> {
    while *number < NUMBERS_MAX {
        *number += 1;
        let path = folder.join(numbered(name, *number));
        match make(&path) {
            Ok(made) => return Ok((path, made)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
#[path = "staging_tests.rs"]
mod tests;
