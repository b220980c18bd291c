//! The load stage: the whole file is cleaned before the first row is stored, the ranges are written to the ledger, and
//! each range is stored in transactions that move its watermark with its rows.

use std::{sync::Arc, time::Instant};

use tracing::{debug, info, warn};

use crate::{
    config::StoreKind,
    error::{Error, Kind, Result, Service},
    load::{self, CleanFile, merge::Merge},
    pipeline::{
        Transactions,
        process::{account, archive, job::Job},
        sweep,
    },
    rows::RULES,
    source::{FileSource, Source},
    store::{Bounds, Part, RangeLoad},
    upload::{Cleaned, Counts, Stage, State, Stored, Unit, Upload},
    wording::grouped,
};

/// How often a transaction is begun anew in place before the upload goes back to wait for the database.
const TRIES: u32 = 3;

pub async fn load(job: &Job, upload: &Upload, source: Arc<dyn Source>) -> Result<()> {
    let pipeline = &job.pipeline;
    let config = &pipeline.config;
    let slots = config.worker.slots.max(1);
    let file = CleanFile::prepare(load::Job {
        source,
        options: upload.new.options.clone(),
        work: job.work.clone(),
        memory_bytes: config.worker.memory_bytes / slots as u64,
        threads: (std::thread::available_parallelism().map_or(1, usize::from) / slots).max(1),
        merges: match config.store.kind {
            StoreKind::Sqlite => 1,
            StoreKind::Mysql => config.store.mysql.connections,
        },
        expanded_max_bytes: config.server.max_upload_bytes,
        expected_sha256: upload.new.sha256.clone(),
        meter: job.meter.clone(),
        stop: job.stop.clone(),
    })
    .await?;
    let cleaned = file.cleaned();
    #[cfg(feature = "faults")]
    crate::faults::hold("cleaned").await;
    // In the archive right after cleaning, also when the file ends as `failed`.
    if let Some(rejects) = file.rejects() {
        archive::keep_rejects(job, upload, &FileSource(rejects.to_owned())).await?;
    }
    if let Err(refusal) = may_be_stored(upload, cleaned) {
        pipeline.store.note_cleaned(&job.claim, cleaned).await?;
        return Err(refusal);
    }
    // While this file was read, an earlier one may have been opened again.
    if !pipeline.store.is_next(&job.claim).await? {
        return Err(Error::stopped("an earlier upload that replaces rows comes first"));
    }
    pipeline.store.check_table().await?;
    let bounds = if cleaned.good == 0 { vec![Bounds::default()] } else { file.bounds(pipeline.transactions.ranges) };
    let parts = pipeline.store.split(&job.claim, cleaned, RULES, &bounds).await?;
    job.meter.begin(Stage::Load, cleaned.good, Unit::Rows);
    job.meter.add(parts.iter().map(|part| part.stored.good).sum());
    let mut stored = Vec::with_capacity(parts.len());
    for part in parts {
        stored.push(if part.finished { part } else { load_part(job, upload, &file, part).await? });
    }
    finish(job, upload, cleaned, &account::sum(&stored)).await?;
    drop(file);
    remove_work(job);
    Ok(())
}

fn may_be_stored(upload: &Upload, cleaned: &Cleaned) -> Result<()> {
    let (read, rejected) = (cleaned.read, cleaned.rejected);
    let see = format!("mend the rejected rows and send them: userdata rejects {} -o rejects.csv", upload.id());
    if read > 0 && cleaned.good == 0 {
        let text = match read {
            1 => "its only row is a reject; nothing was stored".into(),
            _ => format!("all its {} rows are rejects; nothing was stored", grouped(read)),
        };
        return Err(Error::rejected("no_good_rows", text).next(see));
    }
    if !upload.new.options.max_rejects.allows(rejected, read) {
        let limit = upload.new.options.max_rejects;
        let text = format!(
            "{} of {} rows are rejects, more than max_rejects ({limit}) allows; nothing was stored",
            grouped(rejected),
            grouped(read)
        );
        let see = format!("{see}, or allow more: userdata retry {} --max-rejects N", upload.id());
        return Err(Error::rejected("too_many_rejects", text).next(see));
    }
    Ok(())
}

/// Stores a range to its end. Rows and watermark move together, so a transaction whose outcome is unknown is simply
/// begun again behind whatever watermark is there then.
async fn load_part(job: &Job, upload: &Upload, file: &CleanFile, mut part: Part) -> Result<Part> {
    let (store, sizes) = (&job.pipeline.store, job.pipeline.transactions);
    let existing = upload.new.options.existing;
    let mut merge: Option<Merge> = None;
    let mut failures = 0;
    while !part.finished {
        job.check_stop()?;
        let result = async {
            let mut transaction = store.begin(&job.claim, part.number, existing).await?;
            let at = transaction.part().watermark.clone();
            let stream = match merge.take() {
                Some(stream) if at == part.watermark => stream,
                _ => file.merge(&part.bounds, at.as_deref(), existing)?,
            };
            let (stream, finished) = fill(transaction.as_mut(), stream, &sizes).await?;
            Ok((transaction.commit(finished).await?, stream))
        }
        .await;
        match result {
            Ok((moved, stream)) => {
                job.meter.add(moved.stored.good - part.stored.good);
                (part, merge, failures) = (moved, Some(stream), 0);
                #[cfg(feature = "faults")]
                if !part.finished {
                    crate::faults::hold("loading").await;
                }
            }
            Err(error) if is_of_the_store(&error) && failures < TRIES => {
                failures += 1;
                warn!(upload = %job.claim.id, range = part.number, %error, "doing a transaction again");
                job.unless_stopped(pause(failures)).await?;
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(sizes.pause).await;
    }
    debug!(upload = %job.claim.id, range = part.number, rows = part.stored.good, "range stored");
    Ok(part)
}

/// Puts blocks into a transaction until it is large enough or the range ends.
async fn fill(transaction: &mut dyn RangeLoad, mut merge: Merge, sizes: &Transactions) -> Result<(Merge, bool)> {
    let (begun, mut rows, mut bytes) = (Instant::now(), 0, 0);
    let (block_rows, block_bytes) = (sizes.block_rows, sizes.block_bytes);
    loop {
        let (back, block) = tokio::task::spawn_blocking(move || {
            let block = merge.next(block_rows, block_bytes);
            (merge, block)
        })
        .await
        .map_err(|panic| Error::fatal("merge_failed", "merging runs").because(panic))?;
        merge = back;
        let block = block?;
        if block.is_empty() {
            return Ok((merge, true));
        }
        rows += block.len() as u64;
        bytes += block.bytes();
        transaction.put(block).await?;
        #[cfg(feature = "faults")]
        crate::faults::hold("transaction").await;
        if rows >= sizes.rows || bytes >= sizes.bytes || begun.elapsed() >= sizes.time {
            return Ok((merge, false));
        }
    }
}

fn is_of_the_store(error: &Error) -> bool {
    error.kind == Kind::Transient && error.service == Some(Service::Store)
}

async fn pause(failures: u32) -> Result<()> {
    tokio::time::sleep(std::time::Duration::from_millis(50 << failures.min(6))).await;
    Ok(())
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
