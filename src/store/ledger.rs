//! The ledger's protocol written once over the small SQL interface of `session`: every database keeps
//! the same promises because the same statements make them. Each subject has its file below `ledger/`; this one is
//! the `Store` that puts them together.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::{
    Beat, Bounds, CancelOutcome, ClaimOutcome, Filter, Mark, Part, PartFile, RangeLoad, Release, Retry, RetryOutcome,
    Store, session::Database,
};
use crate::{
    error::Result,
    queue::Parked,
    receipt::Receipt,
    rows::Existing,
    upload::{Claim, Cleaned, Event, Failure, NewUpload, Progress, Upload, UploadId},
};

mod account;
mod claim;
mod entry;
mod history;
mod listing;
mod mark;
mod parking;
mod range;
mod register;
mod request;
pub mod schema;
mod stage;
mod transaction;
mod value;
mod version;

/// The store over any database that keeps a ledger.
#[derive(Debug)]
pub struct Ledger<D: Database> {
    db: D,
}

impl<D: Database> Ledger<D> {
    pub fn new(db: D) -> Self {
        Self { db }
    }
}

#[async_trait]
impl<D: Database> Store for Ledger<D> {
    fn name(&self) -> String {
        self.db.name()
    }

    async fn init(&self, migrate: bool) -> Result<Vec<String>> {
        self.db.init(migrate).await
    }

    fn schema(&self) -> String {
        self.db.schema()
    }

    async fn check(&self) -> Result<()> {
        version::check(&self.db).await
    }

    async fn check_table(&self) -> Result<()> {
        self.db.check_table().await
    }

    async fn register(&self, upload: &NewUpload) -> Result<bool> {
        register::register(&self.db, upload).await
    }

    async fn register_claimed(&self, upload: &NewUpload, owner: &str, lease: Duration) -> Result<Option<Claim>> {
        register::register_claimed(&self.db, upload, owner, lease).await
    }

    async fn announced(&self, id: UploadId) -> Result<()> {
        register::announced(&self.db, id).await
    }

    async fn unannounced(&self, spool: Option<Uuid>, limit: u32) -> Result<Vec<Upload>> {
        listing::unannounced(&self.db, spool, limit).await
    }

    async fn upload(&self, id: UploadId) -> Result<Option<Upload>> {
        listing::upload(&self.db, id).await
    }

    async fn find(&self, prefix: &str, limit: u32) -> Result<Vec<UploadId>> {
        listing::find(&self.db, prefix, limit).await
    }

    async fn uploads_of(&self, ids: &[UploadId]) -> Result<Vec<Upload>> {
        mark::uploads_of(&self.db, ids).await
    }

    async fn marks(&self, ended_within: Duration) -> Result<Vec<Mark>> {
        mark::marks(&self.db, ended_within).await
    }

    async fn uploads(&self, filter: &Filter) -> Result<Vec<Upload>> {
        listing::uploads(&self.db, filter).await
    }

    async fn events(&self, id: UploadId) -> Result<Vec<Event>> {
        history::events(&self.db, id).await
    }

    async fn candidates(&self, after: u64, limit: u32) -> Result<Vec<Upload>> {
        listing::candidates(&self.db, after, limit).await
    }

    async fn claim(&self, id: UploadId, owner: &str, lease: Duration) -> Result<ClaimOutcome> {
        claim::claim(&self.db, id, owner, lease).await
    }

    async fn take_over(&self, claim: &Claim) -> Result<()> {
        range::take_over(&self.db, claim).await
    }

    async fn heartbeat(&self, claim: &Claim, progress: Option<Progress>) -> Result<Beat> {
        claim::heartbeat(&self.db, claim, progress).await
    }

    async fn release(&self, claim: &Claim, why: Release) -> Result<()> {
        claim::release(&self.db, claim, why).await
    }

    async fn is_next(&self, claim: &Claim) -> Result<bool> {
        claim::is_next(&self.db, claim).await
    }

    async fn reserve_archive_name(&self, claim: &Claim, name: &str) -> Result<bool> {
        stage::reserve_archive_name(&self.db, claim, name).await
    }

    async fn archived(&self, claim: &Claim, sha256: Option<&str>) -> Result<()> {
        stage::archived(&self.db, claim, sha256).await
    }

    async fn note(&self, claim: &Claim, message: &str) -> Result<()> {
        stage::note(&self.db, claim, message).await
    }

    async fn note_cleaned(&self, claim: &Claim, cleaned: &Cleaned) -> Result<()> {
        stage::note_cleaned(&self.db, claim, cleaned).await
    }

    async fn split(&self, claim: &Claim, cleaned: &Cleaned, rules: u32, bounds: &[Bounds]) -> Result<Vec<Part>> {
        stage::split(&self.db, claim, cleaned, rules, bounds).await
    }

    async fn accept(
        &self,
        claim: &Claim,
        cleaned: &Cleaned,
        rules: u32,
        parts: &[(Bounds, PartFile)],
    ) -> Result<Vec<Part>> {
        stage::accept(&self.db, claim, cleaned, rules, parts).await
    }

    async fn parts(&self, id: UploadId) -> Result<Vec<Part>> {
        range::parts(&self.db, id).await
    }

    async fn begin(&self, claim: &Claim, part: u32, existing: Existing) -> Result<Box<dyn RangeLoad>> {
        range::begin(&self.db, claim, part, existing).await
    }

    async fn finish(&self, claim: &Claim, receipt: &Receipt) -> Result<()> {
        account::finish(&self.db, claim, receipt).await
    }

    async fn fail(&self, claim: &Claim, failure: &Failure) -> Result<()> {
        account::fail(&self.db, claim, failure).await
    }

    async fn note_unclaimed(&self, id: UploadId, message: &str) -> Result<()> {
        claim::note_unclaimed(&self.db, id, message).await
    }

    async fn abandon(&self, id: UploadId, failure: &Failure) -> Result<bool> {
        account::abandon(&self.db, id, failure).await
    }

    async fn cancel(&self, id: UploadId) -> Result<CancelOutcome> {
        request::cancel(&self.db, id).await
    }

    async fn retry(&self, id: UploadId, retry: &Retry) -> Result<RetryOutcome> {
        request::retry(&self.db, id, retry).await
    }

    async fn overtaken(&self, id: UploadId) -> Result<bool> {
        request::overtaken(&self.db, id).await
    }

    async fn receipts_missing(&self, limit: u32) -> Result<Vec<Upload>> {
        listing::receipts_missing(&self.db, limit).await
    }

    async fn begun_in_archive(&self, limit: u32) -> Result<Vec<Upload>> {
        listing::begun_in_archive(&self.db, limit).await
    }

    async fn take_receipt(&self, id: UploadId, lease: Duration) -> Result<bool> {
        account::take_receipt(&self.db, id, lease).await
    }

    async fn receipt_copied(&self, id: UploadId) -> Result<()> {
        account::receipt_copied(&self.db, id).await
    }

    async fn park(&self, message: &Parked) -> Result<()> {
        parking::park(&self.db, message).await
    }

    async fn parked(&self, limit: u32) -> Result<Vec<Parked>> {
        parking::parked(&self.db, limit).await
    }
}
