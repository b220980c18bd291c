//! The stages of a claimed upload: archived, cleaned, then loaded; a large one is cleaned while it is archived.

use std::sync::Arc;

use tracing::{debug, info};

use super::{
    Ended, Worker, archive,
    job::Job,
    load,
    sorted::{Parts, Sorted},
};
use crate::{
    config::SparkFallback,
    error::{Result, Service},
    load::CleanFile,
    meter::Meter,
    source::Source,
    store::Release,
    upload::{State, Upload},
};

impl Worker {
    pub(super) async fn stages(&self, job: &Job) -> Result<Ended> {
        let store = &self.pipeline.store;
        store.take_over(&job.claim).await?;
        #[cfg(feature = "faults")]
        crate::faults::hold("claimed").await;
        let upload = job.upload().await?;
        // A try that only asks whether a service is back is no news.
        if upload.waiting.is_none() {
            info!(upload = %job.claim.id, worker = job.claim.owner, fence = job.claim.fence.number, "claimed");
        }
        if upload.cancel_asked {
            return job.finish_cancelled().await;
        }
        let source = self.reach.source(&upload).await?;
        let mut ahead = None;
        if matches!(upload.state, State::Received | State::Archiving) && !self.cluster_archives(&upload) {
            self.pauses.take_try(Service::Archive)?;
            ahead = self.archive(job, &upload, &source).await?;
            self.pauses.answered(Service::Archive);
            #[cfg(feature = "faults")]
            crate::faults::hold("archived").await;
        }
        if !store.is_next(&job.claim).await? {
            debug!(upload = %job.claim.id, "an earlier upload that replaces rows comes first");
            store.release(&job.claim, Release::HandedBack).await?;
            return Ok(Ended::HandedBack);
        }
        let upload = job.upload().await?;
        let sorted = match ahead {
            Some(cleaned) => Sorted::Here(cleaned?),
            None => self.sorted(job, &upload, source).await?,
        };
        let upload = job.upload().await?;
        load::load(job, &upload, sorted).await?;
        Ok(Ended::Done)
    }

    /// The upload's rows: of one that is half stored, from the parts that its ranges name; else cleaned by a cluster
    /// where it is large enough for that, or by this worker.
    async fn sorted(&self, job: &Job, upload: &Upload, source: Arc<dyn Source>) -> Result<Sorted> {
        if let Some(parts) = Parts::of_ledger(job, upload).await? {
            return Ok(Sorted::Parts(parts));
        }
        #[cfg(feature = "spark")]
        if self.is_for_spark(upload) && upload.state != State::Loading {
            if self.waits_for_spark(upload) {
                self.pauses.take_try(Service::Spark)?;
            }
            if let Some(made) = super::cluster::sorted(job, upload, Arc::clone(&source)).await? {
                self.pauses.answered(Service::Spark);
                return Ok(made);
            }
        }
        if matches!(upload.state, State::Received | State::Archiving) {
            archive::archive(job, upload, source.as_ref()).await?;
        }
        load::clean(job, upload, source, &job.meter).await.map(Sorted::Here)
    }

    /// Whether an upload is so large that a cluster does it, where there is one.
    fn is_for_spark(&self, upload: &Upload) -> bool {
        let spark = &self.pipeline.config.spark;
        spark.remote.is_some() && upload.new.size >= spark.min_bytes
    }

    /// Whether nothing can be done about an upload without the cluster.
    pub(super) fn waits_for_spark(&self, upload: &Upload) -> bool {
        let spark = &self.pipeline.config.spark;
        self.is_for_spark(upload) && spark.fallback == SparkFallback::Wait && upload.state == State::Archived
    }

    /// Whether the original comes into the archive with the cleaning.
    fn cluster_archives(&self, upload: &Upload) -> bool {
        self.is_for_spark(upload) && archive::comes_in_chunks(&self.pipeline.config, upload)
    }

    /// Archives, and cleans a large file meanwhile: most of both is waiting for different things. Not where an attempt
    /// has failed before: a file that kills its worker by being read is archived first. Nor where it waits for the
    /// archive: each try would begin the cleaning anew.
    async fn archive(&self, job: &Job, upload: &Upload, source: &Arc<dyn Source>) -> Result<Option<Result<CleanFile>>> {
        let archiving = archive::archive(job, upload, source.as_ref());
        let alone = load::is_large(upload) && !self.is_for_spark(upload);
        let may_clean = upload.attempts == 0 && upload.waiting.is_none() && alone;
        if !may_clean || !self.pipeline.store.is_next(&job.claim).await? {
            return archiving.await.map(|()| None);
        }
        let meter = Meter::default();
        let archived = async {
            archiving.await?;
            job.meter.follow(&meter);
            Ok(())
        };
        // What is wrong with the file is told once it is archived; an archive that fails ends the cleaning.
        let cleaned = async { Ok(load::clean(job, upload, Arc::clone(source), &meter).await) };
        let ((), cleaned) = tokio::try_join!(archived, cleaned)?;
        Ok(Some(cleaned))
    }
}
