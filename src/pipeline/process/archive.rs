//! The archive stage: the original's name is chosen once and written to the ledger, then its bytes are stored under a
//! temp name that carries the claim's fence, measured and renamed, and its info is laid beside it.

use std::{collections::HashSet, ops::Range};

use tracing::{debug, info, warn};

#[cfg(feature = "spark")]
use crate::archive::original::PartsList;
use crate::{
    archive::name,
    config::{ArchiveKind, Config, FtpLayout, SparkSource},
    error::{Error, Result},
    pipeline::{Pipeline, process::job::Job},
    source::{MemorySource, Source},
    upload::{Stage, Unit, Upload, UploadId},
};

pub async fn archive(job: &Job, upload: &Upload, source: &dyn Source) -> Result<()> {
    let size = source.size().await?;
    if size != upload.new.size {
        let announced = upload.new.size;
        return Err(Error::rejected(
            "size_differs",
            format!("{} has {size} bytes, but {announced} were announced", source.name()),
        )
        .next("send the file again, or announce it with its real size"));
    }
    job.meter.begin(Stage::Archive, size, Unit::Bytes);
    // What another upload put into the archive is not stored twice.
    if upload.new.place.archive.is_none() {
        let chosen = choose_name(job, upload).await?;
        store(job, upload, &chosen, source).await?;
    }
    job.pipeline.store.archived(&job.claim, None).await?;
    info!(upload = %job.claim.id, archive = job.pipeline.archive.name(), "archived");
    Ok(())
}

/// Whether the executors bring an upload's original into the archive, chunk by chunk.
pub fn comes_in_chunks(config: &Config, upload: &Upload) -> bool {
    let place = &upload.new.place;
    config.archive.kind == ArchiveKind::Ftp
        && config.archive.ftp.layout == FtpLayout::Parts
        && config.spark.source == SparkSource::Server
        && place.server.is_some()
        && place.archive.is_none()
        && upload.archived_ms.is_none()
}

/// Makes an original of chunks that the executors of a cluster stored: each gets its name, the list of them is laid where
/// the original would be, and its info beside.
#[cfg(feature = "spark")]
pub async fn keep_chunks(job: &Job, upload: &Upload, chosen: &str, list: PartsList) -> Result<()> {
    let archive = &job.pipeline.archive;
    let mut list = list;
    job.meter.begin(Stage::Archive, list.size, Unit::Bytes);
    for (number, chunk) in (0..).zip(&mut list.chunks) {
        let name = name::chunk(chosen, number);
        // One that an earlier attempt left has the same bytes, but servers differ in whether they rename over it.
        if upload.archive_name.is_some() {
            job.unless_stopped(archive.remove(&name)).await?;
        }
        if !job.unless_stopped(archive.adopt(&chunk.file.name, &name)).await? {
            let doing = format!("naming {} on {}: it is gone", chunk.file.name, archive.name());
            return Err(Error::fatal("chunk_gone", doing).next("see who else writes there"));
        }
        chunk.file.name = name;
        job.meter.add(chunk.file.size);
        #[cfg(feature = "faults")]
        crate::faults::hold("chunk").await;
    }
    let json = serde_json::to_vec_pretty(&list)
        .map_err(|error| Error::fatal("parts_list", "writing the list of an original's chunks").because(error))?;
    let (temp, beside) = (temp_name(job, chosen), name::beside(chosen, name::PARTS));
    job.unless_stopped(archive.store_beside(&temp, &beside, &MemorySource(json))).await?;
    keep_info(job, upload, chosen).await?;
    job.pipeline.store.archived(&job.claim, None).await?;
    info!(upload = %job.claim.id, archive = archive.name(), chunks = list.chunks.len(), "archived in chunks");
    Ok(())
}

/// The name that what belongs to an upload in the archive is derived from.
pub fn base_name(upload: &Upload) -> String {
    match (&upload.archive_name, &upload.new.place.archive) {
        (Some(own), _) => own.clone(),
        (None, Some(first)) => name::with_id(first, upload.id()),
        (None, None) => upload.id().to_string(),
    }
}

/// The name reserved before, or a new one that no file has: neither of another upload nor of a stranger.
pub async fn choose_name(job: &Job, upload: &Upload) -> Result<String> {
    if let Some(chosen) = &upload.archive_name {
        return Ok(chosen.clone());
    }
    let (archive, store) = (&job.pipeline.archive, &job.pipeline.store);
    let new = &upload.new;
    let plain = name::original(&job.pipeline.config.archive.name, new.id, new.received_ms, &new.filename);
    let with_id = name::with_id(&plain, new.id);
    for candidate in [plain, with_id] {
        let taken = job.unless_stopped(archive.size(&candidate)).await?.is_some();
        if !taken && store.reserve_archive_name(&job.claim, &candidate).await? {
            return Ok(candidate);
        }
        debug!(upload = %new.id, candidate, "another file has this name in the archive");
    }
    Err(Error::rejected("archive_name_taken", format!("no free name for upload {} in {}", new.id, archive.name()))
        .next("set archive.name to a template with {id}, then retry the upload"))
}

