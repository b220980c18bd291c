//! What became of an upload, as JSON: from the ledger, else from the spool, which knows an upload before the ledger
//! does and while the database is down.

use std::time::Duration;

use axum::{Json, extract::State, http::HeaderMap, response::Response};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::{
    error::{Error, Result, Service},
    pipeline::process::remarks_of,
    rows::RowOptions,
    spool::Receiving,
    upload::{
        Counts, EpochMs, Event, NewUpload, Progress, ReasonCount, Stage, State as UploadState, TimeCounts, Unit,
        Upload, UploadId, Waiting,
    },
};

use super::{
    Context, blocking,
    caller::Caller,
    errors::Problem,
    openapi::{IfNoneMatch, NotFound, NotModified, UPLOADS, UploadPath},
    path::Id,
    tagged::tagged,
};

/// How long an answer waits for the database before the spool is asked.
const STORE_TIME: Duration = Duration::from_secs(2);

/// An upload as `GET /uploads/{id}` and `status --json` show it. Times are RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Upload)]
pub struct UploadView {
    pub id: UploadId,
    pub filename: String,
    /// Bytes; while it arrives, those announced by the sender.
    pub size: Option<u64>,
    pub sha256: Option<String>,
    pub sender: String,
    pub state: UploadState,
    pub attempts: u32,
    #[serde(flatten)]
    pub counts: Counts,
    pub progress: Option<Progress>,
    pub waiting: Option<WaitingView>,
    /// How the times of its rows were read.
    pub times: TimeCounts,
    pub error: Option<ErrorView>,
    /// Why rows were rejected, most frequent first.
    pub reasons: Vec<ReasonCount>,
    pub undecodable: u64,
    pub looks_like: Option<String>,
    pub archive_name: Option<String>,
    pub options: Option<RowOptions>,
    pub again_of: Option<UploadId>,
    pub cancel_asked: bool,
    pub owner: Option<String>,
    pub started_at: String,
    pub received_at: Option<String>,
    /// When an unfinished upload is given up, if no byte comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    pub announced_at: Option<String>,
    pub archived_at: Option<String>,
    pub finished_at: Option<String>,
    pub remarks: Vec<String>,
    pub links: Links,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Waiting)]
pub struct WaitingView {
    #[serde(rename = "for")]
    pub service: Service,
    pub message: String,
    pub since: String,
    pub next_try: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Failure)]
pub struct ErrorView {
    pub code: String,
    pub message: String,
    pub next: Option<String>,
}

/// Where more of it is; absent where there is none yet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct Links {
    #[serde(rename = "self")]
    pub own: String,
    /// Where an unfinished upload goes on, by the protocol tus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tus: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejects: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
}

impl UploadView {
    pub fn new(upload: &Upload) -> Self {
        let cleaned = upload.cleaned.clone().unwrap_or_default();
        let receipt = upload.receipt.as_ref();
        let mut view = Self::spooled(&upload.new, upload.waiting.as_ref());
        let link = |what: &str| Some(format!("/uploads/{}/{what}", upload.id()));
        view.sha256 = view.sha256.or((!cleaned.sha256.is_empty()).then_some(cleaned.sha256));
        view.state = upload.state;
        view.attempts = upload.attempts;
        view.counts = upload.counts;
        view.progress = upload.progress.filter(|_| upload.state.is_open());
        view.times = cleaned.times;
        view.reasons = cleaned.reasons;
        view.undecodable = cleaned.undecodable;
        view.looks_like = cleaned.looks_like;
        view.error = upload.failure.as_ref().map(|failure| ErrorView {
            code: failure.code.clone(),
            message: failure.message.clone(),
            next: failure.next.clone(),
        });
        view.archive_name.clone_from(&upload.archive_name);
        view.cancel_asked = upload.cancel_asked && upload.state.is_open();
        view.owner = upload.owner.clone().filter(|_| upload.is_claimed());
        view.announced_at = upload.announced_ms.map(time);
        view.archived_at = upload.archived_ms.map(time);
        view.finished_at = upload.finished_ms.map(time);
        view.remarks = remarks_of(upload);
        view.links.events = link("events");
        view.links.rejects = link("rejects").filter(|_| cleaned.rejected > 0 && upload.archived_ms.is_some());
        view.links.receipt = receipt.and_then(|_| link("receipt"));
        view
    }

    /// Of an upload that lies in the spool and is not in the ledger yet, or whose ledger cannot be reached.
    pub fn spooled(new: &NewUpload, waiting: Option<&Waiting>) -> Self {
        let own = format!("/uploads/{}", new.id);
        let links = Links { content: Some(format!("{own}/content")), own, ..Links::default() };
        Self {
            id: new.id,
            filename: new.filename.clone(),
            size: Some(new.size),
            sha256: new.sha256.clone(),
            sender: new.sender.clone(),
            state: UploadState::Received,
            attempts: 0,
            counts: Counts::default(),
            progress: None,
            waiting: waiting.map(WaitingView::new),
            times: TimeCounts::default(),
            error: None,
            reasons: Vec::new(),
            undecodable: 0,
            looks_like: None,
            archive_name: None,
            options: Some(new.options.clone()),
            again_of: new.again_of,
            cancel_asked: false,
            owner: None,
            started_at: time(new.started_ms),
            received_at: Some(time(new.received_ms)),
            expires_at: None,
            announced_at: None,
            archived_at: None,
            finished_at: None,
            remarks: Vec::new(),
            links,
        }
    }

