//! One upload's file on its way to the table: prepared once (expanded, indexed, cleaned, sorted), then merged range by
//! range, as often as need be. What an earlier attempt finished in the work folder is used again.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU32},
};

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    clean::{Account, Cleaning},
    folder::Folder,
    group, gzip,
    index::{self, Index},
    input::{Reading, stopped},
    merge::Merge,
    range,
    run::Run,
    segments,
    sizes::Sizes,
    tally::Tally,
    write_behind::WriteBehind,
};
use crate::{
    blocking,
    error::{Error, Result},
    meter::Meter,
    rows::{Existing, GZIP_HEAD_BYTES, RULES, RejectWriter, RowOptions, is_gzip},
    source::{FileSource, Source},
    store::Bounds,
    upload::{Cleaned, Stage, Unit},
};

const MANIFEST: &str = "manifest.json";
const REJECTS: &str = "rejects.csv";

/// A file to be prepared.
pub struct Job {
    pub source: Arc<dyn Source>,
    pub options: RowOptions,
    /// This upload's folder below the worker's work folder; made if missing.
    pub work: PathBuf,
    /// This job's share of the worker's memory.
    pub memory_bytes: u64,
    /// Threads that clean segments at once.
    pub threads: usize,
    /// Ranges that are merged at once, later: they share the memory.
    pub merges: usize,
    /// Of what gzip content may expand to.
    pub expanded_max_bytes: u64,
    /// Of the bytes as they were received; unknown for a stranger's file.
    pub expected_sha256: Option<String>,
    pub meter: Meter,
    pub stop: CancellationToken,
}

/// A file whose rows are clean and sorted.
#[derive(Debug)]
pub struct CleanFile {
    cleaned: Cleaned,
    rejects: Option<PathBuf>,
    existing: Existing,
    runs: Arc<[Run]>,
    /// Keeps the work folder's lock.
    _folder: Folder,
}

/// What the work folder was made from, and how: finished segments of another content, options or rules are no use.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    rules: u32,
    options: serde_json::Value,
    /// Of the bytes as they were received.
    sha256: String,
    /// Length of gzip content's expanded file.
    expanded_bytes: Option<u64>,
    index: Index,
}

impl Manifest {
    const FORMAT: u32 = 4;
}

impl CleanFile {
    /// Expands, indexes, cleans and sorts the file, or what is missing of that; the upload's bytes are read from the
    /// source, everything else happens in the work folder, for which another process is waited for.
    ///
    /// `Rejected`: the content is no CSV that can be read (codes of `Layout::detect`, `csv_broken`, `gzip_truncated`,
    /// `gzip_damaged`, `expanded_too_large`), or not what was received (`content_changed`). `Transient`: the source
    /// cannot be read, or the disk is full (service `Disk`). `Stopped`: `stop` was cancelled. Dropping the future stops
    /// the work soon after.
    pub async fn prepare(job: Job) -> Result<Self> {
        Self::prepare_sized(job, None).await
    }

    /// As `prepare`; tests choose the sizes.
    pub(super) async fn prepare_sized(mut job: Job, sizes: Option<Sizes>) -> Result<Self> {
        job.stop = job.stop.child_token();
        let _stops_when_dropped = job.stop.clone().drop_guard();
        let (stop, name, runtime) = (job.stop.clone(), job.source.name(), Handle::current());
        let prepared = blocking::run_until(&stop, move || Preparation::open(job, sizes, runtime)?.run());
        match prepared.await {
            Ok(Some(prepared)) => prepared,
            Ok(None) => Err(stopped(&name)),
            Err(panic) => Err(Error::fatal("panic", "cleaning the file").because(panic)),
        }
    }

    pub fn cleaned(&self) -> &Cleaned {
        &self.cleaned
    }

    /// The whole rejects CSV with its header; `None` when there are none.
    pub fn rejects(&self) -> Option<&Path> {
        self.rejects.as_deref()
    }

    /// Which rows of the file won.
    pub fn existing(&self) -> Existing {
        self.existing
    }

    /// Id ranges of about equal size, at most `ranges`, fewer for small files: disjoint, and together everything.
    pub fn bounds(&self, ranges: usize) -> Vec<Bounds> {
        range::bounds(&self.runs, ranges)
    }

    /// Streams a range in id order, each id once, from the first id behind `after` on. Blocking: it reads files.
    /// `existing` must be the job's: the runs hold the winners of that mode alone.
    pub fn merge(&self, bounds: &Bounds, after: Option<&[u8]>, existing: Existing) -> Result<Merge> {
        if existing != self.existing {
            let doing = format!("merging in {existing} mode runs that were made in {} mode", self.existing);
            return Err(Error::fatal("other_mode", doing));
        }
        Merge::new(Arc::clone(&self.runs), bounds, after, existing)
    }

    /// Removes an upload's work folder, which may be missing. What cannot be removed is logged: it only takes space.
    pub fn remove(work: &Path) {
        match std::fs::remove_dir_all(work) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(folder = %work.display(), %error, "a work folder could not be removed");
            }
            _ => {}
        }
    }
}

/// The blocking work of `prepare`.
struct Preparation {
    job: Job,
    sizes: Option<Sizes>,
    folder: Folder,
    /// The bytes as they were received.
    received: Reading,
}

impl Preparation {
    fn open(job: Job, sizes: Option<Sizes>, runtime: Handle) -> Result<Self> {
        let folder = Folder::open(&job.work, &job.stop)?;
        let (source, meter, stop) = (Arc::clone(&job.source), job.meter.clone(), job.stop.clone());
        let received = Reading { source, meter, stop, runtime };
        Ok(Self { job, sizes, folder, received })
    }

