//! The lines of a CSV directory.

use std::io::Read;

use csv::{ByteRecord, ReaderBuilder};
use tokio::sync::mpsc;

use super::numbers;
use crate::contract::{NumberEntry, NumberKind};
use crate::core::numbering::number::Number;
use crate::store::NumberRow;

/// Lines handed on at a time.
const BATCH: usize = 1000;

/// A line that was read: an entry, or what is wrong.
pub(super) struct Line {
    pub(super) line: u64,
    pub(super) row: Result<NumberRow, String>,
}

/// Where each column is.
#[derive(Default)]
struct Columns {
    number: usize,
    name: Option<usize>,
    pbx: Option<usize>,
    kind: Option<usize>,
    extensions: Option<usize>,
    credential: Option<usize>,
    count: usize,
}

/// Reads all lines and hands them on in batches. It stops early if nobody takes them.
///
/// # Errors
/// If the header is none.
pub(super) fn read(file: impl Read, batches: &mpsc::Sender<Vec<Line>>) -> Result<(), String> {
    let mut reader = ReaderBuilder::new().flexible(true).buffer_capacity(1 << 18).from_reader(file);
    let columns = columns(reader.byte_headers().map_err(|e| e.to_string())?)?;
    let (mut record, mut batch) = (ByteRecord::new(), Vec::with_capacity(BATCH));
    loop {
        let line = match reader.read_byte_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {
                let line = record.position().map_or(0, csv::Position::line);
                Line { line, row: row(&record, &columns) }
            }
            Err(error) => return Err(error.to_string()),
        };
        batch.push(line);
        if batch.len() == BATCH
            && batches.blocking_send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH))).is_err()
        {
            return Ok(());
        }
    }
    let _ = batches.blocking_send(batch);
    Ok(())
}

fn columns(header: &ByteRecord) -> Result<Columns, String> {
    let mut columns = Columns { count: header.len(), ..Columns::default() };
    let mut number = None;
    for (at, name) in header.iter().enumerate() {
        // Spreadsheets put a byte order mark before the first name.
        let name = String::from_utf8_lossy(name.strip_prefix(b"\xef\xbb\xbf").unwrap_or(name)).trim().to_owned();
        let column = match name.as_str() {
            "number" => &mut number,
            "name" => &mut columns.name,
            "pbx" => &mut columns.pbx,
            "kind" => &mut columns.kind,
            "extensions" => &mut columns.extensions,
            "credential" => &mut columns.credential,
            _ => {
                return Err(format!(
                    "there is no column {name:?}: the header is number,name,pbx,kind,extensions,credential"
                ));
            }
        };
        if column.replace(at).is_some() {
            return Err(format!("the column {name:?} is there twice"));
        }
    }
    columns.number =
        number.ok_or("there is no column \"number\": the header is number,name,pbx,kind,extensions,credential")?;
    Ok(columns)
}

fn row(record: &ByteRecord, columns: &Columns) -> Result<NumberRow, String> {
    if record.len() != columns.count {
        return Err(format!("has {} fields where the header has {}", record.len(), columns.count));
    }
    let text = |at: Option<usize>| match at.and_then(|at| record.get(at)) {
        None => Ok(""),
        Some(bytes) => std::str::from_utf8(bytes).map(str::trim).map_err(|_| "is not UTF-8".to_owned()),
    };
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let number: Number = text(Some(columns.number))?.parse().map_err(|e| format!("number: {e}"))?;
    let pbx = text(columns.pbx)?;
    let extensions = text(columns.extensions)?.split_ascii_whitespace().map(str::parse);
    let entry = NumberEntry {
        name: some(text(columns.name)?),
        pbx: if pbx.is_empty() { None } else { Some(pbx.parse().map_err(|e| format!("pbx: {e}"))?) },
        kind: match text(columns.kind)? {
            "" | "extension" => NumberKind::Extension,
            "main" => NumberKind::Main,
            _ => return Err("kind: is neither extension nor main".to_owned()),
        },
        extensions: extensions.collect::<Result<_, _>>().map_err(|e| format!("extensions: {e}"))?,
        enabled: None,
        credential: some(text(columns.credential)?),
    };
    numbers::check(&entry).map_err(|(field, detail)| format!("{field}: {detail}"))?;
    Ok(NumberRow::new(number, entry))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(csv: &str) -> Result<Vec<Line>, String> {
        let (sender, mut batches) = mpsc::channel(100);
        read(csv.as_bytes(), &sender)?;
        drop(sender);
        let mut all = Vec::new();
        while let Ok(batch) = batches.try_recv() {
            all.extend(batch);
        }
        Ok(all)
    }

    #[test]
    fn columns_in_any_order_and_quoted_names() {
        let all = lines("\u{feff}name,number\n\"Doe, Jane\",+12125550100\n,+12125550101\n").unwrap();
        assert_eq!(all[0].row.as_ref().unwrap().name.as_deref(), Some("Doe, Jane"));
        assert_eq!((all[1].line, all[1].row.as_ref().unwrap().name.as_deref()), (3, None));
    }

    #[test]
    fn bad_headers_say_what_is_wrong() {
        for (header, said) in [("", "number"), ("name", "number"), ("number,mail", "mail"), ("number,number", "twice")]
        {
            assert!(lines(header).map(drop).unwrap_err().contains(said), "{header}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(csv in "number,name,kind\\n(\\PC{0,20},\\PC{0,20},(main|extension|x)?\\r?\\n){0,4}\\PC{0,40}") {
            let _ = lines(&csv);
        }
    }
}
