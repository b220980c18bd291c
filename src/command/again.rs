//! `again`: loads an upload's bytes once more as a new upload, with other options.

use std::sync::Arc;

use super::{Exit, output, resolve};
use crate::{
    cli,
    error::Result,
    pipeline::{Pipeline, again::Again},
};

pub async fn run(pipeline: Arc<Pipeline>, args: &cli::Again) -> Result<Exit> {
    let first = resolve::upload(pipeline.store.as_ref(), &args.upload).await?;
    let mut options = first.new.options.clone();
    args.rows.apply(&mut options)?;
    let again = Again { id: first.id(), options, over_newer: args.over_newer, sender: "local".into() };
    let new = pipeline.again(again).await?;
    pipeline.queue.close().await;
    output::line(new.id)?;
    output::message(format_args!("next: {}", pipeline.how_to_follow(new.id)));
    Ok(Exit::Done)
}
