//! `worker`: archives, cleans and loads until told to stop.

use std::sync::Arc;

use super::Exit;
use crate::{
    config::Config,
    error::Result,
    pipeline::{Pipeline, process::Worker, work::WorkFolder},
    shutdown,
};

pub async fn run(config: Arc<Config>) -> Result<Exit> {
    let stop = shutdown::on_signals()?;
    let work = WorkFolder::open(&config.worker.work)?;
    let worker = Worker::new(Pipeline::open(config).await?, work)?;
    shutdown::ready();
    worker.run(stop).await?;
    Ok(Exit::Done)
}
