//! Cleaning and the load stage: the whole file is cleaned before the first row is stored, where there is room for it;
//! then the ranges are written to the ledger, loaded, and accounted for.

use std::{path::Path, sync::Arc};

use bytesize::ByteSize;
use tracing::{debug, info};

use crate::{
    disk::{self, Disks, Room},
    error::{Error, Result, Service},
    load::{self, CleanFile},
    meter::Meter,
    pipeline::{
        process::{account, archive, job::Job, ranges, sorted::Sorted},
        sweep,
    },
    rows::{GZIP_HEAD_BYTES, is_gzip},
    source::{self, Source},
    upload::{Cleaned, Counts, Stage, State, Stored, Unit, Upload},
};

/// Whether it pays to clean a file while it is being archived.
pub fn is_large(upload: &Upload) -> bool {
    load::disk_need(upload.new.size, false) > 0
}

/// Cleans the file; nothing is stored yet.
pub async fn clean(job: &Job, upload: &Upload, source: Arc<dyn Source>, meter: &Meter) -> Result<CleanFile> {
    #[cfg(feature = "faults")]
    crate::faults::hold("cleaning").await;
    let _room = room(&job.pipeline.disks, &job.work, upload.new.size, source.as_ref()).await?;
    CleanFile::prepare(preparation(job, upload, source, meter)).await
}

/// Stores a file that is archived and cleaned.
pub async fn load(job: &Job, upload: &Upload, sorted: Sorted) -> Result<()> {
    let pipeline = &job.pipeline;
    let cleaned = sorted.cleaned();
    #[cfg(feature = "faults")]
    crate::faults::hold("cleaned").await;
    // In the archive right after cleaning, also when the file ends as `failed`.
    if let Some(rejects) = sorted.rejects() {
        archive::keep_rejects(job, upload, rejects.as_ref()).await?;
    }
    #[cfg(feature = "faults")]
    crate::faults::hold("rejects").await;
    if let Err(refusal) = may_be_stored(upload, cleaned) {
        pipeline.store.note_cleaned(&job.claim, cleaned).await?;
        sorted.discard(job).await;
        return Err(refusal);
    }
    // While this file was read, an earlier one may have been opened again.
    if !pipeline.store.is_next(&job.claim).await? {
        return Err(Error::stopped("an earlier upload that replaces rows comes first"));
    }
    pipeline.store.check_table().await?;
    let parts = sorted.split(job).await?;
    #[cfg(feature = "faults")]
    crate::faults::hold("split").await;
    job.meter.begin(Stage::Load, cleaned.good, Unit::Rows);
    job.meter.add(parts.iter().map(|part| part.stored.good).sum());
    let _room = match &sorted {
        Sorted::Here(_) => None,
        Sorted::Parts(parts) => room_for(&pipeline.disks, &job.work, parts.bytes(pipeline.transactions.connections))?,
    };
    let stored = ranges::load(job, &sorted, upload.new.options.existing, parts).await?;
    finish(job, upload, cleaned, &account::sum(&stored)).await?;
    sorted.discard(job).await;
    drop(sorted);
    remove_work(job);
    Ok(())
}

/// Slots share the worker's memory. Each may use every core: they seldom clean at the same time.
fn preparation(job: &Job, upload: &Upload, source: Arc<dyn Source>, meter: &Meter) -> load::Job {
    let (config, transactions) = (&job.pipeline.config, &job.pipeline.transactions);
    let slots = config.worker.slots.max(1);
    load::Job {
        source,
        options: upload.new.options.clone(),
        work: job.work.clone(),
        memory_bytes: config.worker.memory_bytes / slots as u64,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        merges: transactions.connections,
        expanded_max_bytes: config.server.max_upload_bytes,
        expected_sha256: upload.new.sha256.clone(),
        meter: meter.clone(),
        stop: job.stop.clone(),
    }
}

/// Sets room aside for the run files of a file of `size` bytes below `work`. Those that an earlier attempt left count as
/// written. `Transient` (service `Disk`) when there is too little.
pub async fn room(disks: &Disks, work: &Path, size: u64, source: &dyn Source) -> Result<Option<Room>> {
    let head = source::head(source, GZIP_HEAD_BYTES).await?;
    room_for(disks, work, load::disk_need(size, is_gzip(&head)))
}

/// As `room`, for so many bytes.
fn room_for(disks: &Disks, work: &Path, bytes: u64) -> Result<Option<Room>> {
    if bytes == 0 {
        return Ok(None);
    }
    let folder = work.to_owned();
    let on = work.parent().unwrap_or(work);
    let claimed = disks.claim(on, bytes, 0, move || disk::bytes_in(&folder));
    let unmeasured = |error| {
        Error::unavailable(Service::Disk, format!("measuring the free space of {}", on.display())).because(error)
    };
    match claimed.map_err(unmeasured)? {
        Ok(room) => {
            info!(bytes, folder = %work.display(), "room set aside for run files");
            Ok(Some(room))
        }
        Err(space) => {
            let text = format!("cleaning takes about {} in {}: {space}", ByteSize(bytes), on.display());
            Err(Error::unavailable(Service::Disk, text)
                .next("make room on that disk, or set worker.work to a folder on a larger one"))
        }
    }
}

fn may_be_stored(upload: &Upload, cleaned: &Cleaned) -> Result<()> {
    let (id, options) = (upload.id(), &upload.new.options);
    let Err(refusal) = account::may_be_stored(options, cleaned) else { return Ok(()) };
    let mend = format!("mend the rejected rows and send them: userdata rejects {id} -o rejects.csv");
    let others = account::other_options(&account::again(upload), options, cleaned);
    let mut see = others.into_iter().chain([mend]).collect::<Vec<_>>().join("; or ");
    if refusal.code == account::TOO_MANY_REJECTS {
        see += &format!(", or allow more: userdata retry {id} --max-rejects N");
    }
    Err(refusal.next(see))
}

/// Every good row must be accounted for by the ranges: a lost block cannot hide as a duplicate.
async fn finish(job: &Job, upload: &Upload, cleaned: &Cleaned, stored: &Stored) -> Result<()> {
    if stored.good != cleaned.good {
        let text = format!(
            "{} good rows were found while cleaning, but the stored ids account for {}; the table holds what was stored",
            cleaned.good, stored.good
        );
        return Err(Error::rejected("rows_unaccounted", text)
            .next(format!("load it again from the start: userdata retry {} --restart", upload.id())));
    }
    let upload = job.upload().await.unwrap_or_else(|_| upload.clone());
    let counts = Counts::new(cleaned, stored);
    let receipt = account::receipt(&upload, cleaned, counts, State::Done, &job.claim.owner);
    #[cfg(feature = "faults")]
    crate::faults::hold("finish").await;
    job.pipeline.store.finish(&job.claim, &receipt).await?;
    #[cfg(feature = "faults")]
    crate::faults::hold("done").await;
    info!(
        upload = %job.claim.id, read = counts.read, inserted = counts.inserted, replaced = counts.replaced,
        duplicates = counts.duplicates, rejected = counts.rejected, "done"
    );
    if let Err(error) = sweep::copy_receipt(&job.pipeline, &upload, &receipt).await {
        debug!(upload = %job.claim.id, %error, "the receipt's copy is left to the sweep");
    }
    Ok(())
}

/// Run files are of no use to anybody once the upload has ended.
pub fn remove_work(job: &Job) {
    CleanFile::remove(&job.work);
}
