//! `spark-clean`, `spark-part`: what Spark starts on its executors. Rows come on standard input and leave on standard
//! output; whatever goes wrong ends with an exit code other than 0, or Spark would call it a success.

use std::{io, sync::Arc};

use tokio::runtime::Handle;

use super::{Exit, output};
use crate::{
    blocking,
    cli::SparkPart,
    config::Config,
    error::{Error, Result},
    pipeline::{self, reach},
    spark::{self, clean::Executor, part::Parts},
};

pub async fn clean(config: Arc<Config>) -> Result<Exit> {
    let archive = pipeline::archive(&config)?;
    let worker = config.worker.clone();
    let executor = Executor {
        folder: worker.work.clone(),
        memory_bytes: worker.memory_bytes,
        archive: archive.clone(),
        source: Box::new(move |plan| Handle::current().block_on(reach::origin(&worker, archive.clone(), plan))),
        runtime: Handle::current(),
    };
    to_its_end(move || executor.clean(io::stdin().lock(), io::stdout().lock())).await
}

pub async fn part(config: Arc<Config>, args: SparkPart) -> Result<Exit> {
    let SparkPart { upload, fence, existing } = args;
    let (archive, folder) = (pipeline::archive(&config)?, config.worker.work.clone());
    let parts = Parts { upload, fence, existing, archive, folder, runtime: Handle::current() };
    to_its_end(move || parts.make(io::stdin().lock(), io::stdout().lock())).await
}

/// Also tells the worker what went wrong: Spark passes on what stands on standard error.
async fn to_its_end(work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<Exit> {
    let done = blocking::run(work).await;
    let done = done.unwrap_or_else(|panic| Err(Error::fatal("panic", "a task of Spark").because(panic)));
    if let Err(error) = &done {
        output::message(spark::complaint::written(error));
        // Of a child that leaves its input Spark may tell only that the pipe broke, and not what it said.
        let _ = blocking::run(|| io::copy(&mut io::stdin().lock(), &mut io::sink())).await;
    }
    done.map(|()| Exit::Done)
}
