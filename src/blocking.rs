//! Work that blocks, on a thread for it.

use std::{io, time::Duration};

use tokio::{
    sync::oneshot,
    task::{JoinError, spawn_blocking},
};
use tokio_util::sync::CancellationToken;

/// How long work that was told to stop may take to notice.
const NOTICES_WITHIN: Duration = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(10) };

/// Runs `work`, which goes on when the future is dropped. The error is its panic.
///
/// Every kind of task is compiled anew, whole; so all work is one kind.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    let (answer, mut answered) = oneshot::channel();
    let work: Box<dyn FnOnce() + Send> = Box::new(move || {
        // Nobody may wait any more.
        answer.send(work()).ok();
    });
    spawn_blocking(work).await?;
    Ok(answered.try_recv().expect("it has ended, so it has answered"))
}

/// As `run`, of work on files: its panic is an error like theirs.
pub async fn run_io<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    run(work).await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}

/// As `run`. `None` when `stop` was cancelled and the work has not ended `NOTICES_WITHIN` of that: it hangs where nobody
/// can end it, in reading from a mount that does not answer, and is left to itself.
pub async fn run_until<T: Send + 'static>(
    stop: &CancellationToken,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>, JoinError> {
    let hangs = async {
        stop.cancelled().await;
        tokio::time::sleep(NOTICES_WITHIN).await;
    };
    tokio::select! {
        ended = run(work) => ended.map(Some),
        () = hangs => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_answer_comes_back_and_so_does_a_panic() {
        assert_eq!(super::run(|| 7).await.unwrap(), 7);
        assert!(super::run(|| panic!("on purpose")).await.unwrap_err().is_panic());
    }

    #[tokio::test]
    async fn work_that_does_not_notice_a_stop_is_left_to_itself() {
        let (hanging, never) = std::sync::mpsc::channel::<()>();
        let stop = tokio_util::sync::CancellationToken::new();
        stop.cancel();
        assert!(super::run_until(&stop, move || never.recv()).await.unwrap().is_none());
        drop(hanging);
        assert_eq!(super::run_until(&stop, || 7).await.unwrap(), Some(7));
    }
}
