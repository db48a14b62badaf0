//! Where the files of a transfer are until all of them are verified: in a hidden folder beside their place.
//!
//! Nothing is ever overwritten: a name that exists gets a number. And nothing is written outside the folder that the user
//! chose: what arrives goes into a new folder with a random name, in which nobody has put a link.
//!
//! The hidden folder is locked while its transfer goes on. A process that is killed leaves it behind without a lock, and
//! [`remove_leftovers`] removes it.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, RenameFlags, flock, open, renameat_with};
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
    open: Option<File>,
}

impl Staging {
    /// For files that will be in `folder` and have so many `bytes`, for which there must be room. Several that share no folder
    /// get one called `name`. `random` is for this transfer alone.
    pub(super) fn new(
        folder: &Arc<ReceiveFolder>,
        name: &str,
        is_one_file: bool,
        bytes: u64,
        random: u64,
    ) -> io::Result<Staging> {
        let room = folder.promise(bytes)?;
        let hidden = folder.path().join(format!("{HIDDEN}{random:016x}"));
        fs::create_dir(&hidden)?;
        // Where folders can't be locked, nobody removes them either.
        let lock = locked(&hidden).ok();
        let (folder, name) = (folder.clone(), name.to_owned());
        Ok(Staging { folder, room, name, is_one_file, hidden, _lock: lock, files: Vec::new(), open: None })
    }

