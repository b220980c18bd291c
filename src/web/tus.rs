//! Resumable uploads: the protocol tus 1.0.0 with its extensions creation, creation-with-upload,
//! creation-defer-length, termination, checksum and expiration. A finished upload is an upload like any other, under
//! the same id.

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::pipeline::receive::CHECKSUM_ALGORITHMS;

use super::{
    Context,
    caller::Caller,
    guard,
    openapi::{
        BadRequest, Conflict, Locked, NoRoom, NotFound, OtherType, OtherVersion, TUS, TimedOut, TooLarge, TusResumable,
        Unprocessable, UploadPath, WrongChecksum,
    },
    path::Id,
};

mod begin;
mod headers;
mod holders;
mod own;
mod piece;
mod unfinished;

pub(super) use holders::{Held, Holders};

/// Of `Tus-Extension`.
const EXTENSIONS: &str = "creation,creation-with-upload,creation-defer-length,termination,checksum,expiration";

pub(super) fn routes() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(begin::create, capabilities))
        .routes(routes!(piece::append, unfinished::offset, unfinished::terminate, overridden, capabilities_of_one))
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
        Some("PATCH") => piece::append(state, caller, id, headers, body).await.into_response(),
        Some("DELETE") => unfinished::terminate(state, caller, id).await.into_response(),
        Some("HEAD") => unfinished::offset(state, caller, id).await.into_response(),
        _ => {
            let Id(id) = id;
            let uri = format!("/files/{id}").parse().unwrap_or_default();
            guard::method_not_allowed(Method::POST, uri).await.into_response()
        }
    }
}
