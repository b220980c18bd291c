//! The final account of an upload, kept in the ledger and beside the original in the archive.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    rows::RowOptions,
    upload::{Counts, EpochMs, ReasonCount, State, TimeCounts, UploadId},
};

/// rows read = inserted + replaced + duplicates + rejected when `state` is `done`; of a cancelled load, `counts`
/// says what was stored until then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
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
    #[schema(value_type = i64)]
    pub started_ms: EpochMs,
    #[schema(value_type = i64)]
    pub received_ms: EpochMs,
    #[schema(value_type = Option<i64>)]
    pub archived_ms: Option<EpochMs>,
    #[schema(value_type = i64)]
    pub finished_ms: EpochMs,
    /// Who ended it; empty where that was no worker.
    pub worker: String,
    pub version: String,
}

impl Receipt {
    pub const FORMAT: u32 = 1;
}
