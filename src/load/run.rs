//! A run: rows in order of id, each id once, in an immutable file (or, of a small upload, in memory). It is blocks of
//! rows, each with its checksum, then the first id of every block, so that a reader can start at any id, and totals.
//!
//! Numbers are little-endian. Block: `length u32, crc32 u32, rows`. Index entry: `offset u64, length of id u16, id`, one
//! for each block, and one of the blocks' end with the last id. Tail, `TAIL_BYTES` long: `index bytes, blocks, rows,
//! good` (u64 each), `crc32 u32` of index and totals, `MAGIC`.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use flate2::Crc;
use serde::{Deserialize, Serialize};

use super::row::{RunRow, Span};
use crate::error::{Error, Result};

/// Ends with the format's number.
const MAGIC: [u8; 8] = *b"UDRUN\0\0\x02";
const TAIL_BYTES: u64 = 4 * 8 + 4 + 8;
const BLOCK_HEAD_BYTES: usize = 8;
/// First ids of blocks that a run keeps in memory, to choose ranges from.
const SAMPLES_MAX: u64 = 64;
/// Buffers of blocks grow in such steps: blocks differ by less than a row.
const BUFFER_STEP_BYTES: usize = 4 << 10;

/// What a run holds, as its tail says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub blocks: u64,
    pub rows: u64,
    /// Good rows of the file that the rows stand for.
    pub good: u64,
    /// Length of the whole file.
    pub bytes: u64,
    /// Of index and totals.
    pub crc32: u32,
}

/// Writes a run to any output.
pub struct RunWriter<W> {
    out: W,
    block_bytes: usize,
    /// The block under way, its head still empty.
    block: Vec<u8>,
    /// Where in it the last row begins.
    last: usize,
    last_id: Vec<u8>,
    index: Vec<u8>,
    offset: u64,
    totals: Totals,
}

impl<W: Write> RunWriter<W> {
    /// `block_bytes`: a block is written once it holds as many.
    pub fn new(out: W, block_bytes: usize) -> Self {
        let (block, last_id, index) = (vec![0; BLOCK_HEAD_BYTES], Vec::new(), Vec::new());
        Self { out, block_bytes, block, last: 0, last_id, index, offset: 0, totals: Totals::default() }
    }

    /// Adds a row; ids must ascend.
    pub fn push(&mut self, row: &RunRow<'_>) -> io::Result<()> {
        self.begin_row(row.id, row.good);
        row.encode(&mut self.block);
        self.end_row()
    }

    /// As `push`, of a row that is there as runs hold it, and stands for itself alone.
    pub fn copy(&mut self, id: &[u8], row: &[u8]) -> io::Result<()> {
        self.begin_row(id, 1);
        self.block.extend_from_slice(row);
        self.end_row()
    }

    fn begin_row(&mut self, id: &[u8], good: u64) {
        if self.block.len() == BLOCK_HEAD_BYTES {
            put_entry(&mut self.index, self.offset, id);
        }
        self.totals.rows += 1;
        self.totals.good += good;
        self.last = self.block.len();
    }

    fn end_row(&mut self) -> io::Result<()> {
        if self.block.len() - BLOCK_HEAD_BYTES >= self.block_bytes { self.write_block() } else { Ok(()) }
    }

    fn write_block(&mut self) -> io::Result<()> {
        let (head, rows) = self.block.split_at_mut(BLOCK_HEAD_BYTES);
        head[..4].copy_from_slice(&(rows.len() as u32).to_le_bytes());
        head[4..].copy_from_slice(&crc32(&[rows]).to_le_bytes());
        self.out.write_all(&self.block)?;
        self.offset += self.block.len() as u64;
        self.totals.blocks += 1;
        self.last_id.clear();
        self.last_id.extend_from_slice(Span::decode(&self.block, self.last).unwrap_or_default().id(&self.block));
        self.block.truncate(BLOCK_HEAD_BYTES);
        Ok(())
    }

