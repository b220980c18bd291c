//! `POST /files`: a resumable upload begins.

use axum::{
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{
    pipeline::receive::{Offer, Progress},
    rows::RowOptions,
    spool::Arrival,
    web::{
        Context,
        caller::Caller,
        errors::Problem,
        openapi::{
            BadRequest, Conflict, Locked, NoRoom, OtherType, OtherVersion, RowQuery, TUS, TimedOut, TooLarge,
            TusResumable, Unprocessable, WrongChecksum,
        },
        options::Asked,
        uploads::{self, Answered},
    },
};

use super::{
    headers,
    own::{progressed, refuse},
    piece::add,
};

/// Begins a resumable upload, with its first piece where the body is one.
///
/// Row options come in the query, or in the metadata by their names.
#[utoipa::path(post, path = "/files", operation_id = "tus_create", tag = TUS,
    params(TusResumable, RowQuery, ("upload-length" = Option<u64>, Header),
        ("upload-defer-length" = Option<u8>, Header, description = "`1`: the length is told later."),
        ("upload-metadata" = Option<String>, Header, description = "Such as `filename dXNlcnMuY3N2`."),
        ("upload-checksum" = Option<String>, Header)),
    request_body(content = Option<[u8]>, content_type = "application/offset+octet-stream"),
    responses((status = 201, headers(("location" = String), ("upload-offset" = u64), ("upload-expires" = String))),
        BadRequest, TimedOut, Conflict, OtherVersion, Locked, TooLarge, OtherType, Unprocessable, WrongChecksum, NoRoom))]
pub(super) async fn create(
    State(context): State<Context>,
    caller: Caller,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let begun = async {
        // Before anything is begun: a request that is refused leaves nothing.
        let brings_a_piece = headers::brings_a_piece(&headers)?;
        Ok((begin(&context, caller, query, &headers).await?, brings_a_piece))
    };
    let (arrival, brings_a_piece) = match begun.await {
        Ok(begun) => begun,
        Err(problem) => return Err(refuse(&context, &headers, body, problem)),
    };
    let id = arrival.id;
    let progress = if brings_a_piece {
        let held = context.holders.hold(id).await;
        add(&context, held, &headers, 0, None, body).await?
    } else {
        Progress::Unfinished(Box::new(arrival))
    };
    let mut response = (StatusCode::CREATED, progressed(&context, &progress)).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/files/{id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response.extensions_mut().insert(Answered(id));
    Ok(response)
}

async fn begin(
    context: &Context,
    caller: Caller,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
    headers: &HeaderMap,
) -> Result<Arrival, Problem> {
    caller.may_send()?;
    let size = headers::length(headers)?;
    let (metadata, pairs) = headers::metadata(headers)?;
    let Query(mut asked) = query.map_err(|error| Problem::bad_request("bad_query", error.body_text()))?;
    // Other metadata is the sender's own affair, and given back as it came.
    asked.extend(pairs.iter().filter(|(name, _)| RowOptions::NAMES.contains(&name.as_str())).cloned());
    let options = Asked::of_query(asked).over(&context.config.rows)?;
    let named = |names: [&str; 2]| {
        names.iter().find_map(|name| pairs.iter().find(|(known, _)| known == name)).map(|(_, value)| value.clone())
    };
    let filename = named(["filename", "name"]).unwrap_or_default();
    let media_type = uploads::media_type(named(["filetype", "type"]).as_deref());
    let offer = Offer { filename, media_type, sender: caller.name, size, options };
    Ok(context.receiver.begin(uploads::offer(context, offer)?, metadata).await?)
}
