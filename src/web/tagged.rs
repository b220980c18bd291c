//! Answers that a client may keep and ask about: whoever polls is sent only what is new (RFC 9110, sections 8.8 and 13).

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::hash;

/// Hexadecimal digits of a tag.
const DIGITS: usize = 32;
/// A browser may keep the answer for its own user, and asks each time whether it still holds.
const KEPT: HeaderValue = HeaderValue::from_static("private, no-cache");
/// Who asks decides what is seen.
const VARIES: HeaderValue = HeaderValue::from_static("authorization, cookie");

/// JSON with a weak tag over `essence`, which is the answer without what changes by itself; 304 where the request
/// names that tag.
pub(super) fn tagged(asked: &HeaderMap, answer: &impl Serialize, essence: &impl Serialize) -> Response {
    let bytes = serde_json::to_vec(essence).unwrap_or_default();
    let tag = format!("W/\"{}\"", &hash::sample_of(&bytes)[..DIGITS]);
    let mut response =
        if names(asked, &tag) { StatusCode::NOT_MODIFIED.into_response() } else { Json(answer).into_response() };
    let headers = response.headers_mut();
    headers.extend(HeaderValue::try_from(tag).map(|tag| (header::ETAG, tag)));
    headers.extend([(header::CACHE_CONTROL, KEPT), (header::VARY, VARIES)]);
    response
}

/// Whether If-None-Match names the tag; a proxy may have made it a strong one, which compares equal.
fn names(asked: &HeaderMap, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let named = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).any(|named| named.trim() == "*" || opaque(named) == opaque(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_again_weak_or_strong_alone_or_among_others() {
        let names = |text: &str| {
            names(&HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_str(text).unwrap())]), "W/\"ab\"")
        };
        assert!(["W/\"ab\"", "\"ab\"", "*", "\"x\", W/\"ab\""].into_iter().all(names));
        assert!(!["W/\"abc\"", "ab", "\"\""].into_iter().any(names));
    }
}
