//! How work on an upload ends: what an error means for it, and telling that to the ledger.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::{Ended, Worker, archive, job, job::Job, load};
use crate::{
    error::{Error, Kind, Result, Service},
    pipeline::failure,
    store::Release,
};

/// Pause after something unexpected.
const UNEXPECTED_PAUSE: Duration = Duration::from_secs(5);
/// How long a worker that was told to stop tries to tell the ledger.
const FAREWELL: Duration = Duration::from_secs(5);

impl Worker {
    /// Writes the end of the work into the ledger, as long as the claim is ours and the process may go on.
    pub(super) async fn settle(&self, job: &Job, result: Result<Ended>, shutdown: &CancellationToken) -> Ended {
        let error = match result {
            Ok(ended) => return ended,
            Err(error) => error,
        };
        let mut pause = Duration::from_millis(100);
        let mut farewell = std::pin::pin!(async {
            shutdown.cancelled().await;
            tokio::time::sleep(FAREWELL).await;
        });
        loop {
            match self.tell(job, &error).await {
                Ok(ended) => return ended,
                Err(told) if told.kind == Kind::Lost => return Ended::Lost,
                Err(told) => debug!(upload = %job.claim.id, error = %told, "the ledger does not take the outcome yet"),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(5)),
                () = &mut farewell => {
                    warn!(upload = %job.claim.id, "leaving without telling the ledger: its lease will run out");
                    return Ended::HandedBack;
                }
            }
        }
    }

    async fn tell(&self, job: &Job, error: &Error) -> Result<Ended> {
        let (store, claim) = (&self.pipeline.store, &job.claim);
        match (error.kind, job.stopped_by()) {
            (Kind::Lost, _) | (_, Some(job::Stop::Lost)) => {
                archive::remove_temp(job).await;
                Ok(Ended::Lost)
            }
            (Kind::Stopped, Some(job::Stop::Cancel)) => {
                // While the claim holds: once it is cancelled it may be opened again.
                archive::remove_unfinished(job).await;
                job.finish_cancelled().await
            }
            (Kind::Stopped, _) => {
                store.release(claim, Release::HandedBack).await?;
                Ok(Ended::HandedBack)
            }
            (Kind::Transient, _) => {
                let service = error.service.unwrap_or(Service::Store);
                let message = error.with_next();
                let pause = job.pause_for(service, &message).await?;
                self.pauses.refused(service);
                store.release(claim, Release::Waiting { service, message, pause }).await?;
                Ok(Ended::Waiting(service))
            }
            (Kind::Rejected, _) => {
                // The sender's fault. Without the message: it may hold what stands in the file.
                info!(upload = %claim.id, code = error.code, "failed; see: userdata status {}", claim.id);
                store.fail(claim, &failure(error)).await?;
                load::remove_work(job);
                Ok(Ended::Failed)
            }
            (Kind::Fatal, _) => {
                error!(upload = %claim.id, code = error.code, %error, "unexpected; the attempt counts");
                let failure = failure(error);
                store.release(claim, Release::Unexpected { failure, pause: UNEXPECTED_PAUSE }).await?;
                Ok(Ended::Unexpected)
            }
        }
    }
}
