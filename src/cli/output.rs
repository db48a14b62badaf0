//! What commands print: the one place that writes to standard output.

use std::fmt::Display;
use std::io::Write;
use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::core::base::characters::is_deceptive;
use crate::core::base::time::UnixMillis;

/// Prints a line and flushes it.
pub(super) fn line(text: impl Display) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}

/// Prints a value as one line of JSON.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(visible_json(&serde_json::to_string(value)?))
}

/// JSON in which every character that a terminal would act on is escaped. Such characters occur only
/// in strings, where an escape means the same.
fn visible_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if invisible(c) {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}")));
        } else {
            text.push(c);
        }
    }
    text
}

/// Control characters, and those that reorder or hide their neighbours.
pub(super) fn invisible(c: char) -> bool {
    c.is_control() || is_deceptive(c) || matches!(c, '\u{ad}' | '\u{200c}' | '\u{200d}')
}

/// Maximum length of untrusted text, in characters.
const SHOWN: usize = 4_000;

/// Makes untrusted text safe to print: one line, no control characters.
pub(super) fn clean(text: &str) -> String {
    let mut shown = String::new();
    for (n, c) in text.chars().enumerate() {
        match c {
            _ if n == SHOWN => {
                shown.push('…');
                break;
            }
            '\n' | '\t' | '\u{2028}' | '\u{2029}' => shown.push(' '),
            '\r' => {}
            c if invisible(c) => shown.push('\u{fffd}'),
            c => shown.push(c),
        }
    }
    shown
}

/// Prints a table with columns as wide as their content.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let print = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        line(padded.join("  ").trim_end())
    };
    print(&mut head.iter().copied())?;
    rows.iter().try_for_each(|row| print(&mut row.iter().map(String::as_str)))
}

/// The wall clock.
pub(super) fn now() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Date and time, in UTC.
pub(super) fn moment(at: UnixMillis) -> String {
    utc(at).map_or_else(
        || at.0.to_string(),
        |at| {
            at.format(format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:3]Z"))
                .unwrap_or_default()
        },
    )
}

/// Time of day, in UTC.
pub(super) fn clock(at: UnixMillis) -> String {
    utc(at).and_then(|at| at.format(format_description!("[hour]:[minute]:[second]Z")).ok()).unwrap_or_default()
}

fn utc(at: UnixMillis) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000_000).ok()
}

/// A duration.
pub(super) fn span(span: Duration) -> String {
    match (span.as_secs(), span.as_millis()) {
        (0, ms) => format!("{ms} ms"),
        (s @ 1..60, ms) => format!("{s}.{} s", ms / 100 % 10),
        (s, _) => format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60),
    }
}

/// A number of bytes, in units that a file manager shows.
pub(super) fn size(bytes: u64) -> String {
    let mut rest = bytes;
    for unit in ["bytes", "kB", "MB", "GB"] {
        if rest < 10_000 {
            return format!("{rest} {unit}");
        }
        rest /= 1000;
    }
    format!("{rest} TB")
}

/// Whether the reader closed the pipe (`sidecall calls list | head -1`), which is no error.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn somebody_elses_text_commands_no_terminal() {
        assert_eq!(clean("a\x1b[2Jb\nc\r\x07\u{202e}d\u{9b}e"), "a\u{fffd}[2Jb c\u{fffd}\u{fffd}d\u{fffd}e");
        assert_eq!(clean("Zoë 👍 日本"), "Zoë 👍 日本");
        assert_eq!(clean(&"x".repeat(5_000)).chars().count(), SHOWN + 1);
    }

    #[test]
    fn sizes_have_a_unit_that_fits() {
        for (bytes, shown) in [(0, "0 bytes"), (9_999, "9999 bytes"), (10_000, "10 kB"), (3_200_000_000, "3200 MB")] {
            assert_eq!(size(bytes), shown);
        }
        assert_eq!(size(1 << 44), "17 TB");
    }

    #[test]
    fn moments_and_spans() {
        assert_eq!(moment(UnixMillis(1_795_345_005_123)), "2026-11-22 10:56:45.123Z");
        assert_eq!(clock(UnixMillis(0)), "00:00:00Z");
        for (ms, shown) in [(12, "12 ms"), (1_290, "1.2 s"), (61_000, "0:01:01")] {
            assert_eq!(span(Duration::from_millis(ms)), shown);
        }
    }

    proptest! {
        #[test]
        fn nothing_invisible_is_shown(text in "\\PC*|[\\x00-\\u{ff}\\u{2000}-\\u{206f}]*") {
            prop_assert!(!clean(&text).chars().any(invisible));
            let json = visible_json(&serde_json::to_string(&text).unwrap());
            prop_assert!(!json.chars().any(invisible));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
