//! The upload that a request's path names.

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};

use crate::upload::UploadId;

use super::{Context, errors::Problem};

/// The only parameter of a path, as an upload's id. What is no id names no upload.
pub(super) struct Id(pub UploadId);

impl FromRequestParts<Context> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, context)
            .await
            .map_err(|error| Problem::bad_request("bad_path", error.body_text()))?;
        let id = text.parse().map_err(|_| Problem::no_such_upload(format!("\"{}\"", text.escape_debug())))?;
        Ok(Self(id))
    }
}
