//! What a load reads: the rows of an upload, clean and sorted. They lie in run files that this worker made, or in parts
//! that a cluster made and the archive keeps; of these each is brought here while its range is loaded.

use std::{
    io::{Read, Write},
    sync::Arc,
};

use tokio::runtime::Handle;
use tracing::{debug, warn};

use super::job::Job;
use crate::{
    archive::joined::{CHANGED, Joined},
    blocking,
    error::{Error, Result},
    load::{
        CleanFile, Merge,
        folder::Folder,
        input::{Reading, reading},
        run::Run,
    },
    meter::Meter,
    rows::{Existing, RULES},
    source::{FileSource, Source},
    store::{Bounds, Part, PartFile},
    upload::{Cleaned, State, Upload},
};

const PIECE_BYTES: usize = 256 << 10;

/// The rows of an upload, each id once in its range.
pub enum Sorted {
    Here(CleanFile),
    Parts(Parts),
}

impl Sorted {
    pub fn cleaned(&self) -> &Cleaned {
        match self {
            Self::Here(file) => file.cleaned(),
            Self::Parts(parts) => &parts.cleaned,
        }
    }

    /// The whole rejects CSV; `None` when there are none, or they are in the archive already.
    pub fn rejects(&self) -> Option<Box<dyn Source>> {
        match self {
            Self::Here(file) => file.rejects().map(|path| -> Box<dyn Source> { Box::new(FileSource(path.to_owned())) }),
            Self::Parts(parts) => parts.rejects.clone().map(|joined| -> Box<dyn Source> { Box::new(joined) }),
        }
    }

    /// Writes the ranges to the ledger, unless they are there.
    pub async fn split(&self, job: &Job) -> Result<Vec<Part>> {
        let (store, cleaned) = (&job.pipeline.store, self.cleaned());
        match self {
            Self::Here(_) if cleaned.good == 0 => store.split(&job.claim, cleaned, RULES, &[Bounds::default()]).await,
            Self::Here(file) => {
                let bounds = file.bounds(job.pipeline.transactions.ranges);
                store.split(&job.claim, cleaned, RULES, &bounds).await
            }
            Self::Parts(parts) => store.accept(&job.claim, cleaned, RULES, &parts.files).await,
        }
    }

    /// Removes from the archive what nobody needs any more. What is left by one that does not answer, the sweep removes.
    pub async fn discard(&self, job: &Job) {
        if let Self::Parts(parts) = self {
            parts.remove(job).await;
        }
    }

    /// Makes a range's rows ready to be merged.
    pub async fn range(&self, job: &Job, part: &Part) -> Result<Range<'_>> {
        match self {
            Self::Here(file) => Ok(Range::Here(file)),
            Self::Parts(parts) => parts.fetch(job, part).await.map(Range::Fetched),
        }
    }
}

/// The rows of one range, ready to be merged as often as need be.
pub enum Range<'a> {
    Here(&'a CleanFile),
    /// None where the ledger names no part: then there are no rows.
    Fetched(Option<Run>),
}

impl Range<'_> {
    /// See `CleanFile::merge`.
    pub fn merge(&self, bounds: &Bounds, after: Option<&[u8]>, existing: Existing) -> Result<Merge> {
        match self {
            Self::Here(file) => file.merge(bounds, after, existing),
            Self::Fetched(run) => Merge::new(run.iter().cloned().collect(), bounds, after, existing),
        }
    }
}

impl Drop for Range<'_> {
    fn drop(&mut self) {
        if let Self::Fetched(Some(run)) = self
            && let Some(Err(error)) = run.path().map(std::fs::remove_file)
        {
            debug!(%error, "a part's copy stays in the work folder until the upload ends");
        }
    }
}

/// Parts in the archive.
pub struct Parts {
    cleaned: Cleaned,
    files: Vec<(Bounds, PartFile)>,
    /// Of the chunks, with a header in front, until they are laid beside the original.
    rejects: Option<Joined>,
    /// Where parts are brought.
    folder: Arc<Folder>,
}

