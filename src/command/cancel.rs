//! `cancel`: stops an upload, at once where it waits, between two transactions where a worker has it.

use super::{Exit, output, resolve};
use crate::{
    error::{Error, Result},
    store::{CancelOutcome, Store},
};

pub async fn run(store: &dyn Store, upload: &str) -> Result<Exit> {
    let id = resolve::id(store, upload).await?;
    match store.cancel(id).await? {
        CancelOutcome::NoSuchUpload => {
            Err(Error::rejected("no_such_upload", format!("there is no upload {id}")).next("see: userdata status"))
        }
        CancelOutcome::Cancelled => {
            output::line(format_args!("upload {id} is cancelled; its file is kept: userdata retry {id} goes on"))?;
            Ok(Exit::Done)
        }
        CancelOutcome::Asked => {
            output::line(format_args!(
                "the worker that has upload {id} was told to stop; rows stored until then stay: userdata status {id}"
            ))?;
            Ok(Exit::Done)
        }
        CancelOutcome::Ended(state) => {
            Err(Error::rejected("ended", format!("upload {id} ended before: it is {state}"))
                .next(format!("see what became of it: userdata status {id}")))
        }
    }
}