    /// Begins a file. The names of its path are clean.
    pub(super) fn open(&mut self, path: &[String]) -> io::Result<()> {
        let (name, folders) = path.split_last().ok_or(ErrorKind::InvalidInput)?;
        let folders: &[String] = if self.is_one_file { &[] } else { folders };
        let folder = folders.iter().fold(self.hidden.clone(), |folder, name| folder.join(name));
        fs::create_dir_all(&folder)?;
        let (path, file) = claim(&folder, name, |path| File::options().write(true).create_new(true).open(path))?;
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
        let (to, ()) = claim(self.folder.path(), &name, |to| move_to_new(&from, to))?;
        // The files are in their place, whatever follows: a hidden folder that stays is empty, and removed at the next start.
        if from != self.hidden {
            let _ = fs::remove_dir(&self.hidden);
        }
        // Their names are on the disk, too, if its file system can say so.
        let _ = File::open(self.folder.path()).and_then(|folder| folder.sync_all());
        let mut files = std::mem::take(&mut self.files);
        for file in &mut files {
            let inside = file.path.strip_prefix(&from).unwrap_or(Path::new(""));
            file.path = if inside.as_os_str().is_empty() { to.clone() } else { to.join(inside) };
        }
        Ok(files)
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

/// Makes something in a folder under the first name that doesn't exist.
fn claim<T>(folder: &Path, name: &str, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<(PathBuf, T)> {
    for n in 1..=NUMBERS_MAX {
        let path = folder.join(numbered(name, n));
        match make(&path) {
            Ok(made) => return Ok((path, made)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder for received files, on a disk with much room.
    fn receive_folder(path: &Path) -> Arc<ReceiveFolder> {
        Arc::new(ReceiveFolder::new(path.to_owned(), |_| Ok(1 << 40)))
    }

    fn path(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Saves files with these paths, each with its path as its content.
    fn save(folder: &Path, random: u64, paths: &[&[&str]]) -> Vec<PathBuf> {
        let mut staging = Staging::new(&receive_folder(folder), "plans", paths.len() == 1, 0, random).unwrap();
        for names in paths {
            staging.open(&path(names)).unwrap();
            staging.write(names.join("/").as_bytes()).unwrap();
            staging.close().unwrap();
        }
        let saved = staging.finish().unwrap();
        for (file, names) in saved.iter().zip(paths) {
            assert_eq!(fs::read_to_string(&file.path).unwrap(), names.join("/"));
            assert_eq!(file.bytes, names.join("/").len() as u64);
        }
        assert!(
            fs::read_dir(folder).unwrap().all(|entry| !entry.unwrap().file_name().to_string_lossy().starts_with('.'))
        );
        saved.into_iter().map(|file| file.path.strip_prefix(folder).unwrap().to_owned()).collect()
    }

    #[test]
    fn nothing_that_exists_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.txt"), "mine").unwrap();
        assert_eq!(save(folder.path(), 1, &[&["a.txt"]]), [Path::new("a (2).txt")]);
        assert_eq!(save(folder.path(), 2, &[&["x", "a.txt"]]), [Path::new("a (3).txt")]);
        assert_eq!(fs::read_to_string(folder.path().join("a.txt")).unwrap(), "mine");
    }

    #[test]
    fn several_files_get_a_folder_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        for n in ["", " (2)"] {
            let saved = save(folder.path(), 1, &[&["photos", "a"], &["photos", "b", "c"]]);
            assert_eq!(saved, [PathBuf::from(format!("photos{n}/a")), PathBuf::from(format!("photos{n}/b/c"))]);
            let saved = save(folder.path(), 2, &[&["a"], &["a"]]);
            assert_eq!(saved, [PathBuf::from(format!("plans{n}/a")), PathBuf::from(format!("plans{n}/a (2)"))]);
        }
    }

    #[test]
    fn a_link_in_the_folder_is_not_followed() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("photos")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join("new"), folder.path().join("a.txt")).unwrap();
        assert_eq!(save(folder.path(), 1, &[&["photos", "a"], &["photos", "b"]])[0], Path::new("photos (2)/a"));
        assert_eq!(save(folder.path(), 2, &[&["a.txt"]]), [Path::new("a (2).txt")]);
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_discarded_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut staging = Staging::new(&receive_folder(folder.path()), "plans", false, 0, 1).unwrap();
        staging.open(&path(&["a", "b"])).unwrap();
        staging.write(b"x").unwrap();
        staging.discard().unwrap();
        staging.discard().unwrap();
        assert!(staging.write(b"x").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Staging::new(&receive_folder(&folder.path().join("gone")), "plans", false, 0, 1).is_err());
    }

    #[test]
    fn more_than_the_disk_has_room_for_is_refused_before_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let refused = Staging::new(&receive_folder(folder.path()), "plans", true, u64::MAX, 1).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StorageFull);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_disk_that_is_full_meanwhile_is_an_error_and_nothing_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut staging = Staging::new(&receive_folder(folder.path()), "plans", true, 0, 1).unwrap();
        staging.open(&path(&["a"])).unwrap();
        staging.open = Some(File::options().write(true).open("/dev/full").unwrap());
        assert_eq!(staging.write(b"x").unwrap_err().kind(), ErrorKind::StorageFull);
        staging.discard().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_is_not_on_the_disk_is_not_complete() {
        let folder = tempfile::tempdir().unwrap();
        let mut staging = Staging::new(&receive_folder(folder.path()), "plans", true, 0, 1).unwrap();
        staging.open(&path(&["a"])).unwrap();
        // A device that can't be synchronized.
        staging.open = Some(File::options().write(true).open("/dev/full").unwrap());
        assert!(staging.close().is_err());
    }

    #[test]
    fn a_move_overwrites_nothing_and_leaves_nothing_if_it_fails() {
        let moves: [fn(&Path, &Path) -> io::Result<()>; 2] = [move_to_new, move_to_placeholder];
        for step in moves {
            let folder = tempfile::tempdir().unwrap();
            let (from, to) = (folder.path().join("from"), folder.path().join("to"));
            assert_eq!(step(&from, &to).unwrap_err().kind(), ErrorKind::NotFound);
            assert!(!to.exists());
            fs::create_dir(&from).unwrap();
            step(&from, &to).unwrap();
            fs::write(&from, "new").unwrap();
            assert_eq!(step(&from, &to).unwrap_err().kind(), ErrorKind::AlreadyExists);
            fs::remove_dir(&to).unwrap();
            step(&from, &to).unwrap();
            assert_eq!((fs::read_to_string(&to).unwrap().as_str(), from.exists()), ("new", false));
        }
    }

    #[test]
    fn what_another_users_process_left_is_left_to_that_user() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(".sidecall-00000000000000ff");
        fs::create_dir(&left).unwrap();
        remove_leftovers_of(geteuid().as_raw() + 1, folder.path()).unwrap();
        assert!(left.exists());
        remove_leftovers_of(geteuid().as_raw(), folder.path()).unwrap();
        assert!(!left.exists());
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |name: &str| folder.path().join(name);
        let alive = Staging::new(&receive_folder(folder.path()), "plans", true, 0, 1).unwrap();
        fs::create_dir_all(at(".sidecall-00000000000000ff/a")).unwrap();
        fs::write(at(".sidecall-00000000000000ff/a/b"), "half").unwrap();
        fs::create_dir(at(".sidecall-notes")).unwrap();
        fs::write(at(".sidecall-00000000000000fe"), "mine").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), at(".sidecall-00000000000000fd")).unwrap();
        fs::write(elsewhere.path().join("kept"), "").unwrap();
        remove_leftovers(folder.path()).unwrap();
        assert!(!at(".sidecall-00000000000000ff").exists());
        for kept in [
            ".sidecall-0000000000000001",
            ".sidecall-notes",
            ".sidecall-00000000000000fe",
            ".sidecall-00000000000000fd/kept",
        ] {
            assert!(at(kept).exists(), "{kept}");
        }
        drop(alive);
        remove_leftovers(folder.path()).unwrap();
        assert!(!at(".sidecall-0000000000000001").exists());
    }
}
