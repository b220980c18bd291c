//! Which uploads a worker's slots work on beside each other. One that kills the process takes what runs beside it
//! down as well; so that those are not counted out with it, everybody's last attempt is made alone.

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use crate::{store::ATTEMPTS_MAX, upload::Upload};

pub struct Company {
    places: Semaphore,
    all: u32,
}

impl Company {
    pub fn of(slots: usize) -> Self {
        let all = u32::try_from(slots).unwrap_or(u32::MAX);
        Self { places: Semaphore::new(slots), all }
    }

    /// Work beside others; waits while one works alone. `None` when told to stop.
    pub async fn join(&self, stop: &CancellationToken) -> Option<SemaphorePermit<'_>> {
        stop.run_until_cancelled(self.places.acquire()).await?.ok()
    }

    /// Work alone: waits until the others are through with theirs. `None` when told to stop.
    pub async fn alone(&self, stop: &CancellationToken) -> Option<SemaphorePermit<'_>> {
        stop.run_until_cancelled(self.places.acquire_many(self.all)).await?.ok()
    }
}

/// Whether one more attempt that dies ends it. A claim that is still written down died.
pub fn is_last_attempt(upload: &Upload) -> bool {
    upload.attempts + u32::from(upload.owner.is_some()) == ATTEMPTS_MAX - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{command::table::tests::upload, upload::State};

    #[test]
    fn the_last_attempt_is_the_one_after_two_that_died() {
        let died = |attempts, owner: Option<&str>| {
            let owner = owner.map(Into::into);
            is_last_attempt(&Upload { attempts, owner, ..upload("users.csv", State::Archived) })
        };
        assert!(!died(0, None) && !died(0, Some("a:1")) && !died(1, None));
        assert!(died(1, Some("a:1")) && died(2, None));
    }

    #[tokio::test]
    async fn who_works_alone_waits_for_the_others_and_keeps_them_out() {
        let (company, stop) = (Company::of(2), CancellationToken::new());
        let other = company.join(&stop).await.unwrap();
        let mut alone = std::pin::pin!(company.alone(&stop));
        assert!(futures_util::poll!(alone.as_mut()).is_pending());
        drop(other);
        let alone = alone.await.unwrap();
        assert!(futures_util::poll!(std::pin::pin!(company.join(&stop))).is_pending());
        drop(alone);
        assert!(company.join(&stop).await.is_some());
    }
}
