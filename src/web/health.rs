//! Whether the server lives, and what it can reach. Uploads are accepted while queue, archive and database are down,
//! so only the spool decides whether it is ready; the others are told.

use std::time::{Duration, Instant};

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use tokio::{sync::Mutex, time::timeout};
use utoipa::ToSchema;

use crate::{config::Role, error::Result};

use super::{Context, blocking, caller::Caller, openapi::SERVER};

/// How long an answer is kept: probes come often, and each check is work for the services.
const KEPT: Duration = Duration::from_secs(5);
const CHECK_TIME: Duration = Duration::from_secs(3);

/// The last answer, and when it was found.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<Option<(Instant, StatusCode, Ready)>>);

/// That the process answers.
#[derive(Serialize, ToSchema)]
pub(super) struct Live {
    status: &'static str,
    version: &'static str,
}

/// Whether the server lives.
#[utoipa::path(get, path = "/livez", operation_id = "live", tag = SERVER, responses((status = 200, body = Live)))]
pub(super) async fn live() -> Json<Live> {
    Json(Live { status: "alive", version: env!("CARGO_PKG_VERSION") })
}

/// Whether uploads are accepted, and what is known of the services.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Ready {
    /// `ready`; `degraded`: uploads are accepted and wait; `not ready`.
    status: &'static str,
    /// Only for those who see all uploads.
    #[serde(flatten)]
    services: Option<Services>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
struct Services {
    spool: Health,
    queue: Health,
    archive: Health,
    store: Health,
}

/// What a service answered.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Health {
    ok: bool,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Whether the server is ready: strangers hear whether, those who see all uploads hear what is wrong.
#[utoipa::path(get, path = "/readyz", operation_id = "ready", tag = SERVER,
    responses((status = 200, body = Ready), (status = 503, body = Ready)))]
pub(super) async fn ready(State(context): State<Context>, caller: Option<Caller>) -> (StatusCode, Json<Ready>) {
    let (status, mut answer) = known(&context).await;
    if !caller.is_some_and(|caller| matches!(caller.role, Role::Read | Role::Admin)) {
        answer.services = None;
    }
    (status, Json(answer))
}

async fn known(context: &Context) -> (StatusCode, Ready) {
    let mut last = context.health.0.lock().await;
    if let Some((at, status, answer)) = last.as_ref()
        && at.elapsed() < KEPT
    {
        return (*status, answer.clone());
    }
    let (status, answer) = check(context).await;
    *last = Some((Instant::now(), status, answer.clone()));
    (status, answer)
}

async fn check(context: &Context) -> (StatusCode, Ready) {
    let spool = context.spool();
    let room = blocking(move || spool.check_room(0));
    let (spool, queue, archive, store) = tokio::join!(
        answer(format!("the spool {}", context.spool().folder().display()), room),
        answer(context.queue.name(), context.queue.check()),
        answer(context.archive.name(), context.archive.check()),
        answer(context.store.name(), context.store.check()),
    );
    let ready = spool.ok;
    let whole = ready && queue.ok && archive.ok && store.ok;
    let status = match (ready, whole) {
        (true, true) => "ready",
        (true, false) => "degraded",
        (false, _) => "not ready",
    };
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Ready { status, services: Some(Services { spool, queue, archive, store }) })
}

async fn answer(name: String, check: impl Future<Output = Result<()>>) -> Health {
    let (message, next) = match timeout(CHECK_TIME, check).await {
        Ok(Ok(())) => (None, None),
        Ok(Err(error)) => (Some(error.to_string()), error.next),
        Err(_) => (Some(format!("{name} does not answer within {} s", CHECK_TIME.as_secs())), None),
    };
    Health { ok: message.is_none(), name, message, next }
}
