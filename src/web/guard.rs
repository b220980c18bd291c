//! What every request passes: the log line, security headers, the list of known host names (against DNS rebinding), and
//! the check that a browser's request comes from our own page. Where it is no upload, also the limit for its body.

use std::{any::Any, net::SocketAddr, time::Instant};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::upload::UploadId;

use super::{Context, errors::Problem, limits};

/// What the page may load: its own files, nothing inline, nothing from elsewhere.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                   form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(super) async fn not_found(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_page", format!("there is nothing at {}", uri.path()))
        .next("uploads are at /uploads, the page is at /")
}

pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let text = format!("{method} is not possible at {}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", text)
        .next("send files with POST /uploads (form field file) or PUT /uploads/NAME")
}

pub(super) fn panicked(_: Box<dyn Any + Send>) -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "an error in the server itself ended this request")
        .next("what was received stays safe; report the server's log around this time")
        .into_response()
}

/// One line for each request; those that only look are for debugging.
pub(super) async fn log(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| tracing::field::display(peer.0));
    let range = request.headers().get(header::RANGE).and_then(|range| range.to_str().ok()).map(str::to_owned);
    let response = next.run(request).await;
    let path = uri.path();
    // Where a file is put, its name stands in this place.
    let upload = path.strip_prefix("/uploads/").and_then(|rest| rest.split('/').next());
    let upload = upload.filter(|part| part.parse::<UploadId>().is_ok());
    let upload = response
        .extensions()
        .get::<super::uploads::Answered>()
        .map(|answered| answered.0.to_string())
        .or_else(|| upload.map(str::to_owned));
    let (status, ms) = (response.status().as_u16(), u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
    if method == Method::GET && !path.ends_with("/content") {
        debug!(%method, path, status, ms, upload, peer, "request");
    } else {
        info!(%method, path, status, ms, upload, range, peer, "request");
    }
    response
}

pub(super) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CSP));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The host that a request names: HTTP/2 has it in the address, HTTP/1.1 in a header.
fn host(request: &Request) -> Option<&str> {
    let header = || request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    request.uri().authority().map(axum::http::uri::Authority::as_str).or_else(header)
}

/// A host's name without its port, lower case.
fn without_port(host: &str) -> String {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Whether a request may name this host. A page elsewhere can point a name of its own at this machine, and the
/// browser would then let its scripts talk to us; it cannot do so with an address, nor with our own names.
fn is_known(host: &str, context: &Context) -> bool {
    let name = without_port(host);
    let address = name.trim_start_matches('[').trim_end_matches(']');
    if name == "localhost" || address.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    let node = rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase();
    let server = &context.config.server;
    let configured = [&server.public_url, &server.worker_url].into_iter().flatten();
    let mut configured = configured.filter_map(|url| url.parse::<Uri>().ok()?.host().map(str::to_ascii_lowercase));
    name == node || configured.any(|known| known == name)
}

pub(super) async fn known_host(State(context): State<Context>, request: Request, next: Next) -> Response {
    match host(&request) {
        Some(host) if is_known(host, &context) => next.run(request).await,
        Some(host) => {
            let text = format!("this server does not answer for the host \"{}\"", without_port(host));
            Problem::new(StatusCode::MISDIRECTED_REQUEST, "unknown_host", text)
                .next("set server.public_url to the address that users type")
                .into_response()
        }
        None => Problem::bad_request("no_host", "the request names no host").into_response(),
    }
}

/// Refuses what a browser sends from another site's page. Programs send neither header and are not concerned.
pub(super) async fn same_origin(State(context): State<Context>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    let foreign = match (text(HeaderName::from_static("sec-fetch-site")), text(header::ORIGIN)) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let host_of = |url: &str| url.split_once("://").map(|(_, host)| host.to_ascii_lowercase());
            // A proxy may put another host into the request than the one that users see.
            let public = context.config.server.public_url.as_deref().and_then(host_of);
            let own = [host(&request).map(str::to_ascii_lowercase), public];
            !own.contains(&host_of(origin)) || host_of(origin).is_none()
        }
        (None, None) => false,
    };
    if foreign && !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Problem::new(StatusCode::FORBIDDEN, "foreign_page", "another site's page sent this request")
            .next("use the page of this server itself")
            .into_response();
    }
    next.run(request).await
}

/// Waits for a body no longer than `Context::patience`, so that nobody holds a connection with one that never comes.
pub(super) async fn body_in_time(State(context): State<Context>, request: Request, next: Next) -> Response {
    let read = CancellationToken::new();
    // Goes with the body, and cancels when that has ended or is not wanted.
    let reading = read.clone().drop_guard();
    let request = request.map(|body| {
        Body::from_stream(stream::unfold((body.into_data_stream(), reading), async |(mut body, reading)| {
            let piece = body.next().await?;
            Some((piece, (body, reading)))
        }))
    });
    let patience = context.patience();
    tokio::select! {
        biased;
        response = next.run(request) => response,
        () = limits::overdue(patience, read.cancelled()) => {
            let text = format!("the request's body did not come within {}", humantime::format_duration(patience));
            Problem::new(StatusCode::REQUEST_TIMEOUT, "body_stalled", text)
                .next("send the request again")
                .into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_part_of_a_host_s_name() {
        for (host, name) in [
            ("Example.org:9000", "example.org"),
            ("example.org.", "example.org"),
            ("[::1]:9000", "[::1]"),
            ("[::1]", "[::1]"),
            ("127.0.0.1", "127.0.0.1"),
        ] {
            assert_eq!(without_port(host), name);
        }
    }
}
