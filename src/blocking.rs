//! Work that blocks, on a thread for it.

use tokio::{
    sync::oneshot,
    task::{JoinError, spawn_blocking},
};

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

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_answer_comes_back_and_so_does_a_panic() {
        assert_eq!(super::run(|| 7).await.unwrap(), 7);
        assert!(super::run(|| panic!("on purpose")).await.unwrap_err().is_panic());
    }
}
