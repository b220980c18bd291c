//! Uploads at every point of their way, and blocks of users.

use std::{path::PathBuf, time::Duration};

use tokio::time::Instant;
use userdata::{
    error::{Error, Kind},
    receipt::Receipt,
    rows::{Existing, RowOptions, User, UserBlock},
    store::{Bounds, ClaimOutcome, Part, RangeLoad, Store},
    upload::{Claim, Cleaned, Failure, NewUpload, Place, State, Upload, UploadId},
};
use uuid::Uuid;

/// Longer than any scenario.
pub const LONG: Duration = Duration::from_secs(600);
/// A lease of a worker that dies over it.
pub const SHORT: Duration = Duration::from_millis(50);

pub fn new_upload() -> NewUpload {
    NewUpload {
        format: NewUpload::FORMAT,
        id: UploadId::new(),
        filename: "users.csv".into(),
        media_type: "text/csv".into(),
        size: 1_180_363_942,
        sha256: Some("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into()),
        sample: Some("4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce".into()),
        sender: "local".into(),
        started_ms: 1_488_845_854_788,
        received_ms: 1_488_845_854_801,
        place: Place {
            spool: Some(Uuid::from_u128(7)),
            path: Some(PathBuf::from("/srv/spool/users.csv")),
            server: Some("http://10.0.0.4:9000".into()),
            archive: None,
            host: Some("alpha".into()),
        },
        options: RowOptions::default(),
        again_of: None,
    }
}

pub fn with_existing(existing: Existing) -> NewUpload {
    let mut new = new_upload();
    new.options.existing = existing;
    new
}

/// A new upload in the ledger.
pub async fn registered(store: &dyn Store) -> UploadId {
    register(store, &new_upload()).await
}

pub async fn register(store: &dyn Store, new: &NewUpload) -> UploadId {
    assert!(store.register(new).await.unwrap());
    new.id
}

pub async fn claim(store: &dyn Store, id: UploadId, owner: &str, lease: Duration) -> Claim {
    match store.claim(id, owner, lease).await.unwrap() {
        ClaimOutcome::Claimed(claim) => claim,
        outcome => panic!("{owner} did not get upload {id}: {outcome:?}"),
    }
}

/// A new upload, claimed by `one`.
pub async fn claimed(store: &dyn Store, new: &NewUpload) -> Claim {
    let id = register(store, new).await;
    claim(store, id, "one", LONG).await
}

/// Claims what somebody's running lease still protects, as soon as it ran out.
pub async fn claim_in_turn(store: &dyn Store, id: UploadId, owner: &str, lease: Duration) -> ClaimOutcome {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match store.claim(id, owner, lease).await.unwrap() {
            ClaimOutcome::Taken => assert!(Instant::now() < deadline, "nobody could claim upload {id} within 30 s"),
            outcome => return outcome,
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub async fn successor(store: &dyn Store, id: UploadId, owner: &str, lease: Duration) -> Claim {
    match claim_in_turn(store, id, owner, lease).await {
        ClaimOutcome::Claimed(claim) => claim,
        outcome => panic!("{owner} did not get upload {id}: {outcome:?}"),
    }
}

pub async fn archive(store: &dyn Store, claim: &Claim) {
    assert!(store.reserve_archive_name(claim, &format!("2026/11/{}/users.csv", claim.id)).await.unwrap());
    store.archived(claim, None).await.unwrap();
}

/// Archived and split: what cleaning found is `good` rows and no rejects.
pub async fn split(store: &dyn Store, claim: &Claim, good: u64, bounds: &[Bounds]) -> Vec<Part> {
    archive(store, claim).await;
    store.split(claim, &cleaned(good), 1, bounds).await.unwrap()
}

pub fn cleaned(good: u64) -> Cleaned {
    Cleaned { read: good, good, sha256: "aa".into(), ..Cleaned::default() }
}

pub fn everything() -> Vec<Bounds> {
    vec![Bounds::default()]
}

pub fn bounds(low: Option<&str>, high: Option<&str>) -> Bounds {
    Bounds { low: low.map(Into::into), high: high.map(Into::into) }
}

/// Users with the ids given, in order; each stands for one row.
pub fn block<'a>(users: impl IntoIterator<Item = (&'a str, &'a str)>) -> UserBlock {
    let mut block = UserBlock::default();
    for (id, name) in users {
        block.push(User { id, name, time_of_start: "2017-03-07T00:30:54.000Z" }, 1, false);
    }
    block
}

pub async fn begin(store: &dyn Store, claim: &Claim, existing: Existing) -> Box<dyn RangeLoad> {
    store.begin(claim, 0, existing).await.unwrap()
}

/// Stores users in range 0 and commits.
pub async fn load(store: &dyn Store, claim: &Claim, users: UserBlock, finished: bool) -> Part {
    let mut load = begin(store, claim, Existing::Keep).await;
    load.put(users).await.unwrap();
    load.commit(finished).await.unwrap()
}

pub async fn state(store: &dyn Store, id: UploadId) -> State {
    row(store, id).await.state
}

pub async fn row(store: &dyn Store, id: UploadId) -> Upload {
    store.upload(id).await.unwrap().expect("it is registered")
}

pub async fn receipt(store: &dyn Store, id: UploadId, state: State) -> Receipt {
    let upload = row(store, id).await;
    Receipt {
        format: Receipt::FORMAT,
        id,
        filename: upload.new.filename.clone(),
        size: upload.new.size,
        sha256: upload.new.sha256.clone(),
        sender: upload.new.sender.clone(),
        state,
        counts: upload.counts,
        times: Default::default(),
        reasons: vec![],
        options: upload.new.options.clone(),
        rules: 1,
        remarks: vec!["as it should be".into()],
        archive_name: upload.archive_name.clone(),
        started_ms: upload.new.started_ms,
        received_ms: upload.new.received_ms,
        archived_ms: upload.archived_ms,
        finished_ms: upload.now_ms,
        worker: "one".into(),
        version: "0.1.0".into(),
    }
}

pub fn failure(code: &str) -> Failure {
    Failure { code: code.into(), message: format!("it went wrong: {code}"), next: Some("do something".into()) }
}

/// An upload that failed before anything was done with it.
pub async fn failed(store: &dyn Store, new: &NewUpload) -> UploadId {
    let claim = claimed(store, new).await;
    store.fail(&claim, &failure("broken")).await.unwrap();
    claim.id
}

pub fn kind<T>(outcome: Result<T, Error>) -> Option<Kind> {
    outcome.err().map(|error| error.kind)
}

#[track_caller]
pub fn assert_lost<T>(what: &str, outcome: Result<T, Error>) {
    assert_eq!(kind(outcome), Some(Kind::Lost), "{what} by a claim that was taken over");
}

#[track_caller]
pub fn assert_fatal<T>(outcome: Result<T, Error>, code: &str) -> Error {
    let error = outcome.err().expect("it is refused");
    assert_eq!((error.kind, error.code), (Kind::Fatal, code), "{error}");
    error
}