    /// Writes what is left, the index and the totals; the output is not flushed.
    pub fn finish(mut self) -> io::Result<(W, Totals)> {
        if self.block.len() > BLOCK_HEAD_BYTES {
            self.write_block()?;
        }
        put_entry(&mut self.index, self.offset, &self.last_id);
        let Totals { blocks, rows, good, .. } = self.totals;
        let numbers = [self.index.len() as u64, blocks, rows, good].map(u64::to_le_bytes).concat();
        let crc32 = crc32(&[&self.index, &numbers]);
        self.out.write_all(&self.index)?;
        self.out.write_all(&numbers)?;
        self.out.write_all(&crc32.to_le_bytes())?;
        self.out.write_all(&MAGIC)?;
        let bytes = self.offset + self.index.len() as u64 + TAIL_BYTES;
        Ok((self.out, Totals { bytes, crc32, ..self.totals }))
    }
}

fn put_entry(index: &mut Vec<u8>, offset: u64, id: &[u8]) {
    index.extend(offset.to_le_bytes());
    index.extend((id.len() as u16).to_le_bytes());
    index.extend(id);
}

fn crc32(parts: &[&[u8]]) -> u32 {
    let mut crc = Crc::new();
    parts.iter().for_each(|part| crc.update(part));
    crc.sum()
}

#[derive(Debug, Clone)]
enum Body {
    File(PathBuf),
    Memory(Arc<[u8]>),
}

/// The first id of a block, and the part of the index from there to the next sample.
#[derive(Debug, Clone)]
pub struct Sample {
    pub id: Vec<u8>,
    /// In the file.
    offset: u64,
    length: u32,
    crc32: u32,
}

/// A finished run. Files are opened for each block and closed again: a large upload has more runs, and more readers
/// of each, than a process may have open files.
#[derive(Debug, Clone)]
pub struct Run {
    body: Body,
    pub totals: Totals,
    /// Where the blocks end.
    blocks_end: u64,
    /// Of some of the blocks, evenly spread, the first block's among them.
    pub samples: Vec<Sample>,
    pub last_id: Vec<u8>,
}

impl Run {
    /// Opens a run file and checks its index. Error `run_damaged` when it is not whole.
    pub fn open(path: &Path) -> Result<Self> {
        Self::of(Body::File(path.into()))
    }

    pub fn memory(bytes: Vec<u8>) -> Result<Self> {
        Self::of(Body::Memory(bytes.into()))
    }

    fn of(body: Body) -> Result<Self> {
        let totals = Totals::default();
        let mut run = Self { body, totals, blocks_end: 0, samples: Vec::new(), last_id: Vec::new() };
        let (totals, index) = run.read_index()?;
        run.blocks_end = totals.bytes - TAIL_BYTES - index.len() as u64;
        run.totals = totals;
        let step = totals.blocks.div_ceil(SAMPLES_MAX).max(1) as usize;
        let (mut at, mut starts) = (0, Vec::new());
        for (number, entry) in entries(&index).enumerate() {
            if number as u64 == totals.blocks {
                run.last_id = entry.id.to_vec();
            } else if number % step == 0 {
                starts.push((at, entry.id));
            }
            at += entry.bytes();
        }
        let ends = starts.iter().skip(1).map(|(at, _)| *at).chain([index.len()]);
        let sample = |(&(start, id), end): (&(usize, &[u8]), usize)| Sample {
            id: id.to_vec(),
            offset: run.blocks_end + start as u64,
            length: (end - start) as u32,
            crc32: crc32(&[&index[start..end]]),
        };
        run.samples = starts.iter().zip(ends).map(sample).collect();
        Ok(run)
    }

    /// For messages, and to remove what is damaged.
    pub fn path(&self) -> Option<&Path> {
        match &self.body {
            Body::File(path) => Some(path),
            Body::Memory(_) => None,
        }
    }

    /// The lowest id; `None` of a run without rows.
    pub fn first_id(&self) -> Option<&[u8]> {
        self.samples.first().map(|sample| sample.id.as_slice())
    }

