//! Cleaning one segment: its bytes are read again, compared with the index's hash, turned into users, sorted in bounded
//! memory and written as runs, the rejects beside them. The segment's account is written last: with it the segment is
//! finished and never cleaned again.

use std::{
    io::{self, Write},
    sync::atomic::{AtomicU32, Ordering},
};

use serde::{Deserialize, Serialize};

use super::{
    arena::Arena,
    folder::{Folder, Staged, disk},
    index::{Index, Segment},
    input::Reading,
    run::{Run, RunWriter, Totals},
    segment::{SegmentRows, Sink},
    sizes::Sizes,
    tally::Tally,
    write_behind::WriteBehind,
};
use crate::{
    error::{Error, Result},
    rows::RowOptions,
};

/// A finished run file of the work folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    pub name: String,
    pub totals: Totals,
}

impl RunFile {
    /// Opens it; an error when it is not the file that was written.
    pub fn open(&self, folder: &Folder) -> Result<Run> {
        let run = Run::open(&folder.path(&self.name))?;
        if run.totals == self.totals { Ok(run) } else { Err(run.damaged()) }
    }
}

/// What became of a segment's rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    pub segment: Segment,
    pub tally: Tally,
    pub runs: Vec<RunFile>,
    /// Length of the segment's part of the rejects; no file when it is 0.
    pub reject_bytes: u64,
}

impl Account {
    fn name(segment: &Segment) -> String {
        format!("{:06}.json", segment.number)
    }

    pub fn rejects_name(segment: &Segment) -> String {
        format!("{:06}.rej", segment.number)
    }

    /// The account of a segment that was finished before, with its runs; `None` when anything of it is missing,
    /// damaged or of another segment.
    pub fn finished(folder: &Folder, segment: &Segment) -> Option<(Self, Vec<Run>)> {
        let account: Self = folder.read_json(&Self::name(segment))?;
        let rejects = folder.length(&Self::rejects_name(segment)).unwrap_or(0);
        if account.segment != *segment || account.reject_bytes != rejects {
            return None;
        }
        let runs = account.runs.iter().map(|run| run.open(folder)).collect::<Result<Vec<_>>>().ok()?;
        let good: u64 = runs.iter().map(|run| run.totals.good).sum();
        (good == account.tally.good).then_some((account, runs))
    }
}

/// What cleaning a segment needs to know of the job.
pub struct Cleaning<'a> {
    pub reading: &'a Reading,
    pub index: &'a Index,
    pub options: &'a RowOptions,
    pub sizes: &'a Sizes,
    pub folder: &'a Folder,
    /// Takes finished run files.
    pub behind: WriteBehind,
    /// The lowest segment that failed, `u32::MAX` while there is none: those behind it give up.
    pub failed: AtomicU32,
}

impl Cleaning<'_> {
    /// Cleans a segment, unless it is finished already.
    pub fn finish(&self, segment: &Segment, arena: &mut Arena) -> Result<(Account, Vec<Run>)> {
        if let Some(finished) = Account::finished(self.folder, segment) {
            self.reading.meter.add(segment.length);
            return Ok(finished);
        }
        let mut account = self.clean(segment, arena)?;
        self.spill(&mut account, arena)?;
        self.folder.write_json(&Account::name(segment), &account)?;
        let runs = account.runs.iter().map(|run| run.open(self.folder)).collect::<Result<_>>()?;
        Ok((account, runs))
    }

    /// As `finish`, for a file of one segment: nothing is written but its rejects, if the rows fit into the arena.
    pub fn finish_in_memory(&self, segment: &Segment, arena: &mut Arena) -> Result<(Account, Vec<Run>)> {
        let mut account = self.clean(segment, arena)?;
        if !account.runs.is_empty() {
            self.spill(&mut account, arena)?;
            let runs = account.runs.iter().map(|run| run.open(self.folder)).collect::<Result<_>>()?;
            return Ok((account, runs));
        }
        let mut bytes = Vec::new();
        let written = self.write_run(&mut bytes, arena);
        written.map_err(|error| Error::fatal("run", "sorting in memory").because(error))?;
        Ok((account, vec![Run::memory(bytes)?]))
    }

    /// Reads and cleans; what is left in the arena is not written yet.
    fn clean(&self, segment: &Segment, arena: &mut Arena) -> Result<Account> {
        let account = Account { segment: segment.clone(), tally: Tally::default(), runs: Vec::new(), reject_bytes: 0 };
        let (reading, layout, options) = (self.reading, &self.index.layout, self.options);
        let mut rejects = RejectFile::new(self.folder, segment);
        let mut into = IntoRuns { cleaning: self, account };
        let tally = SegmentRows { reading, segment, layout, options }.clean(arena, &mut rejects, &mut into)?;
        let reject_bytes = rejects.publish()?;
        Ok(Account { tally, reject_bytes, ..into.account })
    }

    /// An error when an earlier segment failed: nobody will ask for this one.
    pub fn check_wanted(&self, number: u32) -> Result<()> {
        if self.failed.load(Ordering::Relaxed) >= number {
            return Ok(());
        }
        Err(Error::stopped("cleaning a part of the file behind one that failed"))
    }

    /// Writes what the arena holds as a run, and empties it.
    fn spill(&self, account: &mut Account, arena: &mut Arena) -> Result<()> {
        if arena.is_empty() {
            return Ok(());
        }
        self.reading.check_stop()?;
        let name = format!("{:06}-{}.run", account.segment.number, account.runs.len());
        let mut staged = self.folder.stage(&name)?;
        let totals = self.write_run(&mut staged, arena).map_err(|error| staged.failed(error))?;
        self.behind.write_out(staged.publish_open()?);
        account.runs.push(RunFile { name, totals });
        Ok(())
    }

    fn write_run(&self, out: &mut impl Write, arena: &mut Arena) -> io::Result<Totals> {
        arena.sort();
        let mut writer = RunWriter::new(out, self.sizes.block_bytes);
        arena.write(self.options.existing, &mut writer)?;
        arena.clear();
        Ok(writer.finish()?.1)
    }
}

/// A segment whose rows become runs of the work folder.
struct IntoRuns<'a> {
    cleaning: &'a Cleaning<'a>,
    account: Account,
}

impl Sink for IntoRuns<'_> {
    fn check(&mut self) -> Result<()> {
        self.cleaning.check_wanted(self.account.segment.number)
    }

    fn full(&mut self, arena: &mut Arena) -> Result<()> {
        self.cleaning.spill(&mut self.account, arena)
    }

    fn unwritten(&self, error: io::Error) -> Error {
        disk(&self.cleaning.folder.path(&Account::rejects_name(&self.account.segment)), error)
    }
}

/// A segment's part of the rejects, without a header; made with the first of them.
struct RejectFile<'a> {
    folder: &'a Folder,
    name: String,
    staged: Option<Staged>,
    bytes: u64,
}

impl<'a> RejectFile<'a> {
    fn new(folder: &'a Folder, segment: &Segment) -> Self {
        Self { folder, name: Account::rejects_name(segment), staged: None, bytes: 0 }
    }

    /// Gives its length.
    fn publish(self) -> Result<u64> {
        match self.staged {
            Some(staged) => staged.publish()?,
            None => self.folder.remove(&self.name)?,
        }
        Ok(self.bytes)
    }
}

impl Write for RejectFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let staged = match &mut self.staged {
            Some(staged) => staged,
            none => none.insert(self.folder.stage(&self.name).map_err(io::Error::other)?),
        };
        let written = staged.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.staged.as_mut().map_or(Ok(()), Write::flush)
    }
}
