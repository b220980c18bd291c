//! The sweep of a spool: what lies in it is registered and announced, and goes when it was kept long enough.

use std::collections::HashSet;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{BATCH, CLEAN_EVERY, EVERY, is_due, tell};
use crate::{
    config,
    error::{Kind, Result},
    pipeline::{Pipeline, now_ms, receive::Receiver},
    spool::Spool,
    store::{LEDGER_VERSION, as_ms},
    upload::{Upload, UploadId},
};

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
pub(super) async fn register_and_announce(pipeline: &Pipeline, registered: &mut HashSet<UploadId>) -> Result<()> {
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
pub(super) async fn clean_spool(pipeline: &Pipeline) -> Result<Vec<UploadId>> {
    let (spool, settings) = (pipeline.spool()?, &pipeline.config.spool);
    spool.clean_orphans()?;
    let (mut archived, mut forgotten) = (Vec::new(), Vec::new());
    for new in spool.infos()? {
        let Some(upload) = pipeline.store.upload(new.id).await? else {
            forgotten.push(new.id);
            continue;
        };
        if is_overdue(settings, &upload) {
            remove(&spool, &upload)?;
            forgotten.push(new.id);
        } else if let Some(finished) = upload.finished_ms.filter(|_| upload.archived_ms.is_some()) {
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

/// Removes what was kept long enough: for a process that takes files where perhaps no server runs. What was begun too
/// lately for that is not asked about, there may be much of it.
pub async fn remove_overdue(pipeline: &Pipeline) -> Result<()> {
    let (spool, settings) = (pipeline.spool()?, &pipeline.config.spool);
    let latest = now_ms() - as_ms(settings.keep.min(settings.keep_failed));
    for id in spool.ids()?.into_iter().filter(|id| id.made_ms().is_some_and(|made| made <= latest)) {
        if let Some(upload) = pipeline.store.upload(id).await?
            && is_overdue(settings, &upload)
        {
            remove(&spool, &upload)?;
        }
    }
    Ok(())
}

fn is_overdue(settings: &config::Spool, upload: &Upload) -> bool {
    let keep = if upload.archived_ms.is_some() { settings.keep } else { settings.keep_failed };
    let finished = upload.finished_ms.filter(|_| !upload.state.is_open());
    finished.is_some_and(|finished| upload.now_ms - finished >= as_ms(keep))
}

fn remove(spool: &Spool, upload: &Upload) -> Result<()> {
    spool.remove(upload.id())?;
    info!(upload = %upload.id(), state = %upload.state, "removed its bytes from the spool");
    Ok(())
}
