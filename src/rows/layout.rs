//! What the first bytes of a file tell: whether it is CSV at all, its delimiter, its header, where the columns are.

use encoding_rs::Encoding;
use serde::{Deserialize, Serialize};

use super::{Columns, RowOptions, csv::CsvReader};

const BOM: &[u8] = b"\xef\xbb\xbf";
/// Delimiters that are tried, in this order, where none is set.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Bytes that tell what a file is.
const SNIFF_BYTES: usize = 512;

/// How the fields of a file lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    pub delimiter: u8,
    /// The header's names as they stand; empty without a header.
    pub names: Vec<String>,
    /// Positions (from 0) of id, name and time of start.
    pub columns: [usize; 3],
    /// Fields of the header, or of the first record.
    pub fields: usize,
    /// Where the first row begins: byte offset (behind BOM and header) and physical line.
    pub data_offset: u64,
    pub data_line: u64,
}

/// Why a file is not one that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LayoutError {
    /// Stable: `column_not_found`, `not_csv`, `empty_file`.
    pub code: &'static str,
    pub message: String,
    pub next: String,
}

impl LayoutError {
    fn new(code: &'static str, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { code, message: message.into(), next: next.into() }
    }
}

/// Whether the content is gzip (RFC 1952), which is expanded before anything else looks at it.
pub fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(b"\x1f\x8b")
}

