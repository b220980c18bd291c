//! What became of rows, counted by segment and summed: the sums do not depend on how the file was cut.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::{
    rows::{Cleaner, ReasonCounts, looks_like},
    upload::{Cleaned, FormatWanted, ReasonCount, TimeCounts},
};

/// Of the first undecodable fields, to guess their encoding from.
const SAMPLE_BYTES: usize = 16 << 10;

/// Counts of a segment, or of several.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    pub good: u64,
    rejected: u64,
    times: TimeCounts,
    reasons: Vec<ReasonCount>,
    undecodable: u64,
    sample: Vec<u8>,
    #[serde(default)]
    format_wanted: FormatWanted,
}

impl Tally {
    /// Of a segment.
    pub fn new(good: u64, reasons: &ReasonCounts, cleaner: &Cleaner) -> Self {
        let reasons = reasons.list();
        let rejected = reasons.iter().map(|reason| reason.count).sum();
        let (undecodable, sample) = cleaner.undecodable_rows();
        let sample = sample[..sample.len().min(SAMPLE_BYTES)].to_vec();
        let (times, format_wanted) = (cleaner.times(), cleaner.format_wanted().clone());
        Self { good, rejected, times, reasons, undecodable, sample, format_wanted }
    }

    /// Rows read.
    pub fn read(&self) -> u64 {
        self.good + self.rejected
    }

    /// Adds the counts of the segment behind.
    pub fn merge(&mut self, later: &Self) {
        self.good += later.good;
        self.rejected += later.rejected;
        self.undecodable += later.undecodable;
        let room = SAMPLE_BYTES - self.sample.len();
        self.sample.extend(later.sample.iter().take(room));
        self.format_wanted.merge(&later.format_wanted);
        self.merge_times(&later.times);
        for reason in &later.reasons {
            match self.reasons.iter_mut().find(|mine| mine.field == reason.field && mine.code == reason.code) {
                // The first line and its example are those of the segment in front.
                Some(mine) => mine.count += reason.count,
                None => self.reasons.push(reason.clone()),
            }
        }
    }

    fn merge_times(&mut self, later: &TimeCounts) {
        let times = &mut self.times;
        times.offset += later.offset;
        times.zone += later.zone;
        times.epoch += later.epoch;
        times.folds += later.folds;
        times.gaps += later.gaps;
        for (format, count) in &later.formats {
            *times.formats.entry(format.clone()).or_default() += count;
        }
    }

    /// The whole file's account. `sha256`: of the bytes as they were received.
    pub fn cleaned(mut self, sha256: String) -> Cleaned {
        self.reasons.sort_by_key(|reason| (Reverse(reason.count), reason.first_line));
        Cleaned {
            read: self.read(),
            good: self.good,
            rejected: self.rejected,
            times: self.times,
            reasons: self.reasons,
            undecodable: self.undecodable,
            looks_like: looks_like(&self.sample),
            format_wanted: self.format_wanted,
            sha256,
        }
    }
}
