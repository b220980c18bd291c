//! Records from bytes (RFC 4180), with the physical line each begins on. A record without quotes that lies whole in the
//! block is cut up where it lies; all others are taken apart by csv-core's automaton. Lines and offsets are counted
//! here, since users look them up in their editors: LF, CRLF and a lone CR each end a line, also inside quotes.

mod record;
#[cfg(test)]
mod tests;
mod whole;

use std::io::{self, Read};

use csv_core::ReadRecordResult;

pub use record::{RawField, Record, Utf8Record};

const BLOCK_BYTES: usize = 256 << 10;

/// Reads records from a stream that begins anywhere in a file where a record may begin.
pub struct CsvReader<R> {
    input: R,
    core: csv_core::Reader,
    delimiter: u8,
    block: Vec<u8>,
    /// What of `block` is filled, and how far it was read.
    filled: usize,
    read: usize,
    /// There is no quote in `block` from `read` up to here; meaningless when `read` is behind it.
    quote: usize,
    at_end: bool,
    /// Offset and line, in the file, of the next byte.
    offset: u64,
    line: u64,
    after_cr: bool,
    /// What the automaton writes; `ends` also what a record in the block has. Both grow and keep their length.
    text: Vec<u8>,
    ends: Vec<usize>,
    /// What the automaton has read of the record.
    raw: Vec<u8>,
    max_record_bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file ends as broken: nothing behind this can be trusted.
    #[error("line {line}: {message}")]
    Broken { line: u64, message: String },
}

impl<R: Read> CsvReader<R> {
    /// `offset` and `line`: where `input` begins in the file. A BOM must be behind it already.
    pub fn new(input: R, delimiter: u8, offset: u64, line: u64, max_record_bytes: u64) -> Self {
        Self::with_block_bytes(input, delimiter, offset, line, max_record_bytes, BLOCK_BYTES)
    }

    /// As `new`, reading `block_bytes` at a time.
    pub fn with_block_bytes(
        input: R,
        delimiter: u8,
        offset: u64,
        line: u64,
        max_record_bytes: u64,
        block_bytes: usize,
    ) -> Self {
        let mut core = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        // A blank line first: else the automaton takes the bytes of a BOM off a record in mid-file.
        let _ = core.read_record(b"\n", &mut [], &mut []);
        Self {
            input,
            core,
            delimiter,
            block: vec![0; block_bytes.max(1)],
            filled: 0,
            read: 0,
            quote: 0,
            at_end: false,
            offset,
            line,
            after_cr: false,
            text: vec![0; 1 << 10],
            ends: vec![0; 16],
            raw: Vec::new(),
            max_record_bytes,
        }
    }

    /// The next record; `None` at the end. Blank lines are no records.
    pub fn read(&mut self) -> Result<Option<Record<'_>>, CsvError> {
        self.skip_line_ends()?;
        let line = self.line;
        if let Some((text, fields)) = self.take_whole() {
            let (text, ends) = (&self.block[text], &self.ends[..fields]);
            return Ok(Some(Record { line, text, ends, raw: None }));
        }
        let taken = self.take_apart()?;
        Ok(taken.map(|(text, fields)| {
            let (text, ends) = (&self.text[..text], &self.ends[..fields]);
            Record { line, text, ends, raw: Some(&self.raw[..]) }
        }))
    }

    /// Offset and physical line of what follows the last record: the file may be cut there.
    pub fn position(&self) -> (u64, u64) {
        (self.offset, self.line)
    }

    /// Has the automaton take a record apart, which stands between two records whenever this is called; gives the
    /// lengths of its text and ends.
    fn take_apart(&mut self) -> Result<Option<(usize, usize)>, CsvError> {
        let (begun, line) = (self.offset, self.line);
        let (mut text, mut ends) = (0, 0);
        self.raw.clear();
        loop {
            if self.read == self.filled && !self.at_end {
                self.fill()?;
            }
            // At the end of the file a line end is added: it ends any record but one with an open quote.
            let closing = self.at_end && self.read == self.filled && self.offset > begun;
            let input = if closing { b"\n" } else { &self.block[self.read..self.filled] };
            let (result, taken, wrote, ended) =
                self.core.read_record(input, &mut self.text[text..], &mut self.ends[ends..]);
            // The line end is no part of the record.
            let ended_by = usize::from(result == ReadRecordResult::Record && !closing);
            if !closing {
                self.raw.extend_from_slice(&input[..taken - ended_by]);
                self.take(taken);
            }
            (text, ends) = (text + wrote, ends + ended);
            if self.offset - begun - ended_by as u64 > self.max_record_bytes {
                let message = format!(
                    "this record is longer than {} bytes (max_record_bytes); does one of its quotes never close?",
                    self.max_record_bytes
                );
                return Err(broken(line, &message));
            }
            match result {
                ReadRecordResult::InputEmpty if closing => {
                    return Err(broken(line, "a quote that is opened in this record never closes"));
                }
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::Record => break,
            }
        }
        self.finish_crlf()?;
        Ok(Some((text, ends)))
    }

    fn fill(&mut self) -> io::Result<()> {
        self.filled = loop {
            match self.input.read(&mut self.block) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.read = 0;
        self.at_end = self.filled == 0;
        self.find_quote();
        Ok(())
    }

    /// Moves behind `count` bytes of the block and counts the lines that end in them.
    fn take(&mut self, count: usize) {
        let bytes = &self.block[self.read..self.read + count];
        for at in memchr::memchr2_iter(b'\r', b'\n', bytes) {
            let ends_crlf = bytes[at] == b'\n' && if at == 0 { self.after_cr } else { bytes[at - 1] == b'\r' };
            self.line += u64::from(!ends_crlf);
        }
        if let Some(last) = bytes.last() {
            self.after_cr = *last == b'\r';
        }
        self.read += count;
        self.offset += count as u64;
    }

    fn skip_line_ends(&mut self) -> io::Result<()> {
        loop {
            let rest = &self.block[self.read..self.filled];
            let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            let more = blank == rest.len() && !self.at_end;
            if blank > 0 {
                self.take(blank);
            }
            if !more {
                return Ok(());
            }
            self.fill()?;
        }
    }

    /// Takes the LF of a CRLF, so that a cut never lies between the two.
    fn finish_crlf(&mut self) -> io::Result<()> {
        if !self.after_cr {
            return Ok(());
        }
        if self.read == self.filled && !self.at_end {
            self.fill()?;
        }
        if self.block[self.read..self.filled].first() == Some(&b'\n') {
            self.take(1);
        }
        Ok(())
    }
}

fn broken(line: u64, message: &str) -> CsvError {
    CsvError::Broken { line, message: message.to_owned() }
}
