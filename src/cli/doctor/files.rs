//! Checks the configuration's files: who can read secrets, and whether the database can be written.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::report::DoctorReport;
use crate::config::Config;
use crate::store::{Location, PostgresUrl};

const ABOUT: &str = "configuration";

pub(super) fn check(config: &Config, path: &Path, report: &mut DoctorReport) -> anyhow::Result<()> {
    permissions(config, path, report)?;
    database(config, report)?;
    watchdog(config, report)
}

fn permissions(config: &Config, path: &Path, report: &mut DoctorReport) -> anyhow::Result<()> {
    let server = match &config.node.database {
        Location::File(_) => None,
        Location::Postgres(url) => Some(url),
    };
    let has_password = server.is_some_and(PostgresUrl::has_password);
    let inline = has_password
        || config.agent.token.is_some() && config.agent.token_file.is_none()
        || config.node.ice.secret.is_some() && config.node.ice.secret_file.is_none()
        || config.pbx.iter().any(|pbx| pbx.password_file.is_none());
    let mut secrets: Vec<&Path> = Vec::new();
    if inline {
        secrets.push(path);
    }
    let node = &config.node;
    let tokens = [&config.agent.token_file, &node.admin_token_file, &node.agent_token_file, &node.ice.secret_file];
    let passwords = config.pbx.iter().map(|pbx| &pbx.password_file);
    secrets.extend(tokens.into_iter().chain(passwords).flatten().map(|file| file.as_path()));
    secrets.extend(config.node.tls.as_ref().map(|tls| tls.key.as_path()));
    let keys = server.map(PostgresUrl::key_files).unwrap_or_default();
    secrets.extend(keys.iter().map(|key| key.as_path()));
    secrets.sort_unstable();
    secrets.dedup();
    let mut safe = 0;
    for file in &secrets {
        if open_to_all(file, 0o004) {
            let found = format!("everybody on this machine can read {}, which holds a secret", file.display());
            report.problem(
                ABOUT,
                found,
                format!("chmod 640 {0} (and chgrp it to the group that sidecall runs as)", file.display()),
            )?;
        } else {
            safe += 1;
        }
    }
    if open_to_all(path, 0o002) {
        let found = format!("everybody on this machine can write {}", path.display());
        report.problem(ABOUT, found, format!("chmod o-w {}", path.display()))?;
    }
    if has_password {
        report.warning(
            ABOUT,
            "node.database has a password in it",
            "put it into a file of mode 0600 that PGPASSFILE names (docs/INSTALL.md, PostgreSQL)",
        )?;
    }
    if safe == secrets.len() && safe > 0 {
        report.ok(ABOUT, "secrets are readable only by those who need them")?;
    }
    Ok(())
}

/// Whether everybody has the permission `bit` on a file, through all of its parent folders.
fn open_to_all(file: &Path, bit: u32) -> bool {
    let Ok(file) = file.canonicalize() else { return false };
    let mode = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.permissions().mode());
    mode(&file) & bit != 0 && file.ancestors().skip(1).all(|folder| mode(folder) & 0o001 != 0)
}

fn database(config: &Config, report: &mut DoctorReport) -> anyhow::Result<()> {
    let path = match &config.node.database {
        Location::File(path) => path,
        Location::Postgres(url) => return report.unknown(ABOUT, format!("the database {url} is checked by the node")),
    };
    if !path.exists() {
        let found = format!("there is no database {} yet", path.display());
        let folder = path.parent().unwrap_or(Path::new("."));
        return match folder.is_dir() {
            true => report.unknown(ABOUT, format!("{found}: the node makes it at its first start, here or elsewhere")),
            false if config.tokens.admin.is_none() => {
                report.unknown(ABOUT, format!("{found}; the node seems to run elsewhere"))
            }
            false => report.problem(
                ABOUT,
                found,
                format!(
                    "make the folder {} for the user that sidecall runs as, or set node.database",
                    folder.display()
                ),
            ),
        };
    }
    match OpenOptions::new().append(true).open(path) {
        Ok(_) => report.ok(ABOUT, format!("the database {} can be written", path.display())),
        Err(error) => report.warning(
            ABOUT,
            format!("{}: {error}", path.display()),
            "run doctor as the user that sidecall runs as (sudo -u sidecall sidecall doctor); that user must be able to write it",
        ),
    }
}

/// Checks that a watchdog is set for `direct` mode: calls wait for a hung agent until it is killed.
fn watchdog(config: &Config, report: &mut DoctorReport) -> anyhow::Result<()> {
    if config.pbx.iter().all(|pbx| pbx.direct.is_none()) {
        return Ok(());
    }
    let folders = ["/etc/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system"];
    let units = folders
        .iter()
        .flat_map(|folder| ["sidecall.service", "sidecall-agent.service"].map(|unit| Path::new(folder).join(unit)));
    let watched = units.into_iter().any(|unit| {
        fs::read_to_string(unit)
            .is_ok_and(|text| text.lines().any(|line| line.trim_start().starts_with("WatchdogSec=")))
    });
    if watched {
        return report.ok(ABOUT, "direct mode, and systemd's watchdog is set");
    }
    report.warning(
        ABOUT,
        "direct mode without a watchdog: if the agent hangs, calls that are being set up hang with it",
        "run it as the shipped systemd unit (Type=notify, WatchdogSec=2), or leave direct mode",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_readable_file_in_a_closed_folder_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        fs::write(&file, "x").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!open_to_all(&file, 0o004));
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let above = dir.path().ancestors().skip(1).all(|d| fs::metadata(d).unwrap().permissions().mode() & 1 != 0);
        assert_eq!(open_to_all(&file, 0o004), above);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(!open_to_all(&file, 0o004));
    }
}
