//! What the first bytes of a file tell: whether it is CSV at all, its delimiter, its header, where the columns are.

mod content;
mod lead;
#[cfg(test)]
mod tests;

use encoding_rs::Encoding;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Columns, Delimiter, RowOptions, csv::CsvReader};

pub use content::{GZIP_HEAD_BYTES, is_gzip};
use lead::Lead;

/// Delimiters that are tried, in this order, where none is set.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Bytes that tell what a file is.
const SNIFF_BYTES: usize = 512;
/// What messages show of a header: so many names, and so many characters of each.
const NAMES_SHOWN: usize = 30;
const NAME_SHOWN: usize = 60;
/// Names in front of a rejects file's header, which are never the file's own.
pub(super) const REJECT_NAMES: [&str; 3] = ["_line", "_field", "_reason"];

/// How the fields of a file lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Layout {
    pub delimiter: u8,
    /// The header's names as they stand; empty without a header.
    pub names: Vec<String>,
    /// Positions (from 0) of id, name and time of start.
    pub columns: [usize; 3],
    /// Fields of the header, or of the first record.
    pub fields: usize,
    /// Where the first row begins: byte offset (behind the header and all in front of it) and physical line.
    pub data_offset: u64,
    pub data_line: u64,
}

/// Why a file is not one that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LayoutError {
    /// Stable: `column_not_found`, `column_ambiguous`, `csv_broken`, `not_csv`, `empty_file`, `option_contradicted`.
    pub code: &'static str,
    pub message: String,
    pub next: String,
    /// What there is, where the columns that are wanted are not in it.
    pub found: Option<Found>,
}

/// The first record of a file as far as it could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub delimiter: u8,
    pub names: Vec<String>,
}

impl LayoutError {
    fn new(code: &'static str, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { code, message: message.into(), next: next.into(), found: None }
    }
}

impl Layout {
    /// Reads the layout from a file's beginning. `None`: its first record is not whole yet, and more is to come
    /// (`complete` is false).
    pub fn detect(head: &[u8], complete: bool, options: &RowOptions) -> Result<Option<Self>, LayoutError> {
        if !complete && head.len() < SNIFF_BYTES && !head.contains(&b'\n') {
            return Ok(None);
        }
        content::refuse_other(head, options.delimiter)?;
        let lead = Lead::of(head, options)?;
        let mut refused: Option<(usize, LayoutError)> = None;
        for &delimiter in &lead.delimiters {
            let (fields, error) = match First::read(head, &lead, complete, delimiter, options) {
                Ok(Reading::Cut) => return Ok(None),
                Ok(Reading::Nothing) => return Err(empty(head)),
                Ok(Reading::Whole(first)) => match first.columns(options) {
                    Ok(columns) => return Ok(Some(first.layout(delimiter, columns, options))),
                    Err(error) => {
                        let found = Found { delimiter, names: first.fields };
                        (found.names.len() - 1, LayoutError { found: Some(found), ..error })
                    }
                },
                // Quotes are found by the delimiters around them: with another one the record may be whole.
                Err(error) => (1, error),
            };
            // The most telling refusal is the one of the delimiter that was found most often. One that opens a quote
            // is there at least once.
            if refused.as_ref().is_none_or(|(most, _)| *most < fields) {
                refused = Some((fields, error));
            }
        }
        Err(refused.map_or_else(|| empty(head), |(_, error)| error))
    }
}

/// The delimiters to try. One that is a part of characters in the file's encoding would cut those in two.
fn delimiters(options: &RowOptions) -> Vec<u8> {
    let usable = |sign: &u8| RowOptions { delimiter: Some(Delimiter(*sign)), ..options.clone() }.check().is_ok();
    match options.delimiter {
        Some(delimiter) => vec![delimiter.0],
        None => DELIMITERS.into_iter().filter(usable).collect(),
    }
}

fn empty(head: &[u8]) -> LayoutError {
    let message = if head.is_empty() { "the file is empty" } else { "the file holds nothing but blank lines" };
    LayoutError::new("empty_file", message, "send a file with a header line and at least one row")
}

enum Reading {
    Whole(First),
    /// The record goes on behind what is there.
    Cut,
    Nothing,
}

/// The first record: offset and line where it begins, and where the next one does.
struct First {
    fields: Vec<String>,
    begin: (u64, u64),
    end: (u64, u64),
}

impl First {
    fn read(
        head: &[u8],
        lead: &Lead,
        complete: bool,
        delimiter: u8,
        options: &RowOptions,
    ) -> Result<Reading, LayoutError> {
        let (text, begin) = (&head[lead.offset..], (lead.offset as u64, lead.line));
        let mut reader = CsvReader::new(text, delimiter, begin.0, begin.1, options.max_record_bytes);
        let there = text.len() as u64;
        match reader.read() {
            Ok(Some(record)) => {
                let fields = record.iter().map(|field| decode(field, options.encoding)).collect();
                let end = reader.position();
                // A record that reaches the end of what is there may go on, or be followed by the LF of its CRLF.
                let cut = !complete && end.0 == begin.0 + there && text.last() != Some(&b'\n');
                Ok(if cut { Reading::Cut } else { Reading::Whole(Self { fields, begin, end }) })
            }
            // Blank lines without end are not waited for either.
            Ok(None) => Ok(if complete || there > options.max_record_bytes { Reading::Nothing } else { Reading::Cut }),
            Err(_) if !complete && there <= options.max_record_bytes => Ok(Reading::Cut),
            Err(error) => Err(LayoutError::new(
                "csv_broken",
                error.to_string(),
                "close the quote or correct the line, then send the file again",
            )),
        }
    }

