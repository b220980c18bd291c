//! The sweep finds what was left behind: spooled but not registered, registered but not announced, ended but without
//! its receipt in the archive, begun in the archive and given up, kept longer than promised, reachable by nobody, and
//! run files of uploads that ended elsewhere.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    archive::name,
    error::{Error, Kind, Result},
    pipeline::{
        Pipeline,
        process::{self, base_name},
        reach::Reach,
        work::WorkFolder,
    },
    receipt::Receipt,
    source::MemorySource,
    upload::Upload,
};

pub use self::spool::{remove_overdue, spool};

mod hopeless;
mod parts;
mod spool;
#[cfg(test)]
pub mod tests;

const EVERY: Duration = Duration::from_secs(3);
const CLEAN_EVERY: Duration = Duration::from_secs(60);
/// The folder of parts is listed so often: only what a cluster was interrupted over is left in it.
const PARTS_EVERY: Duration = Duration::from_secs(30);
const BATCH: u32 = 100;

/// What every worker does for the ledger.
pub async fn ledger(pipeline: &Pipeline, reach: &Reach, work: &WorkFolder, stop: &CancellationToken) {
    let mut trouble = None;
    let (mut work_swept, mut parts_swept) = (None, None);
    let mut after = 0;
    while !stop.is_cancelled() {
        let swept = async {
            pipeline.check_ledger().await?;
            // Before what needs the archive: the disk must not fill while that does not answer. Nor does anything else
            // wait for a work folder that cannot be read.
            let mut removed = Ok(());
            if is_due(work_swept, CLEAN_EVERY) {
                work_swept = Some(Instant::now());
                removed = work.remove_left_behind(pipeline.store.as_ref()).await;
            }
            copy_receipts(pipeline).await?;
            remove_begun(pipeline).await?;
            after = hopeless::abandon_hopeless(pipeline, reach, after).await?;
            if is_due(parts_swept, PARTS_EVERY) && pipeline.config.spark.remote.is_some() {
                parts::remove_unwanted(pipeline).await?;
                parts_swept = Some(Instant::now());
            }
            removed
        };
        let Some(swept) = stop.run_until_cancelled(swept).await else { return };
        tell(&mut trouble, swept.err(), "looking for what was left behind in the ledger");
        let _ = stop.run_until_cancelled(tokio::time::sleep(EVERY)).await;
    }
}

async fn copy_receipts(pipeline: &Pipeline) -> Result<()> {
    for upload in pipeline.store.receipts_missing(BATCH).await? {
        let receipt = upload.receipt.clone().unwrap_or_else(|| {
            let cleaned = upload.cleaned.clone().unwrap_or_default();
            process::receipt(&upload, &cleaned, upload.counts, upload.state, "")
        });
        copy_receipt(pipeline, &upload, &receipt).await?;
    }
    Ok(())
}

/// Removes what was begun of originals that never came into the archive.
async fn remove_begun(pipeline: &Pipeline) -> Result<()> {
    for upload in pipeline.store.begun_in_archive(BATCH).await? {
        if !pipeline.store.take_receipt(upload.id(), pipeline.config.worker.lease).await? {
            continue;
        }
        match process::remove_begun(pipeline, &upload).await {
            Err(error) if error.kind != Kind::Transient => {
                warn!(upload = %upload.id(), %error, "what was transferred of it stays in the archive");
            }
            removed => removed?,
        }
        pipeline.store.receipt_copied(upload.id()).await?;
    }
    Ok(())
}

/// Lays the receipt beside the original and notes that it is there, unless somebody else is about to.
pub async fn copy_receipt(pipeline: &Pipeline, upload: &Upload, receipt: &Receipt) -> Result<()> {
    if !pipeline.store.take_receipt(upload.id(), pipeline.config.worker.lease).await? {
        return Ok(());
    }
    let text = serde_json::to_vec_pretty(receipt)
        .map_err(|error| Error::fatal("receipt_unwritable", "writing a receipt").because(error))?;
    let beside = name::beside(&base_name(upload), ".receipt.json");
    let temp = name::temp(&beside, upload.id(), upload.fence);
    pipeline.archive.store_beside(&temp, &beside, &MemorySource(text)).await?;
    pipeline.store.receipt_copied(upload.id()).await
}

fn is_due(last: Option<Instant>, every: Duration) -> bool {
    last.is_none_or(|at| at.elapsed() >= every)
}

/// Logs changes, not repetitions.
fn tell(trouble: &mut Option<String>, error: Option<Error>, doing: &str) {
    let now = error.map(|error| error.with_next());
    if *trouble != now {
        match &now {
            Some(error) => warn!(error, "{doing}: trying again"),
            None => info!("it works again: {doing}"),
        }
        *trouble = now;
    }
}
