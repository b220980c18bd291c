//! From a record to a user, or to the reason why it is none. Every rule for ids and names is here.

#[cfg(test)]
mod tests;

use encoding_rs::{DecoderResult, Encoding};

use super::{
    Layout, OptionError, Reason, RowOptions, User,
    csv::Record,
    lower::lower,
    reject::shown,
    time::{How, Shift, Times},
};
use crate::{
    upload::{FormatWanted, TimeCounts},
    wording::counted,
};

/// Longest id and name, in characters: what the table's columns hold.
const CHARACTERS_MAX: usize = 255;
/// How much of undecodable fields is kept to guess their encoding from, bytes.
const SAMPLE_BYTES: usize = 64 << 10;

/// Turns the records of one file into users, and counts how their times were read.
pub struct Cleaner {
    columns: [usize; 3],
    fields: usize,
    delimiter: u8,
    encoding: &'static Encoding,
    trim: bool,
    times: Times,
    formats: Vec<String>,
    how: Vec<u64>,
    counts: TimeCounts,
    name: String,
    time: String,
    /// The three fields, where they are not UTF-8 in the file.
    decoded: [String; 3],
    /// Rows refused for undecodable bytes, and some of those bytes.
    undecodable: u64,
    sample: Vec<u8>,
    format_wanted: FormatWanted,
}

impl Cleaner {
    pub fn new(layout: &Layout, options: &RowOptions) -> Result<Self, OptionError> {
        options.check()?;
        Ok(Self {
            columns: layout.columns,
            fields: layout.fields,
            delimiter: layout.delimiter,
            encoding: options.encoding,
            trim: options.trim,
            times: Times::new(options.zone, &options.formats),
            formats: options.formats.clone(),
            how: vec![0; options.formats.len()],
            counts: TimeCounts::default(),
            name: String::new(),
            time: String::new(),
            decoded: <[String; 3]>::default(),
            undecodable: 0,
            sample: Vec::new(),
            format_wanted: FormatWanted::default(),
        })
    }

    /// The user of a record; borrowed from that and from buffers that the next call reuses.
    pub fn clean<'a>(&'a mut self, record: &Record<'a>) -> Result<User<'a>, Reason> {
        if record.may_have_quotes() {
            self.check_quotes(record)?;
        }
        self.check_fields(record)?;
        if self.encoding == encoding_rs::UTF_8 {
            let Some(record) = record.utf8() else { return Err(self.undecodable(record)) };
            let fields = self.columns.map(|column| record.field(column).unwrap_or_default());
            self.clean_fields(fields)?;
            return Ok(self.user(fields[0]));
        }
        let mut decoded = std::mem::take(&mut self.decoded);
        let cleaned = if self.decode_columns(record, &mut decoded) && self.decodes_beside_the_columns(record) {
            self.clean_fields(decoded.each_ref().map(String::as_str))
        } else {
            Err(self.undecodable(record))
        };
        self.decoded = decoded;
        cleaned?;
        Ok(self.user(&self.decoded[0]))
    }

    /// Of the field that was its id, and of what `clean_fields` left.
    fn user<'a>(&'a self, id: &'a str) -> User<'a> {
        User { id: self.trimmed(id), name: &self.name, time_of_start: &self.time }
    }

