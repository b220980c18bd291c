//! How far a job is: counted where the work is done, read by the heartbeat and by the terminal.

use std::sync::{Arc, Mutex, PoisonError};

use crate::upload::{Progress, Stage, Unit};

/// A shared counter of the present stage; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Mutex<Shown>>);

#[derive(Debug, Default)]
struct Shown {
    progress: Option<Progress>,
    /// Another one, of work that was begun beside the present stage and goes on after it.
    follows: Option<Meter>,
}

impl Meter {
    /// Begins a stage of `total` units.
    pub fn begin(&self, stage: Stage, total: u64, unit: Unit) {
        *self.lock() = Shown { progress: Some(Progress { stage, done: 0, total, unit }), follows: None };
    }

    /// Shows what another meter counts, until a stage is begun here.
    pub fn follow(&self, other: &Self) {
        self.lock().follows = Some(other.clone());
    }

    /// Adds what was done since the last call.
    pub fn add(&self, done: u64) {
        if let Some(progress) = self.lock().progress.as_mut() {
            progress.done += done;
        }
    }

    /// Sets what was done in all: of work that is counted elsewhere.
    pub fn reach(&self, done: u64) {
        if let Some(progress) = self.lock().progress.as_mut() {
            progress.done = done;
        }
    }

    /// Takes back what was added for nothing: it will be done again.
    pub fn undo(&self, done: u64) {
        if let Some(progress) = self.lock().progress.as_mut() {
            progress.done = progress.done.saturating_sub(done);
        }
    }

    pub fn progress(&self) -> Option<Progress> {
        let shown = self.lock();
        shown.follows.as_ref().and_then(Meter::progress).or(shown.progress)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_that_follows_another_shows_its_progress_until_a_stage_is_begun() {
        let (meter, ahead) = (Meter::default(), Meter::default());
        meter.begin(Stage::Archive, 10, Unit::Bytes);
        ahead.begin(Stage::Clean, 20, Unit::Bytes);
        ahead.add(5);
        assert_eq!(meter.progress().unwrap().stage, Stage::Archive);
        meter.follow(&ahead);
        assert_eq!(meter.progress(), ahead.progress());
        meter.begin(Stage::Load, 3, Unit::Rows);
        meter.add(2);
        meter.undo(1);
        assert_eq!(meter.progress().unwrap(), Progress { stage: Stage::Load, done: 1, total: 3, unit: Unit::Rows });
    }
}
