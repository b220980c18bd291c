//! What became of an upload's rows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What cleaning found in the whole file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cleaned {
    /// Rows in the file; read = good + rejected.
    pub read: u64,
    pub good: u64,
    pub rejected: u64,
    pub times: TimeCounts,
    /// By reason, most frequent first.
    pub reasons: Vec<ReasonCount>,
    /// Rows refused for bytes that are not valid in the upload's encoding.
    pub undecodable: u64,
    /// What such rows look like: a WHATWG label.
    pub looks_like: Option<String>,
    #[serde(default)]
    pub format_wanted: FormatWanted,
    /// Of the bytes that were cleaned, lower-case hex.
    pub sha256: String,
}

/// How times of good rows were read, so that a wrong reading is seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimeCounts {
    /// With an offset of their own.
    pub offset: u64,
    /// Without one: read in the assumed zone.
    pub zone: u64,
    pub epoch: u64,
    /// By each format of `rows.formats` that matched (those are counted here and nowhere above).
    pub formats: BTreeMap<String, u64>,
    /// In an hour that came twice: the earlier instant was taken.
    pub folds: u64,
    /// In an hour that never was: shifted forward by the gap's length.
    pub gaps: u64,
}

/// Rejected rows whose time is read only with a format.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FormatWanted {
    pub rows: u64,
    /// Each of which would read all of them.
    pub formats: Vec<String>,
}

impl FormatWanted {
    /// One more row, and what would read it.
    pub fn add(&mut self, formats: Vec<String>) {
        self.merge(&Self { rows: 1, formats });
    }

    /// Adds other rows.
    pub fn merge(&mut self, others: &Self) {
        if self.rows == 0 {
            self.formats.clone_from(&others.formats);
        } else if others.rows > 0 {
            self.formats.retain(|format| others.formats.contains(format));
        }
        self.rows += others.rows;
    }
}

/// One reason for rejects, with its first line as an example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReasonCount {
    pub field: String,
    /// Stable: `time_unreadable`.
    pub code: String,
    pub count: u64,
    pub first_line: u64,
    /// The first such reject's sentence.
    pub example: String,
}

/// The account of an upload's rows; final when it is `done`: read = inserted + replaced + duplicates + rejected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    pub read: u64,
    pub inserted: u64,
    pub replaced: u64,
    /// repeated_in_file + already_present.
    pub duplicates: u64,
    pub rejected: u64,
    pub repeated_in_file: u64,
    pub already_present: u64,
    /// Ids that the file holds with different names or times.
    pub conflicting: u64,
}

/// What the ranges of a load have stored, summed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stored {
    /// Good rows that the stored ids stand for.
    pub good: u64,
    pub distinct: u64,
    pub conflicting: u64,
    pub inserted: u64,
    pub replaced: u64,
}

impl Counts {
    /// No count depends on how the file was cut; what is not stored yet is in none but `read` and `rejected`.
    pub fn new(cleaned: &Cleaned, stored: &Stored) -> Self {
        let repeated_in_file = stored.good - stored.distinct;
        let already_present = stored.distinct - stored.inserted - stored.replaced;
        Self {
            read: cleaned.read,
            rejected: cleaned.rejected,
            inserted: stored.inserted,
            replaced: stored.replaced,
            duplicates: repeated_in_file + already_present,
            repeated_in_file,
            already_present,
            conflicting: stored.conflicting,
        }
    }
}
