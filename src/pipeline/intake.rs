//! From announcements to the ledger: what is known is acknowledged, a stranger's file is registered, what cannot be
//! understood or is not allowed is parked. Nothing here waits for a free slot.

use std::{ffi::OsStr, time::Duration};

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    announcement::Announcement,
    error::{Kind, Result, Service},
    pipeline::{Pipeline, reach::Reach},
    queue::Delivery,
    spool,
    upload::{NewUpload, Place},
};

/// Pauses after a delivery that could not be settled, which is delivered again. (Where the queue itself cannot be
/// reached, its calls pace themselves: the shortest pause is enough.) The longest is short, since a stranger's file is
/// known to nobody until then.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// Takes deliveries until told to stop; calls `wake` after each that a worker should look at.
pub async fn run(pipeline: &Pipeline, reach: &Reach, stop: &CancellationToken, wake: impl Fn()) {
    let mut trouble: Option<(Duration, Option<String>)> = None;
    while let Some(received) = stop.run_until_cancelled(pipeline.queue.receive()).await {
        let settled = match received {
            // One that is dropped unsettled is delivered again.
            Ok(delivery) => match stop.run_until_cancelled(settle(pipeline, reach, delivery)).await {
                Some(settled) => settled,
                None => return,
            },
            Err(error) => Err(error),
        };
        match settled {
            Ok(()) => {
                if trouble.take().is_some() {
                    info!("announcements are being taken again");
                }
                wake();
            }
            Err(error) => {
                let of_queue = error.service == Some(Service::Queue);
                let longer = trouble.as_ref().filter(|_| !of_queue).map(|(last, _)| (*last * 2).min(LONGEST));
                let pause = longer.unwrap_or(SHORTEST);
                // Its words change from try to try; what can be done about it is the news.
                let before = trouble.replace((pause, error.next.clone()));
                if before.is_none_or(|(_, next)| next != error.next) {
                    warn!(error = error.with_next(), "announcements are not being taken; trying again");
                }
                let _ = stop.run_until_cancelled(tokio::time::sleep(pause)).await;
            }
        }
    }
}

async fn settle(pipeline: &Pipeline, reach: &Reach, delivery: Box<dyn Delivery>) -> Result<()> {
    let position = delivery.position();
    let announcement = match delivery.announcement() {
        Ok(announcement) => announcement,
        Err(unreadable) => return park(delivery, &unreadable.to_string()).await,
    };
    let id = announcement.uuid;
    pipeline.check_ledger().await?;
    if pipeline.store.upload(id).await?.is_none() {
        if !reach.allows(&announcement.path) {
            let reason = format!(
                "path \"{}\" is not inside a folder that workers may read (worker.paths)",
                announcement.path.display()
            );
            return park(delivery, &reason).await;
        }
        if is_of_a_spool(&announcement) {
            warn!(upload = %id, position, "the ledger has lost an upload: left to the server that has it in its spool");
            return delivery.acknowledge().await;
        }
        match pipeline.store.register(&stranger(pipeline, announcement)).await {
            Err(error) if error.kind == Kind::Rejected => return park(delivery, &error.to_string()).await,
            registered => registered?,
        };
        info!(upload = %id, position, "registered a file that another producer announced");
    }
    delivery.acknowledge().await
}

async fn park(delivery: Box<dyn Delivery>, reason: &str) -> Result<()> {
    warn!(position = delivery.position(), reason, "parked a message that cannot be processed");
    delivery.park(reason).await
}

/// Whether a spool keeps the bytes there: its owner registers and announces them again, with all that is known of them.
fn is_of_a_spool(announcement: &Announcement) -> bool {
    let (path, id) = (&announcement.path, announcement.uuid.to_string());
    path.file_stem() == Some(OsStr::new(&id)) && path.parent().is_some_and(|folder| spool::id_of(folder).is_ok())
}

/// What another producer's announcement says of its file. Its size is believed only after it was compared.
fn stranger(pipeline: &Pipeline, announcement: Announcement) -> NewUpload {
    NewUpload {
        format: NewUpload::FORMAT,
        id: announcement.uuid,
        filename: announcement.filename,
        media_type: announcement.filetype,
        size: announcement.size,
        sha256: None,
        sample: None,
        sender: "announcement".into(),
        started_ms: announcement.start_time,
        received_ms: announcement.end_time,
        place: Place { path: Some(announcement.path), ..Place::default() },
        options: pipeline.config.rows.clone(),
        again_of: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pipeline::sweep::tests::{embedded, received},
        upload::UploadId,
    };

    /// What becomes of an announcement that is made now.
    async fn settled(pipeline: &Pipeline, announcement: &Announcement) {
        let reach = Reach::new(&pipeline.config.worker, pipeline.archive.clone()).unwrap();
        pipeline.queue.announce(announcement).await.unwrap();
        settle(pipeline, &reach, pipeline.queue.receive().await.unwrap()).await.unwrap();
    }

    #[tokio::test]
    async fn an_upload_that_the_ledger_has_lost_is_left_to_its_spool() {
        let folder = tempfile::tempdir().unwrap();
        let pipeline = embedded(folder.path()).await;
        let lost = Announcement::of(&received(&pipeline).await);
        settled(&pipeline, &lost).await;
        assert!(pipeline.store.upload(lost.uuid).await.unwrap().is_none());
        let path = folder.path().join("spool/stranger.csv");
        let stranger = Announcement { uuid: UploadId::new(), path, ..lost };
        settled(&pipeline, &stranger).await;
        let upload = pipeline.store.upload(stranger.uuid).await.unwrap().unwrap();
        assert_eq!(upload.new.sender, "announcement");
        assert!(pipeline.queue.parked(10).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_size_that_is_impossible_is_parked_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let pipeline = embedded(folder.path()).await;
        let known = Announcement::of(&received(&pipeline).await);
        let impossible = Announcement { uuid: UploadId::new(), size: u64::MAX, ..known };
        settled(&pipeline, &impossible).await;
        assert!(pipeline.store.upload(impossible.uuid).await.unwrap().is_none());
        let parked = pipeline.queue.parked(10).await.unwrap();
        assert!(parked.len() == 1 && parked[0].reason.contains("bytes is impossible"), "{parked:?}");
    }
}
