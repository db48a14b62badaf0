//! Output about received files: text for a person, JSON for a script.

use serde_json::json;

use super::contacts::Label;
use super::file_news::FileNews;
use super::show::{Show, event, say, who};
use crate::cli::output::{clean, size};
use crate::core::base::name::CallId;
use crate::media::SavedFile;
use crate::media::transfer::frames::CancelReason;

impl Show {
    pub(super) fn files(&self, call: &CallId, peer: Option<&Label>, news: &FileNews) -> anyhow::Result<()> {
        if self.is_json() {
            return json_event(call, peer, news);
        }
        let who = who(peer, "a call of yours");
        match news {
            FileNews::Invited { n, files } => {
                let what = if files.count == 1 { "a file".to_owned() } else { format!("{} files", files.count) };
                let (name, bytes) = (clean(&files.name), size(files.bytes));
                say(&format!("{who} offers {what}, \"{name}\", {bytes}: /accept {n} or /decline {n}"))
            }
            FileNews::Words(words) => {
                let words = words.join(" ");
                say(&format!("{who}: compare these words on the phone, they must be the same: {words}"))
            }
            FileNews::Interrupted => say(&format!("{who}: no direct connection; trying again")),
            FileNews::Progress { received, of } => say(&format!("{who}: {} of {}", size(*received), size(*of))),
            FileNews::Saved(files) => files.iter().try_for_each(|file| {
                let path = clean(&file.path.display().to_string());
                say(&format!("{who}: {path} is here and verified, {}", size(file.bytes)))
            }),
            FileNews::Failed(reason) => say(&format!("{who}: {}", failure(*reason))),
            FileNews::Lost => say(&format!("{who}: another client of your number has accepted the files")),
            FileNews::Impostor => say(&format!("{who}: somebody may be between you; the direct connection is closed")),
            FileNews::Problem(problem) => say(&format!("{who}: the files can't be accepted: {}", clean(problem))),
        }
    }
}

fn json_event(call: &CallId, peer: Option<&Label>, news: &FileNews) -> anyhow::Result<()> {
    let (kind, mut fields) = match news {
        FileNews::Invited { n, files } => {
            ("invited", json!({"invitation": n, "count": files.count, "bytes": files.bytes, "name": files.name}))
        }
        FileNews::Words(words) => ("words", json!({"words": words})),
        FileNews::Interrupted => ("interrupted", json!({})),
        FileNews::Progress { received, of } => ("progress", json!({"received": received, "of": of})),
        FileNews::Saved(files) => {
            let path = |file: &SavedFile| file.path.to_string_lossy().into_owned();
            let files = files.iter().map(|file| json!({"path": path(file), "bytes": file.bytes}));
            ("saved", json!({"files": files.collect::<Vec<_>>()}))
        }
        FileNews::Failed(reason) => ("unsaved", json!({"reason": reason.as_str()})),
        FileNews::Lost => ("unsaved", json!({"reason": "taken"})),
        FileNews::Impostor => ("impostor", json!({})),
        FileNews::Problem(problem) => ("unsaved", json!({"reason": problem})),
    };
    fields["call"] = json!(call);
    if let Some(peer) = peer {
        fields["n"] = peer.n.into();
    }
    event(kind, fields)
}

fn failure(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::User => "the transfer was stopped; nothing is kept",
        CancelReason::Digest => "what arrived is not what was sent; nothing is kept",
        CancelReason::Limit => "their client did not keep to what it had announced; nothing is kept",
        CancelReason::Disk => "the files can't be written; nothing is kept",
        CancelReason::Gone => "the connection ended before the files were complete; nothing is kept",
        CancelReason::Changed => "a file changed while it was sent; nothing is kept",
    }
}
