//! The protocol's headers: read with one clear sentence for each that is wrong, and written.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::DateTime;

use crate::{
    pipeline::receive::{CHECKSUM_ALGORITHMS, Checksum},
    upload::EpochMs,
    web::errors::Problem,
};

pub(super) const VERSION: HeaderValue = HeaderValue::from_static("1.0.0");
pub(super) const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
pub(super) const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
pub(super) const LENGTH: HeaderName = HeaderName::from_static("upload-length");
pub(super) const DEFER_LENGTH: HeaderName = HeaderName::from_static("upload-defer-length");
pub(super) const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
pub(super) const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
const CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
pub(super) const OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");

/// The media type of a piece.
const PIECE: &str = "application/offset+octet-stream";

fn bad(text: impl Into<String>) -> Problem {
    Problem::bad_request("bad_tus_header", text)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    value.to_str().map(|text| Some(text.trim())).map_err(|_| bad(format!("the header {name} is not text")))
}

/// Refuses a request in another version of the protocol.
pub(super) fn check_version(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get(RESUMABLE) == Some(&VERSION) {
        return Ok(());
    }
    let text = match text(headers, &RESUMABLE)? {
        Some(version) => format!("this server speaks tus 1.0.0, and the request is in version \"{version}\""),
        None => "the header Tus-Resumable is missing".into(),
    };
    Err(Problem::new(StatusCode::PRECONDITION_FAILED, "tus_version", text).next("send Tus-Resumable: 1.0.0"))
}

/// A number of bytes.
pub(super) fn bytes(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>, Problem> {
    let Some(text) = text(headers, name)? else { return Ok(None) };
    let number = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    number.map(Some).ok_or_else(|| bad(format!("the header {name} is no number of bytes: \"{}\"", text.escape_debug())))
}

pub(super) fn offset(headers: &HeaderMap) -> Result<u64, Problem> {
    bytes(headers, &OFFSET)?.ok_or_else(|| bad("the header Upload-Offset is missing"))
}

/// The size of an upload that begins; `None` where a later request tells it.
pub(super) fn length(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    match (bytes(headers, &LENGTH)?, text(headers, &DEFER_LENGTH)?) {
        (Some(_), Some(_)) => Err(bad("give Upload-Length or Upload-Defer-Length, not both")),
        (Some(length), None) => Ok(Some(length)),
        (None, Some("1")) => Ok(None),
        (None, Some(other)) => {
            Err(bad(format!("Upload-Defer-Length is 1 or absent, not \"{}\"", other.escape_debug())))
        }
        (None, None) => {
            Err(bad("the size is missing: give Upload-Length, or Upload-Defer-Length: 1 where it is not known yet"))
        }
    }
}

/// Refuses a body that is not declared as a piece of a file.
pub(super) fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    if text(headers, &header::CONTENT_TYPE)? == Some(PIECE) {
        return Ok(());
    }
    let text = format!("the body of a PATCH has the type {PIECE}");
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad_media_type", text)
        .next(format!("send Content-Type: {PIECE}")))
}

/// Whether a request that begins an upload brings its first piece.
pub(super) fn brings_a_piece(headers: &HeaderMap) -> Result<bool, Problem> {
    Ok(text(headers, &header::CONTENT_TYPE)? == Some(PIECE))
}

pub(super) fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>, Problem> {
    let Some(text) = text(headers, &CHECKSUM)? else { return Ok(None) };
    let (algorithm, encoded) = text.split_once(' ').unwrap_or((text, ""));
    let wanted = STANDARD.decode(encoded.trim());
    let wanted = wanted.map_err(|_| bad("Upload-Checksum is an algorithm, a blank, and a checksum in base64"))?;
    let checksum = Checksum::new(algorithm, wanted);
    checksum.map(Some).ok_or_else(|| bad(format!("Upload-Checksum is one of {CHECKSUM_ALGORITHMS}")))
}

/// What a sender says of a file, in its order: names, and values in base64 (a name may stand alone).
pub(super) fn metadata(headers: &HeaderMap) -> Result<(String, Vec<(String, String)>), Problem> {
    let text = text(headers, &METADATA)?.unwrap_or_default();
    let mut pairs = Vec::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, encoded) = pair.split_once(' ').unwrap_or((pair, ""));
        let value = STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let name_is_known = pairs.iter().any(|(known, _)| known == name);
        match value {
            Some(_) if name_is_known => return Err(bad(format!("Upload-Metadata has \"{name}\" twice"))),
            Some(value) => pairs.push((name.to_owned(), value)),
            None => {
                let name = name.escape_debug();
                return Err(bad(format!("in Upload-Metadata the value of \"{name}\" is no text in base64")));
            }
        }
    }
    Ok((text.to_owned(), pairs))
}

/// Metadata that holds a file's name alone.
pub(super) fn name_as_metadata(filename: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("filename {}", STANDARD.encode(filename))).ok()
}

/// A time as HTTP writes it (RFC 9110, 5.6.7).
pub(super) fn date(ms: EpochMs) -> Option<HeaderValue> {
    let date = DateTime::from_timestamp_millis(ms)?.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    HeaderValue::from_str(&date).ok()
}
