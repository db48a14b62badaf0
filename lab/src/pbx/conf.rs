//! Configuration files of a private instance: copied, then edited by exact replacement.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{LabError, Result};

/// The project's own folder, where `dialplan/` is.
pub(crate) fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the folder above the lab").to_owned()
}

/// Reads a file of the project, e.g. `dialplan/asterisk/sidecall.conf`.
pub fn project_file(path: &str) -> Result<String> {
    read(&project().join(path))
}

pub fn read(path: &Path) -> Result<String> {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .map_err(LabError::io(format!("read {}", path.display())))
}

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

/// Copies a folder with everything in it. Links are followed, and `name.sample` becomes `name`.
pub fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    let error = || LabError::io(format!("copy {}", from.display()));
    fs::create_dir_all(to).map_err(error())?;
    for entry in fs::read_dir(from).map_err(error())? {
        let entry = entry.map_err(error())?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let target = to.join(name.strip_suffix(".sample").unwrap_or(&name));
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else if entry.path().is_file() {
            fs::copy(entry.path(), target).map_err(error())?;
        }
    }
    Ok(())
}

/// What a test changes in the configuration of a PBX, on top of what the lab writes.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    added: Vec<(String, String)>,
    edited: Vec<(String, String, String)>,
    resolver: Option<Ipv4Addr>,
    hosts: Vec<(String, Ipv4Addr)>,
    /// FreeSWITCH only: vanilla's IPv6 profiles stay.
    pub(super) ipv6: bool,
}

impl Changes {
    /// Adds text at the end of a file, which may be a new one. `@ETC@` stands for the folder as the PBX sees it.
    #[must_use]
    pub fn add(mut self, file: &str, text: impl Into<String>) -> Changes {
        self.added.push((file.to_owned(), text.into()));
        self
    }

    /// Replaces text, which has to be there, in a file.
    #[must_use]
    pub fn edit(mut self, file: &str, from: impl Into<String>, to: impl Into<String>) -> Changes {
        self.edited.push((file.to_owned(), from.into(), to.into()));
        self
    }

    /// Takes a part of a file of `lab/pbx/`, with values for its `@NAME@`s. After `=== FILE` come lines that are added to
    /// it, and edits: `--- FROM` and, in one or more lines, `+++ TO`. `# ` begins a comment.
    /// A line that begins with `[` is split at its blanks into a section and its options.
    pub(super) fn part(mut self, text: &str, name: &str, values: &[(&str, &dyn ToString)]) -> Changes {
        let is_it = |part: &&str| part.split(['\n', ':']).next() == Some(name);
        let part = text.split("# PART ").find(is_it).unwrap_or_else(|| panic!("no part {name}"));
        let put = |text: String, (name, value): &(&str, &dyn ToString)| {
            text.replace(&format!("@{name}@"), &value.to_string())
        };
        let part = values.iter().fold(part.to_owned(), put);
        let mut file = "";
        for line in part.lines().skip(1).filter(|line| !line.starts_with("# ")) {
            if let Some(name) = line.strip_prefix("=== ") {
                file = name;
                self.added.push((name.to_owned(), String::new()));
            } else if let Some(from) = line.strip_prefix("--- ") {
                self.edited.push((file.to_owned(), from.to_owned(), String::new()));
            } else if let (Some(line), Some((_, _, to))) = (line.strip_prefix("+++ "), self.edited.last_mut()) {
                *to += if to.is_empty() { "" } else { "\n" };
                *to += line;
            } else if let Some((_, text)) = self.added.last_mut() {
                let line = if line.starts_with('[') { line.replace(' ', "\n") } else { line.to_owned() };
                *text += &format!("{line}\n");
            }
        }
        self
    }

    /// The PBX asks this DNS server and no other.
    #[must_use]
    pub fn resolver(self, resolver: Ipv4Addr) -> Changes {
        Changes { resolver: Some(resolver), ..self }
    }

    /// The PBX knows the address of a host.
    #[must_use]
    pub fn host(mut self, name: &str, ip: Ipv4Addr) -> Changes {
        self.hosts.push((name.to_owned(), ip));
        self
    }

    /// FreeSWITCH only: vanilla's IPv6 profiles stay.
    #[must_use]
    pub fn ipv6(self) -> Changes {
        Changes { ipv6: true, ..self }
    }

    /// Makes the changes in the folder `etc`, which the PBX sees as `inside`.
    pub(super) fn apply(&self, etc: &Path, inside: &Path) -> Result<()> {
        for (file, text) in self.added.iter().filter(|(_, text)| !text.trim().is_empty()) {
            let path = etc.join(file);
            let before = if path.is_file() { read(&path)? + "\n" } else { String::new() };
            write(&path, &(before + &text.replace("@ETC@", &inside.display().to_string())))?;
        }
        self.edited.iter().try_for_each(|(file, from, to)| replace(&etc.join(file), from, to))
    }

    /// `command` with [`Changes::resolver`] in place of the machine's, in a mount namespace of its own. `root` is the
    /// folder that the command changes its root to.
    pub(super) fn with_resolver(&self, command: Command, dir: &Path, root: &Path) -> Result<Command> {
        let Some(resolver) = self.resolver else { return Ok(command) };
        let (resolv, hosts) = (dir.join("resolv.conf"), dir.join("hosts"));
        write(&resolv, &format!("nameserver {resolver}\noptions timeout:1 attempts:2\n"))?;
        let known = read(&root.join("etc/hosts"))?;
        let lines = self.hosts.iter().map(|(name, ip)| format!("{ip} {name}\n"));
        write(&hosts, &lines.fold(known + "\n", |text, line| text + &line))?;
        let mut inside = Command::new("unshare");
        let script = "mount --bind \"$0\" \"$1\" && mount --bind \"$2\" \"$3\" && shift 3 && exec \"$@\"";
        inside.args(["--mount", "sh", "-c", script]).arg(resolv).arg(root.join("etc/resolv.conf"));
        inside.arg(hosts).arg(root.join("etc/hosts"));
        inside.arg(command.get_program()).args(command.get_args());
        inside.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Ok(inside)
    }
}
