//! A service that refuses is left in peace: one try a pause for the whole worker, pauses growing to five minutes.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    error::{Error, Result, Service},
    upload::EpochMs,
};

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

impl Pause {
    fn is_over(&self) -> bool {
        self.until <= Instant::now()
    }
}

impl Pauses {
    /// Whether a service may be asked now; asking this takes nothing.
    pub fn may_try(&self, service: Service) -> bool {
        self.lock().get(&service).is_none_or(Pause::is_over)
    }

    /// Takes the right to ask a service, just before it is asked. Where it is known to refuse, whoever gets it is the
    /// only one until it reports back or the pause is over again; everybody else is `Stopped`.
    pub fn take_try(&self, service: Service) -> Result<()> {
        match self.lock().get_mut(&service) {
            None => Ok(()),
            Some(pause) if pause.is_over() => {
                pause.until = Instant::now() + pause.length;
                Ok(())
            }
            Some(_) => Err(Error::stopped(format!("{service} refuses, and its pause is not over"))),
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
    use crate::error::Kind;

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

    #[test]
    fn the_one_try_of_a_pause_is_spent_by_taking_it_and_not_by_looking() {
        let pauses = Pauses::default();
        assert!(pauses.take_try(Service::Archive).is_ok() && pauses.take_try(Service::Archive).is_ok());
        pauses.refused(Service::Archive);
        assert!(pauses.take_try(Service::Archive).is_err());
        pauses.lock().insert(Service::Archive, Pause { length: LONGEST, until: Instant::now() });
        assert!(pauses.may_try(Service::Archive) && pauses.may_try(Service::Archive));
        assert!(pauses.take_try(Service::Archive).is_ok());
        assert!(!pauses.may_try(Service::Archive));
        assert_eq!(pauses.take_try(Service::Archive).unwrap_err().kind, Kind::Stopped, "another slot has it");
    }
}
