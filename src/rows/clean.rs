//! From a record to a user, or to the reason why it is none. Every rule for ids and names is here.

use std::borrow::Cow;

use encoding_rs::Encoding;

use super::{
    Layout, OptionError, Reason, RowOptions, User,
    csv::Record,
    reject::shown,
    time::{How, Shift, Times},
};
use crate::{upload::TimeCounts, wording::counted};

/// Longest id and name, in characters: what the table's columns hold.
const CHARACTERS_MAX: usize = 255;
/// How much of undecodable fields is kept to guess their encoding from, bytes.
const SAMPLE_BYTES: usize = 64 << 10;

/// Turns the records of one file into users, and counts how their times were read.
pub struct Cleaner {
    columns: [usize; 3],
    fields: usize,
    encoding: &'static Encoding,
    trim: bool,
    times: Times,
    formats: Vec<String>,
    how: Vec<u64>,
    counts: TimeCounts,
    id: String,
    name: String,
    time: String,
    /// Rows refused for undecodable bytes, and some of those bytes.
    undecodable: u64,
    sample: Vec<u8>,
}

impl Cleaner {
    pub fn new(layout: &Layout, options: &RowOptions) -> Result<Self, OptionError> {
        options.check()?;
        Ok(Self {
            columns: layout.columns,
            fields: layout.fields,
            encoding: options.encoding,
            trim: options.trim,
            times: Times::new(options.zone, &options.formats),
            formats: options.formats.clone(),
            how: vec![0; options.formats.len()],
            counts: TimeCounts::default(),
            id: String::new(),
            name: String::new(),
            time: String::new(),
            undecodable: 0,
            sample: Vec::new(),
        })
    }

    /// The user of a record; borrowed from buffers that the next call reuses.
    pub fn clean(&mut self, record: &Record<'_>) -> Result<User<'_>, Reason> {
        self.check_fields(record)?;
        let [id, name, time] = self.columns.map(|column| record.field(column).unwrap_or_default());
        let (id, name, time) = (self.decode(id), self.decode(name), self.decode(time));
        let (Some(id), Some(name), Some(time)) = (id, name, time) else { return Err(self.undecodable(record)) };
        if !self.decodes_beside_the_columns(record) {
            return Err(self.undecodable(record));
        }
        let (id, name) = if self.trim { (id.trim(), name.trim()) } else { (id.as_ref(), name.as_ref()) };
        check_id(id)?;
        lower(name, &mut self.name);
        check_name(&self.name)?;
        self.id.clear();
        self.id.push_str(id);
        self.time.clear();
        let reading = self
            .times
            .read(time.trim(), &mut self.time)
            .map_err(|error| Reason::new(error.code, "time_of_start", error.message))?;
        match reading.how {
            How::Offset => self.counts.offset += 1,
            How::Zone => self.counts.zone += 1,
            How::Epoch => self.counts.epoch += 1,
            How::Format(number) => self.how[number] += 1,
        }
        self.counts.folds += u64::from(reading.shift == Shift::Fold);
        self.counts.gaps += u64::from(reading.shift == Shift::Gap);
        Ok(User { id: &self.id, name: &self.name, time_of_start: &self.time })
    }

    /// How the times of the good rows were read.
    pub fn times(&self) -> TimeCounts {
        let used = self.formats.iter().zip(&self.how).filter(|(_, count)| **count > 0);
        let mut counts = self.counts.clone();
        for (format, count) in used {
            *counts.formats.entry(format.clone()).or_default() += count;
        }
        counts
    }

    /// Rows refused for undecodable bytes, and a bounded sample of those bytes.
    pub fn undecodable_rows(&self) -> (u64, &[u8]) {
        (self.undecodable, &self.sample)
    }

    /// Fewer fields are good as long as the three are there; more only if what is too much is empty: a comma inside a
    /// name must never shift columns.
    fn check_fields(&self, record: &Record<'_>) -> Result<(), Reason> {
        let found = record.len();
        if self.columns.iter().any(|column| *column >= found) {
            let message = format!(
                "the row has {}, {} are needed",
                counted(found as u64, "field", "fields"),
                self.columns.iter().max().unwrap_or(&0) + 1
            );
            return Err(Reason::new("too_few_fields", "row", message));
        }
        let surplus = (self.fields..found).any(|at| record.field(at).is_some_and(|field| !field.is_empty()));
        if surplus {
            let message = format!("the row has {found} fields, the first line {}; is a quote missing?", self.fields);
            return Err(Reason::new("too_many_fields", "row", message));
        }
        Ok(())
    }

    fn decode<'a>(&self, field: &'a [u8]) -> Option<Cow<'a, str>> {
        if self.encoding == encoding_rs::UTF_8 {
            return std::str::from_utf8(field).ok().map(Cow::Borrowed);
        }
        self.encoding.decode_without_bom_handling_and_without_replacement(field)
    }

    fn decodes_beside_the_columns(&self, record: &Record<'_>) -> bool {
        let mut others = record.iter().enumerate().filter(|(at, _)| !self.columns.contains(at));
        others.all(|(_, field)| field.is_ascii() || self.decode(field).is_some())
    }

    fn undecodable(&mut self, record: &Record<'_>) -> Reason {
        self.undecodable += 1;
        let encoding = self.encoding;
        let broken = record.iter().enumerate().find(|(_, field)| self.decode(field).is_none());
        let (at, field) = broken.unwrap_or_default();
        let room = SAMPLE_BYTES.saturating_sub(self.sample.len());
        self.sample.extend(field.iter().chain(b"\n").take(room));
        let names = ["id", "name", "time_of_start"];
        let named = self.columns.iter().position(|column| *column == at).map_or("row", |field| names[field]);
        let message = format!("field {} holds bytes that are not valid {}", at + 1, encoding.name());
        Reason::new("undecodable", named, message)
    }
}