    fn read_index(&self) -> Result<(Totals, Vec<u8>)> {
        let reader = self.reader().map_err(|error| self.unreadable(error))?;
        let bytes = reader.length().map_err(|error| self.unreadable(error))?;
        let tail_start = bytes.checked_sub(TAIL_BYTES).ok_or_else(|| self.damaged())?;
        let read = |offset, length| self.read(&reader, offset, length);
        let tail = read(tail_start, TAIL_BYTES)?;
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| tail[at * 8 + byte]));
        let [index_bytes, blocks, rows, good] = std::array::from_fn(number);
        let said = u32::from_le_bytes(std::array::from_fn(|byte| tail[32 + byte]));
        if tail[36..] != MAGIC || index_bytes > tail_start {
            return Err(self.damaged());
        }
        let index = read(tail_start - index_bytes, index_bytes)?;
        if crc32(&[&index, &tail[..32]]) != said {
            return Err(self.damaged());
        }
        Ok((Totals { blocks, rows, good, bytes, crc32: said }, index))
    }

    /// Offset of the first block that can hold `id` or anything behind it; of the first one without an id.
    pub fn seek(&self, id: Option<&[u8]>) -> Result<u64> {
        let Some(id) = id else { return Ok(0) };
        let behind = self.samples.partition_point(|sample| sample.id.as_slice() <= id);
        let Some(sample) = behind.checked_sub(1).map(|at| &self.samples[at]) else { return Ok(0) };
        let reader = self.reader().map_err(|error| self.unreadable(error))?;
        let part = self.read(&reader, sample.offset, u64::from(sample.length))?;
        if crc32(&[&part]) != sample.crc32 {
            return Err(self.damaged());
        }
        // The last entry is no block's, but the end of all.
        let blocks = entries(&part).take_while(|entry| entry.id <= id && entry.offset < self.blocks_end);
        blocks.last().map(|entry| entry.offset).ok_or_else(|| self.damaged())
    }

    /// Reads the block at `offset` into `block`; gives the offset of the next one, `None` at the end.
    pub fn read_block(&self, offset: u64, block: &mut Vec<u8>) -> Result<Option<u64>> {
        block.clear();
        if offset >= self.blocks_end {
            return Ok(None);
        }
        let mut crc = 0;
        let read = self.reader().and_then(|reader| {
            let mut head = [0; BLOCK_HEAD_BYTES];
            reader.read(offset, &mut head)?;
            crc = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
            // A damaged length must not allocate more than the run holds.
            let length = u64::from(u32::from_le_bytes([head[0], head[1], head[2], head[3]]));
            let length = length.min(self.blocks_end - offset) as usize;
            if block.capacity() < length {
                block.reserve_exact(length.next_multiple_of(BUFFER_STEP_BYTES));
            }
            block.resize(length, 0);
            reader.read(offset + BLOCK_HEAD_BYTES as u64, block)
        });
        match read {
            Ok(()) if crc32(&[block]) == crc => Ok(Some(offset + (BLOCK_HEAD_BYTES + block.len()) as u64)),
            Ok(()) => Err(self.damaged()),
            Err(error) => Err(self.unreadable(error)),
        }
    }

    fn reader(&self) -> io::Result<Reader<'_>> {
        match &self.body {
            Body::File(path) => Ok(Reader::File(File::open(path)?)),
            Body::Memory(bytes) => Ok(Reader::Memory(bytes)),
        }
    }

    fn read(&self, reader: &Reader<'_>, offset: u64, length: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        reader.read(offset, &mut bytes).map_err(|error| self.unreadable(error))?;
        Ok(bytes)
    }

    fn name(&self) -> String {
        self.path().map_or_else(|| "a run in memory".into(), |path| path.display().to_string())
    }

    fn unreadable(&self, error: io::Error) -> Error {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return self.damaged();
        }
        Error::fatal("run_unreadable", format!("reading {}", self.name())).because(error)
    }

    /// A run whose checksums do not hold: its file is removed, so that the next attempt cleans its segment again.
    pub fn damaged(&self) -> Error {
        if let Some(Err(error)) = self.path().map(std::fs::remove_file) {
            tracing::warn!(run = self.name(), %error, "a damaged run could not be removed");
        }
        Error::fatal("run_damaged", format!("{} is damaged: a checksum does not hold", self.name()))
            .next("it is made again at the next attempt; look at the disk of the work folder")
    }
}

