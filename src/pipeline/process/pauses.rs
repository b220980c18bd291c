//! A service that refuses is left in peace: one try a pause for the whole worker, pauses growing to five minutes.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{error::Service, upload::EpochMs};

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// As long again as was waited already: pauses double without being counted.
pub fn growing(waited_ms: EpochMs) -> Duration {
    Duration::from_millis(u64::try_from(waited_ms).unwrap_or(0)).clamp(SHORTEST, LONGEST)
}

#[derive(Default)]
pub struct Pauses(Mutex<HashMap<Service, Pause>>);

struct Pause {
    length: Duration,
    until: Instant,
}

impl Pauses {
    /// Whether a service may be asked now. Where it is known to refuse, the caller that is told yes is the only one
    /// until it reports back or the pause is over again.
    pub fn may_try(&self, service: Service) -> bool {
        let now = Instant::now();
        match self.lock().get_mut(&service) {
            None => true,
            Some(pause) if now < pause.until => false,
            Some(pause) => {
                pause.until = now + pause.length;
                true
            }
        }
    }

    pub fn refused(&self, service: Service) {
        // The file of one upload says nothing about another's.
        if matches!(service, Service::Source | Service::Disk) {
            return;
        }
        let mut pauses = self.lock();
        let length = pauses.get(&service).map_or(SHORTEST, |pause| (pause.length * 2).min(LONGEST));
        pauses.insert(service, Pause { length, until: Instant::now() + length });
    }

    pub fn answered(&self, service: Service) {
        self.lock().remove(&service);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Service, Pause>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_the_wait_up_to_five_minutes() {
        assert_eq!(growing(0), SHORTEST);
        assert_eq!(growing(20_000), Duration::from_secs(20));
        assert_eq!(growing(86_400_000), LONGEST);
    }

    #[test]
    fn a_service_that_refused_is_asked_again_only_after_the_pause() {
        let pauses = Pauses::default();
        assert!(pauses.may_try(Service::Archive));
        pauses.refused(Service::Archive);
        assert!(!pauses.may_try(Service::Archive));
        assert!(pauses.may_try(Service::Queue), "the pause belongs to the service");
        pauses.answered(Service::Archive);
        assert!(pauses.may_try(Service::Archive));
    }
}
