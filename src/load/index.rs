//! The index: one pass over the bytes finds how the fields lie and where the file can be cut between records, and hashes
//! the whole, keeping the hash's state at each cut. It is the only pass that must be sequential; whoever cleans a
//! segment, wherever, reads just that segment, goes on from the state before it and compares the hash behind it.

use std::{
    cell::RefCell,
    io::{self, Read},
    rc::Rc,
};

use serde::{Deserialize, Serialize};

use super::{input::reading, pass::Pass};
use crate::{
    error::{Error, Result},
    hash::HashState,
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
    /// SHA-256's state of all the file's bytes before `offset`.
    pub before: HashState,
    /// Of the file's bytes up to the segment's end, lower-case hex: with `before` it is the segment's alone.
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
pub fn index(mut input: impl Read, options: &RowOptions, segment_bytes: u64) -> Result<Pass<Index>> {
    let (mut head, hashes) = (Vec::new(), Rc::new(RefCell::new(Hashes::default())));
    let layout = find_layout(&mut input, options, &mut head);
    hashes.borrow_mut().add(&head);
    let mut input = Tallied { inner: input, hashes: Rc::clone(&hashes) };
    let found = layout.and_then(|layout| find(layout, &head, &mut input, &hashes, options, segment_bytes));
    Pass::to_end(found, || {
        io::copy(&mut input, &mut io::sink()).map_err(reading)?;
        let hashes = hashes.take();
        let bytes = hashes.read;
        Ok((hashes.whole().sha256(), bytes))
    })
}

fn find(
    layout: Layout,
    head: &[u8],
    input: &mut impl Read,
    hashes: &RefCell<Hashes>,
    options: &RowOptions,
    segment_bytes: u64,
) -> Result<Index> {
    let (mut start, mut line) = (layout.data_offset, layout.data_line);
    let rest = head.get(usize::try_from(start).unwrap_or(usize::MAX)..).unwrap_or_default();
    let mut reader = CsvReader::new(rest.chain(input), layout.delimiter, start, line, options.max_record_bytes);
    let mut before = hashes.borrow_mut().at(start);
    let mut segments = Vec::new();
    let mut cut = |start: u64, end: u64, first_line: u64| {
        let behind = hashes.borrow_mut().at(end);
        let (number, sha256) = (segments.len() as u32, behind.sha256());
        let before = std::mem::replace(&mut before, behind);
        segments.push(Segment { number, offset: start, length: end - start, first_line, before, sha256 });
    };
    while reader.skip_to(start + segment_bytes).map_err(csv_error)? {
        let (offset, next_line) = reader.position();
        cut(start, offset, line);
        (start, line) = (offset, next_line);
    }
    let end = hashes.borrow().read;
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

/// The hash of what was read, of which the last piece is kept: a cut lies there or at its beginning.
#[derive(Default)]
struct Hashes {
    /// Of all before `hashed` of the piece.
    state: HashState,
    piece: Vec<u8>,
    hashed: usize,
    /// Bytes in all.
    read: u64,
}

impl Hashes {
    fn add(&mut self, piece: &[u8]) {
        self.state.update(&self.piece[self.hashed..]);
        self.piece.clear();
        self.piece.extend_from_slice(piece);
        self.hashed = 0;
        self.read += piece.len() as u64;
    }

    /// The state at `offset`, which lies in the last piece, behind any that was asked for before.
    fn at(&mut self, offset: u64) -> HashState {
        let end = self.piece.len() - (self.read - offset) as usize;
        self.state.update(&self.piece[self.hashed..end]);
        self.hashed = end;
        self.state.clone()
    }

    fn whole(mut self) -> HashState {
        self.state.update(&self.piece[self.hashed..]);
        self.state
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
