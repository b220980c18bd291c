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
use serde_json::{Value, json};

use crate::{
    store::{CancelOutcome, Retry, RetryOutcome},
    upload::{State as UploadState, Upload, UploadId},
};

use super::{
    Again, Context, blocking,
    caller::Caller,
    errors::Problem,
    options::Asked,
    path::Id,
    status::{UploadView, ask},
    uploads::Answered,
};

type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;
type Content = Result<Bytes, BytesRejection>;

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

/// `POST /uploads/{id}/retry`, with other options, `restart` and `over_newer` if need be.
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

/// `POST /uploads/{id}/again`: a new upload of the same bytes.
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

/// `POST /uploads/{id}/cancel`
pub(super) async fn cancel(State(context): State<Context>, caller: Caller, Id(id): Id) -> Result<Response, Problem> {
    caller.may_change(id, &upload(&context, id).await?.new.sender)?;
    match ask(&context, context.store.cancel(id)).await? {
        CancelOutcome::NoSuchUpload => Err(Problem::no_such_upload(id).of(id)),
        CancelOutcome::Cancelled => Ok(Json(json!({ "id": id, "outcome": "cancelled" })).into_response()),
        CancelOutcome::Asked => {
            Ok((StatusCode::ACCEPTED, Json(json!({ "id": id, "outcome": "asked" }))).into_response())
        }
        CancelOutcome::Ended(state) => {
            Err(conflict(id, "ended", format!("upload {id} has ended already; its state is {state}")))
        }
    }
}
