//! What is known of an upload: its id, its states, where its bytes are, what became of its rows.

use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{error::Service, receipt::Receipt, rows::RowOptions};

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
