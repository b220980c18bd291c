//! Records from bytes (RFC 4180), with the physical line each begins on. Fields are taken apart by csv-core's
//! automaton; lines and offsets are counted here, since users look them up in their editors: LF, CRLF and a lone CR
//! each end a line, also inside quotes.

use std::io::{self, Read};

use csv_core::ReadRecordResult;

const BLOCK_BYTES: usize = 256 << 10;

/// Reads records from a stream that begins anywhere in a file where a record may begin.
pub struct CsvReader<R> {
    input: R,
    core: csv_core::Reader,
    block: Vec<u8>,
    /// What of `block` is filled, and how far it was read.
    filled: usize,
    read: usize,
    at_end: bool,
    /// Offset and line, in the file, of the next byte.
    offset: u64,
    line: u64,
    after_cr: bool,
    text: Vec<u8>,
    ends: Vec<usize>,
    max_record_bytes: u64,
}

/// One record: its fields without their quotes.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The physical line of the file on which it begins, from 1.
    pub line: u64,
    text: &'a [u8],
    ends: &'a [usize],
}

impl<'a> Record<'a> {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// A field, from 0; `None` behind the last.
    pub fn field(&self, index: usize) -> Option<&'a [u8]> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        Some(&self.text[start..end])
    }

    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        let record = *self;
        (0..self.len()).filter_map(move |index| record.field(index))
    }
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
            block: vec![0; block_bytes.max(1)],
            filled: 0,
            read: 0,
            at_end: false,
            offset,
            line,
            after_cr: false,
            text: vec![0; 1 << 10],
            ends: vec![0; 16],
            max_record_bytes,
        }
    }

    /// The next record; `None` at the end. Blank lines are no records.
    pub fn read(&mut self) -> Result<Option<Record<'_>>, CsvError> {
        self.skip_line_ends()?;
        let (begun, line) = (self.offset, self.line);
        let (mut text, mut ends) = (0, 0);
        loop {
            if self.read == self.filled && !self.at_end {
                self.fill()?;
            }
            // At the end of the file a line end is added: it ends any record but one with an open quote.
            let closing = self.at_end && self.read == self.filled && self.offset > begun;
            let input = if closing { b"\n" } else { &self.block[self.read..self.filled] };
            let (result, taken, wrote, ended) =
                self.core.read_record(input, &mut self.text[text..], &mut self.ends[ends..]);
            if !closing {
                self.take(taken);
            }
            (text, ends) = (text + wrote, ends + ended);
            // The line end is no part of the record.
            let ended_by = u64::from(result == ReadRecordResult::Record && !closing);
            if self.offset - begun - ended_by > self.max_record_bytes {
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
        Ok(Some(Record { line, text: &self.text[..text], ends: &self.ends[..ends] }))
    }

    /// Offset and physical line of what follows the last record: the file may be cut there.
    pub fn position(&self) -> (u64, u64) {
        (self.offset, self.line)
    }

    fn fill(&mut self) -> io::Result<()> {
        self.read = 0;
        self.filled = loop {
            match self.input.read(&mut self.block) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.at_end = self.filled == 0;
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
            self.take(blank);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Rows = Vec<(u64, Vec<Vec<u8>>)>;

    fn read_all(bytes: &[u8], offset: u64, line: u64, block: usize) -> Result<(Rows, Vec<(u64, u64)>), CsvError> {
        let mut reader = CsvReader::with_block_bytes(bytes, b',', offset, line, 1 << 20, block);
        let (mut rows, mut cuts) = (Vec::new(), Vec::new());
        while let Some(record) = reader.read()? {
            rows.push((record.line, record.iter().map(<[u8]>::to_vec).collect()));
            cuts.push(reader.position());
        }
        Ok((rows, cuts))
    }

    fn rows(text: &str) -> Rows {
        read_all(text.as_bytes(), 0, 1, 1 << 10).expect("whole").0
    }

    fn lines(text: &str) -> Vec<u64> {
        rows(text).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn every_kind_of_line_end_counts_once() {
        assert_eq!(lines("a\nb\nc"), [1, 2, 3]);
        assert_eq!(lines("a\r\nb\r\nc\r\n"), [1, 2, 3]);
        assert_eq!(lines("a\rb\rc"), [1, 2, 3]);
    }

    #[test]
    fn blank_lines_are_no_records_but_are_lines() {
        assert_eq!(lines("\n\na\n\r\n\r\nb"), [3, 6]);
    }

    #[test]
    fn quoted_line_breaks_are_physical_lines() {
        assert_eq!(lines("a,\"x\r\ny\nz\"\nb"), [1, 4]);
        assert_eq!(rows("\"x,\"\"y\"\"\n\",2"), [(1, vec![b"x,\"y\"\n".to_vec(), b"2".to_vec()])]);
    }

    #[test]
    fn a_quote_that_never_closes_names_the_line_where_its_record_began() {
        let error = read_all(b"a\nb,\"c\nd\n", 0, 1, 16).expect_err("broken");
        assert!(error.to_string().starts_with("line 2: a quote"), "{error}");
    }

    #[test]
    fn a_record_over_the_limit_is_broken_and_memory_stays_bounded() {
        let long = format!("a\n\"{}", "x".repeat(3 << 20));
        let error = read_all(long.as_bytes(), 0, 1, 1 << 16).expect_err("broken");
        assert!(error.to_string().starts_with("line 2: this record is longer than 1048576"), "{error}");
    }

    #[test]
    fn the_limit_is_of_the_record_without_its_line_end_at_every_block_size() {
        for block in 1..20 {
            for end in ["", "\n", "\r\n", "\r", "\nb", "\r\nb\n"] {
                let fits = |text: &str| {
                    let text = format!("{text}{end}");
                    let mut reader = CsvReader::with_block_bytes(text.as_bytes(), b',', 0, 1, 8, block);
                    reader.read().is_ok_and(|record| record.is_some())
                };
                assert!(fits("12345678") && fits("\"1\n3456\""), "{block} {end:?}");
                assert!(!fits("123456789") && !fits("\"1\n34567\""), "{block} {end:?}");
            }
        }
    }

    #[test]
    fn the_bytes_of_a_bom_in_mid_file_belong_to_the_record() {
        assert_eq!(rows("\u{feff}a")[0].1, [b"\xef\xbb\xbfa".to_vec()]);
    }

    fn csv_like() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            4 => Just(b'a'), 2 => Just(b','), 2 => Just(b'"'), 2 => Just(b'\n'), 2 => Just(b'\r'), 1 => any::<u8>()
        ];
        proptest::collection::vec(byte, 0..200)
    }

    proptest! {
        #[test]
        fn records_equal_those_of_csv_core_at_every_block_size(bytes in csv_like(), block in 1_usize..64) {
            let Ok((rows, _)) = read_all(&bytes, 0, 1, block) else { return Ok(()) };
            let mut whole = Vec::new();
            let mut core = csv_core::Reader::new();
            let _ = core.read_record(b"\n", &mut [], &mut []);
            let (mut rest, mut text, mut ends) = (&bytes[..], vec![0; 4096], vec![0; 512]);
            let (mut used, mut ended) = (0, 0);
            loop {
                let (result, taken, wrote, more) = core.read_record(rest, &mut text[used..], &mut ends[ended..]);
                rest = &rest[taken..];
                (used, ended) = (used + wrote, ended + more);
                match result {
                    ReadRecordResult::Record => {
                        let starts = std::iter::once(0).chain(ends.iter().copied());
                        let fields = starts.zip(&ends[..ended]).map(|(start, end)| text[start..*end].to_vec());
                        whole.push(fields.collect::<Vec<_>>());
                        (used, ended) = (0, 0);
                    }
                    ReadRecordResult::End => break,
                    _ => {}
                }
            }
            prop_assert_eq!(rows.into_iter().map(|(_, fields)| fields).collect::<Vec<_>>(), whole);
        }

        #[test]
        fn a_cut_behind_any_record_changes_nothing(bytes in csv_like()) {
            let Ok((rows, cuts)) = read_all(&bytes, 0, 1, 16) else { return Ok(()) };
            for (number, (offset, line)) in cuts.into_iter().enumerate() {
                let at = usize::try_from(offset).expect("small");
                let (tail, _) = read_all(&bytes[at..], offset, line, 16).expect("the same records");
                prop_assert_eq!(&tail[..], &rows[number + 1..]);
            }
        }

        #[test]
        fn whether_a_file_is_broken_does_not_depend_on_the_block_size(bytes in csv_like(), block in 1_usize..64) {
            prop_assert_eq!(read_all(&bytes, 0, 1, block).is_ok(), read_all(&bytes, 0, 1, 1 << 16).is_ok());
        }
    }
}
