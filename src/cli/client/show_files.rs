//! Output about received files: text for a person, JSON for a script.

use serde_json::{Value, json};

use super::contacts::Label;
use super::file_news::{FileNews, Obstacle};
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
            FileNews::Unaccepted { n, obstacle: Obstacle::AcceptMax } => say(&format!(
                "{who}: offer {n} waits for you: this call has reached --accept-max; /accept {n} takes it"
            )),
            FileNews::Unaccepted { n, obstacle } => {
                let why = clean(obstacle.text().unwrap_or_default());
                say(&format!("{who}: offer {n} can't be accepted now: {why}; /accept {n} tries again"))
            }
            FileNews::Words(words) => {
                let words = words.join(" ");
                say(&format!("{who}: compare these words on the phone, they must be the same: {words}"))
            }
            FileNews::Interrupted => say(&format!("{who}: no direct connection; trying again")),
            FileNews::Progress { n, received, of } => {
                say(&format!("{who}: offer {n}: {} of {}", size(*received), size(*of)))
            }
            FileNews::Saved { n, files } => files.iter().try_for_each(|file| {
                let path = clean(&file.path.display().to_string());
                say(&format!("{who}: offer {n}: {path} is here and verified, {}", size(file.bytes)))
            }),
            FileNews::Failed { n, reason } => say(&format!("{who}: offer {n}: {}", failure(*reason))),
            FileNews::Lost { n } => say(&format!("{who}: another client of your number has accepted offer {n}")),
            FileNews::Withdrawn { n } => say(&format!("{who}: offer {n} was withdrawn before it was accepted")),
            FileNews::Declined { n, problem } => say(&format!("{who}: offer {n} is declined: {}", clean(problem))),
            FileNews::Impostor => say(&format!("{who}: somebody may be between you; the direct connection is closed")),
        }
    }
}

fn json_event(call: &CallId, peer: Option<&Label>, news: &FileNews) -> anyhow::Result<()> {
    let (kind, mut fields) = fields(news);
    fields["call"] = json!(call);
    if let Some(peer) = peer {
        fields["n"] = peer.n.into();
    }
    event(kind, fields)
}

/// The event and its own fields. `invitation` is the number of the offer, as the user types it.
fn fields(news: &FileNews) -> (&'static str, Value) {
    match news {
        FileNews::Invited { n, files } => {
            ("invited", json!({"invitation": n, "count": files.count, "bytes": files.bytes, "name": files.name}))
        }
        FileNews::Unaccepted { n, obstacle } => {
            ("unaccepted", json!({"invitation": n, "reason": obstacle.word(), "error": obstacle.text()}))
        }
        FileNews::Words(words) => ("words", json!({"words": words})),
        FileNews::Interrupted => ("interrupted", json!({})),
        FileNews::Progress { n, received, of } => {
            ("progress", json!({"invitation": n, "received": received, "of": of}))
        }
        FileNews::Saved { n, files } => {
            let path = |file: &SavedFile| file.path.to_string_lossy().into_owned();
            let files = files.iter().map(|file| json!({"path": path(file), "bytes": file.bytes}));
            ("saved", json!({"invitation": n, "files": files.collect::<Vec<_>>()}))
        }
        FileNews::Failed { n, reason } => ("unsaved", json!({"invitation": n, "reason": reason.as_str()})),
        FileNews::Lost { n } => ("unsaved", json!({"invitation": n, "reason": "taken"})),
        FileNews::Withdrawn { n } => ("unsaved", json!({"invitation": n, "reason": "withdrawn"})),
        FileNews::Declined { n, problem } => {
            ("unsaved", json!({"invitation": n, "reason": "declined", "error": problem}))
        }
        FileNews::Impostor => ("impostor", json!({})),
    }
}

impl Obstacle {
    /// For scripts.
    fn word(&self) -> &'static str {
        match self {
            Obstacle::AcceptMax => "limit",
            Obstacle::Full(_) => "full",
            Obstacle::Node(_) => "node",
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Obstacle::AcceptMax => None,
            Obstacle::Full(why) => Some(why),
            Obstacle::Node(error) => Some(error),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_an_offer_has_its_number() {
        let files = Vec::new();
        for news in [
            FileNews::Unaccepted { n: 7, obstacle: Obstacle::AcceptMax },
            FileNews::Progress { n: 7, received: 1, of: 2 },
            FileNews::Saved { n: 7, files },
            FileNews::Failed { n: 7, reason: CancelReason::Gone },
            FileNews::Lost { n: 7 },
            FileNews::Withdrawn { n: 7 },
            FileNews::Declined { n: 7, problem: "x".to_owned() },
        ] {
            let (kind, fields) = fields(&news);
            assert_eq!(fields["invitation"], 7, "{kind}");
            // An offer that stays open is not over.
            assert_eq!(kind == "unaccepted", matches!(news, FileNews::Unaccepted { .. }));
        }
    }
}