    fn columns(&self, options: &RowOptions) -> Result<[usize; 3], LayoutError> {
        if options.header {
            self.columns_by_name(&options.columns)
        } else if self.is_of_rejects() {
            self.columns_by_name(&Columns::default())
        } else {
            self.columns_by_position(options)
        }
    }

    /// Rejects have a header also where the file that was sent had none, then with the program's own names.
    fn is_of_rejects(&self) -> bool {
        reject_names(&self.fields) > 0
    }

    fn columns_by_name(&self, wanted: &Columns) -> Result<[usize; 3], LayoutError> {
        let own = reject_names(&self.fields);
        let keys: Vec<_> = self.fields.iter().map(|name| key(name)).collect();
        let mut columns = [0; 3];
        let fields = [("id", &wanted.id), ("name", &wanted.name), ("time_of_start", &wanted.time_of_start)];
        for (place, (field, column)) in columns.iter_mut().zip(fields) {
            let wanted = key(column);
            let mut found = keys.iter().enumerate().skip(own).filter(|(_, key)| **key == wanted).map(|(at, _)| at);
            *place = found.next().ok_or_else(|| self.not_found(field, column))?;
            if found.next().is_some() {
                return Err(LayoutError::new(
                    "column_ambiguous",
                    format!("the header names the column \"{column}\" more than once: {}", self.names()),
                    format!(
                        "give one of them another name, or say which column holds {field} (columns {field}=COLUMN)"
                    ),
                ));
            }
        }
        let [id, name, time] = columns;
        if id == name || id == time || name == time {
            return Err(LayoutError::new(
                "column_ambiguous",
                format!("one column is named for two fields; the header has: {}", self.names()),
                "name three different columns (columns id=COLUMN,name=COLUMN,time_of_start=COLUMN)",
            ));
        }
        Ok(columns)
    }

    fn not_found(&self, field: &str, column: &str) -> LayoutError {
        LayoutError::new(
            "column_not_found",
            format!("there is no column \"{column}\"; the header has: {}", self.names()),
            format!(
                "say which column holds {field} (columns {field}=COLUMN), set the delimiter if the columns are not cut \
                 apart rightly, or say that there is no header (header false)"
            ),
        )
    }

    fn columns_by_position(&self, options: &RowOptions) -> Result<[usize; 3], LayoutError> {
        let unusable = |message: String| {
            let next = "set delimiter, or the positions (columns id=1,name=2,time_of_start=3)";
            LayoutError::new("column_not_found", message, next)
        };
        let columns = options.columns.positions().map_err(|error| unusable(error.to_string()))?;
        let count = self.fields.len();
        match columns.iter().max() {
            Some(last) if *last >= count => Err(unusable(format!(
                "the first line has {count} field{}, but column {} is wanted",
                if count == 1 { "" } else { "s" },
                last + 1
            ))),
            _ => Ok(columns),
        }
    }

    /// The header's names for a message: without what could confuse a terminal, and cut, since of a file that is no
    /// CSV they may be anything.
    fn names(&self) -> String {
        let mut shown = String::new();
        for (number, name) in self.fields.iter().take(NAMES_SHOWN).enumerate() {
            if number > 0 {
                shown.push_str(", ");
            }
            let mut signs = name.trim().chars();
            for sign in signs.by_ref().take(NAME_SHOWN) {
                if sign.is_control() { shown.extend(sign.escape_default()) } else { shown.push(sign) }
            }
            if signs.next().is_some() {
                shown.push('…');
            }
        }
        if self.fields.len() > NAMES_SHOWN {
            shown.push_str(", …");
        }
        shown
    }

    fn layout(self, delimiter: u8, columns: [usize; 3], options: &RowOptions) -> Layout {
        let fields = self.fields.len();
        let is_header = options.header || self.is_of_rejects();
        let ((data_offset, data_line), names) =
            if is_header { (self.end, self.fields) } else { (self.begin, Vec::new()) };
        Layout { delimiter, names, columns, fields, data_offset, data_line }
    }
}

/// How many names in front of a header are those of a rejects file that was sent again.
pub(super) fn reject_names(names: &[String]) -> usize {
    if names.iter().map(String::as_str).take(REJECT_NAMES.len()).eq(REJECT_NAMES) { REJECT_NAMES.len() } else { 0 }
}

/// Case, blanks, `-` and `_` do not matter.
fn key(name: &str) -> String {
    let signs = name.chars().filter(|sign| !sign.is_whitespace() && !matches!(sign, '-' | '_'));
    signs.flat_map(char::to_lowercase).collect()
}

fn decode(field: &[u8], encoding: &'static Encoding) -> String {
    encoding.decode_without_bom_handling(field).0.into_owned()
}
