//! Whether the server lives, and what it can reach. Uploads are accepted while queue, archive and database are down,
//! so only the spool decides whether it is ready; the others are told.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Json, extract::State, http::StatusCode};
use serde_json::{Value, json};
use tokio::{sync::Mutex, time::timeout};

use crate::{config::Role, error::Result};

use super::{Context, blocking, caller::Caller};

/// How long an answer is kept: probes come often, and each check is work for the services.
const KEPT: Duration = Duration::from_secs(5);
const CHECK_TIME: Duration = Duration::from_secs(3);

/// The last answer, and when it was found.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<Option<(Instant, StatusCode, Arc<Value>)>>);

pub(super) async fn live() -> Json<Value> {
    Json(json!({ "status": "alive", "version": env!("CARGO_PKG_VERSION") }))
}

/// `GET /readyz`: strangers hear whether, those who see all uploads hear what is wrong.
pub(super) async fn ready(State(context): State<Context>, caller: Option<Caller>) -> (StatusCode, Json<Value>) {
    let (status, answer) = known(&context).await;
    let whole = caller.is_some_and(|caller| matches!(caller.role, Role::Read | Role::Admin));
    (status, Json(if whole { answer } else { json!({ "status": answer["status"] }) }))
}

async fn known(context: &Context) -> (StatusCode, Value) {
    let mut last = context.health.0.lock().await;
    if let Some((at, status, answer)) = last.as_ref()
        && at.elapsed() < KEPT
    {
        return (*status, Value::clone(answer));
    }
    let (status, answer) = check(context).await;
    *last = Some((Instant::now(), status, Arc::new(answer.clone())));
    (status, answer)
}

async fn check(context: &Context) -> (StatusCode, Value) {
    let spool = context.spool();
    let room = blocking(move || spool.check_room(0));
    let (spool, queue, archive, store) = tokio::join!(
        answer(format!("the spool {}", context.spool().folder().display()), room),
        answer(context.queue.name(), context.queue.check()),
        answer(context.archive.name(), context.archive.check()),
        answer(context.store.name(), context.store.check()),
    );
    let ready = spool["ok"] == true;
    let whole = ready && [&queue, &archive, &store].iter().all(|answer| answer["ok"] == true);
    let status = match (ready, whole) {
        (true, true) => "ready",
        (true, false) => "degraded",
        (false, _) => "not ready",
    };
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, json!({ "status": status, "spool": spool, "queue": queue, "archive": archive, "store": store }))
}

async fn answer(name: String, check: impl Future<Output = Result<()>>) -> Value {
    match timeout(CHECK_TIME, check).await {
        Ok(Ok(())) => json!({ "ok": true, "name": name }),
        Ok(Err(error)) => json!({ "ok": false, "name": name, "message": error.to_string(), "next": error.next }),
        Err(_) => {
            let message = format!("{name} does not answer within {} s", CHECK_TIME.as_secs());
            json!({ "ok": false, "name": name, "message": message })
        }
    }
}
