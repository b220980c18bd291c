//! What a person asks of an upload: retry, again, cancel.

use axum::{
    Extension, Json,
    extract::{
        Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    rows::RowOptions,
    store::{CancelOutcome, Retry, RetryOutcome},
    upload::{State as UploadState, Upload, UploadId},
};

use super::{
    Again, Context, blocking,
    caller::Caller,
    errors::Problem,
    openapi::{BadRequest, Conflict, NotFound, RowQuery, TooLarge, UPLOADS, Unprocessable, UploadPath},
    options::Asked,
    path::Id,
    status::{UploadView, ask},
    uploads::Answered,
};

type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;
type Content = Result<Bytes, BytesRejection>;

/// For the API's description.
const OVER_NEWER: &str = "Although a newer upload in replace mode has overtaken it.";
const ROW_BODY: &str = "The options instead of the query; what is not named stays.";

/// Options from the query, or from a JSON object as the body.
fn asked(query: Pairs, body: Content) -> Result<Asked, Problem> {
    let (Query(pairs), body) = (query?, body?);
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Asked::of_query(pairs));
    }
    if !pairs.is_empty() {
        return Err(Problem::bad_request("bad_body", "options come in the address or in the body, not in both"));
    }
    let value: Value = serde_json::from_slice(&body)
        .map_err(|error| Problem::bad_request("bad_body", format!("the body is not JSON: {error}")))?;
    Asked::of_json(&value)
}

fn conflict(id: UploadId, code: &'static str, text: String) -> Problem {
    Problem::new(StatusCode::CONFLICT, code, text).of(id)
}

/// The upload, registered first where only the spool knows of it yet: then whoever was shown it may act on it.
async fn upload(context: &Context, id: UploadId) -> Result<Upload, Problem> {
    if let Some(upload) = ask(context, context.store.upload(id)).await? {
        return Ok(upload);
    }
    let spool = context.spool();
    let new = blocking(move || spool.read(id)).await?.ok_or_else(|| Problem::no_such_upload(id).of(id))?;
    ask(context, context.intake.register(&new)).await?;
    let upload = ask(context, context.store.upload(id)).await?;
    upload.ok_or_else(|| Problem::no_such_upload(id).of(id))
}

/// Opens an upload again that has failed or was cancelled, with other options if need be.
#[utoipa::path(post, path = "/uploads/{id}/retry", operation_id = "retry", tag = UPLOADS,
    params(UploadPath, RowQuery, ("over_newer" = Option<bool>, Query, description = OVER_NEWER),
        ("restart" = Option<bool>, Query, description = "Forget what was cleaned, and load from the start.")),
    request_body(content = Option<RowOptions>, description = ROW_BODY),
    responses((status = 200, body = UploadView), BadRequest, NotFound, Conflict, TooLarge))]
pub(super) async fn retry(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    query: Pairs,
    body: Content,
) -> Result<Response, Problem> {
    caller.may_change(id, &upload(&context, id).await?.new.sender)?;
    let mut asked = asked(query, body)?;
    let (restart, over_newer) = (asked.take_flag("restart")?, asked.take_flag("over_newer")?);
    let options = match asked.is_empty() {
        true => None,
        false => Some(asked.over(&upload(&context, id).await?.new.options)?),
    };
    match ask(&context, context.store.retry(id, &Retry { options, restart, over_newer })).await? {
        RetryOutcome::Opened(_) => {
            context.intake.wake(id).await;
            Ok(Json(UploadView::new(&upload(&context, id).await?)).into_response())
        }
        RetryOutcome::NoSuchUpload => Err(Problem::no_such_upload(id).of(id)),
        RetryOutcome::NotEnded(UploadState::Done) => {
            Err(conflict(id, "not_ended", format!("upload {id} is done; there is nothing to retry"))
                .next("load it again with other options: POST /uploads/ID/again"))
        }
        RetryOutcome::NotEnded(state) => {
            Err(conflict(id, "not_ended", format!("upload {id} goes on by itself; its state is {state}")))
        }
        RetryOutcome::RowsStored => Err(conflict(
            id,
            "rows_stored",
            format!("upload {id} has stored rows already; its options stay as they are"),
        )
        .next("retry it without options, or load it again: POST /uploads/ID/again")),
        RetryOutcome::Overtaken => Err(overtaken(id)),
    }
}

fn overtaken(id: UploadId) -> Problem {
    conflict(
        id,
        "overtaken",
        format!("a newer upload in replace mode was loaded after {id}; its rows would be overwritten"),
    )
    .next("repeat it with over_newer=true if that is meant")
}

/// Makes a new upload of the same bytes, with other options.
#[utoipa::path(post, path = "/uploads/{id}/again", operation_id = "again", tag = UPLOADS,
    params(UploadPath, RowQuery, ("over_newer" = Option<bool>, Query, description = OVER_NEWER)),
    request_body(content = Option<RowOptions>, description = ROW_BODY),
    responses((status = 201, body = UploadView, headers(("location" = String))), BadRequest, NotFound, Conflict,
        TooLarge, Unprocessable))]
pub(super) async fn again(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    query: Pairs,
    body: Content,
) -> Result<Response, Problem> {
    let first = upload(&context, id).await?.new;
    caller.may_change(id, &first.sender)?;
    let mut asked = asked(query, body)?;
    let over_newer = asked.take_flag("over_newer")?;
    let options = asked.over(&first.options)?;
    let new = context.intake.again(Again { id, options, over_newer, sender: caller.name }).await?;
    let location = [(header::LOCATION, format!("/uploads/{}", new.id))];
    Ok((StatusCode::CREATED, Extension(Answered(new.id)), location, Json(UploadView::spooled(&new, None)))
        .into_response())
}

/// What came of the wish to cancel.
#[derive(Serialize, ToSchema)]
pub(super) struct Cancelled {
    id: UploadId,
    outcome: CancelledOutcome,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CancelledOutcome {
    /// It was waiting, and is cancelled now.
    Cancelled,
    /// A worker has it, and was told to stop.
    Asked,
}

/// Stops an upload. Rows that were stored until then stay.
#[utoipa::path(post, path = "/uploads/{id}/cancel", operation_id = "cancel", tag = UPLOADS, params(UploadPath),
    responses((status = 200, body = Cancelled), (status = 202, body = Cancelled), NotFound, Conflict))]
pub(super) async fn cancel(State(context): State<Context>, caller: Caller, Id(id): Id) -> Result<Response, Problem> {
    caller.may_change(id, &upload(&context, id).await?.new.sender)?;
    match ask(&context, context.store.cancel(id)).await? {
        CancelOutcome::NoSuchUpload => Err(Problem::no_such_upload(id).of(id)),
        CancelOutcome::Cancelled => Ok(Json(Cancelled { id, outcome: CancelledOutcome::Cancelled }).into_response()),
        CancelOutcome::Asked => {
            Ok((StatusCode::ACCEPTED, Json(Cancelled { id, outcome: CancelledOutcome::Asked })).into_response())
        }
        CancelOutcome::Ended(state) => {
            Err(conflict(id, "ended", format!("upload {id} has ended already; its state is {state}")))
        }
    }
}
