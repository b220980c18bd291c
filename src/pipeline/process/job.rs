//! A claimed upload being worked on: its claim, how far it is, and why it should stop. Heartbeats run beside the work
//! from the claim to the very end, so that the lease outlives every stage.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    error::{Error, Kind, Result, Service},
    meter::Meter,
    pipeline::{Pipeline, process::Ended},
    store::Beat,
    upload::{Claim, Counts, State, Upload, Waiting},
};

use super::{account, load, pauses};

/// At most; a short lease is renewed several times, so that it outlives a heartbeat that failed.
const BEAT_EVERY: Duration = Duration::from_secs(1);
const BEATS_PER_LEASE: u32 = 5;

/// Why work stops before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    Shutdown,
    Cancel,
    Lost,
}

pub struct Job {
    pub pipeline: Arc<Pipeline>,
    pub claim: Claim,
    /// The fence of the claim before, where that was given back in good order: its transfer is gone on with.
    pub inherits: Option<u64>,
    /// The folder for its run files.
    pub work: PathBuf,
    pub meter: Meter,
    /// Cancelled when the work should stop between two steps.
    pub stop: CancellationToken,
    why: OnceLock<Stop>,
    ended: CancellationToken,
}

impl Job {
    pub fn new(pipeline: Arc<Pipeline>, claim: Claim, inherits: Option<u64>, work: PathBuf, meter: Meter) -> Self {
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        Self { pipeline, claim, inherits, work, meter, stop, why: OnceLock::new(), ended }
    }

    pub fn stopped_by(&self) -> Option<Stop> {
        self.why.get().copied()
    }

    pub fn end(&self) {
        self.ended.cancel();
    }

    fn ask_to_stop(&self, why: Stop) {
        if self.why.set(why).is_ok() {
            info!(upload = %self.claim.id, ?why, "stopping the work");
        }
        self.stop.cancel();
    }

    /// Runs a future that may be dropped at any point, until it ends or the work should stop.
    pub async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match self.stop.run_until_cancelled(work).await {
            Some(result) => result,
            None => Err(Error::stopped("asked to stop")),
        }
    }

    /// Whether a later claim exists, as far as the ledger can be asked.
    async fn was_taken_over(&self) -> bool {
        self.upload().await.map_or(true, |upload| upload.fence != self.claim.fence.number)
    }

    /// The upload's row as it is now.
    pub async fn upload(&self) -> Result<Upload> {
        let id = self.claim.id;
        let row = self.pipeline.store.upload(id).await?;
        row.ok_or_else(|| {
            Error::fatal("upload_vanished", format!("the ledger has no row for upload {id}, which is claimed"))
        })
    }

    /// How long the upload should wait for a service before its next try: longer the longer it has been waiting.
    /// Tells the log that it waits, unless that was told before.
    pub async fn pause_for(&self, service: Service, why: &str) -> Result<Duration> {
        let upload = self.upload().await?;
        let waiting = upload.waiting.filter(|waiting| waiting.service == service);
        let pause = pauses::growing(waiting.as_ref().map_or(0, |waiting| upload.now_ms - waiting.since));
        let text = Waiting::text(service, why);
        if waiting.is_none_or(|waiting| waiting.message != text) {
            warn!(upload = %self.claim.id, next_try_s = pause.as_secs(), "{text}");
        }
        Ok(pause)
    }

    /// What a cancellation leaves: rows stored until now stay, and the receipt says how many.
    pub async fn finish_cancelled(&self) -> Result<Ended> {
        let upload = self.upload().await?;
        let parts = self.pipeline.store.parts(self.claim.id).await?;
        let cleaned = upload.cleaned.clone().unwrap_or_default();
        let counts = Counts::new(&cleaned, &account::sum(&parts));
        let receipt = account::receipt(&upload, &cleaned, counts, State::Cancelled, &self.claim.owner);
        self.pipeline.store.finish(&self.claim, &receipt).await?;
        load::remove_work(self);
        Ok(Ended::Cancelled)
    }
}

/// Renews the lease until the job has ended, and passes on what comes back.
pub async fn keep_alive(job: Arc<Job>, shutdown: CancellationToken) {
    let lease = job.pipeline.config.worker.lease;
    let mut beats = tokio::time::interval(BEAT_EVERY.min(lease / BEATS_PER_LEASE));
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut missed = false;
    loop {
        tokio::select! {
            () = job.ended.cancelled() => return,
            () = shutdown.cancelled(), if job.stopped_by().is_none() => {
                job.ask_to_stop(Stop::Shutdown);
                continue;
            }
            _ = beats.tick() => {}
        }
        match job.pipeline.store.heartbeat(&job.claim, job.meter.progress()).await {
            Ok(Beat::Kept) => missed = false,
            Ok(Beat::CancelAsked) => job.ask_to_stop(Stop::Cancel),
            Err(error) if error.kind == Kind::Lost => {
                // After the job's own last write nobody has the claim, and there is nothing left to lose.
                if !job.ended.is_cancelled() && job.was_taken_over().await {
                    debug!(upload = %job.claim.id, "the claim is not ours any more");
                    job.ask_to_stop(Stop::Lost);
                }
                return;
            }
            Err(error) => {
                if !std::mem::replace(&mut missed, true) {
                    warn!(upload = %job.claim.id, %error, "a heartbeat failed; trying again");
                }
            }
        }
    }
}
