//! The sweep finds what was left behind: spooled but not registered, registered but not announced, ended but without
//! its receipt in the archive, begun in the archive and given up, kept longer than promised, reachable by nobody, and
//! run files of uploads that ended elsewhere.

use std::{collections::HashSet, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    archive::name,
    error::{Error, Kind, Result, Service},
    pipeline::{
        Pipeline,
        process::{self, base_name, has_other_rules},
        reach::{Reach, missing},
        receive::Receiver,
        work::WorkFolder,
    },
    receipt::Receipt,
    rows::RULES,
    source::MemorySource,
    store::{LEDGER_VERSION, as_ms},
    upload::{EpochMs, Failure, Upload, UploadId},
};

mod parts;
#[cfg(test)]
pub mod tests;

const EVERY: Duration = Duration::from_secs(3);
const CLEAN_EVERY: Duration = Duration::from_secs(60);
/// The folder of parts is listed so often: only what a cluster was interrupted over is left in it.
const PARTS_EVERY: Duration = Duration::from_secs(30);
const BATCH: u32 = 100;
/// How long an upload that this worker must leave alone may wait before that is shown as the reason.
const UNNOTICED_MAX: Duration = Duration::from_secs(10);
/// How long a stranger's file may be unreadable.
const UNREADABLE_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long a half-stored load may wait for a worker of its rules.
const OTHER_RULES_MAX: Duration = Duration::from_secs(3600);

/// What the owner of a spool does: registers and announces what lies in it, and removes what need not be kept. Ends
/// early, with `Fatal`, where the ledger is of another version.
pub async fn spool(pipeline: &Pipeline, stop: &CancellationToken) -> Result<()> {
    let mut registered = HashSet::new();
    let mut trouble = None;
    let mut cleaned = None;
    while !stop.is_cancelled() {
        let sweep = register_and_announce(pipeline, &mut registered);
        let Some(mut swept) = stop.run_until_cancelled(sweep).await else { return Ok(()) };
        if is_due(cleaned, CLEAN_EVERY) {
            cleaned = Some(Instant::now());
            // Also while nothing can be announced: the disk must not fill meanwhile.
            let forgotten = clean_spool(pipeline).await;
            swept = swept.and(forgotten.map(|ids| ids.iter().for_each(|id| _ = registered.remove(id))));
        }
        if swept.as_ref().is_err_and(|error| error.code == LEDGER_VERSION) {
            return swept;
        }
        tell(&mut trouble, swept.err(), "registering and announcing what lies in the spool");
        let _ = stop.run_until_cancelled(tokio::time::sleep(EVERY)).await;
    }
    Ok(())
}

/// An upload that cannot be read holds up no other; the first such error is given at the end.
async fn register_and_announce(pipeline: &Pipeline, registered: &mut HashSet<UploadId>) -> Result<()> {
    let spool = pipeline.spool()?;
    let mut outcome = finish_whole(pipeline).await;
    pipeline.check_ledger().await?;
    let unregistered = spool.ids()?.into_iter().rev().filter(|id| !registered.contains(id)).collect::<Vec<_>>();
    for id in unregistered {
        #[cfg(feature = "faults")]
        crate::faults::hold("on-disk").await;
        let new = match spool.read(id) {
            Ok(new) => new,
            Err(error) => {
                outcome = outcome.and(Err(error));
                continue;
            }
        };
        if let Some(new) = new
            && pipeline.store.register(&new).await?
        {
            info!(upload = %id, "registered what lay in the spool");
        }
        registered.insert(id);
    }
    for upload in pipeline.store.unannounced(Some(spool.id()), BATCH).await? {
        pipeline.announce(&upload.new).await?;
    }
    outcome
}

/// Makes uploads of resumable ones whose last byte came just before a server died. Errors as `register_and_announce`.
async fn finish_whole(pipeline: &Pipeline) -> Result<()> {
    let receiver = Receiver::new(pipeline.spool()?, pipeline.config.clone());
    let mut outcome = Ok(());
    for id in receiver.spool.whole()? {
        match receiver.complete_whole(id).await {
            Ok(Some(new)) => info!(upload = %id, size = new.size, "its last byte was there: received"),
            Ok(None) => {}
            Err(error) if error.kind == Kind::Rejected => warn!(upload = %id, %error, "refused"),
            Err(error) => outcome = outcome.and(Err(error)),
        }
    }
    outcome
}

