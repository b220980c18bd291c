//! The index: one pass over the bytes finds how the fields lie and where the file can be cut between records, and hashes
//! the whole and what lies between two cuts. It is the only pass that must be sequential, so another thread hashes;
//! whoever cleans a segment, wherever, reads just that segment and compares its hash.

use std::{
    io::{self, Read},
    panic, thread,
};

use serde::{Deserialize, Serialize};

use super::{
    hasher::{self, Teller},
    input::reading,
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

/// A part of a file that begins and ends between records, to be read again from the file's source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    pub number: u32,
    pub offset: u64,
    pub length: u64,
    /// Physical line that begins at `offset`.
    pub first_line: u64,
    /// BLAKE3 of its bytes, lower-case hex.
    pub hash: String,
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
pub fn index(mut input: impl Read, options: &RowOptions, segment_bytes: u64) -> Result<Pass<Index>> {
    thread::scope(|scope| {
        let (teller, hasher) = hasher::begin();
        let hashing = scope.spawn(|| hasher.run());
        let mut head = Vec::new();
        let layout = find_layout(&mut input, options, &mut head);
        teller.piece(&head);
        let mut input = Told { inner: input, teller: &teller };
        let found = layout.and_then(|layout| find(layout, &head, &mut input, &teller, options, segment_bytes));
        let mut cuts = Vec::new();
        let mut pass = Pass::to_end(found, || {
            io::copy(&mut input, &mut io::sink()).map_err(reading)?;
            teller.end();
            let hashes = hashing.join().unwrap_or_else(|panic| panic::resume_unwind(panic));
            cuts = hashes.cuts;
            Ok((hashes.whole, hashes.bytes))
        })?;
        if let Ok(index) = &mut pass.found {
            // The first is of what lies before the first segment.
            for (segment, hash) in index.segments.iter_mut().zip(cuts.into_iter().skip(1)) {
                segment.hash = hash;
            }
        }
        Ok(pass)
    })
}

/// The segments, but for their hashes: `teller` is told where the first one begins and where each ends.
fn find(
    layout: Layout,
    head: &[u8],
    input: &mut impl Read,
    teller: &Teller,
    options: &RowOptions,
    segment_bytes: u64,
) -> Result<Index> {
    let (mut start, mut line) = (layout.data_offset, layout.data_line);
    let rest = head.get(usize::try_from(start).unwrap_or(usize::MAX)..).unwrap_or_default();
    let mut reader = CsvReader::new(rest.chain(input), layout.delimiter, start, line, options.max_record_bytes);
    teller.cut(start);
    let mut segments = Vec::new();
    let mut cut = |start: u64, end: u64, first_line: u64| {
        let (number, hash) = (segments.len() as u32, String::new());
        segments.push(Segment { number, offset: start, length: end - start, first_line, hash });
        teller.cut(end);
    };
    while reader.skip_to(start + segment_bytes).map_err(csv_error)? {
        let (offset, next_line) = reader.position();
        cut(start, offset, line);
        (start, line) = (offset, next_line);
    }
    let (end, _) = reader.position();
    if end > start {
        cut(start, end, line);
    }
    Ok(Index { layout, segments })
}

/// Reads into `head` until the layout is known.
fn find_layout(input: &mut impl Read, options: &RowOptions, head: &mut Vec<u8>) -> Result<Layout> {
    let mut limit = HEAD_BYTES;
    loop {
        let more = (limit - head.len()) as u64;
        let complete = (input.take(more).read_to_end(head).map_err(reading)? as u64) < more;
        if let Some(layout) = Layout::detect(head, complete, options).map_err(layout_error)? {
            return Ok(layout);
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

/// What is read through it is told.
struct Told<'a, R> {
    inner: R,
    teller: &'a Teller,
}

impl<R: Read> Read for Told<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.teller.piece(&into[..read]);
        Ok(read)
    }
}