    fn run(self) -> Result<CleanFile> {
        let manifest = self.manifest()?;
        let expanded = manifest.expanded_bytes.map(|_| self.expanded());
        let reading = expanded.as_ref().unwrap_or(&self.received);
        let input_bytes = manifest.index.segments.last().map_or(0, |last| last.offset + last.length);
        let sizes = self.sizes(input_bytes);
        let cleaning = Cleaning {
            reading,
            index: &manifest.index,
            options: &self.job.options,
            sizes: &sizes,
            folder: &self.folder,
            behind: WriteBehind::new(input_bytes),
            failed: AtomicU32::new(u32::MAX),
        };
        let (accounts, runs) =
            segments::clean_all(&cleaning, sizes.threads).map_err(|error| self.of_expanded(error, &manifest))?;
        let runs = group::merge_groups(runs, &cleaning)?;
        let rejects = self.join_rejects(&manifest.index, &accounts)?;
        let mut tally = Tally::default();
        accounts.iter().for_each(|account| tally.merge(&account.tally));
        let cleaned = tally.cleaned(manifest.sha256);
        Ok(CleanFile { cleaned, rejects, existing: self.job.options.existing, runs: runs.into(), _folder: self.folder })
    }

    fn sizes(&self, input_bytes: u64) -> Sizes {
        self.sizes.unwrap_or_else(|| Sizes::new(input_bytes, self.job.memory_bytes, self.job.threads, self.job.merges))
    }

    /// The manifest that the folder has, if it is of this job; else a new one, in a folder that was emptied. Without a
    /// hash to expect, only reading the whole content again can tell.
    fn manifest(&self) -> Result<Manifest> {
        let options = serde_json::to_value(&self.job.options)
            .map_err(|error| Error::fatal("options", "writing down the row options").because(error))?;
        let found = self.folder.read_json::<Manifest>(MANIFEST);
        let found = found.filter(|found| {
            let expanded = found.expanded_bytes == self.folder.length(gzip::EXPANDED);
            found.format == Manifest::FORMAT && found.rules == RULES && found.options == options && expanded
        });
        let expected = self.job.expected_sha256.as_ref();
        let found = match found {
            Some(found) if Some(&found.sha256) == expected => return Ok(found),
            found => found,
        };
        let (index, sha256, expanded_bytes) = self.index()?;
        let manifest = Manifest { format: Manifest::FORMAT, rules: RULES, options, sha256, expanded_bytes, index };
        if found.as_ref() != Some(&manifest) {
            self.folder.clear(if expanded_bytes.is_some() { &[gzip::EXPANDED] } else { &[] })?;
            if manifest.index.segments.len() > 1 {
                self.folder.write_json(MANIFEST, &manifest)?;
            }
        }
        Ok(manifest)
    }

    /// Reads all that was received: the index, the hash, and of gzip content the expanded file's length.
    fn index(&self) -> Result<(Index, String, Option<u64>)> {
        let (received, options) = (&self.received, &self.job.options);
        let (name, size, expected) = (received.source.name(), received.size()?, self.job.expected_sha256.as_deref());
        if !is_gzip(&received.head(GZIP_HEAD_BYTES)?) {
            received.meter.begin(Stage::Index, size, Unit::Bytes);
            let pass = index::index(received.open(0, u64::MAX)?, options, self.sizes(size).segment_bytes)?;
            let (index, sha256) = pass.of_received(&name, size, expected)?;
            return Ok((index, sha256, None));
        }
        received.meter.begin(Stage::Expand, size, Unit::Bytes);
        let pass = gzip::expand(received.open(0, u64::MAX)?, &self.folder, self.job.expanded_max_bytes)?;
        let (length, sha256) = pass.of_received(&name, size, expected)?;
        received.meter.begin(Stage::Index, length, Unit::Bytes);
        let expanded = self.expanded().open(0, u64::MAX)?;
        let index = index::index(expanded, options, self.sizes(length).segment_bytes)?.found?;
        Ok((index, sha256, Some(length)))
    }

    fn expanded(&self) -> Reading {
        self.received.of(Arc::new(FileSource(self.folder.path(gzip::EXPANDED))))
    }

    /// An expanded file that changed is no fault of the sender: it is expanded again at the next attempt.
    fn of_expanded(&self, error: Error, manifest: &Manifest) -> Error {
        if manifest.expanded_bytes.is_none() || error.code != "content_changed" {
            return error;
        }
        if let Err(error) = self.folder.remove(MANIFEST) {
            return error;
        }
        Error::fatal("work_damaged", "cleaning the expanded file, which is not as it was written")
            .because(error)
            .next("it is expanded again at the next attempt; look at the disk of the work folder")
    }

    fn join_rejects(&self, index: &Index, accounts: &[Account]) -> Result<Option<PathBuf>> {
        if accounts.iter().all(|account| account.reject_bytes == 0) {
            self.folder.remove(REJECTS)?;
            return Ok(None);
        }
        let mut whole = self.folder.stage(REJECTS)?;
        let header = RejectWriter::new(&mut whole, &index.layout, &self.job.options).header();
        header.map_err(|error| whole.failed(error))?;
        for account in accounts.iter().filter(|account| account.reject_bytes > 0) {
            let path = self.folder.path(&Account::rejects_name(&account.segment));
            let copied = File::open(&path).and_then(|mut part| io::copy(&mut part, &mut whole));
            copied.map_err(|error| whole.failed(error))?;
        }
        whole.publish()?;
        Ok(Some(self.folder.path(REJECTS)))
    }
}
