//! The device of this user: enrolled once with a code, and kept in a file for later starts.
//!
//! ```text
//! {"node":"https://node.example/","token":"…"}
//! ```

use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::cli::api_client::Api;
use crate::contract::{DeviceCreated, NewDevice};
use crate::core::base::device_name::DeviceName;
use crate::core::base::enrolment_code::EnrolmentCode;

/// A device's token, and the node that knows it. It is sent to no other node.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredDevice {
    pub(super) node: Url,
    pub(super) token: String,
}

/// The file of this user, if there is a home directory.
pub(super) fn path() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
    Some(config?.join("sidecall").join("client.json"))
}

/// Loads the stored device, if any.
pub(super) fn load(path: &Path) -> anyhow::Result<Option<StoredDevice>> {
    let what = || format!("the device can't be read from {}", path.display());
    match fs::read(path) {
        Ok(json) => serde_json::from_slice(&json).map(Some).with_context(what),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(what),
    }
}

/// Enrols a device, and writes it to a file that only this user can read. A device that is there is replaced.
pub(super) async fn enrol(
    path: &Path,
    node: Url,
    code: EnrolmentCode,
    name: Option<DeviceName>,
) -> anyhow::Result<StoredDevice> {
    let new = NewDevice { code: code.to_string(), name: name.map_or_else(default_name, Ok)? };
    let api = Api::new(node.clone(), "")?;
    let what = || format!("the device can't be written to {}", path.display());
    let next = path.with_extension("json.new");
    // Before the code is used up: it works only once.
    let mut file = create(&next).with_context(what)?;
    let created: Result<DeviceCreated, _> = api.send(Method::POST, &["v1", "devices"], &new).await;
    let created = created.inspect_err(|_| {
        // It is empty, and the error says why.
        let _ = fs::remove_file(&next);
    })?;
    let device = StoredDevice { node, token: created.token };
    let mut save = || {
        file.write_all(&serde_json::to_vec(&device)?)?;
        file.sync_all()?;
        fs::rename(&next, path)
    };
    save().with_context(what)?;
    Ok(device)
}

fn create(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // A leftover file may have other permissions.
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

fn default_name() -> anyhow::Result<DeviceName> {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let named = format!("terminal on {}", host.trim()).parse();
    Ok(named.or_else(|_| "terminal".parse())?)
}
