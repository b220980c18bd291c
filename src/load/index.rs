//! The index: one pass over the bytes finds how the fields lie and where the file can be cut between records, and hashes
//! the whole and each segment. It is the only pass that must be sequential; whoever cleans a segment, wherever, reads
//! just that segment and compares its hash.

use std::{
    cell::RefCell,
    io::{self, Read},
    rc::Rc,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    input::{hex, reading},
    pass::Pass,
};
use crate::{
    error::{Error, Result},
    rows::{
        Layout, LayoutError, RowOptions,
        csv::{CsvError, CsvReader},
    },
};

/// So many bytes are read to find the layout; more only where the first record is longer.
const HEAD_BYTES: usize = 64 << 10;
/// Hashing follows reading at steps of this size.
const STEP_BYTES: u64 = 256 << 10;

/// A part of a file that begins and ends between records, to be read again from the file's source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    pub number: u32,
    pub offset: u64,
    pub length: u64,
    /// Physical line that begins at `offset`.
    pub first_line: u64,
    /// Lower-case hex.
    pub sha256: String,
}

/// What one pass over a file finds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    pub layout: Layout,
    /// In order, together every byte behind the header; none when there is nothing behind it.
    pub segments: Vec<Segment>,
}

/// Reads a whole file. A segment ends with the first record that makes it `segment_bytes` long. What is broken is
/// `csv_broken`, or what `Layout::detect` says.
pub fn index(input: impl Read, options: &RowOptions, segment_bytes: u64) -> Result<Pass<Index>> {
    let hashes = Rc::new(RefCell::new(Hashes::default()));
    let mut input = Tallied { inner: input, hashes: Rc::clone(&hashes) };
    let found = find(&mut input, &hashes, options, segment_bytes);
    Pass::to_end(found, || {
        io::copy(&mut input, &mut io::sink()).map_err(reading)?;
        let hashes = hashes.take();
        Ok((hex(&hashes.whole.finalize()), hashes.read))
    })
}

fn find(input: &mut impl Read, hashes: &RefCell<Hashes>, options: &RowOptions, segment_bytes: u64) -> Result<Index> {
    let (layout, head) = find_layout(input, options)?;
    let (mut start, mut line) = (layout.data_offset, layout.data_line);
    let rest = head.get(usize::try_from(start).unwrap_or(usize::MAX)..).unwrap_or_default();
    let mut reader = CsvReader::new(rest.chain(input), layout.delimiter, start, line, options.max_record_bytes);
    hashes.borrow_mut().cut(start);
    let mut segments = Vec::new();
    let mut cut = |start: u64, end: u64, first_line: u64| {
        let (number, sha256) = (segments.len() as u32, hashes.borrow_mut().cut(end));
        segments.push(Segment { number, offset: start, length: end - start, first_line, sha256 });
    };
    let mut hashed = start;
    while reader.read().map_err(csv_error)?.is_some() {
        let (offset, next_line) = reader.position();
        if offset - start >= segment_bytes {
            cut(start, offset, line);
            (start, line, hashed) = (offset, next_line, offset);
        } else if offset - hashed >= STEP_BYTES {
            hashes.borrow_mut().hash_to(offset);
            hashed = offset;
        }
    }
    let end = hashes.borrow().read;
    if end > start {
        cut(start, end, line);
    }
    Ok(Index { layout, segments })
}

/// Reads until the layout is known; gives what was read for it, too.
fn find_layout(input: &mut impl Read, options: &RowOptions) -> Result<(Layout, Vec<u8>)> {
    let (mut head, mut limit) = (Vec::new(), HEAD_BYTES);
    loop {
        let more = (limit - head.len()) as u64;
        let complete = (input.take(more).read_to_end(&mut head).map_err(reading)? as u64) < more;
        if let Some(layout) = Layout::detect(&head, complete, options).map_err(layout_error)? {
            return Ok((layout, head));
        }
        if complete {
            return Err(Error::rejected("not_csv", "no record was found in the file"));
        }
        limit *= 2;
    }
}

pub fn layout_error(error: LayoutError) -> Error {
    Error::rejected(error.code, error.message).next(error.next)
}

pub fn csv_error(error: CsvError) -> Error {
    match error {
        CsvError::Io(error) => reading(error),
        CsvError::Broken { line, message } => Error::rejected("csv_broken", format!("line {line}: {message}"))
            .next("mend that line and send the file again; nothing was stored of it"),
    }
}

/// Hashes of the whole, as it is read, and of the present segment, which ends somewhere before what was read.
#[derive(Default)]
struct Hashes {
    whole: Sha256,
    segment: Sha256,
    read: u64,
    /// What was read and is not hashed into a segment yet: from `start` of `ahead` on, at offset `hashed`.
    ahead: Vec<u8>,
    start: usize,
    hashed: u64,
}

impl Hashes {
    fn add(&mut self, bytes: &[u8]) {
        self.whole.update(bytes);
        self.read += bytes.len() as u64;
        if self.start * 2 > self.ahead.len() {
            self.ahead.drain(..self.start);
            self.start = 0;
        }
        self.ahead.extend_from_slice(bytes);
    }

    /// Hashes the bytes before `offset` into the segment.
    fn hash_to(&mut self, offset: u64) {
        let end = self.start + (offset - self.hashed) as usize;
        self.segment.update(&self.ahead[self.start..end]);
        (self.start, self.hashed) = (end, offset);
    }

    /// Ends the segment at `offset`; gives its hash.
    fn cut(&mut self, offset: u64) -> String {
        self.hash_to(offset);
        hex(&std::mem::take(&mut self.segment).finalize())
    }
}

struct Tallied<R> {
    inner: R,
    hashes: Rc<RefCell<Hashes>>,
}

impl<R: Read> Read for Tallied<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.hashes.borrow_mut().add(&into[..read]);
        Ok(read)
    }
}
