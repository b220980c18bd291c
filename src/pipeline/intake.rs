//! From announcements to the ledger: what is known is acknowledged, a stranger's file is registered, what cannot be
//! understood or is not allowed is parked. Nothing here waits for a free slot.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    announcement::Announcement,
    error::{Result, Service},
    pipeline::{Pipeline, reach::Reach},
    queue::Delivery,
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
        pipeline.store.register(&stranger(pipeline, announcement)).await?;
        info!(upload = %id, position, "registered a file that another producer announced");
    }
    delivery.acknowledge().await
}

async fn park(delivery: Box<dyn Delivery>, reason: &str) -> Result<()> {
    warn!(position = delivery.position(), reason, "parked a message that cannot be processed");
    delivery.park(reason).await
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
