//! The text frames of a file channel.
//!
//! ```text
//! {"have":[0,1048576]}                                    receiver
//! {"file":0,"path":"plans/a.txt","size":12}               sender
//! {"end":0,"sha256":"…"}                                  sender
//! {"ok":0}                                                receiver
//! {"pause":true}  {"cancel":"user"}                       both
//! ```

use serde_json::{Value, json};

use crate::media::digits::Sha256Digest;
use crate::media::fields::{Fields, integer, text, within};
use crate::media::signal::{BYTES_MAX, FILES_MAX};

/// Bytes of the longest frame, and characters of the longest path in one.
const FRAME_MAX: usize = 4096 + 1024;
const PATH_MAX: usize = 4096;

/// Why a transfer is over before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelReason {
    /// Somebody didn't want it any more.
    User,
    /// What arrived isn't what was sent.
    Digest,
    /// The other side broke the rules.
    Limit,
    /// The disk is full, or refuses the files.
    Disk,
    /// The other side left.
    Gone,
    /// A file changed while it was sent.
    Changed,
}

impl CancelReason {
    const ALL: [CancelReason; 6] = [
        CancelReason::User,
        CancelReason::Digest,
        CancelReason::Limit,
        CancelReason::Disk,
        CancelReason::Gone,
        CancelReason::Changed,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            CancelReason::User => "user",
            CancelReason::Digest => "digest",
            CancelReason::Limit => "limit",
            CancelReason::Disk => "disk",
            CancelReason::Gone => "gone",
            CancelReason::Changed => "changed",
        }
    }
}

/// A text frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileFrame {
    /// All before this position has been written.
    Have {
        /// The file, from 0.
        file: u64,
        /// Its next byte.
        offset: u64,
    },
    /// The next bytes are this file's.
    File {
        /// The file, from 0.
        file: u64,
        /// Its path, as the sender has it.
        path: String,
        /// Its bytes.
        size: u64,
    },
    /// A file is complete.
    End {
        /// The file.
        file: u64,
        /// The digest of its bytes.
        sha256: Sha256Digest,
    },
    /// A file has arrived, and its digest matches.
    Ok(u64),
    /// Stops the sender, or lets it go on.
    Pause(bool),
    /// The transfer is over.
    Cancel(CancelReason),
}

impl FileFrame {
    /// Parses a frame of the other side.
    pub fn parse(frame: &str) -> Option<FileFrame> {
        if frame.len() > FRAME_MAX {
            return None;
        }
        let fields: Fields = serde_json::from_str(frame).ok()?;
        if let Some(Value::Array(have)) = fields.get("have") {
            let [file, offset, ..] = have.as_slice() else { return None };
            return Some(FileFrame::Have { file: within(file, FILES_MAX)?, offset: within(offset, BYTES_MAX)? });
        }
        if let Some(Value::Bool(paused)) = fields.get("pause") {
            return Some(FileFrame::Pause(*paused));
        }
        if let Some(word) = fields.get("cancel") {
            let reason = CancelReason::ALL.into_iter().find(|reason| word == reason.as_str());
            return Some(FileFrame::Cancel(reason.unwrap_or(CancelReason::User)));
        }
        if let Some(file) = integer(&fields, "ok", FILES_MAX) {
            return Some(FileFrame::Ok(file));
        }
        let sha256 = text(&fields, "sha256", 64).and_then(Sha256Digest::parse);
        if let (Some(file), Some(sha256)) = (integer(&fields, "end", FILES_MAX), sha256) {
            return Some(FileFrame::End { file, sha256 });
        }
        Some(FileFrame::File {
            file: integer(&fields, "file", FILES_MAX)?,
            path: text(&fields, "path", PATH_MAX)?.to_owned(),
            size: integer(&fields, "size", BYTES_MAX)?,
        })
    }

    /// The frame as it is sent.
    pub fn text(&self) -> String {
        let value = match self {
            FileFrame::Have { file, offset } => json!({"have": [file, offset]}),
            FileFrame::File { file, path, size } => json!({"file": file, "path": path, "size": size}),
            FileFrame::End { file, sha256 } => json!({"end": file, "sha256": sha256.to_string()}),
            FileFrame::Ok(file) => json!({"ok": file}),
            FileFrame::Pause(paused) => json!({"pause": paused}),
            FileFrame::Cancel(reason) => json!({"cancel": reason.as_str()}),
        };
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::digits::digest_of;
    use proptest::prelude::*;

    #[test]
    fn frames_are_read_as_they_are_written_and_nonsense_is_not() {
        for frame in [
            FileFrame::Have { file: 1, offset: 2 },
            FileFrame::File { file: 0, path: "a/b".to_owned(), size: 0 },
            FileFrame::End { file: 0, sha256: digest_of("") },
            FileFrame::Ok(3),
            FileFrame::Pause(false),
            FileFrame::Cancel(CancelReason::Disk),
        ] {
            assert_eq!(FileFrame::parse(&frame.text()), Some(frame));
        }
        let long = format!(r#"{{"path":"{}"}}"#, "a".repeat(6000));
        for bad in ["", "{}", "[]", r#"{"have":[1]}"#, r#"{"file":0,"path":"","size":1}"#, r#"{"ok":-1}"#, &long] {
            assert_eq!(FileFrame::parse(bad), None, "{bad:.40}");
        }
        assert_eq!(FileFrame::parse(r#"{"cancel":"because"}"#), Some(FileFrame::Cancel(CancelReason::User)));
    }

    proptest! {
        #[test]
        fn any_frame_that_parses_keeps_to_the_limits(
            frame in r#"\{"(have|file|end|ok|pause|cancel)":(\[[0-9]{1,20},[0-9]{1,20}\]|[0-9]{1,20}|true|"x"),"size":[0-9]{1,20},"path":"[a/]{1,9}"\}"#
        ) {
            match FileFrame::parse(&frame) {
                Some(FileFrame::Have { file, offset: bytes } | FileFrame::File { file, size: bytes, .. }) => {
                    prop_assert!(file <= FILES_MAX && bytes <= BYTES_MAX);
                }
                Some(FileFrame::Ok(file) | FileFrame::End { file, .. }) => prop_assert!(file <= FILES_MAX),
                Some(FileFrame::Pause(_) | FileFrame::Cancel(_)) | None => {}
            }
        }
    }
}
