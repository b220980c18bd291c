//! The worker: `step` finds one upload that it may and can work on, claims it and takes it as far as it goes; `run`
//! repeats that in every slot, beside taking announcements and sweeping.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    error::{Error, Kind, Result, Service},
    meter::Meter,
    pipeline::{Pipeline, intake, reach::Reach, sweep, work::WorkFolder, worker_name},
    rows::RULES,
    store::{ClaimOutcome, LEDGER_VERSION},
    upload::{Claim, State, Upload, UploadId},
};

use self::{
    company::{Company, is_last_attempt},
    job::Job,
    pauses::Pauses,
};

pub use self::{
    account::{assumed, may_be_stored, other_options, receipt, remarks_of},
    archive::{base_name, remove_begun},
    load::room,
};

mod account;
mod archive;
#[cfg(feature = "spark")]
mod cluster;
mod company;
mod job;
mod load;
mod outcome;
mod pauses;
mod ranges;
mod sorted;
mod stages;

/// How long an idle slot waits before it looks at the ledger again, unless woken.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many candidates are read at once.
const CANDIDATES: u32 = 100;

/// What one step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// There was nothing that this worker may do now.
    Idle,
    /// The database is known to refuse, and its pause is not over.
    Paused,
    Worked(UploadId, Ended),
}

/// How work on an upload ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    Done,
    Failed,
    Cancelled,
    /// Given back: it is not its turn, or this process stops.
    HandedBack,
    /// A service cannot be reached.
    Waiting(Service),
    /// Something unexpected; counted by the ledger.
    Unexpected,
    /// Another worker has it now.
    Lost,
}

/// Whether its load was begun under other row rules than this program's: only a worker that has them continues it.
pub fn has_other_rules(upload: &Upload) -> bool {
    upload.state == State::Loading && upload.rules.is_some_and(|rules| rules != RULES)
}

pub struct Worker {
    pipeline: Arc<Pipeline>,
    reach: Reach,
    work: WorkFolder,
    name: String,
    pauses: Pauses,
    company: Company,
    wake: Notify,
    /// The last trouble that was logged, so that the log tells changes and not repetitions.
    trouble: Mutex<Option<String>>,
}

