//! Loading: several ranges at once, each over a connection of its own, in transactions that move a range's watermark
//! with its rows. Merging goes on while the database takes what was merged before.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    blocking,
    error::{Error, Kind, Result, Service},
    load::merge::Merge,
    pipeline::{
        Transactions,
        process::{
            job::Job,
            sorted::{self, Sorted},
        },
    },
    rows::{Existing, UserBlock},
    store::{Part, RangeLoad},
};

/// How often a transaction is begun anew in place before the upload goes back to wait for the database.
const TRIES: u32 = 3;

/// Stores what is left of the ranges; gives all of them, in order. The first that fails stops the others between two
/// transactions.
pub async fn load(job: &Job, sorted: &Sorted, existing: Existing, parts: Vec<Part>) -> Result<Vec<Part>> {
    let halt = job.stop.child_token();
    let loads = parts.into_iter().map(|part| async {
        if part.finished {
            return Ok(part);
        }
        let range = async |part: Part| {
            let rows = job.unless_stopped(sorted.range(job, &part)).await?;
            Range { job, rows, existing, halt: &halt }.load(part).await
        };
        let ended = if halt.is_cancelled() { Err(Error::stopped("asked to stop")) } else { range(part).await };
        if ended.is_err() {
            halt.cancel();
        }
        ended
    });
    let ended: Vec<_> = stream::iter(loads).buffer_unordered(job.pipeline.transactions.connections).collect().await;
    let (mut stored, mut failed) = (Vec::with_capacity(ended.len()), None::<Error>);
    for range in ended {
        match range {
            Ok(part) => stored.push(part),
            // Others stopped because of the one that failed.
            Err(error) if failed.as_ref().is_none_or(|failed| failed.kind == Kind::Stopped) => failed = Some(error),
            Err(_) => {}
        }
    }
    stored.sort_unstable_by_key(|part| part.number);
    failed.map_or(Ok(stored), Err)
}

/// One range of a load.
struct Range<'a> {
    job: &'a Job,
    rows: sorted::Range<'a>,
    existing: Existing,
    halt: &'a CancellationToken,
}

/// What of a range was not stored yet: a block that was merged ahead (empty at the range's end), and what follows it.
struct Rest {
    block: UserBlock,
    merge: Merge,
}

impl Range<'_> {
    /// Stores a range to its end. Rows and watermark move together, so a transaction whose outcome is unknown is
    /// simply begun again behind whatever watermark is there then.
    async fn load(&self, mut part: Part) -> Result<Part> {
        let (job, sizes) = (self.job, &self.job.pipeline.transactions);
        let mut rest: Option<Rest> = None;
        let mut failures = 0;
        while !part.finished {
            if self.halt.is_cancelled() {
                return Err(Error::stopped("asked to stop"));
            }
            let mut done = 0;
            match self.transaction(&mut part, rest.take(), &mut done).await {
                Ok((moved, following)) => {
                    (part, rest, failures) = (moved, Some(following), 0);
                    #[cfg(feature = "faults")]
                    if !part.finished {
                        crate::faults::hold("loading").await;
                    }
                }
                Err(error) if is_of_the_store(&error) && failures < TRIES => {
                    failures += 1;
                    job.meter.undo(done);
                    warn!(upload = %job.claim.id, range = part.number, %error, "doing a transaction again");
                    job.unless_stopped(pause(failures)).await?;
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(sizes.pause).await;
        }
        debug!(upload = %job.claim.id, range = part.number, rows = part.stored.good, "range stored");
        Ok(part)
    }

    /// One transaction, behind whatever the range's row says under its lock, to which `part` is set; `done` counts the
    /// rows put into it.
    async fn transaction(&self, part: &mut Part, rest: Option<Rest>, done: &mut u64) -> Result<(Part, Rest)> {
        let pipeline = &self.job.pipeline;
        let _place = pipeline
            .loading
            .acquire()
            .await
            .map_err(|closed| Error::fatal("load_places", "waiting for a place to load in").because(closed))?;
        let mut transaction = pipeline.store.begin(&self.job.claim, part.number, self.existing).await?;
        let at = transaction.part();
        let rest = match rest {
            Some(rest) if at.watermark == part.watermark => rest,
            _ => {
                let merge = self.rows.merge(&part.bounds, at.watermark.as_deref(), self.existing)?;
                // Further than was known after a lost answer, less far after a failover that lost a transaction.
                self.job.meter.undo(part.stored.good.saturating_sub(at.stored.good));
                self.job.meter.add(at.stored.good.saturating_sub(part.stored.good));
                part.clone_from(at);
                next(merge, &pipeline.transactions).await?
            }
        };
        let (rest, finished) = self.fill(transaction.as_mut(), rest, done).await?;
        Ok((transaction.commit(finished).await?, rest))
    }

    /// Puts blocks into a transaction until it is large enough or the range ends.
    async fn fill(&self, transaction: &mut dyn RangeLoad, mut rest: Rest, done: &mut u64) -> Result<(Rest, bool)> {
        let sizes = &self.job.pipeline.transactions;
        let (begun, mut rows, mut bytes) = (Instant::now(), 0, 0);
        while !rest.block.is_empty() {
            let Rest { block, merge } = rest;
            let good = block.good;
            rows += block.len() as u64;
            bytes += block.bytes();
            let (put, following) = tokio::join!(transaction.put(block), next(merge, sizes));
            put?;
            rest = following?;
            self.job.meter.add(good);
            *done += good;
            #[cfg(feature = "faults")]
            crate::faults::hold("transaction").await;
            if rows >= sizes.rows || bytes >= sizes.bytes || begun.elapsed() >= sizes.time {
                break;
            }
        }
        let finished = rest.block.is_empty();
        Ok((rest, finished))
    }
}

/// Merges the next block.
async fn next(mut merge: Merge, sizes: &Transactions) -> Result<Rest> {
    let (rows, bytes) = (sizes.block_rows, sizes.block_bytes);
    let merged = blocking::run(move || {
        let block = merge.next(rows, bytes)?;
        Ok(Rest { block, merge })
    });
    merged.await.unwrap_or_else(|panic| Err(Error::fatal("merge_failed", "merging runs").because(panic)))
}

fn is_of_the_store(error: &Error) -> bool {
    error.kind == Kind::Transient && error.service == Some(Service::Store)
}

async fn pause(failures: u32) -> Result<()> {
    tokio::time::sleep(Duration::from_millis(50 << failures.min(6))).await;
    Ok(())
}