/// Removes bytes that are safe elsewhere or were kept long enough; only ever what lies in the spool. Gives the uploads
/// that no longer count as registered: those that it removed, and those that the ledger does not know, since a failover
/// or a restored backup may have lost them.
pub async fn clean_spool(pipeline: &Pipeline) -> Result<Vec<UploadId>> {
    let (spool, settings) = (pipeline.spool()?, &pipeline.config.spool);
    spool.clean_orphans()?;
    let (mut archived, mut forgotten) = (Vec::new(), Vec::new());
    for new in spool.infos()? {
        let Some(upload) = pipeline.store.upload(new.id).await? else {
            forgotten.push(new.id);
            continue;
        };
        let Some(finished) = upload.finished_ms.filter(|_| !upload.state.is_open()) else { continue };
        let keep = if upload.archived_ms.is_some() { settings.keep } else { settings.keep_failed };
        if upload.now_ms - finished >= as_ms(keep) {
            spool.remove(new.id)?;
            forgotten.push(new.id);
            info!(upload = %new.id, state = %upload.state, "removed its bytes from the spool");
        } else if upload.archived_ms.is_some() {
            archived.push((finished, new.id));
        }
    }
    archived.sort_unstable();
    for (_, id) in archived {
        if spool.free_bytes()? >= settings.free_bytes {
            break;
        }
        spool.remove(id)?;
        forgotten.push(id);
        warn!(upload = %id, "removed its bytes from the spool early: the disk is nearly full (spool.free_bytes)");
    }
    Ok(forgotten)
}

/// What every worker does for the ledger.
pub async fn ledger(pipeline: &Pipeline, reach: &Reach, work: &WorkFolder, stop: &CancellationToken) {
    let mut trouble = None;
    let (mut work_swept, mut parts_swept) = (None, None);
    let mut after = 0;
    while !stop.is_cancelled() {
        let swept = async {
            pipeline.check_ledger().await?;
            // Before what needs the archive: the disk must not fill while that does not answer.
            if is_due(work_swept, CLEAN_EVERY) {
                work.remove_left_behind(pipeline.store.as_ref()).await?;
                work_swept = Some(Instant::now());
            }
            copy_receipts(pipeline).await?;
            remove_begun(pipeline).await?;
            after = abandon_hopeless(pipeline, reach, after).await?;
            if is_due(parts_swept, PARTS_EVERY) && pipeline.config.spark.remote.is_some() {
                parts::remove_unwanted(pipeline).await?;
                parts_swept = Some(Instant::now());
            }
            Ok(())
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

/// A stranger's file that nobody could read for a day, a half-stored load whose rules nobody has had for an hour. Looks
/// at those behind `after` (0: from the oldest on), and gives where the next look goes on.
async fn abandon_hopeless(pipeline: &Pipeline, reach: &Reach, after: u64) -> Result<u64> {
    let page = pipeline.store.candidates(after, BATCH).await?;
    for upload in &page {
        let (unreachable, of_other_rules) = (!reach.may_reach(upload), has_other_rules(upload));
        if unreachable && was_unreadable_too_long(upload) {
            abandon(pipeline, upload, unreadable(upload)).await?;
        } else if of_other_rules && left_alone_ms(pipeline, upload).await? >= as_ms(OTHER_RULES_MAX) {
            abandon(pipeline, upload, under_other_rules(upload)).await?;
        } else if (unreachable || of_other_rules)
            && upload.waiting.is_none()
            && left_alone_ms(pipeline, upload).await? >= as_ms(UNNOTICED_MAX)
        {
            let message = if of_other_rules { under_other_rules(upload).message } else { missing(upload) };
            pipeline.store.note_unclaimed(upload.id(), &message).await?;
        }
    }
    Ok(page.last().filter(|_| page.len() == BATCH as usize).map_or(0, |last| last.seq))
}

async fn abandon(pipeline: &Pipeline, upload: &Upload, failure: Failure) -> Result<()> {
    if pipeline.store.abandon(upload.id(), &failure).await? {
        warn!(upload = %upload.id(), code = failure.code, "failed: {}", failure.message);
    }
    Ok(())
}

/// Whether a stranger's file has waited all that time for somebody who can read it, and for nothing else.
fn was_unreadable_too_long(upload: &Upload) -> bool {
    let stranger = upload.new.place.spool.is_none() && upload.new.sender == "announcement";
    let waiting = upload.waiting.as_ref().filter(|waiting| waiting.service == Service::Source);
    stranger && waiting.is_some_and(|waiting| upload.now_ms - waiting.since >= as_ms(UNREADABLE_MAX))
}

/// How long an upload that nobody has could have been claimed by anybody. A claim that works on for hours leaves no
/// event, nor does one more wait for the same service.
async fn left_alone_ms(pipeline: &Pipeline, upload: &Upload) -> Result<EpochMs> {
    let last = pipeline.store.events(upload.id()).await?.last().map(|event| event.at);
    let since = last.max(upload.lease_until_ms).max(upload.next_try_ms);
    Ok(since.map_or(0, |since| upload.now_ms - since))
}

fn unreadable(upload: &Upload) -> Failure {
    let path = upload.new.place.path.as_deref().unwrap_or_else(|| std::path::Path::new("its file"));
    Failure {
        code: "file_unreadable".into(),
        message: format!("no worker could read {} for a day", path.display()),
        next: Some("make the file readable for a worker, then retry the upload".into()),
    }
}

fn under_other_rules(upload: &Upload) -> Failure {
    let rules = upload.rules.unwrap_or_default();
    Failure {
        code: "rules_version".into(),
        message: format!(
            "the load was begun under row rules {rules}; it waits for a worker of that version, this one has {RULES}"
        ),
        next: Some(format!(
            "start a worker of the version it was begun with, or load it from the start: userdata retry {} --restart",
            upload.id()
        )),
    }
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
