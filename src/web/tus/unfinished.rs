//! `HEAD` and `DELETE /files/{id}`: how far an upload is, and that it is not wanted any more.

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};

use crate::{
    pipeline::receive::Progress,
    web::{
        Context,
        caller::Caller,
        errors::Problem,
        openapi::{Conflict, Locked, NotFound, OtherVersion, TUS, TusResumable, UploadPath},
        path::Id,
    },
};

use super::{
    headers,
    own::{Known, check_own, progressed},
};

/// Tells how many bytes of an upload are on disk. A request that is still sending some ends first.
#[utoipa::path(head, path = "/files/{id}", operation_id = "tus_offset", tag = TUS, params(UploadPath, TusResumable),
    responses((status = 200, headers(("upload-offset" = u64), ("upload-length" = u64), ("upload-metadata" = String),
        ("upload-expires" = String))), NotFound, OtherVersion, Locked))]
pub(super) async fn offset(State(context): State<Context>, caller: Caller, Id(id): Id) -> Result<Response, Problem> {
    let mut known = check_own(&context, &caller, id).await?;
    if let Known::Arriving = known {
        let _held = context.holders.hold(id).await;
        if let Some(arrival) = context.receiver.offset(id).await? {
            let size = match arrival.size {
                Some(size) => (headers::LENGTH, HeaderValue::from(size)),
                None => (headers::DEFER_LENGTH, HeaderValue::from(1)),
            };
            let metadata = arrival.resume.as_ref().and_then(|resume| HeaderValue::from_str(&resume.metadata).ok());
            let mut response = ([size], progressed(&context, &Progress::Unfinished(Box::new(arrival)))).into_response();
            if let Some(metadata) = metadata.filter(|metadata| !metadata.is_empty()) {
                response.headers_mut().insert(headers::METADATA, metadata);
            }
            return Ok(response);
        }
        // It was finished, or taken back, while this waited.
        known = check_own(&context, &caller, id).await?;
    }
    match known {
        Known::Finished(new) => {
            let metadata = headers::name_as_metadata(&new.filename);
            let size = (headers::LENGTH, HeaderValue::from(new.size));
            let mut response = ([size], progressed(&context, &Progress::Finished(new))).into_response();
            response.headers_mut().extend(metadata.map(|metadata| (headers::METADATA, metadata)));
            Ok(response)
        }
        Known::Arriving => Err(Problem::no_such_upload(id).of(id)),
    }
}

/// Takes an unfinished upload back.
#[utoipa::path(delete, path = "/files/{id}", operation_id = "tus_terminate", tag = TUS,
    params(UploadPath, TusResumable), responses((status = 204), NotFound, Conflict, OtherVersion, Locked))]
pub(super) async fn terminate(State(context): State<Context>, caller: Caller, Id(id): Id) -> Result<Response, Problem> {
    if let Known::Arriving = check_own(&context, &caller, id).await? {
        let _held = context.holders.hold(id).await;
        if context.receiver.terminate(id).await? {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
    }
    match check_own(&context, &caller, id).await? {
        Known::Arriving => Err(Problem::no_such_upload(id).of(id)),
        Known::Finished(_) => {
            let text = format!("upload {id} is finished, and an upload like any other");
            let problem = Problem::new(StatusCode::CONFLICT, "finished", text).of(id);
            Err(problem.next(format!("cancel it: POST /uploads/{id}/cancel")))
        }
    }
}