    /// Of an upload that is still arriving.
    pub fn receiving(receiving: &Receiving) -> Self {
        let arrival = &receiving.arrival;
        let (done, total) = (receiving.received, arrival.size.unwrap_or(0));
        let new = NewUpload {
            format: NewUpload::FORMAT,
            id: arrival.id,
            filename: arrival.filename.clone(),
            media_type: String::new(),
            size: 0,
            sha256: None,
            sample: None,
            sender: arrival.sender.clone(),
            started_ms: arrival.started_ms,
            received_ms: 0,
            place: crate::upload::Place::default(),
            options: RowOptions::default(),
            again_of: None,
        };
        Self {
            size: arrival.size,
            state: UploadState::Receiving,
            progress: Some(Progress { stage: Stage::Receive, done, total, unit: Unit::Bytes }),
            options: None,
            received_at: None,
            expires_at: receiving.expires_ms.map(time),
            links: Links {
                own: format!("/uploads/{}", arrival.id),
                tus: receiving.expires_ms.map(|_| format!("/files/{}", arrival.id)),
                ..Links::default()
            },
            ..Self::spooled(&new, None)
        }
    }
}

impl WaitingView {
    pub fn new(waiting: &Waiting) -> Self {
        Self {
            service: waiting.service,
            message: waiting.message.clone(),
            since: time(waiting.since),
            next_try: waiting.next_try.map(time),
        }
    }
}

/// RFC 3339 in UTC with milliseconds.
fn time(ms: EpochMs) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// What an upload that the database cannot be asked about is waiting for.
pub(super) fn waiting_for_store(error: &Error, since: EpochMs) -> Waiting {
    let message = Waiting::text(Service::Store, &error.with_next());
    Waiting { service: Service::Store, message, since, next_try: None }
}

/// Asks the database, but not for ever: a request must not hang on a service that is down.
pub(super) async fn ask<T>(context: &Context, asked: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(STORE_TIME, asked).await.unwrap_or_else(|_| {
        let text = format!("{} does not answer within {} s", context.store.name(), STORE_TIME.as_secs());
        Err(Error::unavailable(Service::Store, text))
    })
}

/// An upload, wherever it is known.
pub(super) enum Found {
    Ledger(Box<Upload>),
    Spool(Box<NewUpload>, Option<Waiting>),
    Receiving(Box<Receiving>),
}

impl Found {
    pub fn sender(&self) -> &str {
        match self {
            Self::Ledger(upload) => &upload.new.sender,
            Self::Spool(new, _) => &new.sender,
            Self::Receiving(receiving) => &receiving.arrival.sender,
        }
    }

    pub fn view(&self) -> UploadView {
        match self {
            Self::Ledger(upload) => UploadView::new(upload),
            Self::Spool(new, waiting) => UploadView::spooled(new, waiting.as_ref()),
            Self::Receiving(receiving) => UploadView::receiving(receiving),
        }
    }
}

/// Looks first in the ledger, then in the spool.
pub(super) async fn find(context: &Context, id: UploadId) -> Result<Found, Problem> {
    let asked = ask(context, context.store.upload(id)).await;
    if let Ok(Some(upload)) = asked {
        return Ok(Found::Ledger(Box::new(upload)));
    }
    let spool = context.spool();
    let (received, receiving) = blocking(move || Ok((spool.read(id)?, spool.receiving_of(id)?))).await?;
    if let Some(new) = received {
        let waiting = asked.err().map(|error| waiting_for_store(&error, new.received_ms));
        return Ok(Found::Spool(Box::new(new), waiting));
    }
    if let Some(receiving) = receiving {
        return Ok(Found::Receiving(Box::new(receiving)));
    }
    asked?;
    Err(Problem::no_such_upload(id).of(id))
}

/// One upload: its state, progress and counts, what it waits for, and where more of it is.
#[utoipa::path(get, path = "/uploads/{id}", operation_id = "upload", tag = UPLOADS, params(UploadPath, IfNoneMatch),
    responses((status = 200, body = UploadView, headers(("etag" = String))), NotModified, NotFound))]
pub(super) async fn show(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = find(&context, id).await?;
    caller.check_sees(id, found.sender())?;
    let view = found.view();
    Ok(tagged(&headers, &view, &view))
}

/// What happened to an upload, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct History {
    events: Vec<EventView>,
}

/// One entry of an upload's history.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HistoryEvent)]
struct EventView {
    at: String,
    worker: Option<String>,
    /// Of the program that wrote it.
    version: String,
    attempt: u32,
    state: UploadState,
    message: String,
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        let Event { at, worker, version, attempt, state, message } = event;
        Self { at: time(at), worker, version, attempt, state, message }
    }
}

/// An upload's history, oldest first.
#[utoipa::path(get, path = "/uploads/{id}/events", operation_id = "history", tag = UPLOADS, params(UploadPath),
    responses((status = 200, body = History), NotFound))]
pub(super) async fn events(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<History>, Problem> {
    // Nothing happened to an upload that only the spool knows; what nobody knows is not found.
    caller.check_sees(id, find(&context, id).await?.sender())?;
    let events = ask(&context, context.store.events(id)).await?;
    Ok(Json(History { events: events.into_iter().map(EventView::from).collect() }))
}

/// The machine's present time.
pub(super) fn now_ms() -> EpochMs {
    Utc::now().timestamp_millis()
}