impl Parts {
    /// Parts that were just made, and are known to be what the executors wrote.
    #[cfg(feature = "spark")]
    pub async fn made(
        job: &Job,
        cleaned: Cleaned,
        files: Vec<(Bounds, PartFile)>,
        rejects: Option<Joined>,
    ) -> Result<Self> {
        Ok(Self { cleaned, files, rejects, folder: folder(job).await? })
    }

    /// Those that the ledger names, of an upload that is half stored. None where there are none, or one is gone: then
    /// the file is cleaned again, which gives the same rows.
    pub async fn of_ledger(job: &Job, upload: &Upload) -> Result<Option<Self>> {
        if upload.state != State::Loading {
            return Ok(None);
        }
        let parts = job.pipeline.store.parts(upload.id()).await?;
        if parts.iter().all(|part| part.file.is_none()) {
            return Ok(None);
        }
        let archive = &job.pipeline.archive;
        for part in parts.iter().filter(|part| !part.finished) {
            let Some(PartFile { file, .. }) = &part.file else { continue };
            match job.unless_stopped(archive.size(&file.name)).await? {
                Some(size) if size == file.size => {}
                Some(size) => {
                    let doing = format!("{} on {} has {size} bytes, it had {}", file.name, archive.name(), file.size);
                    return Err(Error::fatal(CHANGED, doing).next("see who else writes there"));
                }
                None => {
                    warn!(upload = %upload.id(), part = file.name, "a part is gone: cleaning the file again");
                    return Ok(None);
                }
            }
        }
        let files = parts.into_iter().filter_map(|part| Some((part.bounds, part.file?))).collect();
        let cleaned = upload.cleaned.clone().unwrap_or_default();
        Ok(Some(Self { cleaned, files, rejects: None, folder: folder(job).await? }))
    }

    /// What parts of one load take of the work folder's disk.
    pub fn bytes(&self, at_once: usize) -> u64 {
        let mut sizes: Vec<_> = self.files.iter().map(|(_, part)| part.file.size).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        sizes.iter().take(at_once).sum()
    }

    /// Brings a range's part into the work folder, and sees that it is the one that was accepted.
    async fn fetch(&self, job: &Job, part: &Part) -> Result<Option<Run>> {
        let Some(PartFile { file, rows, good }) = part.file.clone() else { return Ok(None) };
        let what = file.name.clone();
        let source = Joined { archive: job.pipeline.archive.clone(), what, head: Vec::new(), files: vec![file] };
        let (meter, stop, runtime) = (Meter::default(), job.stop.clone(), Handle::current());
        let from = Reading { source: Arc::new(source), meter, stop, runtime };
        let (folder, name) = (Arc::clone(&self.folder), format!("part-{:06}.run", part.number));
        let fetched = blocking::run(move || {
            copy(&from, &folder, &name)?;
            let run = Run::open(&folder.path(&name))?;
            if (run.totals.rows, run.totals.good) == (rows, good) { Ok(Some(run)) } else { Err(run.damaged()) }
        });
        fetched.await.unwrap_or_else(|panic| Err(Error::fatal("panic", "fetching a part").because(panic)))
    }

    async fn remove(&self, job: &Job) {
        let parts = self.files.iter().map(|(_, part)| &part.file);
        for file in parts.chain(self.rejects.iter().flat_map(|joined| &joined.files)) {
            if let Err(error) = job.pipeline.archive.remove(&file.name).await {
                debug!(upload = %job.claim.id, %error, "its parts are left to the sweep");
                return;
            }
        }
    }
}

async fn folder(job: &Job) -> Result<Arc<Folder>> {
    let (path, stop) = (job.work.clone(), job.stop.clone());
    let opened = blocking::run(move || Folder::open(&path, &stop).map(Arc::new)).await;
    opened.unwrap_or_else(|panic| Err(Error::fatal("panic", "opening the work folder").because(panic)))
}

fn copy(from: &Reading, folder: &Folder, name: &str) -> Result<()> {
    let mut input = from.open(0, u64::MAX)?;
    let (mut out, mut piece) = (folder.stage(name)?, vec![0; PIECE_BYTES]);
    loop {
        let read = input.read(&mut piece).map_err(reading)?;
        if read == 0 {
            return out.publish();
        }
        out.write_all(&piece[..read]).map_err(|error| out.failed(error))?;
    }
}
