//! Uploads that nobody can do anything about, and those that this worker must leave to others.

use std::time::Duration;

use tracing::warn;

use super::BATCH;
use crate::{
    error::{Result, Service},
    pipeline::{
        Pipeline,
        process::has_other_rules,
        reach::{Reach, missing},
    },
    rows::RULES,
    store::as_ms,
    upload::{EpochMs, Failure, Upload},
};

/// How long an upload that this worker must leave alone may wait before that is shown as the reason.
const UNNOTICED_MAX: Duration = Duration::from_secs(10);
/// How long a stranger's file may be unreadable.
pub(super) const UNREADABLE_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long a half-stored load may wait for a worker of its rules.
const OTHER_RULES_MAX: Duration = Duration::from_secs(3600);

/// A stranger's file that nobody could read for a day, a half-stored load whose rules nobody has had for an hour. Looks
/// at those behind `after` (0: from the oldest on), and gives where the next look goes on.
pub(super) async fn abandon_hopeless(pipeline: &Pipeline, reach: &Reach, after: u64) -> Result<u64> {
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
pub(super) fn was_unreadable_too_long(upload: &Upload) -> bool {
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
