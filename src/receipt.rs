//! The final account of an upload, kept in the ledger and beside the original in the archive.

use serde::{Deserialize, Serialize};

use crate::{
    rows::RowOptions,
    upload::{Counts, EpochMs, ReasonCount, State, TimeCounts, UploadId},
};

/// rows read = inserted + replaced + duplicates + rejected when `state` is `done`; of a cancelled load, `counts`
/// says what was stored until then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Format number of the receipt.
    pub format: u32,
    pub id: UploadId,
    pub filename: String,
    pub size: u64,
    pub sha256: Option<String>,
    pub sender: String,
    pub state: State,
    #[serde(flatten)]
    pub counts: Counts,
    pub times: TimeCounts,
    pub reasons: Vec<ReasonCount>,
    pub options: RowOptions,
    /// Number of the row rules (`rows::RULES`) it was cleaned under.
    pub rules: u32,
    /// Remarks a person should see: rows left as they were, a load that was started over.
    pub remarks: Vec<String>,
    pub archive_name: Option<String>,
    pub started_ms: EpochMs,
    pub received_ms: EpochMs,
    pub archived_ms: Option<EpochMs>,
    pub finished_ms: EpochMs,
    /// Who ended it; empty where that was no worker.
    pub worker: String,
    pub version: String,
}

impl Receipt {
    pub const FORMAT: u32 = 1;
}
