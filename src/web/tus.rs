//! Resumable uploads: the protocol tus 1.0.0 with its extensions creation, creation-with-upload,
//! creation-defer-length, termination, checksum and expiration. A finished upload is an upload like any other, under
//! the same id.

use axum::{
    Extension,
    body::{Body, HttpBody},
    extract::{Query, Request, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::{Error, Result as CoreResult},
    pipeline::receive::{CHECKSUM_ALGORITHMS, Offer, Piece, Progress},
    rows::RowOptions,
    spool::Arrival,
    upload::{NewUpload, UploadId},
};

use super::{
    Context, blocking,
    caller::Caller,
    errors::Problem,
    guard,
    openapi::{
        BadRequest, Conflict, Locked, NoRoom, NotFound, OtherType, OtherVersion, RowQuery, TUS, TimedOut, TooLarge,
        TusResumable, Unprocessable, UploadPath, WrongChecksum,
    },
    options::Asked,
    path::Id,
    status::ask,
    uploads::{self, Answered},
};

mod headers;
mod holders;

pub(super) use holders::{Held, Holders};

/// Of `Tus-Extension`.
const EXTENSIONS: &str = "creation,creation-with-upload,creation-defer-length,termination,checksum,expiration";

pub(super) fn routes() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(create, capabilities))
        .routes(routes!(append, offset, terminate, overridden, capabilities_of_one))
        .route_layer(middleware::from_fn(versioned))
}

/// Every answer names the version, also that to a request in another one.
async fn versioned(request: Request, next: Next) -> Response {
    let asked = match *request.method() {
        Method::OPTIONS => Ok(()),
        _ => headers::check_version(request.headers()),
    };
    let mut response = match asked {
        Ok(()) => next.run(request).await,
        Err(problem) => {
            let mut response = problem.into_response();
            response.headers_mut().insert("tus-version", headers::VERSION);
            response
        }
    };
    response.headers_mut().insert(headers::RESUMABLE, headers::VERSION);
    response
}

/// What this server can do of the protocol.
#[utoipa::path(options, path = "/files", operation_id = "tus_options", tag = TUS,
    responses((status = 204, headers(("tus-version" = String), ("tus-extension" = String), ("tus-max-size" = u64)))))]
async fn capabilities(State(context): State<Context>) -> Response {
    let most = context.config.server.max_upload_bytes;
    let headers = [
        ("tus-version", headers::VERSION),
        ("tus-extension", HeaderValue::from_static(EXTENSIONS)),
        ("tus-checksum-algorithm", HeaderValue::from_static(CHECKSUM_ALGORITHMS)),
        ("tus-max-size", HeaderValue::from(most)),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// What this server can do of the protocol.
#[utoipa::path(options, path = "/files/{id}", operation_id = "tus_options_of_one", tag = TUS, params(UploadPath),
    responses((status = 204, headers(("tus-version" = String), ("tus-extension" = String), ("tus-max-size" = u64)))))]
async fn capabilities_of_one(context: State<Context>) -> Response {
    capabilities(context).await
}

/// Stands for PATCH, HEAD or DELETE, for clients that cannot send them.
#[utoipa::path(post, path = "/files/{id}", operation_id = "tus_override", tag = TUS,
    params(UploadPath, TusResumable, ("x-http-method-override" = String, Header)),
    responses((status = 200), (status = 204), BadRequest, NotFound, (status = 405), TimedOut, Conflict, OtherVersion, Locked,
        TooLarge, OtherType, Unprocessable, WrongChecksum, NoRoom))]
async fn overridden(state: State<Context>, caller: Caller, id: Id, headers: HeaderMap, body: Body) -> Response {
    let wanted = headers.get(headers::OVERRIDE).and_then(|method| method.to_str().ok());
    match wanted {
        Some("PATCH") => append(state, caller, id, headers, body).await.into_response(),
        Some("DELETE") => terminate(state, caller, id).await.into_response(),
        Some("HEAD") => offset(state, caller, id).await.into_response(),
        _ => {
            let Id(id) = id;
            let uri = format!("/files/{id}").parse().unwrap_or_default();
            guard::method_not_allowed(Method::POST, uri).await.into_response()
        }
    }
}

/// Begins a resumable upload, with its first piece where the body is one.
///
/// Row options come in the query, or in the
/// metadata by their names.
#[utoipa::path(post, path = "/files", operation_id = "tus_create", tag = TUS,
    params(TusResumable, RowQuery, ("upload-length" = Option<u64>, Header),
        ("upload-defer-length" = Option<u8>, Header, description = "`1`: the length is told later."),
        ("upload-metadata" = Option<String>, Header, description = "Such as `filename dXNlcnMuY3N2`."),
        ("upload-checksum" = Option<String>, Header)),
    request_body(content = Option<[u8]>, content_type = "application/offset+octet-stream"),
    responses((status = 201, headers(("location" = String), ("upload-offset" = u64), ("upload-expires" = String))),
        BadRequest, TimedOut, Conflict, OtherVersion, Locked, TooLarge, OtherType, Unprocessable, WrongChecksum, NoRoom))]
