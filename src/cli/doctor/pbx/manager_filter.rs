//! Whether Asterisk's manager user has the event filter that we ship, as far as the files on this machine say.
//!
//! Asterisk shows filters to nobody over its manager interface. The files are those that `install.sh` looks into.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::cli::doctor::report::DoctorReport;

/// Where Asterisk's configuration is.
const FOLDER: &str = "/etc/asterisk";
/// The manager user that we ship.
const SHIPPED: &str = include_str!("../../../../dialplan/asterisk/manager.conf");
const SHIPPED_USER: &str = "sidecall";
const KEY: &str = "eventfilter";

/// Checks the filter of a manager user, of an Asterisk on this machine or elsewhere.
pub(super) fn check(user: Option<&str>, is_here: bool, about: &str, report: &mut DoctorReport) -> anyhow::Result<()> {
    let user = user.unwrap_or(SHIPPED_USER);
    let filter = shipped();
    let danger = "without it a caller can forge events";
    let found = if is_here { has_filter(user, Path::new(FOLDER)) } else { None };
    match found {
        Some(true) => report.ok(about, "the manager user has the event filter, so no caller forges events"),
        Some(false) => report.problem(
            about,
            format!("the manager user {user} has no line {KEY}={filter}: {danger}"),
            format!(
                "add it to [{user}] in {FOLDER} (FreePBX: to manager_custom.conf, behind [{user}](+)); then \
                 `manager reload`, and restart sidecall"
            ),
        ),
        None => report.unknown(
            about,
            format!("manager.conf can't be read here: does [{user}] have the line {KEY}={filter}? {danger}"),
        ),
    }
}

/// The filter that we ship.
fn shipped() -> &'static str {
    filters(SHIPPED, SHIPPED_USER).and_then(|filters| filters.first().copied()).unwrap_or_default()
}

/// Whether a user has the filter; none if no file has the user, or one that may have the filter can't be read.
fn has_filter(user: &str, folder: &Path) -> Option<bool> {
    let files = files(folder).ok()?;
    let read: Vec<_> = files.iter().map(|file| fs::read(file).ok()).collect();
    let texts: Vec<_> = read.iter().flatten().map(|bytes| String::from_utf8_lossy(bytes)).collect();
    let found: Vec<_> = texts.iter().filter_map(|text| filters(text, user)).collect();
    if found.iter().flatten().any(|filter| *filter == shipped()) {
        return Some(true);
    }
    let is_all = read.iter().all(Option::is_some);
    (is_all && !found.is_empty()).then_some(false)
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let is_managers = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("manager") || name == "sidecall-manager.conf"
    };
    let mut files = configurations(folder)?;
    files.retain(is_managers);
    files.extend(configurations(&folder.join("manager.d"))?);
    Ok(files)
}

/// The configuration files of a folder, which may not be there.
fn configurations(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "conf"));
    Ok(files)
}

/// The event filters of a user in a configuration file; none if it has no section `[user]`, `[user](+)`.
fn filters<'t>(text: &'t str, user: &str) -> Option<Vec<&'t str>> {
    let mut found: Option<Vec<&str>> = None;
    let mut is_user = false;
    for line in text.lines() {
        let line = line.split(';').next().unwrap_or_default().trim_end();
        if let Some(section) = line.strip_prefix('[') {
            is_user = section.split(']').next() == Some(user);
        }
        if !is_user {
            continue;
        }
        let filters = found.get_or_insert_default();
        if let Some((key, value)) = line.split_once('=')
            && key.trim() == KEY
        {
            filters.push(value.strip_prefix('>').unwrap_or(value).trim());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "[general]\nenabled = yes\n[sidecall]\nsecret = a\\;b\n";
    const FILTER: &str = "eventfilter => ![[:cntrl:]]{4}[^[:cntrl:]] ; ours\n";

    /// What these files say of the user.
    fn said(files: &[(&str, &str)]) -> Option<bool> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("manager.d")).unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        has_filter("sidecall", folder.path())
    }

    #[test]
    fn the_filter_is_found_where_the_user_is() {
        assert_eq!(shipped(), "![[:cntrl:]]{4}[^[:cntrl:]]");
        assert_eq!(said(&[("manager.conf", "[general]\n"), ("manager.d/sidecall.conf", SHIPPED)]), Some(true));
        assert_eq!(said(&[("manager.conf", "[general]\n"), ("sidecall-manager.conf", SHIPPED)]), Some(true));
        assert_eq!(said(&[("manager.conf", &format!("{USER}{FILTER}")[..])]), Some(true));
        let custom = format!("[sidecall](+)\n{FILTER}");
        assert_eq!(said(&[("manager_additional.conf", USER), ("manager_custom.conf", &custom[..])]), Some(true));
    }

    #[test]
    fn a_filter_that_is_somebody_elses_or_a_comment_is_none() {
        let other = format!("{USER}[other]\n{FILTER}");
        let comment = format!("{USER};{FILTER}");
        let another = format!("{USER}eventfilter=!Event: Newexten\n");
        for text in [USER, &other, &comment, &another] {
            assert_eq!(said(&[("manager.conf", text)]), Some(false), "{text}");
        }
    }

    #[test]
    fn what_can_not_be_seen_is_not_said() {
        assert_eq!(said(&[("manager.conf", "[general]\n"), ("other.conf", USER)]), None);
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(has_filter("sidecall", &folder.path().join("absent")), None);
        // A file that can't be read may have the filter.
        fs::write(folder.path().join("manager.conf"), USER).unwrap();
        fs::create_dir(folder.path().join("manager_custom.conf")).unwrap();
        assert_eq!(has_filter("sidecall", folder.path()), None);
    }
}
