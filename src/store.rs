//! The store is the user table and the ledger in one database, so that both change in one transaction. This file is
//! the contract; every backend keeps all of it, and one suite says so.
//!
//! Every call that takes a `Claim` is refused with `Lost` once another claim has a higher fence. Every call is
//! `Transient` (service `Store`) when the database cannot be reached, refuses the login or a privilege, is read-only,
//! full, or lacks the tables; its outcome is then unknown and the call may be repeated. Times are the database's.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    archive::StoredFile,
    error::{Error, Result, Service},
    receipt::Receipt,
    rows::{Existing, RowOptions, UserBlock},
    upload::{Claim, Cleaned, EpochMs, Event, Failure, NewUpload, Progress, State, Stored, Upload, UploadId},
};

mod filter;
pub mod ledger;
pub mod mysql;
pub mod session;
pub mod sqlite;

pub use filter::{Content, Filter, States};

/// Attempts in a row that may die or end unexpectedly without having moved anything.
pub const ATTEMPTS_MAX: u32 = 3;

/// The code of `check`'s error where this program cannot work with the ledger.
pub const LEDGER_VERSION: &str = "ledger_version";

#[async_trait]
pub trait Store: Send + Sync {
    /// For messages: "MySQL at 10.0.0.6:3306, database userdb".
    fn name(&self) -> String;

    // --- schema ---

    /// Creates what is missing, and says what it did or found; with `migrate` also changes an older user table's
    /// collation. May be repeated, also while other processes work.
    async fn init(&self, migrate: bool) -> Result<Vec<String>>;

    /// The statements that `init` would run on an empty server, for a DBA.
    fn schema(&self) -> String;

    /// Whether the database answers and its ledger's version can be worked with (`Fatal`, code `ledger_version`,
    /// when it cannot: the message says what to run).
    async fn check(&self) -> Result<()>;

    /// Whether the user table can be loaded as promised: engine, character set, column types, binary no-pad ids.
    /// `Transient` otherwise, naming `db init --migrate`.
    async fn check_table(&self) -> Result<()>;

    // --- uploads ---

    /// Inserts an upload if it is absent; true when it was.
    async fn register(&self, upload: &NewUpload) -> Result<bool>;

    /// As `register`, already claimed by `owner`; `None` when the ledger knows it already.
    async fn register_claimed(&self, upload: &NewUpload, owner: &str, lease: Duration) -> Result<Option<Claim>>;

    /// Notes that the queue took the announcement.
    async fn announced(&self, id: UploadId) -> Result<()>;

    /// Uploads that were never announced, oldest first: all of a spool, also those that have ended meanwhile, since
    /// others read the topic too; `None`: the open ones of any place.
    async fn unannounced(&self, spool: Option<Uuid>, limit: u32) -> Result<Vec<Upload>>;

    async fn upload(&self, id: UploadId) -> Result<Option<Upload>>;

    /// Ids that begin with `prefix` (lower-case hex and hyphens), at most `limit`.
    async fn find(&self, prefix: &str, limit: u32) -> Result<Vec<UploadId>>;

    /// Those of them that the ledger knows, in no order.
    async fn uploads_of(&self, ids: &[UploadId]) -> Result<Vec<Upload>>;

    /// A mark of each open upload and of those that ended within this time, read without locks, in no order. Whoever
    /// reads them again sees by them what has changed.
    async fn marks(&self, ended_within: Duration) -> Result<Vec<Mark>>;

    /// Newest first.
    async fn uploads(&self, filter: &Filter) -> Result<Vec<Upload>>;

    /// An upload's history, oldest first.
    async fn events(&self, id: UploadId) -> Result<Vec<Event>>;

    // --- claims ---

    /// Open uploads without a live lease whose next try is due, oldest first, from behind `after` on (a `seq`; 0: all);
    /// read without locks. An upload in `replace` mode that is `archived` is among them only when no earlier one of
    /// that mode is open.
    async fn candidates(&self, after: u64, limit: u32) -> Result<Vec<Upload>>;