/// Neither empty nor only blanks, no NUL, at most 255 characters; kept as it is.
fn check_id(id: &str) -> Result<(), Reason> {
    let refuse = |code, message: String| Err(Reason::new(code, "id", message));
    if id.trim().is_empty() {
        return refuse("id_empty", if id.is_empty() { "the id is empty" } else { "the id holds only blanks" }.into());
    }
    if id.contains('\0') {
        return refuse("id_nul", "the id holds a NUL character".into());
    }
    if let Some(count) = too_long(id) {
        return refuse("id_too_long", format!("{} has {count} characters, at most 255 are possible", shown(id)));
    }
    Ok(())
}

fn check_name(lowered: &str) -> Result<(), Reason> {
    match too_long(lowered) {
        Some(count) => {
            let message = format!("{} has {count} characters in lower case, at most 255 are possible", shown(lowered));
            Err(Reason::new("name_too_long", "name", message))
        }
        None => Ok(()),
    }
}

fn too_long(text: &str) -> Option<usize> {
    if text.len() <= CHARACTERS_MAX {
        return None;
    }
    Some(text.chars().count()).filter(|count| *count > CHARACTERS_MAX)
}

/// Unicode lower case, independent of any locale, final sigma included (Unicode Standard, section 3.13).
fn lower(name: &str, out: &mut String) {
    out.clear();
    if name.is_ascii() {
        out.push_str(name);
        out.make_ascii_lowercase();
    } else {
        out.push_str(&name.to_lowercase());
    }
}

