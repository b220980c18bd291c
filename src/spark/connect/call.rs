//! The blocking part: what is asked of a session, and what it tells meanwhile.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use spark_connect::{SparkError, SparkSession, row::Value};
use tokio::sync::oneshot;
use tracing::{debug, warn};

use super::Job;
use crate::{
    error::{Error, Result},
    meter::Meter,
    spark::manifest::Collected,
};

/// How long an interrupt may take; a job that was not interrupted ends for nothing.
const INTERRUPT: Duration = Duration::from_secs(5);
/// Longest piece of what Spark says that is passed on, characters: it likes to tell all of its stack.
const WORDS_MAX: usize = 600;

/// Why there is no result.
pub enum Refusal {
    Spark(Box<SparkError>),
    Ours(Error),
}

impl From<SparkError> for Refusal {
    fn from(error: SparkError) -> Self {
        Self::Spark(error.into())
    }
}

/// Runs the job to its end. `seen` changes with whatever the cluster does.
pub fn execute(
    url: &str,
    job: &Job,
    begun: oneshot::Sender<SparkSession>,
    meter: &Meter,
    seen: &Arc<AtomicU64>,
) -> Result<Collected, Refusal> {
    let session = SparkSession::builder().remote(url).get_or_create()?;
    // Who waits may have gone.
    let _ = begun.send(session.clone());
    // What an earlier attempt left running would only take executors from this one.
    let left = session.interrupt_all()?;
    if !left.is_empty() {
        warn!(jobs = left.len(), "interrupted a Spark job that an earlier attempt had left");
    }
    session.add_tag(&job.tag)?;
    let (meter, seen, tasks) = (meter.clone(), Arc::clone(seen), job.tasks);
    let ended = Mutex::new(HashMap::new());
    session.register_progress_handler(move |progress| {
        let stages = progress.stages.iter().map(|stage| (stage.stage_id, stage.num_completed_tasks));
        // Tasks that begin, or are done again, are progress, too.
        let told: i64 = stages.clone().map(|(_, tasks)| tasks).sum();
        let moved = told << 32 | progress.num_inflight_tasks;
        seen.store(moved.cast_unsigned(), Ordering::Relaxed);
        let done = completed(&mut ended.lock().unwrap_or_else(PoisonError::into_inner), stages);
        meter.reach(done.min(tasks));
    });
    // Else one task would clean as many chunks as there are more of them than cores.
    session.conf().set("spark.sql.leafNodeDefaultParallelism", &job.chunks.to_string())?;
    let rows = session.sql(&job.sql)?.collect()?;
    let mut collected = Collected::default();
    for row in rows {
        let field = |at| match row.get(at) {
            Some(Value::String(text)) => text.as_str(),
            _ => "",
        };
        collected.take(field(0), field(1).as_bytes()).map_err(Refusal::Ours)?;
    }
    Ok(collected)
}

/// Tasks that have ended until now, of all stages: told are only the stages that run at the moment, as id and ended
/// tasks. `ended` keeps what was told of each.
fn completed(ended: &mut HashMap<i64, i64>, told: impl Iterator<Item = (i64, i64)>) -> u64 {
    for (stage, tasks) in told {
        let ended = ended.entry(stage).or_default();
        // Of a stage that is run again for an executor that was lost, less may be told than before.
        *ended = tasks.max(*ended);
    }
    u64::try_from(ended.values().sum::<i64>()).unwrap_or_default()
}

/// Ends the job on the cluster, if that answers.
pub async fn interrupt(session: oneshot::Receiver<SparkSession>, tag: String) {
    let Ok(session) = session.await else { return };
    let (told, done) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = told.send(session.interrupt_tag(&tag).map(|jobs| jobs.len()).map_err(|error| shown(&error.message())));
    });
    match tokio::time::timeout(INTERRUPT, done).await {
        Ok(Ok(Ok(jobs))) => debug!(jobs, "interrupted the Spark job"),
        Ok(Ok(Err(error))) => debug!(error, "the Spark job could not be interrupted"),
        _ => debug!("Spark does not answer; its job ends for nothing"),
    }
}

/// The beginning of what Spark says, in one line.
pub fn shown(words: &str) -> String {
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(WORDS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_of_stages_that_are_not_told_any_more_count() {
        let mut ended = HashMap::new();
        let told: [(&[(i64, i64)], u64); 6] =
            [(&[(0, 2)], 2), (&[(0, 5)], 5), (&[(1, 1)], 6), (&[(0, 4), (1, 1)], 6), (&[], 6), (&[(1, 3)], 8)];
        for (stages, done) in told {
            assert_eq!(completed(&mut ended, stages.iter().copied()), done, "{stages:?}");
        }
    }
}