impl Worker {
    /// `work`: where its run files go, a folder of its own.
    pub fn new(pipeline: Arc<Pipeline>, work: WorkFolder) -> Result<Arc<Self>> {
        let reach = Reach::new(&pipeline.config.worker, pipeline.archive.clone())?;
        let (name, pauses, wake) = (worker_name(), Pauses::default(), Notify::new());
        let company = Company::of(pipeline.config.worker.slots);
        Ok(Arc::new(Self { pipeline, reach, work, name, pauses, company, wake, trouble: Mutex::default() }))
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Works until told to stop; every task has ended when it returns. `Fatal` with a ledger of another version.
    pub async fn run(self: &Arc<Self>, stop: CancellationToken) -> Result<()> {
        match self.pipeline.check_ledger().await {
            Err(error) if error.kind != Kind::Transient => return Err(error),
            // One that cannot be reached yet is asked again before its first use.
            _ => {}
        }
        let mut tasks = JoinSet::new();
        let (worker, token) = (self.clone(), stop.clone());
        tasks.spawn(async move {
            let wake = || worker.wake.notify_waiters();
            intake::run(&worker.pipeline, &worker.reach, &token, wake).await;
            Ok(())
        });
        let (worker, token) = (self.clone(), stop.clone());
        tasks.spawn(async move {
            sweep::ledger(&worker.pipeline, &worker.reach, &worker.work, &token).await;
            Ok(())
        });
        for _ in 0..self.pipeline.config.worker.slots {
            let (worker, token) = (self.clone(), stop.clone());
            tasks.spawn(async move { worker.slot(&token).await });
        }
        info!(worker = self.name, store = self.pipeline.store.name(), queue = self.pipeline.queue.name(), "working");
        while let Some(ended) = tasks.join_next().await {
            let ended = ended.unwrap_or_else(|panic| {
                Err(Error::fatal("task_failed", "a task of this worker ended unexpectedly").because(panic))
            });
            if ended.is_err() {
                stop.cancel();
                while tasks.join_next().await.is_some() {}
                return ended;
            }
        }
        self.pipeline.queue.close().await;
        info!(worker = self.name, "stopped");
        Ok(())
    }

    async fn slot(&self, stop: &CancellationToken) -> Result<()> {
        while !stop.is_cancelled() {
            match self.step(stop).await {
                Ok(Step::Worked(..)) => self.told_trouble(None),
                Ok(Step::Idle) => {
                    self.told_trouble(None);
                    self.rest(stop).await;
                }
                Ok(Step::Paused) => self.rest(stop).await,
                Err(error) if error.code == LEDGER_VERSION => return Err(error),
                Err(error) => {
                    self.told_trouble(Some(&error));
                    self.rest(stop).await;
                }
            }
        }
        Ok(())
    }

    async fn rest(&self, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.wake.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }

    fn told_trouble(&self, error: Option<&Error>) {
        let mut told = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let now = error.map(Error::with_next);
        if *told != now {
            match &now {
                Some(trouble) => warn!(error = trouble, "cannot look for work; trying again"),
                None => info!("the database answers again"),
            }
            *told = now;
        }
    }

    /// Takes the oldest upload that is open, due, reachable and needs no service that is known to refuse.
    pub async fn step(&self, stop: &CancellationToken) -> Result<Step> {
        if self.pauses.take_try(Service::Store).is_err() {
            return Ok(Step::Paused);
        }
        let Some(place) = self.company.join(stop).await else { return Ok(Step::Idle) };
        let mut after = 0;
        loop {
            let page = self.look(after).await?;
            for upload in &page {
                if stop.is_cancelled() {
                    return Ok(Step::Idle);
                }
                if !self.may_work_on(upload) {
                    continue;
                }
                if is_last_attempt(upload) {
                    drop(place);
                    return self.last_attempt(upload.id(), stop).await;
                }
                if let Some(worked) = self.take(upload, stop).await? {
                    return Ok(worked);
                }
            }
            // However many this worker can do nothing about, younger ones do not wait for them.
            match page.last() {
                Some(last) if page.len() == CANDIDATES as usize => after = last.seq,
                _ => return Ok(Step::Idle),
            }
        }
    }

    /// Candidates that were registered after the one numbered `after`.
    async fn look(&self, after: u64) -> Result<Vec<Upload>> {
        let looked = async {
            self.pipeline.check_ledger().await?;
            self.pipeline.store.candidates(after, CANDIDATES).await
        };
        let page = looked.await.inspect_err(|_| self.pauses.refused(Service::Store))?;
        self.pauses.answered(Service::Store);
        Ok(page)
    }

    /// As a step of one upload, while no other slot works.
    async fn last_attempt(&self, id: UploadId, stop: &CancellationToken) -> Result<Step> {
        let Some(_alone) = self.company.alone(stop).await else { return Ok(Step::Idle) };
        // What was read of it may be old: others had to end first.
        let upload = self.pipeline.store.upload(id).await?;
        let Some(upload) = upload.filter(|upload| self.may_work_on(upload)) else { return Ok(Step::Idle) };
        Ok(self.take(&upload, stop).await?.unwrap_or(Step::Idle))
    }

    /// Claims an upload and works on it; `None` when somebody else has it, or its attempts are used up.
    async fn take(&self, upload: &Upload, stop: &CancellationToken) -> Result<Option<Step>> {
        let lease = self.pipeline.config.worker.lease;
        match self.pipeline.store.claim(upload.id(), &self.name, lease).await? {
            ClaimOutcome::Claimed(claim) => {
                let inherits = upload.owner.is_none().then_some(upload.fence).filter(|fence| *fence > 0);
                let ended = self.work(claim, inherits, &Meter::default(), stop).await;
                return Ok(Some(Step::Worked(upload.id(), ended)));
            }
            ClaimOutcome::Failed => warn!(upload = %upload.id(), "failed: its attempts are used up"),
            ClaimOutcome::Taken => {}
        }
        Ok(None)
    }

    /// Whether this worker can do what is left of an upload, and no service that it needs is known to refuse.
    pub fn may_work_on(&self, upload: &Upload) -> bool {
        let needs_archive = matches!(upload.state, State::Received | State::Archiving);
        // Of what is flagged only the cancellation is left.
        upload.cancel_asked
            || (!has_other_rules(upload)
                && self.reach.may_reach(upload)
                && (!needs_archive || self.pauses.may_try(Service::Archive))
                && (!self.waits_for_spark(upload) || self.pauses.may_try(Service::Spark)))
    }

    /// Works on a claimed upload until it ends or has to wait, and tells the ledger which.
    /// `inherits`: the fence of the claim before, where that was given back in good order.
    pub async fn work(
        &self,
        claim: Claim,
        inherits: Option<u64>,
        meter: &Meter,
        shutdown: &CancellationToken,
    ) -> Ended {
        let id = claim.id;
        let job = Arc::new(Job::new(self.pipeline.clone(), claim, inherits, self.work.of(id), meter.clone()));
        let beats = tokio::spawn(job::keep_alive(job.clone(), shutdown.clone()));
        let result = self.stages(&job).await;
        let ended = self.settle(&job, result, shutdown).await;
        job.end();
        if beats.await.is_err() {
            error!(upload = %id, "the heartbeat ended unexpectedly");
        }
        // That it waits, and for what, was told when it began to.
        if !matches!(ended, Ended::Waiting(_)) {
            info!(upload = %id, outcome = ?ended, "ended");
        }
        ended
    }
}
