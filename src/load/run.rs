//! A run: rows in order of id, each id once, in an immutable file (or, of a small upload, in memory). It is blocks of
//! rows, each with its checksum, then the first id of every block, so that a reader can start at any id, and totals.
//!
//! Numbers are little-endian. Block: `length u32, crc32 u32, rows`. Index entry: `offset u64, length of id u16, id`, one
//! for each block, and one of the blocks' end with the last id. Tail, `TAIL_BYTES` long: `index bytes, blocks, rows,
//! good` (u64 each), `crc32 u32` of index and totals, `MAGIC`.

#[cfg(test)]
mod tests;
mod write;

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use flate2::Crc;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

pub use write::RunWriter;

/// Ends with the format's number.
const MAGIC: [u8; 8] = *b"UDRUN\0\0\x03";
const TAIL_BYTES: u64 = 4 * 8 + 4 + 8;
const BLOCK_HEAD_BYTES: usize = 8;
/// First ids of blocks that a run keeps in memory, to choose ranges from; and the first block's.
const SAMPLES: u64 = 64;
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
    /// From this one to the next sample.
    pub blocks: u64,
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
    /// Of the first block, and of others at equal distances.
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
        let step = totals.blocks.div_ceil(SAMPLES).max(1);
        // Runs of one file are alike: taken at the same blocks, their samples would all lie near the same few ids.
        let phase = u64::from(totals.crc32) % step;
        let (mut at, mut starts) = (0, Vec::new());
        for (number, entry) in (0..).zip(entries(&index)) {
            let is_end = number == totals.blocks;
            if is_end {
                run.last_id = entry.id.to_vec();
            }
            if is_end || number == 0 || number % step == phase {
                starts.push((number, at, entry.id));
            }
            at += entry.bytes();
        }
        // The last entry is no block's, but the end of all; it belongs to the last sample's part.
        let sample = |pair: &[(u64, usize, &[u8])]| {
            let ((number, start, id), (next, end, _)) = (pair[0], pair[1]);
            let end = if next == totals.blocks { index.len() } else { end };
            Sample {
                id: id.to_vec(),
                blocks: next - number,
                offset: run.blocks_end + start as u64,
                length: (end - start) as u32,
                crc32: crc32(&[&index[start..end]]),
            }
        };
        run.samples = starts.windows(2).map(sample).collect();
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
