//! `userdata spark-clean`: chunks to sorted rows. A line of standard input is a task: the plan and a chunk. What comes
//! out has seven fields a line: the key of a range, then
//!
//! - of a row: id, line, good rows that it stands for, whether these conflict, name, time of start;
//! - of the head that each chunk sends to each range: `!`, how many rows it sends there, and its version, so that who
//!   reads the range knows what must have come;
//! - of the chunk's account: `#`, and the account itself, which passes through.
//!
//! Ids begin with `=`, so heads and accounts sort before all rows of their range.

use std::{
    io::{self, BufRead, Read, Write},
    path::PathBuf,
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    Version,
    manifest::ChunkAccount,
    name,
    scratch::{self, Scratch},
    task::{self, Plan},
    text,
};
use crate::{
    archive::Archive,
    error::{Error, Result},
    load::{
        arena::Arena,
        index::Segment,
        input::Reading,
        row::RunRow,
        segment::{SegmentRows, Sink},
    },
    meter::Meter,
    source::Source,
};

/// In front of heads and accounts, in the field of the id.
pub(super) const HEAD: u8 = b'!';
pub(super) const ACCOUNT: u8 = b'#';

/// What a chunk sends to a range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub version: Version,
    pub rows: u64,
}

/// Finds the bytes of a plan's upload.
pub type SourceOf = Box<dyn Fn(&Plan) -> Result<Arc<dyn Source>> + Send>;

/// What an executor has for its tasks.
pub struct Executor {
    pub archive: Arc<dyn Archive>,
    pub source: SourceOf,
    /// Where files lie that are being collected.
    pub folder: PathBuf,
    /// Of one task.
    pub memory_bytes: u64,
    pub runtime: Handle,
}

impl Executor {
    /// Does every task of `input`. Blocking.
    pub fn clean(&self, input: impl BufRead, out: impl Write) -> Result<()> {
        let mut out = io::BufWriter::with_capacity(256 << 10, out);
        for line in input.split(b'\n') {
            let line = line.map_err(|error| Error::fatal("spark_input", "reading tasks").because(error))?;
            let mut fields = line.split(|byte| *byte == b'\t');
            let (Some(plan), Some(chunk), None) = (fields.next(), fields.next(), fields.next()) else {
                return Err(Error::fatal("spark_task", "reading a task: it is not plan and chunk with a tab between"));
            };
            let plan: Plan = task::decode(plan)?;
            own_version(&plan.version, "the worker")?;
            self.clean_chunk(&plan, &task::decode(chunk)?, &mut out)?;
        }
        out.flush().map_err(unwritten)
    }

    fn clean_chunk(&self, plan: &Plan, chunk: &Segment, out: &mut impl Write) -> Result<()> {
        let mut reading = Reading {
            source: (self.source)(plan)?,
            meter: Meter::default(),
            stop: CancellationToken::new(),
            runtime: self.runtime.clone(),
        };
        let mut raw = if plan.keeps_chunks { Some(self.copied(&reading, chunk)?) } else { None };
        if let Some(raw) = &mut raw {
            reading = reading.of(Arc::new(raw.source(raw_start(chunk))?));
        }
        let mut arena = Arena::new(usize::try_from(self.memory_bytes / 4 * 3).unwrap_or(usize::MAX));
        let mut rejects = Scratch::new(&self.folder)?;
        let mut rows = Rows::new(plan, out);
        let segment = SegmentRows { reading: &reading, segment: chunk, layout: &plan.layout, options: &plan.options };
        let tally = segment.clean(&mut arena, &mut rejects, &mut rows)?;
        rows.full(&mut arena)?;
        let rejects = match rejects.bytes() {
            0 => None,
            _ => {
                let name = name::rejects(plan.upload, plan.fence, chunk.number);
                Some(rejects.store(self.archive.as_ref(), name, &self.runtime)?)
            }
        };
        // Only now its bytes are known to be the right ones.
        let raw = raw.map(|raw| {
            let name = name::raw(plan.upload, plan.fence, chunk.number);
            raw.store(self.archive.as_ref(), name, &self.runtime)
        });
        let (number, hash, raw) = (chunk.number, chunk.hash.clone(), raw.transpose()?);
        rows.end(&ChunkAccount { version: Version::own(), number, hash, tally, rejects, raw })
    }