async fn create(
    State(context): State<Context>,
    caller: Caller,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let begun = begin(&context, caller, query, &headers).await;
    let arrival = match begun {
        Ok(arrival) => arrival,
        Err(problem) => return Err(refuse(&context, &headers, body, problem)),
    };
    let id = arrival.id;
    let progress = if headers::brings_a_piece(&headers)? {
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

/// Adds the bytes behind `Upload-Offset`.
#[utoipa::path(patch, path = "/files/{id}", operation_id = "tus_append", tag = TUS,
    params(UploadPath, TusResumable, ("upload-offset" = u64, Header), ("upload-length" = Option<u64>, Header),
        ("upload-checksum" = Option<String>, Header)),
    request_body(content = [u8], content_type = "application/offset+octet-stream"),
    responses((status = 204, headers(("upload-offset" = u64), ("upload-expires" = String))), BadRequest, NotFound,
        TimedOut, Conflict, OtherVersion, Locked, TooLarge, OtherType, Unprocessable, WrongChecksum, NoRoom))]
async fn append(
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
async fn add(
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

/// Tells how many bytes of an upload are on disk. A request that is still sending some ends first.
#[utoipa::path(head, path = "/files/{id}", operation_id = "tus_offset", tag = TUS, params(UploadPath, TusResumable),
    responses((status = 200, headers(("upload-offset" = u64), ("upload-length" = u64), ("upload-metadata" = String),
        ("upload-expires" = String))), NotFound, OtherVersion, Locked))]
async fn offset(State(context): State<Context>, caller: Caller, Id(id): Id) -> Result<Response, Problem> {
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
async fn terminate(State(context): State<Context>, caller: Caller, Id(id): Id) -> Result<Response, Problem> {
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

/// What there is under an id.
enum Known {
    Arriving,
    Finished(Box<NewUpload>),
}

/// Only who began an upload goes on with it.
async fn check_own(context: &Context, caller: &Caller, id: UploadId) -> Result<Known, Problem> {
    let gone = || Problem::no_such_upload(id).of(id);
    let spool = context.spool();
    let (finished, arrival) = blocking(move || Ok((spool.read(id)?, spool.arrival(id)?))).await?;
    let (sender, known) = match (finished, arrival) {
        (Some(new), _) => (new.sender.clone(), Known::Finished(Box::new(new))),
        (None, Some(arrival)) if arrival.resume.is_some() => (arrival.sender, Known::Arriving),
        _ => {
            let upload = ask(context, context.store.upload(id)).await?.ok_or_else(gone)?;
            (upload.new.sender.clone(), Known::Finished(Box::new(upload.new)))
        }
    };
    caller.check_sees(id, &sender)?;
    caller.may_send()?;
    if sender != caller.name {
        let text = format!("upload {id} was begun by \"{sender}\", and you are \"{}\"", caller.name);
        let problem = Problem::new(StatusCode::FORBIDDEN, "not_the_sender", text).of(id);
        return Err(problem.next("go on with the token that it was begun with"));
    }
    Ok(known)
}

/// How far it is, and until when the rest may come.
fn progressed(context: &Context, progress: &Progress) -> (HeaderMap, Extension<Answered>) {
    let mut headers = HeaderMap::new();
    let id = match progress {
        Progress::Unfinished(arrival) => {
            if let Some(resume) = &arrival.resume {
                headers.insert(headers::OFFSET, HeaderValue::from(resume.offset));
                let expires = headers::date(context.receiver.spool.expires_ms(resume));
                headers.extend(expires.map(|date| (headers::EXPIRES, date)));
            }
            arrival.id
        }
        Progress::Finished(new) => {
            headers.insert(headers::OFFSET, HeaderValue::from(new.size));
            new.id
        }
    };
    (headers, Extension(Answered(id)))
}

/// A refusal before any byte was read. A client that waits for 100 Continue is told before it sends anything; of any
/// other some bytes are read, so that it sees the answer and not a broken line.
fn refuse(context: &Context, headers: &HeaderMap, body: Body, problem: Problem) -> Problem {
    if !headers.contains_key(header::EXPECT) {
        context.background.spawn(uploads::drain(body.into_data_stream()));
    }
    problem
}
