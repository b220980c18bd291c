//! What is asked of a session, and what it tells meanwhile.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use arrow_array::{RecordBatch, cast::AsArray};
use arrow_ipc::reader::StreamReader;
use arrow_schema::ArrowError;
use spark_connect_core::{ChannelBuilder, RetryPolicy, SparkConnectClient, SparkError};
use spark_connect_proto::{
    ExecutePlanRequest, ExecutePlanResponse, Plan, ReattachExecuteRequest, ReattachOptions, Relation,
    ReleaseExecuteRequest, Sql, UserContext,
    execute_plan_request::{RequestOption, request_option},
    execute_plan_response::{ArrowBatch, ExecutionProgress, ResponseType},
    plan, relation,
    release_execute_request::{Release, ReleaseAll},
};
use tracing::{debug, warn};
use uuid::Uuid;

use super::Job;
use crate::{
    error::{Error, Result},
    meter::Meter,
    spark::manifest::Collected,
};

/// How long an interrupt may take; a job that was not interrupted ends for nothing.
const INTERRUPT: Duration = Duration::from_secs(5);
/// How long the server may take to forget a job that has ended; it does so by itself, too.
const RELEASE: Duration = Duration::from_secs(5);
/// Before a stream that ended is gone on with.
const REATTACH_PAUSE: Duration = Duration::from_millis(100);
/// After one that broke off, or could not be gone on with. Who watches the job gives it up if that does not help.
const BROKEN_PAUSE: Duration = Duration::from_secs(1);
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

/// A session on the server. Its calls try again by themselves for minutes.
pub struct Session {
    client: SparkConnectClient,
}

impl Session {
    /// Connects with its first call.
    pub async fn open(url: &str) -> Result<Self, Refusal> {
        Ok(Self { client: SparkConnectClient::connect(&ChannelBuilder::parse(url)?).await? })
    }

    /// Runs the job to its end. `seen` changes with whatever the cluster does.
    pub async fn execute(&self, job: &Job, meter: &Meter, seen: &AtomicU64) -> Result<Collected, Refusal> {
        // What an earlier attempt left running would only take executors from this one.
        let left = self.client.interrupt_all().await?;
        if !left.is_empty() {
            warn!(jobs = left.len(), "interrupted a Spark job that an earlier attempt had left");
        }
        // Else one task would clean as many chunks as there are more of them than cores.
        self.client.set_config("spark.sql.leafNodeDefaultParallelism", &job.chunks.to_string()).await?;
        let operation = Uuid::new_v4().to_string();
        let (mut collected, mut ended) = (Collected::default(), HashMap::new());
        let told = |response: ExecutePlanResponse| {
            match response.response_type {
                Some(ResponseType::ArrowBatch(batch)) => take(&mut collected, &batch)?,
                Some(ResponseType::ExecutionProgress(progress)) => {
                    seen.store(moved(&progress), Ordering::Relaxed);
                    meter.reach(completed(&mut ended, &progress).min(job.tasks));
                }
                Some(ResponseType::ResultComplete(_)) => return Ok(true),
                _ => {}
            }
            Ok(false)
        };
        self.follow(self.request(job, &operation), &operation, told).await?;
        self.release(operation).await;
        Ok(collected)
    }

    /// Passes on what an execution tells, until `told` says that this was the end. The server ends a stream after two
    /// minutes (`spark.connect.execute.reattachable.senderMaxStreamDuration`) or a gigabyte, and a line may break: the
    /// execution goes on, and so does another stream behind the last response that came.
    async fn follow(
        &self,
        request: ExecutePlanRequest,
        operation: &str,
        mut told: impl FnMut(ExecutePlanResponse) -> Result<bool>,
    ) -> Result<(), Refusal> {
        let again = RetryPolicy::default();
        let mut stream = Some(self.client.execute_plan(request).await?);
        let mut last = None;
        loop {
            let pause = match &mut stream {
                None => BROKEN_PAUSE,
                Some(stream) => match stream.message().await {
                    Ok(Some(response)) => {
                        last = Some(response.response_id.clone());
                        if told(response).map_err(Refusal::Ours)? {
                            return Ok(());
                        }
                        continue;
                    }
                    Ok(None) => REATTACH_PAUSE,
                    Err(status) if again.can_retry(&status) => BROKEN_PAUSE,
                    Err(status) => return Err(SparkError::from_grpc_status(status).into()),
                },
            };
            tokio::time::sleep(pause).await;
            debug!(operation, "going on with what a Spark job tells");
            stream = match self.client.reattach_execute(self.reattach(operation, last.clone())).await {
                Ok(stream) => Some(stream),
                Err(error) if error.grpc_code() == Some(super::UNAVAILABLE) => None,
                Err(error) => return Err(error.into()),
            };
        }
    }

