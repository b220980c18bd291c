//! `POST /known`: whether a file was sent before, told by its size and its two ends, before any of it is sent.

use axum::{
    Json,
    extract::{
        Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    hash::{SAMPLE_BYTES, sample_of},
    store::{Content, Filter},
};

use super::{
    Context,
    caller::Caller,
    errors::Problem,
    openapi::{BadRequest, SENDING, TooLarge},
    status::{UploadView, WaitingView, ask, now_ms, waiting_for_store},
};

/// Newest uploads that are named.
const MOST: u32 = 10;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Of the file, bytes.
    size: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Known {
    /// By which a file is known again, lower-case hex.
    sample: String,
    /// Newest first.
    uploads: Vec<UploadView>,
    /// Why none could be looked for.
    waiting: Option<WaitingView>,
}

/// Whether a file was sent before. The body is the file's first 64 KiB, then the last 64 KiB of what is behind them.
#[utoipa::path(post, path = "/known", operation_id = "known", tag = SENDING, params(Asked),
    request_body(content = [u8], content_type = "application/octet-stream"),
    responses((status = 200, body = Known), BadRequest, TooLarge))]
pub(super) async fn known(
    State(context): State<Context>,
    caller: Caller,
    asked: Result<Query<Asked>, QueryRejection>,
    ends: Result<Bytes, BytesRejection>,
) -> Result<Json<Known>, Problem> {
    let (Query(Asked { size }), ends) = (asked?, ends?);
    let wanted = size.min(2 * SAMPLE_BYTES as u64);
    if ends.len() as u64 != wanted {
        let text = format!("the two ends of a file of {size} bytes are {wanted} bytes, {} came", ends.len());
        return Err(Problem::bad_request("bad_body", text)
            .next("send the first 64 KiB and then the last 64 KiB of what is behind them, a small file whole"));
    }
    let sample = sample_of(&ends);
    let content = Some(Content { sample: sample.clone(), size });
    let filter = Filter { content, sender: caller.sees_only().map(Into::into), limit: MOST, ..Filter::default() };
    let (found, waiting) = match ask(&context, context.store.uploads(&filter)).await {
        Ok(found) => (found, None),
        Err(error) => (Vec::new(), Some(WaitingView::new(&waiting_for_store(&error, now_ms())))),
    };
    Ok(Json(Known { sample, uploads: found.iter().map(UploadView::new).collect(), waiting }))
}
