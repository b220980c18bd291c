//! What is known of an upload: its id, its states, where its bytes are, how far it is.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{error::Service, receipt::Receipt, rows::RowOptions};

mod counts;

pub use counts::{Cleaned, Counts, FormatWanted, ReasonCount, Stored, TimeCounts};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, as in announcements.
pub type EpochMs = i64;

/// An upload's id, a UUID. Text order of ids made by `new` is the order of their creation (version 7, RFC 9562).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct UploadId(pub Uuid);

impl UploadId {
    #[expect(clippy::new_without_default, reason = "each call gives another id")]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// When it was made; others may choose ids that do not tell.
    pub fn made_ms(self) -> Option<EpochMs> {
        let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
        EpochMs::try_from(seconds * 1000 + u64::from(nanos) / 1_000_000).ok()
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl FromStr for UploadId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self)
    }
}

/// The states of the ledger; `receiving` is known to the spool alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Receiving,
    Received,
    Archiving,
    Archived,
    Loading,
    Done,
    Failed,
    Cancelled,
}

impl State {
    pub const ALL: [Self; 8] = [
        Self::Receiving,
        Self::Received,
        Self::Archiving,
        Self::Archived,
        Self::Loading,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Received => "received",
            Self::Archiving => "archiving",
            Self::Archived => "archived",
            Self::Loading => "loading",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether a worker still has something to do.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Received | Self::Archiving | Self::Archived | Self::Loading)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for State {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("\"{text}\" is not a state: use one of {names}")
        })
    }
}

/// Each known way to an upload's bytes; a worker uses the first that it can reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The id kept in the spool's folder: tells a shared spool from another machine's folder of the same name.
    pub spool: Option<Uuid>,
    /// Absolute path of the bytes, on the machine that took them or announced them.
    pub path: Option<PathBuf>,
    /// Base address of the server that took the file (`http://host:9000`); the bytes are at `/uploads/{id}/content`.
    pub server: Option<String>,
    /// Name in the archive, where another upload put the same bytes (`again`).
    pub archive: Option<String>,
    /// Host name of the machine that `path` is on, for messages.
    pub host: Option<String>,
}

/// What `register` writes: everything known of a received file. This is also the spool's info file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewUpload {
    /// Format number of the info file.
    pub format: u32,
    pub id: UploadId,
    /// As the sender named it; only ever text, never part of a path.
    pub filename: String,
    /// The part's content type, or empty.
    pub media_type: String,
    pub size: u64,
    /// Lower-case hex; unknown for a stranger's file until it has been read.
    pub sha256: Option<String>,
    /// Hash of its ends, lower-case hex (`hash::sample`): with the size, enough to ask whether a file was sent before
    /// without reading all of it. Unknown for what never lay in a spool.
    #[serde(default)]
    pub sample: Option<String>,
    /// A token's name, `local` or `announcement`.
    pub sender: String,
    pub started_ms: EpochMs,
    pub received_ms: EpochMs,
    pub place: Place,
    /// Effective value of every `[rows]` key, frozen from here on.
    pub options: RowOptions,
    /// The upload that this one loads again.
    pub again_of: Option<UploadId>,
}

impl NewUpload {
    pub const FORMAT: u32 = 1;
}

/// One row of the ledger.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Order of registration.
    pub seq: u64,
    pub new: NewUpload,
    pub state: State,
    pub announced_ms: Option<EpochMs>,
    /// The final name in the archive, once chosen; the original is there when `archived_ms` is set.
    pub archive_name: Option<String>,
    pub archived_ms: Option<EpochMs>,
    pub finished_ms: Option<EpochMs>,
    /// Whether the receipt's copy is in the archive, or, of one that was not archived, nothing is.
    pub receipt_copied: bool,
    /// Attempts in a row that ended with the worker's death or an unexpected error and moved nothing.
    pub attempts: u32,
    pub owner: Option<String>,
    /// Set while a claim is live or was; compare with `now_ms`.
    pub lease_until_ms: Option<EpochMs>,
    pub next_try_ms: Option<EpochMs>,
    /// The database's time when this row was read.
    pub now_ms: EpochMs,
    pub fence: u64,
    pub cancel_asked: bool,
    /// The rules (`rows::RULES`) under which a half-stored load was cleaned.
    pub rules: Option<u32>,
    /// Rows that were stored by loads that a `retry` started over; this one finds them in the table.
    pub stored_before: u64,
    pub cleaned: Option<Cleaned>,
    pub counts: Counts,
    pub progress: Option<Progress>,
    pub waiting: Option<Waiting>,
    pub failure: Option<Failure>,
    pub receipt: Option<Receipt>,
}

impl Upload {
    pub fn id(&self) -> UploadId {
        self.new.id
    }

    /// Whether a worker's lease on it is running.
    pub fn is_claimed(&self) -> bool {
        self.owner.is_some() && self.lease_until_ms.is_some_and(|until| until > self.now_ms)
    }
}

/// How far the present stage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    pub stage: Stage,
    pub done: u64,
    pub total: u64,
    pub unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Receive,
    Archive,
    Expand,
    Index,
    Clean,
    Split,
    Load,
    Finish,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    Bytes,
    Rows,
    /// Of a cluster.
    Tasks,
}

/// What an upload waits for, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    #[serde(rename = "for")]
    pub service: Service,
    /// "waiting for the archive: 530 Login incorrect".
    pub message: String,
    pub since: EpochMs,
    pub next_try: Option<EpochMs>,
}

impl Waiting {
    /// The `message` of who waits for a service that said `why`.
    pub fn text(service: Service, why: &str) -> String {
        format!("waiting for {service}: {why}")
    }
}

/// Why an upload is `failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub code: String,
    pub message: String,
    pub next: Option<String>,
}

/// One entry of an upload's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub at: EpochMs,
    pub worker: Option<String>,
    pub version: String,
    pub attempt: u32,
    pub state: State,
    pub message: String,
}

/// The right of one worker to work on one upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub id: UploadId,
    pub owner: String,
    pub fence: Fence,
    pub lease: Duration,
}

/// A number that grows with each claim and a random value, compared together: after a failover that lost a
/// transaction, a number may be given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    pub number: u64,
    pub nonce: i64,
}