    /// One conditional UPDATE: `Claimed` when this owner has it now. An attempt that ended with its worker's death is
    /// counted here unless it had finished a stage or moved a watermark; one too many makes the upload `failed`.
    async fn claim(&self, id: UploadId, owner: &str, lease: Duration) -> Result<ClaimOutcome>;

    /// Writes the claim's fence into the upload's ranges: waits for whatever the previous owner still has open there,
    /// so heartbeats must be running. Watermarks are read only after it.
    async fn take_over(&self, claim: &Claim) -> Result<()>;

    /// Renews the lease and writes the progress; called once a second.
    async fn heartbeat(&self, claim: &Claim, progress: Option<Progress>) -> Result<Beat>;

    /// Gives the claim up.
    async fn release(&self, claim: &Claim, why: Release) -> Result<()>;

    /// Whether nothing earlier of `replace` mode is open.
    async fn is_next(&self, claim: &Claim) -> Result<bool>;

    // --- stages, each one transaction with its event ---

    /// `received → archiving`: reserves the final name; false when another upload has that name.
    async fn reserve_archive_name(&self, claim: &Claim, name: &str) -> Result<bool>;

    /// `archiving → archived`. `sha256` is noted where it was unknown.
    async fn archived(&self, claim: &Claim, sha256: Option<&str>) -> Result<()>;

    /// Adds a sentence to the upload's history.
    async fn note(&self, claim: &Claim, message: &str) -> Result<()>;

    /// Notes what cleaning found in a file that will not be stored.
    async fn note_cleaned(&self, claim: &Claim, cleaned: &Cleaned) -> Result<()>;

    /// `archived → loading`: writes what cleaning found, the rules' number and the ranges, before the first row.
    /// Of an upload that is `loading` already it changes nothing and returns the ranges that are there.
    async fn split(&self, claim: &Claim, cleaned: &Cleaned, rules: u32, bounds: &[Bounds]) -> Result<Vec<Part>>;

    /// As `split`, with the parts that hold the rows of the ranges: from here on they are the upload's.
    async fn accept(
        &self,
        claim: &Claim,
        cleaned: &Cleaned,
        rules: u32,
        parts: &[(Bounds, PartFile)],
    ) -> Result<Vec<Part>>;

    /// The ranges of a load, in order; empty when it was not split yet.
    async fn parts(&self, id: UploadId) -> Result<Vec<Part>>;

    /// Begins one transaction on a range: locks its row first and checks its fence.
    async fn begin(&self, claim: &Claim, part: u32, existing: Existing) -> Result<Box<dyn RangeLoad>>;

    /// `loading → done` with the receipt; or `→ cancelled`, when the receipt's state says so.
    async fn finish(&self, claim: &Claim, receipt: &Receipt) -> Result<()>;

    /// `→ failed`.
    async fn fail(&self, claim: &Claim, failure: &Failure) -> Result<()>;

    /// Of an open upload that nobody has: notes what keeps workers from it, where nothing is noted yet.
    async fn note_unclaimed(&self, id: UploadId, message: &str) -> Result<()>;

    /// Of any open upload whose lease is not running, without a claim (a stranger's file that nobody could read for a
    /// day, a load whose rules nobody has): `→ failed`; false when it was claimed or ended meanwhile.
    async fn abandon(&self, id: UploadId, failure: &Failure) -> Result<bool>;

    // --- what a person asks for ---

    async fn cancel(&self, id: UploadId) -> Result<CancelOutcome>;

    /// Opens a `failed` or `cancelled` upload again at its last finished stage.
    async fn retry(&self, id: UploadId, retry: &Retry) -> Result<RetryOutcome>;

    /// Whether a newer upload in `replace` mode has stored rows or is about to: to load this one's bytes again would
    /// undo them.
    async fn overtaken(&self, id: UploadId) -> Result<bool>;

    // --- sweep ---

    /// `done`, `failed` or `cancelled` uploads that were archived, whose receipt's copy is not in the archive yet.
    async fn receipts_missing(&self, limit: u32) -> Result<Vec<Upload>>;

    /// `failed` or `cancelled` uploads that were not archived but had a name for it: what was begun of them may still be
    /// in the archive. `receipt_copied` notes that it is not.
    async fn begun_in_archive(&self, limit: u32) -> Result<Vec<Upload>>;