impl Layout {
    /// Reads the layout from a file's beginning. `None`: its first record is not whole yet, and more is to come
    /// (`complete` is false).
    pub fn detect(head: &[u8], complete: bool, options: &RowOptions) -> Result<Option<Self>, LayoutError> {
        if !complete && head.len() < SNIFF_BYTES && !head.contains(&b'\n') {
            return Ok(None);
        }
        refuse_other_content(head)?;
        let skipped = if head.starts_with(BOM) { BOM.len() } else { 0 };
        let text = &head[skipped..];
        let delimiters = match &options.delimiter {
            Some(delimiter) => vec![delimiter.0],
            None => DELIMITERS.to_vec(),
        };
        let mut refused = None;
        for delimiter in delimiters {
            let first = match First::read(text, complete, delimiter, options)? {
                Reading::Whole(first) => first,
                Reading::Cut => return Ok(None),
                Reading::Nothing => return Err(empty(head)),
            };
            match first.columns(options) {
                Ok(columns) => return Ok(Some(first.layout(delimiter, columns, skipped as u64, options.header))),
                // The most telling refusal is the one of the delimiter that cut the record into most fields.
                Err(error) if refused.as_ref().is_none_or(|(fields, _)| *fields < first.fields.len()) => {
                    refused = Some((first.fields.len(), error));
                }
                Err(_) => {}
            }
        }
        Err(refused.map_or_else(|| empty(head), |(_, error)| error))
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

/// The first record, and where the next begins.
struct First {
    fields: Vec<String>,
    end: (u64, u64),
}

impl First {
    fn read(text: &[u8], complete: bool, delimiter: u8, options: &RowOptions) -> Result<Reading, LayoutError> {
        let mut reader = CsvReader::new(text, delimiter, 0, 1, options.max_record_bytes);
        let whole_at = text.len() as u64;
        match reader.read() {
            Ok(Some(record)) => {
                let fields = record.iter().map(|field| decode(field, options.encoding)).collect();
                let end = reader.position();
                // A record that reaches the end of what is there may go on, or be followed by the LF of its CRLF.
                let cut = !complete && end.0 == whole_at && text.last() != Some(&b'\n');
                Ok(if cut { Reading::Cut } else { Reading::Whole(Self { fields, end }) })
            }
            Ok(None) => Ok(if complete { Reading::Nothing } else { Reading::Cut }),
            Err(_) if !complete && whole_at <= options.max_record_bytes => Ok(Reading::Cut),
            Err(error) => Err(LayoutError::new(
                "csv_broken",
                error.to_string(),
                "close the quote or correct the line, then send the file again",
            )),
        }
    }

    fn columns(&self, options: &RowOptions) -> Result<[usize; 3], LayoutError> {
        if options.header { self.columns_by_name(&options.columns) } else { self.columns_by_position(options) }
    }

    fn columns_by_name(&self, wanted: &Columns) -> Result<[usize; 3], LayoutError> {
        let keys: Vec<_> = self.fields.iter().map(|name| key(name)).collect();
        let mut columns = [0; 3];
        let fields = [("id", &wanted.id), ("name", &wanted.name), ("time_of_start", &wanted.time_of_start)];
        for (place, (field, column)) in columns.iter_mut().zip(fields) {
            let wanted = key(column);
            let mut found = keys.iter().enumerate().filter(|(_, key)| **key == wanted).map(|(at, _)| at);
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

    fn names(&self) -> String {
        let shown: Vec<_> = self.fields.iter().map(|name| name.trim()).take(50).collect();
        let more = if self.fields.len() > 50 { ", …" } else { "" };
        format!("{}{more}", shown.join(", "))
    }

    fn layout(self, delimiter: u8, columns: [usize; 3], skipped: u64, header: bool) -> Layout {
        let fields = self.fields.len();
        let ((data_offset, data_line), names) =
            if header { ((skipped + self.end.0, self.end.1), self.fields) } else { ((skipped, 1), Vec::new()) };
        Layout { delimiter, names, columns, fields, data_offset, data_line }
    }
}

/// Case, blanks, `-` and `_` do not matter.
fn key(name: &str) -> String {
    let signs = name.chars().filter(|sign| !sign.is_whitespace() && !matches!(sign, '-' | '_'));
    signs.flat_map(char::to_lowercase).collect()
}

fn decode(field: &[u8], encoding: &'static Encoding) -> String {
    encoding.decode_without_bom_handling(field).0.into_owned()
}

/// Content that is known by its first bytes and is no CSV.
fn refuse_other_content(head: &[u8]) -> Result<(), LayoutError> {
    let refuse =
        |what: &str, next: &str| Err(LayoutError::new("not_csv", format!("the file is {what}, not CSV"), next));
    const EXTRACT: &str = "take the CSV file out of it and send that, or compress it with gzip";
    const EXPORT: &str = "open it and save the sheet as CSV (UTF-8), then send that";
    const CONVERT: &str = "save it as UTF-8, then send that";
    let holds = |needle: &[u8]| memchr::memmem::find(&head[..head.len().min(64 << 10)], needle).is_some();
    match head {
        [b'P', b'K', 3 | 5, 4 | 6, ..] if holds(b"[Content_Types].xml") || holds(b"xl/") => {
            refuse("an Excel workbook (xlsx)", EXPORT)
        }
        [b'P', b'K', 3 | 5, 4 | 6, ..] if holds(b"opendocument.spreadsheet") => {
            refuse("an OpenDocument spreadsheet", EXPORT)
        }
        [b'P', b'K', 3 | 5, 4 | 6, ..] => refuse("a zip archive", EXTRACT),
        [0xd0, 0xcf, 0x11, 0xe0, ..] => refuse("an old Excel workbook (xls)", EXPORT),
        [b'%', b'P', b'D', b'F', b'-', ..] => refuse("a PDF document", "send the data that it was made from, as CSV"),
        [b'P', b'A', b'R', b'1', ..] => refuse("a Parquet file", "export it as CSV, then send that"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => refuse("compressed with zstd", EXTRACT),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] => refuse("compressed with bzip2", EXTRACT),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => refuse("compressed with xz", EXTRACT),
        [b'7', b'z', 0xbc, 0xaf, ..] => refuse("a 7z archive", EXTRACT),
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => refuse("UTF-32 text", CONVERT),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => refuse("UTF-16 text", CONVERT),
        [first, 0, second, 0, ..] | [0, first, 0, second, ..]
            if first.is_ascii_graphic() && second.is_ascii_graphic() =>
        {
            refuse("UTF-16 text", CONVERT)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Delimiter;

    fn detect(text: &str) -> Result<Layout, LayoutError> {
        detect_with(text, &RowOptions::default())
    }

    fn detect_with(text: &str, options: &RowOptions) -> Result<Layout, LayoutError> {
        Layout::detect(text.as_bytes(), true, options).map(|layout| layout.expect("complete"))
    }

    fn with(name: &str, value: &str) -> RowOptions {
        let mut options = RowOptions::default();
        options.set(name, &[value]).expect("an option");
        options
    }

    #[test]
    fn the_original_systems_header_is_found() {
        let layout = detect("Id,name,time_of_start,Obs.,,\n1,a,07-03-17 12:30:54,ok\n").expect("csv");
        assert_eq!((layout.columns, layout.fields, layout.data_line), ([0, 1, 2], 6, 2));
        assert_eq!(layout.data_offset, 29);
    }

    #[test]
    fn case_blanks_hyphens_and_underscores_of_column_names_do_not_matter() {
        let layout = detect("Time of-Start , NAME, I_D\n").expect("csv");
        assert_eq!(layout.columns, [2, 1, 0]);
    }

    #[test]
    fn a_bom_is_stripped_and_the_header_may_be_quoted() {
        let layout = detect("\u{feff}\"id\",\"name\",\"time_of_start\"\r\nx").expect("csv");
        assert_eq!((layout.columns, layout.data_offset), ([0, 1, 2], 3 + 29));
    }

    #[test]
    fn the_delimiter_is_the_first_with_which_all_three_columns_are_found() {
        for delimiter in DELIMITERS {
            let sign = char::from(delimiter);
            let layout = detect(&format!("id{sign}name{sign}time_of_start\n")).expect("csv");
            assert_eq!(layout.delimiter, delimiter);
        }
    }

    #[test]
    fn a_column_that_cannot_be_found_lists_those_that_were() {
        let error = detect("Id;Name;Started\n1;a;b\n").expect_err("no time");
        assert_eq!(error.code, "column_not_found");
        assert_eq!(error.to_string(), "there is no column \"time_of_start\"; the header has: Id, Name, Started");
        assert!(error.next.contains("columns time_of_start=COLUMN"), "{}", error.next);
    }

    #[test]
    fn columns_may_be_mapped() {
        let layout =
            detect_with("Kunde,Beginn,Name\n", &with("columns", "id=kunde,time_of_start=Beginn")).expect("csv");
        assert_eq!(layout.columns, [0, 2, 1]);
    }

    #[test]
    fn a_name_that_comes_twice_is_refused() {
        assert_eq!(detect("id,name,Name,time_of_start\n").expect_err("twice").code, "column_ambiguous");
    }

    #[test]
    fn without_a_header_columns_are_found_by_position() {
        let layout = detect_with("1;a;2020-01-01\n", &with("header", "false")).expect("csv");
        assert_eq!((layout.delimiter, layout.columns, layout.data_offset, layout.data_line), (b';', [0, 1, 2], 0, 1));
        let error = detect_with("1 a\n", &with("header", "false")).expect_err("one field");
        assert_eq!(error.to_string(), "the first line has 1 field, but column 3 is wanted");
    }

    #[test]
    fn an_empty_file_is_refused_and_a_header_alone_is_not() {
        assert_eq!(detect("").expect_err("empty").code, "empty_file");
        assert_eq!(detect("\n\r\n").expect_err("blank").code, "empty_file");
        assert!(detect("id,name,time_of_start").is_ok());
    }

    #[test]
    fn other_content_is_recognised_and_told_what_to_do() {
        let contents: [(&[u8], &str); 9] = [
            (b"PK\x03\x04....xl/workbook.xml", "xlsx"),
            (b"PK\x03\x04....users.csv", "zip"),
            (b"%PDF-1.7", "PDF"),
            (b"\xff\xfei\0d\0,\0", "UTF-16"),
            (b"i\0d\0,\0n\0", "UTF-16"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1", "xls"),
            (b"PAR1....", "Parquet"),
            (b"\x28\xb5\x2f\xfd..", "zstd"),
            (b"BZh91AY&SY", "bzip2"),
        ];
        for (content, what) in contents {
            let error = Layout::detect(content, true, &RowOptions::default()).expect_err(what);
            assert_eq!(error.code, "not_csv");
            assert!(error.message.contains(what) && !error.next.is_empty(), "{error}");
        }
    }

    #[test]
    fn a_first_record_that_is_not_whole_yet_is_waited_for() {
        let options = RowOptions::default();
        assert_eq!(Layout::detect(b"id,na", false, &options), Ok(None));
        assert_eq!(Layout::detect(b"id,\"na\n", false, &options), Ok(None));
        assert_eq!(Layout::detect(b"\n\n", false, &options), Ok(None));
        assert!(Layout::detect(b"id,name,time_of_start\n", false, &options).expect("csv").is_some());
    }

    #[test]
    fn a_first_record_beyond_the_limit_is_refused_though_more_may_come() {
        let options = with("max_record_bytes", "1000");
        let text = format!("id,\"{}\n", "x".repeat(2000));
        assert_eq!(Layout::detect(text.as_bytes(), false, &options).expect_err("long").code, "csv_broken");
    }

    #[test]
    fn a_set_delimiter_is_the_only_one_tried() {
        let options = RowOptions { delimiter: Some(Delimiter(b';')), ..RowOptions::default() };
        assert!(detect_with("id,name,time_of_start\n", &options).is_err());
    }
}
