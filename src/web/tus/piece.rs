//! `PATCH /files/{id}`: the next bytes of an upload.

use axum::{
    body::{Body, HttpBody},
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};

use crate::{
    error::{Error, Result as CoreResult},
    pipeline::receive::{Piece, Progress},
    upload::NewUpload,
    web::{
        Context,
        caller::Caller,
        errors::Problem,
        openapi::{
            BadRequest, Conflict, Locked, NoRoom, NotFound, OtherType, OtherVersion, TUS, TimedOut, TooLarge,
            TusResumable, Unprocessable, UploadPath, WrongChecksum,
        },
        path::Id,
        uploads,
    },
};

use super::{
    Held, headers,
    own::{Known, check_own, progressed, refuse},
};

/// Adds the bytes behind `Upload-Offset`.
#[utoipa::path(patch, path = "/files/{id}", operation_id = "tus_append", tag = TUS,
    params(UploadPath, TusResumable, ("upload-offset" = u64, Header), ("upload-length" = Option<u64>, Header),
        ("upload-checksum" = Option<String>, Header)),
    request_body(content = [u8], content_type = "application/offset+octet-stream"),
    responses((status = 204, headers(("upload-offset" = u64), ("upload-expires" = String))), BadRequest, NotFound,
        TimedOut, Conflict, OtherVersion, Locked, TooLarge, OtherType, Unprocessable, WrongChecksum, NoRoom))]
pub(super) async fn append(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let checked = async {
        headers::check_type(&headers)?;
        let (offset, size) = (headers::offset(&headers)?, headers::bytes(&headers, &headers::LENGTH)?);
        let known = check_own(&context, &caller, id).await?;
        Ok((offset, size, known))
    };
    let (offset, size, known) = match checked.await {
        Ok(checked) => checked,
        Err(problem) => return Err(refuse(&context, &headers, body, problem)),
    };
    if let Known::Finished(new) = known {
        return finished_already(&context, &headers, offset, *new, body);
    }
    let held = context.holders.hold(id).await;
    let progress = add(&context, held, &headers, offset, size, body).await?;
    Ok((StatusCode::NO_CONTENT, progressed(&context, &progress)).into_response())
}

/// A sender that did not get the last answer may ask again.
fn finished_already(
    context: &Context,
    headers: &HeaderMap,
    offset: u64,
    new: NewUpload,
    body: Body,
) -> Result<Response, Problem> {
    if offset == new.size && body.size_hint().exact() == Some(0) {
        let progress = Progress::Finished(Box::new(new));
        return Ok((StatusCode::NO_CONTENT, progressed(context, &progress)).into_response());
    }
    let text = format!("upload {} is finished; it has {} bytes", new.id, new.size);
    let problem = Problem::new(StatusCode::CONFLICT, "offset_conflict", text).of(new.id);
    Err(refuse(context, headers, body, problem.next("send nothing more of it; begin another upload for another file")))
}

/// Adds a piece in a task of its own: what has come stays also when the request is dropped with its connection.
pub(super) async fn add(
    context: &Context,
    held: Held,
    headers: &HeaderMap,
    offset: u64,
    size: Option<u64>,
    body: Body,
) -> Result<Progress, Problem> {
    let (id, overtaken) = (held.id(), held.overtaken.clone());
    let ready = context.upload_slot().and_then(|slot| Ok((slot, headers::checksum(headers)?)));
    let (slot, checksum) = match ready {
        Ok(ready) => ready,
        Err(problem) => return Err(refuse(context, headers, body, problem.of(id))),
    };
    let piece = Piece { offset, length: uploads::content_length(headers), size, checksum, overtaken };
    let task = {
        let context = context.clone();
        async move {
            let (_held, _slot) = (held, slot);
            let mut body = body.into_data_stream();
            let added = context.receiver.append(id, piece, &mut body).await;
            match &added {
                Ok(Some(Progress::Finished(new))) => context.submit(new),
                Ok(_) => {}
                Err(_) => {
                    context.background.spawn(uploads::drain(body));
                }
            }
            added
        }
    };
    let added: CoreResult<_> = match context.background.spawn(task).await {
        Ok(added) => added,
        Err(error) => Err(Error::fatal("task_died", format!("receiving upload {id}")).because(error)),
    };
    match added {
        Ok(Some(progress)) => Ok(progress),
        Ok(None) => Err(Problem::no_such_upload(id).of(id)),
        Err(error) => Err(Problem::from(error).of(id)),
    }
}