    fn trimmed<'t>(&self, field: &'t str) -> &'t str {
        if self.trim { field.trim() } else { field }
    }

    /// Checks the fields; leaves name and time in their buffers.
    fn clean_fields(&mut self, [id, name, time]: [&str; 3]) -> Result<(), Reason> {
        let (id, name) = (self.trimmed(id), self.trimmed(name));
        check_id(id)?;
        lower(name, &mut self.name);
        check_name(&self.name)?;
        self.time.clear();
        let reading = self.times.read(time, &mut self.time).map_err(|error| {
            if !error.formats.is_empty() {
                self.format_wanted.add(error.formats);
            }
            Reason::new(error.code, "time_of_start", error.message)
        })?;
        match reading.how {
            How::Offset => self.counts.offset += 1,
            How::Zone => self.counts.zone += 1,
            How::Epoch => self.counts.epoch += 1,
            How::Format(number) => self.how[number] += 1,
        }
        self.counts.folds += u64::from(reading.shift == Shift::Fold);
        self.counts.gaps += u64::from(reading.shift == Shift::Gap);
        Ok(())
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

    /// Rows refused for a time that is read only with a format of a known form.
    pub fn format_wanted(&self) -> &FormatWanted {
        &self.format_wanted
    }

    /// Text behind a closing quote becomes a part of the field: a name is another one where a quote inside is not
    /// doubled, and may hold whole rows where one is missing. Blanks there matter only where they would be stored.
    fn check_quotes(&self, record: &Record<'_>) -> Result<(), Reason> {
        let alters = |at: usize, behind: &[u8]| match behind.trim_ascii() {
            [] => !behind.is_empty() && !self.trim && self.columns[..2].contains(&at),
            _ => true,
        };
        let mut fields = record.raw_fields(self.delimiter).enumerate();
        let Some((at, _)) = fields.find(|(at, field)| alters(*at, field.behind_quote)) else { return Ok(()) };
        let message = "there is text behind a closing quote; is a quote inside not doubled, or one missing?";
        Err(Reason::new("quote_misplaced", self.named(at), message))
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

    fn decode_columns(&self, record: &Record<'_>, decoded: &mut [String; 3]) -> bool {
        let mut fields = self.columns.iter().zip(decoded);
        fields.all(|(column, text)| decode(self.encoding, record.field(*column).unwrap_or_default(), text))
    }

    fn decodes_beside_the_columns(&self, record: &Record<'_>) -> bool {
        let mut others = record.iter().enumerate().filter(|(at, _)| !self.columns.contains(at));
        others.all(|(_, field)| self.decodes(field))
    }

    fn decodes(&self, field: &[u8]) -> bool {
        field.is_ascii() || decode(self.encoding, field, &mut String::new())
    }

    fn undecodable(&mut self, record: &Record<'_>) -> Reason {
        self.undecodable += 1;
        let encoding = self.encoding;
        let broken = record.iter().enumerate().find(|(_, field)| !self.decodes(field));
        let (at, field) = broken.unwrap_or_default();
        let room = SAMPLE_BYTES.saturating_sub(self.sample.len());
        self.sample.extend(field.iter().chain(b"\n").take(room));
        let message = format!("field {} holds bytes that are not valid {}", at + 1, encoding.name());
        Reason::new("undecodable", self.named(at), message)
    }

    /// What a reason about this field of the file says that it is about.
    fn named(&self, at: usize) -> &'static str {
        let names = ["id", "name", "time_of_start"];
        self.columns.iter().position(|column| *column == at).map_or("row", |field| names[field])
    }
}

/// Decodes into a buffer that is used again; false where the bytes are not valid. All encodings that options allow are
/// ASCII-compatible.
fn decode(encoding: &'static Encoding, field: &[u8], out: &mut String) -> bool {
    out.clear();
    if field.is_ascii()
        && let Ok(text) = std::str::from_utf8(field)
    {
        out.push_str(text);
        return true;
    }
    let mut decoder = encoding.new_decoder_without_bom_handling();
    // None only of more bytes than there is memory for.
    let Some(most) = decoder.max_utf8_buffer_length_without_replacement(field.len()) else { return false };
    out.reserve(most);
    matches!(decoder.decode_to_string_without_replacement(field, out, true), (DecoderResult::InputEmpty, _))
}

/// Neither empty nor only blanks, no NUL, at most 255 characters; kept as it is.
fn check_id(id: &str) -> Result<(), Reason> {
    let refuse = |code, message: String| Err(Reason::new(code, "id", message));
    if id.chars().all(char::is_whitespace) {
        return refuse("id_empty", if id.is_empty() { "the id is empty" } else { "the id holds only blanks" }.into());
    }
    if memchr::memchr(0, id.as_bytes()).is_some() {
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