    /// The right to make the receipt's copy, which two must not make at once: true for one caller, until `lease` has
    /// run out or the copy is there.
    async fn take_receipt(&self, id: UploadId, lease: Duration) -> Result<bool>;

    async fn receipt_copied(&self, id: UploadId) -> Result<()>;

    // --- the local queue's parked messages ---

    async fn park(&self, message: &crate::queue::Parked) -> Result<()>;

    async fn parked(&self, limit: u32) -> Result<Vec<crate::queue::Parked>>;
}

/// One transaction of a load on one range. Dropped, it changes nothing.
#[async_trait]
pub trait RangeLoad: Send {
    /// The range's state under lock: go on behind its watermark.
    fn part(&self) -> &Part;

    /// Adds users behind the watermark, in id order, each id once, in ascending blocks.
    async fn put(&mut self, users: UserBlock) -> Result<()>;

    /// Stores rows, watermark (the last id put) and counts together, checked against what the server says it did.
    /// `finished`: the range is at its end. Returns the range's new state.
    async fn commit(self: Box<Self>, finished: bool) -> Result<Part>;
}

/// An id range of a load: `low` inclusive, `high` exclusive, in byte order; `None` is open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    pub low: Option<Vec<u8>>,
    pub high: Option<Vec<u8>>,
}

/// The rows of a range as a run file in the archive, sorted, each id once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartFile {
    #[serde(flatten)]
    pub file: StoredFile,
    /// Rows that it holds, and good rows of the upload that they stand for.
    pub rows: u64,
    pub good: u64,
}

/// A range's row in the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    pub number: u32,
    pub bounds: Bounds,
    /// The last id stored.
    pub watermark: Option<Vec<u8>>,
    pub finished: bool,
    pub stored: Stored,
    /// Its rows in the archive, where a cluster made them.
    pub file: Option<PartFile>,
}

/// Tells whether an upload has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub id: UploadId,
    /// It has not ended.
    pub open: bool,
    /// Another number after each change; it means nothing in another process.
    pub version: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimOutcome {
    Claimed(Claim),
    /// Someone else has it, or it is not due.
    Taken,
    /// Its attempts are used up: it is `failed` now.
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    Kept,
    CancelAsked,
}

/// Why a claim is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Release {
    /// Shutdown, or its turn has not come: open at once, nothing counted.
    HandedBack,
    /// A service cannot be reached: next try after `pause`, nothing counted. `message` is what the service said; the
    /// ledger shows "waiting for {service}: {message}".
    Waiting { service: Service, message: String, pause: Duration },
    /// Something unexpected: counted unless the attempt moved something, next try after `pause`, `failed` after
    /// `ATTEMPTS_MAX`.
    Unexpected { failure: Failure, pause: Duration },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelOutcome {
    NoSuchUpload,
    /// It was waiting: `cancelled` now.
    Cancelled,
    /// A worker has it and was told to stop.
    Asked,
    /// It ended before, in this state.
    Ended(State),
}

/// What `retry` may change.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Retry {
    /// Other row options: only as long as no row was stored.
    pub options: Option<RowOptions>,
    /// Forget what was cleaned and split, and load from the start.
    pub restart: bool,
    /// Although a newer upload in `replace` mode has overtaken it.
    pub over_newer: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryOutcome {
    NoSuchUpload,
    /// Open again, in this state.
    Opened(State),
    /// It is not `failed` or `cancelled`.
    NotEnded(State),
    /// Rows were stored already; options stay as they are.
    RowsStored,
    /// A newer one in `replace` mode has overtaken it.
    Overtaken,
}

/// Milliseconds of a duration, as the ledger keeps them.
pub fn as_ms(duration: Duration) -> EpochMs {
    EpochMs::try_from(duration.as_millis()).unwrap_or(EpochMs::MAX)
}

/// The `Lost` error of a claim.
pub fn lost(claim: &Claim) -> Error {
    Error::lost(format!("the claim on upload {} (fence {}) was taken over", claim.id, claim.fence.number))
}
