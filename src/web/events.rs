//! `GET /events`: what happens to uploads, as it happens, by server-sent events (WHATWG HTML, section 9.2). Each event
//! carries an upload's whole state, so whoever missed some has lost nothing, and a reconnect begins with all of it.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Query, Request, State, rejection::QueryRejection},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};
use utoipa::IntoParams;

use crate::upload::{State as UploadState, UploadId};

use super::{
    Context,
    caller::Caller,
    errors::Problem,
    openapi::{BadRequest, NotFound, UPLOADS},
    status::{self, Found},
};

mod board;
mod watcher;

pub(super) use board::Board;
use board::{Next, Subscription, Told, Wanted};

/// Silence that proxies take for a dead connection is shorter than a minute.
const ALIVE: Duration = Duration::from_secs(10);
/// How long the caller counts as known before it is looked at again: tokens are read again as often.
const KNOWN_FOR: Duration = Duration::from_secs(1);
/// How long a browser waits before it connects again, milliseconds.
const RETRY_MS: u32 = 2000;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Follow this upload alone, beginning with whatever it is, until it has ended.
    upload: Option<String>,
}

/// Follows uploads by server-sent events.
///
/// An event `upload` carries the whole view of one upload, as `GET /uploads/{id}`
/// gives it: first of each that is open, then of each that changes. `gone`: it broke off while it arrived. `waiting`:
/// the database does not answer, or (`null`) it does again. Ids grow; a comment comes at least every 15 seconds.
#[utoipa::path(get, path = "/events", operation_id = "events", tag = UPLOADS, params(Asked),
    responses((status = 200, content_type = "text/event-stream", body = String), BadRequest, NotFound))]
pub(super) async fn follow(
    State(context): State<Context>,
    caller: Caller,
    query: Result<Query<Asked>, QueryRejection>,
    parts: Parts,
) -> Result<Response, Problem> {
    let Query(asked) = query?;
    let only = asked.upload.as_deref().map(str::parse::<UploadId>).transpose();
    let only =
        only.map_err(|_| Problem::no_such_upload(format!("\"{}\"", asked.upload.unwrap_or_default().escape_debug())))?;
    let mut follower = Follower::new(&context, caller, parts, only);
    if let Some(id) = only {
        follower.begin_with(id).await?;
    }
    let events = stream::unfold(follower, async |mut follower| {
        let event = follower.next().await?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(event)), follower))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // nginx holds answers back otherwise.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((StatusCode::OK, headers, Body::from_stream(events)).into_response())
}

/// One connection.
struct Follower {
    context: Context,
    caller: Caller,
    /// The request, by which the caller is known again.
    request: Request,
    board: Arc<Board>,
    subscription: Subscription,
    only: Option<UploadId>,
    /// Sent first.
    first: Option<String>,
    /// Nothing is left to be told.
    ended: bool,
    /// When something is to be said, if nothing else was.
    alive: Instant,
    /// Until then the caller counts as known. Unlike `alive`, no event puts this off.
    known_until: Instant,
}

impl Follower {
    fn new(context: &Context, caller: Caller, parts: Parts, only: Option<UploadId>) -> Self {
        let board = context.board.clone();
        let wanted = Wanted { only, sender: caller.sees_only().map(Into::into) };
        let subscription = board.subscribe(wanted, || {
            context.background.spawn(watcher::watch(context.clone()));
        });
        Self {
            context: context.clone(),
            caller,
            request: Request::from_parts(parts, Body::empty()),
            board,
            subscription,
            only,
            first: Some(format!("retry: {RETRY_MS}\n\n")),
            ended: false,
            alive: Instant::now() + ALIVE,
            known_until: Instant::now() + KNOWN_FOR,
        }
    }

    /// Begins with the state of one upload, whatever it is. What changes while it is looked up is told after it.
    async fn begin_with(&mut self, id: UploadId) -> Result<(), Problem> {
        let found = status::find(&self.context, id).await?;
        self.caller.check_sees(id, found.sender())?;
        if !matches!(found, Found::Ledger(_)) {
            self.board.arrived(id, found.sender());
        }
        let view = found.view();
        self.subscription.skip_known();
        self.ended = !view.state.is_open() && view.state != UploadState::Receiving;
        let data = serde_json::to_string(&view).unwrap_or_default();
        let first = self.first.get_or_insert_default();
        first.push_str(&event("upload", self.subscription.begun(), &data));
        Ok(())
    }

    /// The next piece of the stream; none at its end.
    async fn next(&mut self) -> Option<String> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        if self.ended {
            return None;
        }
        let next = tokio::select! {
            biased;
            () = self.board.closed.cancelled() => return None,
            next = self.subscription.next() => Some(next),
            () = sleep_until(self.alive) => None,
        };
        if !self.is_known() {
            return None;
        }
        self.alive = Instant::now() + ALIVE;
        match next {
            Some(next) => self.tell(next),
            None => Some(": alive\n\n".into()),
        }
    }

    /// The token may have been taken away, or the session have ended. Where others behind the same address have guessed
    /// too often to be judged, nothing is known against this one.
    fn is_known(&mut self) -> bool {
        if Instant::now() < self.known_until {
            return true;
        }
        self.known_until = Instant::now() + KNOWN_FOR;
        match self.context.access.caller(&self.request) {
            Ok(caller) => caller.as_ref() == Some(&self.caller),
            Err(problem) => problem.status == StatusCode::TOO_MANY_REQUESTS,
        }
    }

    fn tell(&mut self, next: Next) -> Option<String> {
        match next {
            Next::Upload(news) => {
                self.ended = self.only.is_some() && news.told != Told::Open;
                let name = if news.told == Told::Gone { "gone" } else { "upload" };
                Some(event(name, news.number, &news.data))
            }
            Next::Outage(outage) => Some(event("waiting", outage.number, outage.data.as_deref().unwrap_or("null"))),
            Next::Missed => None,
        }
    }
}

/// One event; JSON has no line breaks.
fn event(name: &str, id: u64, data: &str) -> String {
    format!("id: {id}\nevent: {name}\ndata: {data}\n\n")
}
