//! How far a job is: counted where the work is done, read by the heartbeat and by the terminal.

use std::sync::{Arc, Mutex, PoisonError};

use crate::upload::{Progress, Stage, Unit};

/// A shared counter of the present stage; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Mutex<Option<Progress>>>);

impl Meter {
    /// Begins a stage of `total` units.
    pub fn begin(&self, stage: Stage, total: u64, unit: Unit) {
        *self.lock() = Some(Progress { stage, done: 0, total, unit });
    }

    /// Adds what was done since the last call.
    pub fn add(&self, done: u64) {
        if let Some(progress) = self.lock().as_mut() {
            progress.done += done;
        }
    }

    /// Takes back what was added for nothing: it will be done again.
    pub fn undo(&self, done: u64) {
        if let Some(progress) = self.lock().as_mut() {
            progress.done = progress.done.saturating_sub(done);
        }
    }

    pub fn progress(&self) -> Option<Progress> {
        *self.lock()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Progress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
