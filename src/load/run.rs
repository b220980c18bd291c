//! A run: rows in order of id, each id once, in an immutable file (or, of a small upload, in memory). It is blocks of
//! rows, each with its checksum, then the first id of every block, so that a reader can start at any id, and totals.
//!
//! Numbers are little-endian. Block: `length u32, crc32 u32, rows`. Index entry: `offset u64, length of id u16, id`.
//! Tail, `TAIL_BYTES` long: `index bytes, blocks, rows, good` (u64 each), `crc32 u32` of index and totals, `MAGIC`.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use flate2::Crc;
use serde::{Deserialize, Serialize};

use super::row::RunRow;
use crate::error::{Error, Result};

/// Ends with the format's number.
const MAGIC: [u8; 8] = *b"UDRUN\0\0\x01";
const TAIL_BYTES: u64 = 4 * 8 + 4 + 8;
const BLOCK_HEAD_BYTES: usize = 8;
/// First ids of blocks that a run keeps in memory, to choose ranges from.
const SAMPLES_MAX: u64 = 64;

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
    block: Vec<u8>,
    index: Vec<u8>,
    offset: u64,
    totals: Totals,
}

impl<W: Write> RunWriter<W> {
    /// `block_bytes`: a block is written once it holds as many.
    pub fn new(out: W, block_bytes: usize) -> Self {
        Self { out, block_bytes, block: Vec::new(), index: Vec::new(), offset: 0, totals: Totals::default() }
    }

    /// Adds a row; ids must ascend.
    pub fn push(&mut self, row: &RunRow<'_>) -> io::Result<()> {
        if self.block.is_empty() {
            self.index.extend(self.offset.to_le_bytes());
            self.index.extend((row.id.len() as u16).to_le_bytes());
            self.index.extend(row.id);
        }
        row.encode(&mut self.block);
        self.totals.rows += 1;
        self.totals.good += row.good;
        if self.block.len() >= self.block_bytes { self.write_block() } else { Ok(()) }
    }

    fn write_block(&mut self) -> io::Result<()> {
        self.out.write_all(&(self.block.len() as u32).to_le_bytes())?;
        self.out.write_all(&crc32(&[&self.block]).to_le_bytes())?;
        self.out.write_all(&self.block)?;
        self.offset += (BLOCK_HEAD_BYTES + self.block.len()) as u64;
        self.totals.blocks += 1;
        self.block.clear();
        Ok(())
    }

    /// Writes what is left, the index and the totals; the output is not flushed.
    pub fn finish(mut self) -> io::Result<(W, Totals)> {
        if !self.block.is_empty() {
            self.write_block()?;
        }
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

/// A finished run. Files are opened for each block and closed again: a large upload has more runs, and more readers
/// of each, than a process may have open files.
#[derive(Debug, Clone)]
pub struct Run {
    body: Body,
    pub totals: Totals,
    /// Where the blocks end.
    blocks_end: u64,
    /// First ids of some of the blocks, evenly spread.
    pub samples: Vec<Vec<u8>>,
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
        let mut run = Self { body, totals: Totals::default(), blocks_end: 0, samples: Vec::new() };
        let (totals, index) = run.read_index()?;
        run.blocks_end = totals.bytes - TAIL_BYTES - index.len() as u64;
        let step = totals.blocks.div_ceil(SAMPLES_MAX).max(1) as usize;
        run.samples = entries(&index).step_by(step).map(|(_, id)| id.to_vec()).collect();
        run.totals = totals;
        Ok(run)
    }

    /// For messages, and to remove what is damaged.
    pub fn path(&self) -> Option<&Path> {
        match &self.body {
            Body::File(path) => Some(path),
            Body::Memory(_) => None,
        }
    }

    fn read_index(&self) -> Result<(Totals, Vec<u8>)> {
        let bytes = self.length().map_err(|error| self.unreadable(error))?;
        let tail_start = bytes.checked_sub(TAIL_BYTES).ok_or_else(|| self.damaged())?;
        let tail = self.read_at(tail_start, TAIL_BYTES)?;
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| tail[at * 8 + byte]));
        let [index_bytes, blocks, rows, good] = std::array::from_fn(number);
        let said = u32::from_le_bytes(std::array::from_fn(|byte| tail[32 + byte]));
        if tail[36..] != MAGIC || index_bytes > tail_start {
            return Err(self.damaged());
        }
        let index = self.read_at(tail_start - index_bytes, index_bytes)?;
        if crc32(&[&index, &tail[..32]]) != said {
            return Err(self.damaged());
        }
        Ok((Totals { blocks, rows, good, bytes, crc32: said }, index))
    }

    /// Offset of the first block that can hold `id` or anything behind it; of the first one without an id.
    pub fn seek(&self, id: Option<&[u8]>) -> Result<u64> {
        let Some(id) = id else { return Ok(0) };
        let (_, index) = self.read_index()?;
        let before = entries(&index).take_while(|(_, first)| *first <= id).last();
        Ok(before.map_or(0, |(offset, _)| offset))
    }

    /// Reads the block at `offset` into `block`; gives the offset of the next one, `None` at the end.
    pub fn read_block(&self, offset: u64, block: &mut Vec<u8>) -> Result<Option<u64>> {
        block.clear();
        if offset >= self.blocks_end {
            return Ok(None);
        }
        let mut crc = 0;
        let read = self.reader(offset).and_then(|mut reader| {
            let mut head = [0; BLOCK_HEAD_BYTES];
            reader.read_exact(&mut head)?;
            let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
            crc = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
            // A damaged length must not allocate more than the run holds.
            let length = u64::from(length).min(self.blocks_end - offset);
            reader.take(length).read_to_end(block)
        });
        match read {
            Ok(length) if crc32(&[block]) == crc => Ok(Some(offset + (BLOCK_HEAD_BYTES + length) as u64)),
            Ok(_) => Err(self.damaged()),
            Err(error) => Err(self.unreadable(error)),
        }
    }

    fn length(&self) -> io::Result<u64> {
        match &self.body {
            Body::File(path) => Ok(std::fs::metadata(path)?.len()),
            Body::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    fn read_at(&self, offset: u64, length: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.reader(offset).and_then(|reader| reader.take(length).read_to_end(&mut bytes));
        read.map_err(|error| self.unreadable(error))?;
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(self.damaged()) }
    }

    fn reader(&self, offset: u64) -> io::Result<Box<dyn Read + '_>> {
        match &self.body {
            Body::File(path) => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(offset))?;
                Ok(Box::new(file))
            }
            Body::Memory(bytes) => {
                let rest = bytes.get(usize::try_from(offset).unwrap_or(usize::MAX)..);
                Ok(Box::new(rest.unwrap_or_default()))
            }
        }
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

/// The index's entries: offset and first id of each block.
fn entries(mut index: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        let (offset, rest) = index.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (id, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        index = rest;
        Some((u64::from_le_bytes(*offset), id))
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
            let first = super::super::row::Span::decode(&block, 0).unwrap();
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
        assert_eq!(run.samples[1], b"0016");
    }
}