/// Which encoding a sample of undecodable fields looks like: a WHATWG label in lower case.
pub fn looks_like(sample: &[u8]) -> Option<String> {
    if sample.is_empty() {
        return None;
    }
    // Only of a file that was read in another encoding; its last character may be cut off.
    if std::str::from_utf8(sample).map_or_else(|error| error.error_len().is_none(), |_| true) {
        return Some("utf-8".into());
    }
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
    detector.feed(sample, true);
    let guess = detector.guess(None, chardetng::Utf8Detection::Deny);
    guess.is_ascii_compatible().then(|| guess.name().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::csv::CsvReader;

    /// What becomes of each row behind the header.
    fn clean_with(text: &[u8], options: &RowOptions) -> Vec<Result<[String; 3], &'static str>> {
        let layout = Layout::detect(text, true, options).expect("csv").expect("whole");
        let at = usize::try_from(layout.data_offset).expect("small");
        let mut reader = CsvReader::new(&text[at..], layout.delimiter, layout.data_offset, layout.data_line, 1 << 20);
        let mut cleaner = Cleaner::new(&layout, options).expect("options");
        let mut rows = Vec::new();
        while let Some(record) = reader.read().expect("csv") {
            let user = cleaner.clean(&record);
            rows.push(
                user.map(|user| [user.id, user.name, user.time_of_start].map(ToOwned::to_owned)).map_err(|r| r.code),
            );
        }
        rows
    }

    const T: &str = "2020-01-01T00:00:00Z";

    fn clean(rows: &str) -> Vec<Result<[String; 3], &'static str>> {
        clean_with(format!("id,name,time_of_start\n{rows}").as_bytes(), &RowOptions::default())
    }

    fn name_of(name: &str) -> String {
        clean(&format!("1,{name},{T}")).remove(0).expect("good")[1].clone()
    }

    fn id_of(id: &str) -> Result<String, &'static str> {
        clean(&format!("{id},n,{T}")).remove(0).map(|user| user[0].clone())
    }

    #[test]
    fn names_are_unicode_lower_case_in_every_locale() {
        assert_eq!(name_of("ÇELİK"), "çeli\u{307}k");
        assert_eq!(name_of("ΣΊΣΥΦΟΣ"), "σίσυφος", "final sigma");
        assert_eq!(name_of("STRAẞE ISTANBUL"), "straße istanbul");
        assert_eq!(name_of(""), "");
    }

    #[test]
    fn a_name_is_measured_after_lower_casing_in_characters() {
        assert_eq!(name_of(&"é".repeat(255)).chars().count(), 255);
        let doubled = format!("1,{},{T}", "İ".repeat(128));
        assert_eq!(clean(&doubled)[0], Err("name_too_long"));
    }

    #[test]
    fn ids_are_kept_as_they_are_blanks_included() {
        assert_eq!(id_of(" A b "), Ok(" A b ".into()));
        assert_eq!(id_of("\"a,\"\"b\"\"\n\\\t\""), Ok("a,\"b\"\n\\\t".into()));
    }

    #[test]
    fn ids_are_neither_empty_nor_blank_nor_hold_nul_nor_are_too_long() {
        assert_eq!(id_of(""), Err("id_empty"));
        assert_eq!(id_of(" \u{a0} "), Err("id_empty"));
        assert_eq!(id_of("a\0b"), Err("id_nul"));
        assert_eq!(id_of(&"ä".repeat(256)), Err("id_too_long"));
        assert!(id_of(&"ä".repeat(255)).is_ok());
    }

    #[test]
    fn trim_takes_blanks_off_the_ends_of_ids_and_names() {
        let options = RowOptions { trim: true, ..RowOptions::default() };
        let text = format!("id,name,time_of_start\n a , B ,{T}\n");
        assert_eq!(clean_with(text.as_bytes(), &options)[0].as_ref().expect("good")[..2], ["a", "b"]);
    }

    #[test]
    fn fewer_fields_are_good_as_long_as_the_three_are_there() {
        let text = format!("id,name,time_of_start,Obs.,,\n1,a,{T}\n2,b\n3,c,{T},x,y,z\n4,d,{T},,,,,\n5,e,{T},,,,x\n");
        let rows = clean_with(text.as_bytes(), &RowOptions::default());
        let codes: Vec<_> = rows.into_iter().map(Result::err).collect();
        assert_eq!(codes, [None, Some("too_few_fields"), None, None, Some("too_many_fields")]);
    }

    #[test]
    fn a_comma_inside_a_name_never_shifts_columns() {
        assert_eq!(clean(&format!("1,Smith, Jr.,{T}\n"))[0], Err("too_many_fields"));
    }

    #[test]
    fn invalid_bytes_in_any_field_reject_the_row() {
        let text = [b"id,name,time_of_start,x\n1,\xff,".as_slice(), T.as_bytes(), b",\n2,a,", T.as_bytes(), b",\xff\n"];
        let rows = clean_with(&text.concat(), &RowOptions::default());
        assert_eq!(rows, [Err("undecodable"), Err("undecodable")]);
    }

    #[test]
    fn another_encoding_is_decoded() {
        let mut options = RowOptions::default();
        options.set("encoding", &["windows-1252"]).expect("an option");
        let text = [b"id,name,time_of_start\n1,M\xdcLLER,".as_slice(), T.as_bytes(), b"\n"].concat();
        assert_eq!(clean_with(&text, &options)[0].as_ref().expect("good")[1], "müller");
    }

    #[test]
    fn undecodable_rows_say_what_they_look_like() {
        let sample = b"M\xfcller\nGr\xfc\xdfe aus K\xf6ln\nFran\xe7ois Lef\xe8vre\n";
        assert_eq!(looks_like(sample).as_deref(), Some("windows-1252"));
        assert_eq!(looks_like(b""), None);
    }

    #[test]
    fn times_of_good_rows_are_counted_by_how_they_were_read() {
        let text =
            format!("id,name,time_of_start\n1,a,{T}\n2,b,2020-01-01\n3,c,1577836800\n4,d,01-02-20 00:00:00\n,e,{T}\n");
        let layout = Layout::detect(text.as_bytes(), true, &RowOptions::default()).expect("csv").expect("whole");
        let mut cleaner = Cleaner::new(&layout, &RowOptions::default()).expect("options");
        let mut reader = CsvReader::new(&text.as_bytes()[22..], b',', 22, 2, 1000);
        while let Some(record) = reader.read().expect("csv") {
            let _ = cleaner.clean(&record);
        }
        let times = cleaner.times();
        assert_eq!((times.offset, times.zone, times.epoch), (1, 1, 1));
        assert_eq!(times.formats["%d-%m-%y %H:%M:%S"], 1);
    }

    #[test]
    fn the_originals_marker_row_becomes_a_reject() {
        assert_eq!(clean("7,You Have Completed the Test,\n")[0], Err("time_empty"));
    }
}
