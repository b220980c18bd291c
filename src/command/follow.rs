//! Following an upload: of work in this process by its meter, of work elsewhere by the ledger.

use std::{pin::pin, time::Duration};

use tokio_util::sync::CancellationToken;

use super::progress::{Line, View};
use crate::{
    error::{Error, Kind, Result},
    store::Store,
    upload::{Upload, UploadId},
};

/// How often the line of work in this process changes.
const METER: Duration = Duration::from_millis(200);
/// How often the ledger is asked.
const LEDGER: Duration = Duration::from_millis(500);

/// Shows what `view` says while `work` goes on.
pub async fn work<T>(line: &mut Line, view: impl Fn() -> View, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut beat = tokio::time::interval(METER);
    loop {
        tokio::select! {
            done = &mut work => {
                line.clear();
                return done;
            }
            _ = beat.tick() => line.show(&view()),
        }
    }
}

/// Waits until an upload ends, wherever it is worked on. `see` is given each state of it that is read. A database that
/// does not answer is waited for. `Stopped` when this process is asked to end before.
pub async fn until_end(
    store: &dyn Store,
    id: UploadId,
    stop: &CancellationToken,
    mut see: impl FnMut(&Upload) -> Result<()>,
    line: &mut Line,
) -> Result<Upload> {
    let mut beat = tokio::time::interval(LEDGER);
    loop {
        tokio::select! {
            () = stop.cancelled() => {
                line.clear();
                let next = format!("go on watching: userdata status {id} --watch");
                return Err(Error::stopped(format!("stopped watching; upload {id} goes on")).next(next));
            }
            _ = beat.tick() => {}
        }
        match store.upload(id).await {
            Ok(Some(upload)) => {
                see(&upload)?;
                if !upload.state.is_open() {
                    line.clear();
                    return Ok(upload);
                }
                line.show(&view(&upload));
            }
            Ok(None) => return Err(Error::rejected("no_such_upload", format!("upload {id} is not in the ledger"))),
            Err(error) if error.kind == Kind::Transient => {
                line.show(&View { state: format!("waiting for the database: {error}"), progress: None });
            }
            Err(error) => return Err(error),
        }
    }
}

/// What the ledger says of an upload's progress.
pub fn view(upload: &Upload) -> View {
    let waiting = upload.waiting.as_ref().filter(|_| !upload.is_claimed());
    let state = match waiting {
        Some(waiting) => waiting.message.clone(),
        None if upload.state.is_open() && !upload.is_claimed() => format!("{}, waiting for a worker", upload.state),
        None => upload.state.to_string(),
    };
    View { state, progress: upload.progress.filter(|_| upload.is_claimed()) }
}