    /// The chunk's bytes on this machine: they are read once, and used twice.
    fn copied(&self, reading: &Reading, chunk: &Segment) -> Result<Scratch> {
        let start = raw_start(chunk);
        let mut input = reading.open(start, chunk.offset + chunk.length - start)?;
        let (mut scratch, mut piece) = (Scratch::new(&self.folder)?, vec![0; PIECE_BYTES]);
        loop {
            let read = input.read(&mut piece).map_err(crate::load::input::reading)?;
            if read == 0 {
                return Ok(scratch);
            }
            scratch.write_all(&piece[..read]).map_err(scratch::unwritten)?;
        }
    }
}

const PIECE_BYTES: usize = 256 << 10;

/// Where a chunk that is kept begins: the first one with the header, and whatever else is in front of the first row.
pub(super) fn raw_start(chunk: &Segment) -> u64 {
    if chunk.number == 0 { 0 } else { chunk.offset }
}

/// Refuses what another version wrote.
pub(super) fn own_version(found: &Version, whose: &str) -> Result<()> {
    let own = Version::own();
    if *found == own {
        return Ok(());
    }
    Err(Error::fatal("spark_version", format!("this program is {own}, {whose} is {found}"))
        .next("install the same userdata on every executor and worker"))
}

pub(super) fn unwritten(error: io::Error) -> Error {
    Error::fatal("spark_output", "writing to Spark").because(error)
}

/// Rows on their way to Spark.
struct Rows<'a, W> {
    plan: &'a Plan,
    keys: Vec<i32>,
    /// To each range.
    sent: Vec<u64>,
    out: W,
    line: Vec<u8>,
}

impl<'a, W: Write> Rows<'a, W> {
    fn new(plan: &'a Plan, out: W) -> Self {
        Self { plan, keys: plan.keys(), sent: vec![0; plan.ranges()], out, line: Vec::new() }
    }

    fn row(&mut self, row: &RunRow<'_>) -> io::Result<()> {
        let range = self.plan.range_of(row.id);
        self.sent[range] += 1;
        let line = &mut self.line;
        line.clear();
        write!(line, "{}\t", self.keys[range])?;
        text::put(row.id, line);
        write!(line, "\t{}\t{}\t{}\t", row.line, row.good, u8::from(row.conflicting))?;
        text::put(row.name, line);
        line.push(b'\t');
        text::put(row.time_of_start, line);
        line.push(b'\n');
        self.out.write_all(line)
    }

    /// Heads and account.
    fn end(mut self, account: &ChunkAccount) -> Result<()> {
        let sent = std::mem::take(&mut self.sent);
        for (range, rows) in sent.into_iter().enumerate().filter(|(_, rows)| *rows > 0) {
            self.beside(range, HEAD, &Head { version: Version::own(), rows })?;
        }
        self.beside(account.number as usize % self.keys.len(), ACCOUNT, account)
    }

    fn beside(&mut self, range: usize, sign: u8, what: &impl Serialize) -> Result<()> {
        let json = serde_json::to_vec(what)
            .map_err(|error| Error::fatal("spark_account", "writing an account").because(error))?;
        let line = &mut self.line;
        line.clear();
        line.extend_from_slice(self.keys[range].to_string().as_bytes());
        line.extend_from_slice(&[b'\t', sign]);
        line.extend_from_slice(b"\t0\t0\t0\t");
        text::put(&json, line);
        line.extend_from_slice(b"\t=\n");
        self.out.write_all(line).map_err(unwritten)
    }
}

impl<W: Write> Sink for Rows<'_, W> {
    fn check(&mut self) -> Result<()> {
        Ok(())
    }

    fn full(&mut self, arena: &mut Arena) -> Result<()> {
        arena.sort();
        arena.each(self.plan.options.existing, |row| self.row(row)).map_err(unwritten)?;
        arena.clear();
        Ok(())
    }

    fn unwritten(&self, error: io::Error) -> Error {
        scratch::unwritten(error)
    }
}