/// An open run.
enum Reader<'a> {
    File(File),
    Memory(&'a [u8]),
}

impl Reader<'_> {
    fn length(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    /// Fills `into` with what is at `offset`.
    fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.read_exact_at(into, offset),
            Self::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let part = bytes.get(start..).and_then(|rest| rest.get(..into.len()));
                into.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }
}

/// An entry of the index.
struct Entry<'a> {
    offset: u64,
    id: &'a [u8],
}

impl Entry<'_> {
    fn bytes(&self) -> usize {
        size_of::<u64>() + size_of::<u16>() + self.id.len()
    }
}

fn entries(mut index: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    std::iter::from_fn(move || {
        let (offset, rest) = index.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (id, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        index = rest;
        Some(Entry { offset: u64::from_le_bytes(*offset), id })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_of(ids: &[&str]) -> Vec<u8> {
        let mut writer = RunWriter::new(Vec::new(), 1);
        for (line, id) in ids.iter().enumerate() {
            let row = RunRow {
                line: line as u64,
                good: 2,
                conflicting: false,
                id: id.as_bytes(),
                name: b"n",
                time_of_start: b"t",
            };
            writer.push(&row).unwrap();
        }
        writer.finish().unwrap().0
    }

    #[test]
    fn a_reader_starts_at_the_block_that_can_hold_an_id() {
        let run = Run::memory(run_of(&["b", "d", "f"])).unwrap();
        assert_eq!((run.totals.blocks, run.totals.rows, run.totals.good), (3, 3, 6));
        let mut block = Vec::new();
        for (id, expected) in [("a", "b"), ("b", "b"), ("c", "b"), ("d", "d"), ("e", "d"), ("z", "f")] {
            let offset = run.seek(Some(id.as_bytes())).unwrap();
            run.read_block(offset, &mut block).unwrap();
            let first = Span::decode(&block, 0).unwrap();
            assert_eq!(first.id(&block), expected.as_bytes(), "from {id}");
        }
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let whole = run_of(&["b", "d", "f"]);
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            let read = || -> Result<()> {
                let run = Run::memory(bytes)?;
                let (mut offset, mut block) = (0, Vec::new());
                while let Some(next) = run.read_block(offset, &mut block)? {
                    offset = next;
                }
                Ok(())
            };
            assert_eq!(read().unwrap_err().code, "run_damaged", "byte {at}");
        }
    }

    #[test]
    fn every_cut_is_noticed() {
        let whole = run_of(&["b", "d", "f"]);
        for length in 0..whole.len() {
            assert_eq!(Run::memory(whole[..length].to_vec()).unwrap_err().code, "run_damaged", "{length} bytes");
        }
    }

    #[test]
    fn at_most_64_first_ids_are_sampled() {
        let ids: Vec<String> = (0..1000).map(|number| format!("{number:04}")).collect();
        let run = Run::memory(run_of(&ids.iter().map(String::as_str).collect::<Vec<_>>())).unwrap();
        assert_eq!(run.samples.len(), 63);
        assert_eq!((run.samples[1].id.as_slice(), run.last_id.as_slice()), (&b"0016"[..], &b"0999"[..]));
        let mut block = Vec::new();
        for (number, id) in ids.iter().enumerate() {
            run.read_block(run.seek(Some(id.as_bytes())).unwrap(), &mut block).unwrap();
            assert_eq!(Span::decode(&block, 0).unwrap().line, number as u64);
        }
    }
}
