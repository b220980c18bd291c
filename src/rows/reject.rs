//! Rows that could not become users: why, and the file of them that can be mended and sent again.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

mod examples;
mod formula;

pub use examples::{Example, examples};
pub use formula::Defused;

use super::{
    Layout, RowOptions,
    csv::Record,
    layout::{REJECT_NAMES, reject_names},
};
use crate::upload::ReasonCount;

/// Why a row was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Stable: `time_unreadable`, `id_empty`.
    pub code: &'static str,
    /// `id`, `name`, `time_of_start`, or `row` where it is about the whole row.
    pub field: &'static str,
    /// A sentence in ASCII: `"31/13/2024" is not a date`.
    pub message: String,
}

impl Reason {
    pub fn new(code: &'static str, field: &'static str, message: impl Into<String>) -> Self {
        Self { code, field, message: message.into() }
    }
}

/// Longest piece of a value that a sentence shows, characters.
const SHOWN_MAX: usize = 60;

/// A value as sentences show it: in quotes, ASCII only, cut.
pub fn shown(value: &str) -> String {
    let cut = value.chars().nth(SHOWN_MAX).is_some();
    let text: String = value.chars().take(SHOWN_MAX).flat_map(char::escape_default).collect();
    format!("\"{}{}\"", text.replace("\\\"", "\"").replace("\\'", "'"), if cut { "..." } else { "" })
}

/// Writes rejects as CSV in the upload's delimiter and encoding: `_line`, `_field`, `_reason`, then the row's own
/// fields, byte for byte. Mended, the file may be sent back as it is: what is in front is ignored, and replaced in
/// the rejects of that file. What was not mended is refused again.
pub struct RejectWriter<W> {
    out: W,
    delimiter: u8,
    header: Vec<Vec<u8>>,
    /// Fields in front that an earlier round has put there.
    earlier: usize,
}

/// A field to be written.
enum Field<'a> {
    /// In quotes, where it has to be.
    Value(&'a [u8]),
    /// As it stands in the file: with its quotes mended by us the row would be good when it is sent back.
    Raw(&'a [u8]),
}

impl<W: Write> RejectWriter<W> {
    /// `options` tell the encoding of the file, for the names of its columns.
    pub fn new(out: W, layout: &Layout, options: &RowOptions) -> Self {
        let header = if layout.names.is_empty() {
            // Without a header the three columns get their own names, so that the mended file is found by header.
            let own = ["id", "name", "time_of_start"];
            let name = |at| layout.columns.iter().position(|column| *column == at).map(|field| own[field].to_owned());
            (0..layout.fields).map(|at| name(at).unwrap_or_else(|| format!("_{}", at + 1)).into_bytes()).collect()
        } else {
            layout.names.iter().map(|name| options.encoding.encode(name).0.into_owned()).collect()
        };
        Self { out, delimiter: layout.delimiter, header, earlier: reject_names(&layout.names) }
    }

    /// Writes the header; once, in front of everything.
    pub fn header(&mut self) -> io::Result<()> {
        let own = REJECT_NAMES.map(str::as_bytes);
        let names = std::mem::take(&mut self.header);
        let fields = own.into_iter().chain(names.iter().map(Vec::as_slice).skip(self.earlier));
        let row = self.row(fields.map(Field::Value));
        self.header = names;
        row
    }

    pub fn write(&mut self, record: &Record<'_>, reason: &Reason) -> io::Result<()> {
        let line = record.line.to_string();
        let own = [line.as_bytes(), reason.field.as_bytes(), reason.message.as_bytes()];
        let fields = record.iter().zip(record.raw_fields(self.delimiter)).skip(self.earlier);
        let fields = fields.map(|(value, raw)| match raw.behind_quote {
            [] => Field::Value(value),
            _ => Field::Raw(raw.bytes),
        });
        self.row(own.into_iter().map(Field::Value).chain(fields))
    }

    /// What was written to.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn row<'a>(&mut self, fields: impl Iterator<Item = Field<'a>>) -> io::Result<()> {
        for (number, field) in fields.enumerate() {
            if number > 0 {
                self.out.write_all(&[self.delimiter])?;
            }
            match field {
                Field::Value(value) => self.value(value)?,
                Field::Raw(bytes) => self.out.write_all(bytes)?,
            }
        }
        self.out.write_all(b"\r\n")
    }

    fn value(&mut self, value: &[u8]) -> io::Result<()> {
        let special = |byte: &u8| matches!(byte, b'"' | b'\r' | b'\n') || *byte == self.delimiter;
        if !value.iter().any(special) {
            return self.out.write_all(value);
        }
        self.out.write_all(b"\"")?;
        for (number, piece) in value.split(|byte| *byte == b'"').enumerate() {
            if number > 0 {
                self.out.write_all(b"\"\"")?;
            }
            self.out.write_all(piece)?;
        }
        self.out.write_all(b"\"")
    }
}

