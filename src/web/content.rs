//! What is kept of an upload, for reading: its bytes (for workers on other machines), its receipt.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use crate::{
    archive::original,
    receipt::Receipt,
    source::{FileSource, Source},
    upload::{Upload, UploadId},
};

use super::{
    Context,
    caller::Caller,
    errors::Problem,
    openapi::{NotFound, RangeNotSatisfiable, UPLOADS, UploadPath},
    path::Id,
    range,
    status::{Found, ask, find},
};

pub(super) const READ_BYTES: usize = 256 << 10;

/// The bytes as they were sent, whole or one range of them.
#[utoipa::path(get, path = "/uploads/{id}/content", operation_id = "content", tag = UPLOADS,
    params(UploadPath, ("range" = Option<String>, Header, description = "`bytes=0-999`")),
    responses((status = 200, content_type = "application/octet-stream", body = [u8]),
        (status = 206, content_type = "application/octet-stream", body = [u8], headers(("content-range" = String))),
        NotFound, RangeNotSatisfiable))]
pub(super) async fn content(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.may_read_content(id, find(&context, id).await?.sender())?;
    let (source, filename) = source_of(&context, id).await?;
    let size = source.size().await?;
    let asked = range::parse(headers.get(header::RANGE).and_then(|range| range.to_str().ok()), size);
    let (start, end, status) = match asked {
        range::Asked::Whole => (0, size, StatusCode::OK),
        range::Asked::Part { start, end } => (start, end, StatusCode::PARTIAL_CONTENT),
        range::Asked::Nothing => {
            let text = format!("the upload has {size} bytes; the range begins behind them");
            let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", text).of(id);
            return Ok(([(header::CONTENT_RANGE, format!("bytes */{size}"))], problem).into_response());
        }
    };
    let bytes = source.open(start).await?.take(end - start);
    let mut response = Response::builder()
        .status(status)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CONTENT_LENGTH, end - start)
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::CONTENT_DISPOSITION, attachment(&filename));
    if status == StatusCode::PARTIAL_CONTENT {
        response = response.header(header::CONTENT_RANGE, format!("bytes {start}-{}/{size}", end - 1));
    }
    let body = Body::from_stream(ReaderStream::with_capacity(bytes, READ_BYTES));
    response.body(body).map_err(|error| internal(&error))
}

/// Where the bytes are: in the spool here, else in the archive.
async fn source_of(context: &Context, id: UploadId) -> Result<(Arc<dyn Source>, String), Problem> {
    let spool = context.spool();
    let spooled = super::blocking(move || Ok(spool.read(id)?.map(|new| (spool.path(id), new.filename)))).await?;
    if let Some((path, filename)) = spooled {
        return Ok((Arc::new(FileSource(path)), filename));
    }
    let upload = registered(context, id).await?;
    let own = upload.archive_name.clone().filter(|_| upload.archived_ms.is_some());
    let Some(file) = own.or_else(|| upload.new.place.archive.clone()) else {
        let text = format!("the bytes of upload {id} are neither in this server's spool nor in the archive");
        return Err(Problem::new(StatusCode::NOT_FOUND, "bytes_elsewhere", text)
            .next("ask the server that took it")
            .of(id));
    };
    Ok((original::open(&context.archive, &file).await?, upload.new.filename))
}

/// The final account of an upload.
#[utoipa::path(get, path = "/uploads/{id}/receipt", operation_id = "receipt", tag = UPLOADS, params(UploadPath),
    responses((status = 200, body = Receipt), NotFound))]
pub(super) async fn receipt(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Receipt>, Problem> {
    let upload = registered(&context, id).await?;
    caller.may_read_rows(id, &upload.new.sender)?;
    upload.receipt.map(Json).ok_or_else(|| {
        let text = format!("upload {id} has no receipt yet; its state is {}", upload.state);
        Problem::new(StatusCode::NOT_FOUND, "no_receipt", text).of(id)
    })
}

/// An upload that the ledger knows.
pub(super) async fn registered(context: &Context, id: UploadId) -> Result<Box<Upload>, Problem> {
    if let Some(upload) = ask(context, context.store.upload(id)).await? {
        return Ok(Box::new(upload));
    }
    match find(context, id).await? {
        Found::Ledger(upload) => Ok(upload),
        Found::Spool(..) | Found::Receiving(_) => {
            let text = format!("upload {id} has only just been received; nothing has been done with it yet");
            Err(Problem::new(StatusCode::NOT_FOUND, "not_yet", text).next("ask again in a few seconds").of(id))
        }
    }
}

pub(super) fn internal(error: &axum::http::Error) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", format!("the answer could not be made: {error}"))
}

/// A header value with a file's name as text of any language (RFC 6266, RFC 8187).
pub(super) fn attachment(filename: &str) -> String {
    let mut encoded = String::new();
    for byte in filename.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_s_name_cannot_leave_its_header() {
        assert_eq!(attachment("a\"\r\n/é.csv"), "attachment; filename*=UTF-8''a%22%0D%0A%2F%C3%A9.csv");
    }
}
