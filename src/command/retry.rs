//! `retry`: opens an upload again that failed or was cancelled.

use super::{Exit, output, resolve};
use crate::{
    cli::Retry,
    error::{Error, Result},
    pipeline::Pipeline,
    store::{self, RetryOutcome},
    upload::State,
};

pub async fn run(pipeline: &Pipeline, args: &Retry) -> Result<Exit> {
    let store = pipeline.store.as_ref();
    let upload = resolve::upload(store, &args.upload).await?;
    let id = upload.id();
    let options = if args.rows.is_empty() {
        None
    } else {
        let mut options = upload.new.options;
        args.rows.apply(&mut options)?;
        Some(options)
    };
    let retry = store::Retry { options, restart: args.restart, over_newer: args.over_newer };
    let refused = |code, text: String, next: String| Err(Error::rejected(code, text).next(next));
    match store.retry(id, &retry).await? {
        RetryOutcome::NoSuchUpload => {
            refused("no_such_upload", format!("there is no upload {id}"), "see: userdata status".into())
        }
        RetryOutcome::Opened(state) => {
            output::line(format_args!("upload {id} is open again ({state}); {}", pipeline.how_to_follow(id)))?;
            Ok(Exit::Done)
        }
        RetryOutcome::NotEnded(State::Done) => refused(
            "not_failed",
            format!("upload {id} is done"),
            format!("to load its bytes once more: userdata again {id}"),
        ),
        RetryOutcome::NotEnded(state) => refused(
            "not_failed",
            format!("upload {id} is {state}, only a failed or cancelled one can be tried again"),
            pipeline.how_to_follow(id),
        ),
        RetryOutcome::RowsStored => refused(
            "rows_stored",
            format!("rows of upload {id} are stored already, so its options stay as they are"),
            format!("to load its bytes once more with other options: userdata again {id} …"),
        ),
        RetryOutcome::Overtaken => refused(
            "overtaken",
            format!("a newer upload in replace mode was loaded after {id}, which would be overwritten"),
            format!("if that is wanted: userdata retry {id} --over-newer"),
        ),
    }
}