/// How often each reason came, with its first line. Bounded: there are as many kinds as this program has reasons.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReasonCounts(BTreeMap<(&'static str, &'static str), Counted>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Counted {
    count: u64,
    first_line: u64,
    example: String,
}

impl ReasonCounts {
    pub fn add(&mut self, line: u64, reason: &Reason) {
        let counted = self.0.entry((reason.field, reason.code)).or_insert_with(|| Counted {
            count: 0,
            first_line: u64::MAX,
            example: String::new(),
        });
        counted.count += 1;
        if line < counted.first_line {
            (counted.first_line, counted.example) = (line, reason.message.clone());
        }
    }

    /// Most frequent first.
    pub fn list(&self) -> Vec<ReasonCount> {
        let mut list: Vec<_> = self
            .0
            .iter()
            .map(|((field, code), counted)| ReasonCount {
                field: (*field).into(),
                code: (*code).into(),
                count: counted.count,
                first_line: counted.first_line,
                example: counted.example.clone(),
            })
            .collect();
        list.sort_by_key(|reason| (std::cmp::Reverse(reason.count), reason.first_line));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{Cleaner, csv::CsvReader};

    fn rejects(text: &[u8], options: &RowOptions) -> Vec<u8> {
        let layout = Layout::detect(text, true, options).expect("csv").expect("whole");
        let at = usize::try_from(layout.data_offset).expect("small");
        let mut reader = CsvReader::new(&text[at..], layout.delimiter, layout.data_offset, layout.data_line, 1000);
        let mut writer = RejectWriter::new(Vec::new(), &layout, options);
        writer.header().expect("memory");
        while let Some(record) = reader.read().expect("csv") {
            writer.write(&record, &Reason::new("id_empty", "id", "the id is empty")).expect("memory");
        }
        writer.into_inner()
    }

    #[test]
    fn rejects_come_in_the_files_own_delimiter_with_its_own_columns() {
        let out = rejects(b"Id;name;time_of_start\n;\"a;\"\"b\"\"\nc\";x\n", &RowOptions::default());
        let expected = "_line;_field;_reason;Id;name;time_of_start\r\n2;id;the id is empty;;\"a;\"\"b\"\"\nc\";x\r\n";
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    }

    #[test]
    fn bytes_that_cannot_be_decoded_stay_as_they_are() {
        let out = rejects(b"id,name,time_of_start\n,\xff\xfe,x\n", &RowOptions::default());
        assert!(out.ends_with(b",,\xff\xfe,x\r\n"));
    }

    #[test]
    fn a_rejects_file_is_itself_a_file_that_can_be_sent() {
        let mut options = RowOptions::default();
        options.set("header", &["false"]).expect("an option");
        let out = rejects(b"1;a;x;more\n", &options);
        for options in [options, RowOptions::default()] {
            let layout = Layout::detect(&out, true, &options).expect("csv").expect("whole");
            assert_eq!((layout.columns, layout.data_line), ([3, 4, 5], 2));
        }
    }

    /// Cleans a file; gives the ids of its good rows, and its rejects.
    fn clean(text: &[u8], options: &RowOptions) -> (Vec<String>, Vec<u8>) {
        let layout = Layout::detect(text, true, options).expect("csv").expect("whole");
        let at = usize::try_from(layout.data_offset).expect("small");
        let mut reader = CsvReader::new(&text[at..], layout.delimiter, layout.data_offset, layout.data_line, 1000);
        let mut cleaner = Cleaner::new(&layout, options).expect("options");
        let mut writer = RejectWriter::new(Vec::new(), &layout, options);
        writer.header().expect("memory");
        let mut good = Vec::new();
        while let Some(record) = reader.read().expect("csv") {
            match cleaner.clean(&record) {
                Ok(user) => good.push(user.id.to_owned()),
                Err(reason) => writer.write(&record, &reason).expect("memory"),
            }
        }
        (good, writer.into_inner())
    }

    #[test]
    fn rejects_that_were_mended_are_sent_again_as_they_are_as_often_as_it_takes() {
        let mut options = RowOptions::default();
        options.set("encoding", &["windows-1252"]).expect("an option");
        options.set("columns", &["id=Gr\u{f6}\u{df}e,name=line"]).expect("an option");
        let text =
            b"Gr\xf6\xdfe;line;time_of_start;note\n1;a;2017-03-07;\n2;b;?;\"x;y\"\n;c\xe9;2017-03-07\n3;a;b;c;d\n4;x\n";
        let (good, rejects) = clean(text, &options);
        assert_eq!(good, ["1"]);
        let mended = |from: &[u8], what: &str, by: &str| {
            let from: String = from.iter().map(|byte| char::from(*byte)).collect();
            assert!(from.contains(what), "{from}");
            from.replace(what, by).chars().map(|sign| sign as u8).collect::<Vec<u8>>()
        };
        let (good, rejects) = clean(&mended(&rejects, "b;?;", "b;2017-03-07;"), &options);
        assert_eq!(good, ["2"]);
        let (good, rejects) = clean(&mended(&rejects, ";;c\u{e9}", ";0;c\u{e9}"), &options);
        assert_eq!(good, ["0"]);
        let (good, rejects) = clean(&mended(&rejects, "3;a;b;c;d", "3;a b c;2017-03-07"), &options);
        assert_eq!(good, ["3"]);
        let (good, rejects) = clean(&mended(&rejects, "4;x", "4;x;2017-03-07"), &options);
        assert_eq!((good.as_slice(), rejects.split(|byte| *byte == b'\n').count()), (&["4".to_owned()][..], 2));
    }

    #[test]
    fn misplaced_quotes_stay_as_they_are_so_that_the_row_is_refused_until_it_is_mended() {
        let row = r#"1;"Smith \"Jr\"";2017-03-07;"x;""y""#;
        let text = format!("id;name;time_of_start;note\n{row}\n2;\"a\" ;2017-03-07\n");
        let (good, rejects) = clean(text.as_bytes(), &RowOptions::default());
        let written = String::from_utf8_lossy(&rejects).into_owned();
        assert!(good.is_empty() && written.contains(&format!("\";{row}\r\n3;name;")), "{written}");
        assert_eq!(clean(&rejects, &RowOptions::default()), (good, rejects));
        let mended = written.replace("\\\"", "\"\"");
        assert_eq!(clean(mended.as_bytes(), &RowOptions::default()).0, ["1"]);
    }

    #[test]
    fn reasons_are_counted_with_their_first_line() {
        let mut counts = ReasonCounts::default();
        for line in [9, 4, 7] {
            counts.add(line, &Reason::new("time_unreadable", "time_of_start", format!("of line {line}")));
        }
        counts.add(1, &Reason::new("id_empty", "id", "empty"));
        let list = counts.list();
        assert_eq!((list[0].count, list[0].first_line, list[0].example.as_str()), (3, 4, "of line 4"));
        assert_eq!(list[1].code, "id_empty");
    }

    #[test]
    fn values_are_shown_cut_and_in_ascii() {
        assert_eq!(shown("31/13/2024"), "\"31/13/2024\"");
        assert_eq!(shown("é\n"), "\"\\u{e9}\\n\"");
        assert_eq!(shown(&"x".repeat(100)).len(), 65);
    }
}
