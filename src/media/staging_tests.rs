//! Files in their folder: names, links, full disks, and what killed processes leave.

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
    assert!(fs::read_dir(folder).unwrap().all(|entry| !entry.unwrap().file_name().to_string_lossy().starts_with('.')));
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
fn equal_names_are_numbered_and_no_more_than_there_are_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let mut staging = Staging::new(&receive_folder(folder.path()), "plans", false, 0, 1).unwrap();
    for _ in 0..NUMBERS_MAX {
        staging.open(&path(&["x", "a"])).unwrap();
    }
    assert_eq!(staging.open(&path(&["x", "a"])).unwrap_err().kind(), ErrorKind::AlreadyExists);
    staging.open(&path(&["x", "b"])).unwrap();
    let at = |n: usize| staging.files[n].path.file_name().unwrap().to_str().unwrap();
    assert_eq!([at(0), at(1), at(9_999), at(10_000)], ["a", "a (2)", "a (10000)", "b"]);
}

#[test]
fn the_names_of_all_files_are_put_on_the_disk_before_they_move() {
    let folder = tempfile::tempdir().unwrap();
    let mut staging = Staging::new(&receive_folder(folder.path()), "plans", false, 0, 1).unwrap();
    for names in [&["x", "y", "a"][..], &["x", "b"], &["x", "c"]] {
        staging.open(&path(names)).unwrap();
    }
    let hidden = folder.path().join(".sidecall-0000000000000001");
    let all = [hidden.clone(), hidden.join("x"), hidden.join("x/y")];
    assert_eq!(staging.folders(), all.iter().map(PathBuf::as_path).collect());
    assert!(sync_folder(&hidden).is_ok() && sync_folder(&hidden.join("gone")).is_err());
    // A place that isn't there: nothing moves, and what can't be named isn't complete.
    fs::remove_dir_all(hidden.join("x/y")).unwrap();
    assert_eq!(staging.finish().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
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
fn a_hidden_folder_that_somebody_removes_is_not_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut staging = Staging::new(&receive_folder(folder.path()), "plans", false, 0, 1).unwrap();
    staging.open(&path(&["x", "a"])).unwrap();
    fs::remove_dir_all(folder.path().join(".sidecall-0000000000000001")).unwrap();
    assert_eq!(staging.open(&path(&["x", "b"])).unwrap_err().kind(), ErrorKind::NotFound);
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