async fn store(job: &Job, upload: &Upload, chosen: &str, source: &dyn Source) -> Result<()> {
    let archive = &job.pipeline.archive;
    let temp = temp_name(job, chosen);
    if let Some(fence) = job.inherits {
        let left = name::temp(chosen, job.claim.id, fence);
        if job.unless_stopped(archive.adopt(&left, &temp)).await? {
            debug!(upload = %job.claim.id, "going on with the transfer that was handed back");
        }
    }
    job.unless_stopped(archive.store(&temp, chosen, source, &job.meter)).await?;
    #[cfg(feature = "faults")]
    crate::faults::hold("renamed").await;
    keep_info(job, upload, chosen).await
}

/// Lays what is known of an upload beside its original.
async fn keep_info(job: &Job, upload: &Upload, chosen: &str) -> Result<()> {
    let info = serde_json::to_vec_pretty(&upload.new).map_err(|error| {
        Error::fatal("info_unwritable", format!("writing the info of upload {}", job.claim.id)).because(error)
    })?;
    let beside = name::beside(chosen, ".info.json");
    let temp = temp_name(job, chosen);
    job.unless_stopped(job.pipeline.archive.store_beside(&temp, &beside, &MemorySource(info))).await?;
    remove_older_temps(job, chosen).await;
    Ok(())
}

/// Lays the rejects beside the original: the same content, whoever writes it.
pub async fn keep_rejects(job: &Job, upload: &Upload, rejects: &dyn Source) -> Result<()> {
    let beside = name::beside(&base_name(upload), name::REJECTS);
    job.unless_stopped(job.pipeline.archive.store_beside(&temp_name(job, &beside), &beside, rejects)).await?;
    remove_older_temps(job, &beside).await;
    Ok(())
}

fn temp_name(job: &Job, chosen: &str) -> String {
    name::temp(chosen, job.claim.id, job.claim.fence.number)
}

/// What claims that died while they wrote a file left behind. A stopped one that wakes up finds its temp file gone. The
/// file itself is whole by now: where this does not work, nothing waits for it.
async fn remove_older_temps(job: &Job, file: &str) {
    let removed = remove_temps(&job.pipeline, job.claim.id, file, 1..job.claim.fence.number);
    if let Err(error) = job.unless_stopped(removed).await {
        warn!(upload = %job.claim.id, file, %error, "what earlier claims had begun may stay in the archive");
    }
}

/// Removes what claims with these fences have begun of a file. Its folder is listed, since there may be hundreds of
/// them and most have begun nothing; only what lies in no folder is tried name by name.
async fn remove_temps(pipeline: &Pipeline, id: UploadId, file: &str, fences: Range<u64>) -> Result<()> {
    let mut temps: Vec<_> = fences.map(|fence| name::temp(file, id, fence)).collect();
    if let Some((folder, _)) = file.rsplit_once('/')
        && !temps.is_empty()
    {
        let names = pipeline.archive.list(folder).await?;
        let there: HashSet<_> = names.into_iter().map(|name| format!("{folder}/{name}")).collect();
        temps.retain(|temp| there.contains(temp));
    }
    for temp in temps {
        if pipeline.archive.remove(&temp).await? {
            debug!(upload = %id, temp, "removed from the archive what a claim had begun");
        }
    }
    Ok(())
}

/// Removes what claims of an upload have begun of its original, where that is not in the archive; for one that nobody
/// goes on with.
pub async fn remove_begun(pipeline: &Pipeline, upload: &Upload) -> Result<()> {
    match &upload.archive_name {
        Some(original) if upload.archived_ms.is_none() => {
            remove_temps(pipeline, upload.id(), original, 1..upload.fence + 1).await
        }
        _ => Ok(()),
    }
}

/// Takes back what a lost claim had begun; only its own temp files, and only if that works at once.
pub async fn remove_temp(job: &Job) {
    let Ok(upload) = job.upload().await else { return };
    let original = base_name(&upload);
    for file in [&name::beside(&original, name::REJECTS), &original] {
        if let Err(error) = job.pipeline.archive.remove(&temp_name(job, file)).await {
            debug!(upload = %job.claim.id, %error, "the temp file of a lost claim stays for its successor to remove");
            return;
        }
    }
}

/// Takes back what was begun of a cancelled upload's original, for nobody goes on with it; as far as that works at once.
pub async fn remove_unfinished(job: &Job) {
    let removed = async {
        let (upload, archive) = (job.upload().await?, &job.pipeline.archive);
        remove_begun(&job.pipeline, &upload).await?;
        if comes_in_chunks(&job.pipeline.config, &upload) {
            let original = base_name(&upload);
            // It must not name what is gone.
            archive.remove(&name::beside(&original, name::PARTS)).await?;
            let folder = name::chunks(&original);
            for chunk in archive.list(&folder).await? {
                archive.remove(&format!("{folder}/{chunk}")).await?;
            }
        }
        Ok::<_, Error>(())
    };
    if let Err(error) = removed.await {
        warn!(upload = %job.claim.id, %error, "what was transferred of a cancelled upload stays in the archive");
    }
}