    fn request(&self, job: &Job, operation: &str) -> ExecutePlanRequest {
        let sql = relation::RelType::Sql(Sql { query: job.sql.clone(), ..Sql::default() });
        let root = plan::OpType::Root(Relation { rel_type: Some(sql), ..Relation::default() });
        let reattachable = request_option::RequestOption::ReattachOptions(ReattachOptions { reattachable: true });
        ExecutePlanRequest {
            session_id: self.client.session_id().into(),
            user_context: Some(self.user()),
            operation_id: Some(operation.into()),
            plan: Some(Plan { op_type: Some(root) }),
            request_options: vec![RequestOption { request_option: Some(reattachable) }],
            tags: vec![job.tag.clone()],
            ..ExecutePlanRequest::default()
        }
    }

    fn reattach(&self, operation: &str, last: Option<String>) -> ReattachExecuteRequest {
        ReattachExecuteRequest {
            session_id: self.client.session_id().into(),
            user_context: Some(self.user()),
            operation_id: operation.into(),
            last_response_id: last,
            ..ReattachExecuteRequest::default()
        }
    }

    fn user(&self) -> UserContext {
        UserContext { user_id: self.client.user_id().unwrap_or_default().into(), ..UserContext::default() }
    }

    /// Lets the server forget what it told.
    async fn release(&self, operation: String) {
        let request = ReleaseExecuteRequest {
            session_id: self.client.session_id().into(),
            user_context: Some(self.user()),
            operation_id: operation,
            release: Some(Release::ReleaseAll(ReleaseAll {})),
            ..ReleaseExecuteRequest::default()
        };
        match tokio::time::timeout(RELEASE, self.client.release_execute(request)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => debug!(error = shown(&error.message()), "Spark keeps what it told for a while"),
            Err(_) => debug!("Spark does not answer; it keeps what it told for a while"),
        }
    }

    /// Ends the job on the cluster, if that answers.
    pub async fn interrupt(&self, tag: &str) {
        match tokio::time::timeout(INTERRUPT, self.client.interrupt_tag(tag)).await {
            Ok(Ok(jobs)) => debug!(jobs = jobs.len(), "interrupted the Spark job"),
            Ok(Err(error)) => debug!(error = shown(&error.message()), "the Spark job could not be interrupted"),
            Err(_) => debug!("Spark does not answer; its job ends for nothing"),
        }
    }
}

/// Takes the rows of a piece of the result.
fn take(collected: &mut Collected, batch: &ArrowBatch) -> Result<()> {
    let unreadable =
        |error: ArrowError| Error::fatal("spark_result", "reading the result of a Spark job").because(error);
    for rows in StreamReader::try_new(&*batch.data, None).map_err(unreadable)? {
        let rows: RecordBatch = rows.map_err(unreadable)?;
        let column = |at: usize| rows.columns().get(at).and_then(|column| column.as_string_opt::<i32>());
        let (Some(what), Some(told)) = (column(0), column(1)) else {
            return Err(Error::fatal(
                "spark_result",
                "reading the result of a Spark job: it is not two columns of text",
            ));
        };
        for (what, told) in what.iter().zip(told) {
            collected.take(what.unwrap_or_default(), told.unwrap_or_default().as_bytes())?;
        }
    }
    Ok(())
}

/// A number that changes with all that goes on: tasks that begin, or are done again, are progress, too.
fn moved(progress: &ExecutionProgress) -> u64 {
    let ended: i64 = progress.stages.iter().map(|stage| stage.num_completed_tasks).sum();
    (ended << 32 | progress.num_inflight_tasks).cast_unsigned()
}

/// Tasks that have ended until now, of all stages: told are only the stages that run at the moment. `ended` keeps what
/// was told of each.
fn completed(ended: &mut HashMap<i64, i64>, progress: &ExecutionProgress) -> u64 {
    for stage in &progress.stages {
        let ended = ended.entry(stage.stage_id).or_default();
        // Of a stage that is run again for an executor that was lost, less may be told than before.
        *ended = stage.num_completed_tasks.max(*ended);
    }
    u64::try_from(ended.values().sum::<i64>()).unwrap_or_default()
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
    use spark_connect_proto::execute_plan_response::execution_progress::StageInfo;

    use super::*;

    #[test]
    fn tasks_of_stages_that_are_not_told_any_more_count() {
        let mut ended = HashMap::new();
        let told: [(&[(i64, i64)], u64); 6] =
            [(&[(0, 2)], 2), (&[(0, 5)], 5), (&[(1, 1)], 6), (&[(0, 4), (1, 1)], 6), (&[], 6), (&[(1, 3)], 8)];
        for (stages, done) in told {
            let stage =
                |&(stage_id, num_completed_tasks)| StageInfo { stage_id, num_completed_tasks, ..StageInfo::default() };
            let progress =
                ExecutionProgress { stages: stages.iter().map(stage).collect(), ..ExecutionProgress::default() };
            assert_eq!(completed(&mut ended, &progress), done, "{stages:?}");
        }
    }
}
