//! The rows of an upload that could not be stored, out of the archive: as a file to mend, and a few of each reason to
//! look at.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::Response,
};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use tokio_util::io::ReaderStream;
use utoipa::{IntoParams, ToSchema};

use crate::{
    archive::{ArchivedSource, name},
    pipeline::process::base_name,
    rows::reject::{Defused, Example, examples},
    source::{self, Source},
    upload::{Cleaned, ReasonCount, Upload, UploadId},
};

use super::{
    Context, blocking,
    caller::Caller,
    content::{READ_BYTES, attachment, internal, registered},
    errors::Problem,
    openapi::{BadRequest, NotFound, UPLOADS, UploadPath},
    path::Id,
};

/// How much of a rejects file is looked at for examples.
const LOOKED_AT_BYTES: usize = 1 << 20;
/// Examples of each reason.
const EACH: usize = 5;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    /// The bytes as they are.
    exact: bool,
}

/// The rows that could not be stored, as CSV.
///
/// Fields that spreadsheets take for formulas have an apostrophe in front;
/// `exact` gives the bytes as they are, to be mended and sent back.
#[utoipa::path(get, path = "/uploads/{id}/rejects", operation_id = "rejects", tag = UPLOADS, params(UploadPath, Asked),
    responses((status = 200, content_type = "text/csv", body = String), BadRequest, NotFound))]
pub(super) async fn file(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked?;
    let upload = registered(&context, id).await?;
    caller.may_read_rows(id, &upload.new.sender)?;
    let (rejects, _) = rejects(&context, &upload)?;
    let size = context.archive.size(&rejects.file).await?;
    let size = size.ok_or_else(|| none(id, format!("{} is not there", rejects.name())))?;
    let bytes = ReaderStream::with_capacity(rejects.open(0).await?, READ_BYTES);
    let response = Response::builder()
        .header(header::CONTENT_TYPE, "text/csv")
        .header(header::CONTENT_DISPOSITION, attachment(&format!("{}.rejects.csv", upload.new.filename)));
    let response = if asked.exact {
        response.header(header::CONTENT_LENGTH, size).body(Body::from_stream(bytes))
    } else {
        let mut defused = Defused::default();
        response.body(Body::from_stream(bytes.map_ok(move |piece| defused.piece(&piece))))
    };
    response.map_err(|error| internal(&error))
}

/// Where an upload's rejects are, and what cleaning found.
fn rejects<'a>(context: &Context, upload: &'a Upload) -> Result<(ArchivedSource, &'a Cleaned), Problem> {
    let id = upload.id();
    let Some(cleaned) = &upload.cleaned else {
        return Err(none(id, format!("upload {id} was not read to its end; its state is {}", upload.state)));
    };
    if cleaned.rejected == 0 {
        return Err(none(id, format!("no row of upload {id} was rejected")));
    }
    let file = name::beside(&base_name(upload), name::REJECTS);
    Ok((ArchivedSource { archive: Arc::clone(&context.archive), file }, cleaned))
}

fn none(id: UploadId, text: String) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_rejects", text).of(id)
}

/// A few of the rows that could not be stored.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RejectSample)]
pub(super) struct Sample {
    /// Most frequent first.
    rejects: Vec<Group>,
}

/// The rejects of one reason.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RejectReason)]
pub(super) struct Group {
    /// Stable: `time_unreadable`.
    reason: String,
    /// `id`, `name`, `time_of_start`, or `row` where it is about the whole row.
    field: String,
    count: u64,
    /// The first few, in the file's order.
    first: Vec<Line>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RejectLine)]
pub(super) struct Line {
    line: u64,
    /// Why this one was refused.
    message: String,
    /// The row as it was sent, cut; null where it lies too far behind the beginning to be looked for.
    text: Option<String>,
}

/// How many rows each reason has, and its first ones.
#[utoipa::path(get, path = "/uploads/{id}/rejects/sample", operation_id = "reject_sample", tag = UPLOADS,
    params(UploadPath), responses((status = 200, body = Sample), NotFound))]
pub(super) async fn sample(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Sample>, Problem> {
    let upload = registered(&context, id).await?;
    caller.may_read_rows(id, &upload.new.sender)?;
    let (rejects, cleaned) = rejects(&context, &upload)?;
    let head = source::head(&rejects, LOOKED_AT_BYTES).await?;
    let options = upload.new.options.clone();
    let found = blocking(move || Ok(examples(&head, head.len() < LOOKED_AT_BYTES, &options, EACH))).await?;
    let groups = cleaned.reasons.iter().map(|reason| {
        let first = found.get(&(reason.field.as_str(), reason.code.as_str()));
        Group::new(reason, first.map_or(&[], Vec::as_slice))
    });
    Ok(Json(Sample { rejects: groups.collect() }))
}

impl Group {
    fn new(reason: &ReasonCount, found: &[Example]) -> Self {
        let mut first: Vec<_> = found
            .iter()
            .map(|example| Line {
                line: example.line,
                message: example.message.clone(),
                text: Some(example.text.clone()),
            })
            .collect();
        if first.is_empty() {
            first.push(Line { line: reason.first_line, message: reason.example.clone(), text: None });
        }
        Self { reason: reason.code.clone(), field: reason.field.clone(), count: reason.count, first }
    }
}
