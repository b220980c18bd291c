//! Errors as HTTP says them: problem details (RFC 9457) with a stable code, one next step, and the upload's id.

use axum::{
    Json,
    extract::rejection::{BytesRejection, QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use tracing::{error, info};

use crate::{
    error::{Error, Kind, Service},
    rows::OptionError,
    upload::UploadId,
};

/// An error on its way to the client.
#[derive(Debug)]
pub struct Problem {
    pub status: StatusCode,
    pub code: &'static str,
    pub detail: String,
    pub next: Option<String>,
    pub upload: Option<UploadId>,
}

/// The status of the protocol tus for a piece whose checksum is wrong.
const CHECKSUM_MISMATCH: u16 = 460;
/// Seconds after which a client may try again what is unavailable.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("10");

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), next: None, upload: None }
    }

    pub fn no_such_upload(id: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "no_such_upload", format!("there is no upload {id}"))
            .next("GET /uploads lists those there are")
    }

    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    #[must_use]
    pub fn of(mut self, id: UploadId) -> Self {
        self.upload = Some(id);
        self
    }

    /// The members of the problem object.
    pub fn body(&self) -> serde_json::Value {
        json!({
            "type": "about:blank",
            // Without a type of its own a problem has the status's name (RFC 9457, section 4.2.1).
            "title": self.status.canonical_reason().unwrap_or("Checksum Mismatch"),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
            "next": self.next,
            "upload": self.upload,
        })
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let checksum_mismatch = StatusCode::from_u16(CHECKSUM_MISMATCH).unwrap_or(StatusCode::BAD_REQUEST);
        let status = match (error.kind, error.service, error.code) {
            (Kind::Rejected, _, "too_large") => StatusCode::PAYLOAD_TOO_LARGE,
            (Kind::Rejected, _, "incomplete_upload") => StatusCode::BAD_REQUEST,
            (Kind::Rejected, _, "upload_stalled") => StatusCode::REQUEST_TIMEOUT,
            (Kind::Rejected, _, "no_such_upload") => StatusCode::NOT_FOUND,
            (Kind::Rejected, _, "size_conflict") => StatusCode::BAD_REQUEST,
            (Kind::Rejected, _, "checksum_mismatch") => checksum_mismatch,
            (Kind::Rejected, _, "offset_conflict" | "overtaken_by_request") => StatusCode::CONFLICT,
            (Kind::Transient, _, "upload_locked") => StatusCode::LOCKED,
            (Kind::Rejected, _, "overtaken" | "rows_stored" | "not_ended") => StatusCode::CONFLICT,
            (Kind::Rejected, ..) => StatusCode::UNPROCESSABLE_ENTITY,
            (Kind::Transient, Some(Service::Disk), _) => StatusCode::INSUFFICIENT_STORAGE,
            (Kind::Transient | Kind::Stopped, ..) => StatusCode::SERVICE_UNAVAILABLE,
            (Kind::Lost, ..) => StatusCode::CONFLICT,
            (Kind::Fatal, ..) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, code: error.code, detail: error.to_string(), next: error.next, upload: None }
    }
}

impl From<QueryRejection> for Problem {
    fn from(error: QueryRejection) -> Self {
        Self::bad_request("bad_query", error.body_text())
    }
}

impl From<BytesRejection> for Problem {
    fn from(error: BytesRejection) -> Self {
        let code = if error.status() == StatusCode::PAYLOAD_TOO_LARGE { "too_large" } else { "bad_body" };
        Self::new(error.status(), code, error.body_text())
    }
}

impl From<OptionError> for Problem {
    fn from(error: OptionError) -> Self {
        Self::bad_request("bad_option", error.0)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let upload = self.upload.map(tracing::field::display);
        if self.status.is_server_error() {
            error!(upload, status = self.status.as_u16(), code = self.code, "{}", self.detail);
        } else {
            // Without the detail: it may hold what stands in the file.
            info!(upload, status = self.status.as_u16(), code = self.code, "refused");
        }
        let mut response = (self.status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
