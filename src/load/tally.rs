//! What became of rows, counted by segment and summed: the sums do not depend on how the file was cut.

use serde::{Deserialize, Serialize};

use crate::{
    rows::Reason,
    upload::{Cleaned, TimeCounts},
};

/// Counts of a segment, or of several.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    pub good: u64,
    pub rejected: u64,
    pub times: TimeCounts,
}

impl Tally {
    pub fn reject(&mut self, _line: u64, _reason: &Reason) {
        self.rejected += 1;
    }

    /// Adds the counts of a later segment.
    pub fn merge(&mut self, later: &Self) {
        self.good += later.good;
        self.rejected += later.rejected;
        let (mine, times) = (&mut self.times, &later.times);
        mine.offset += times.offset;
        mine.zone += times.zone;
        mine.epoch += times.epoch;
        mine.folds += times.folds;
        mine.gaps += times.gaps;
        for (format, count) in &times.formats {
            *mine.formats.entry(format.clone()).or_default() += count;
        }
    }

    pub fn cleaned(self, sha256: String) -> Cleaned {
        Cleaned {
            read: self.good + self.rejected,
            good: self.good,
            rejected: self.rejected,
            times: self.times,
            sha256,
            ..Cleaned::default()
        }
    }
}
