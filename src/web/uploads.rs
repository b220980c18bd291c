//! The ways in: a form, a raw body, and the form that the original system's clients send.

use axum::{
    Extension, Json,
    body::Body,
    extract::{
        Multipart, Path, Query, State,
        multipart::MultipartRejection,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use tokio::time::Duration;
use utoipa::ToSchema;

use crate::{
    announcement::Announcement,
    pipeline::receive::Offer,
    upload::{NewUpload, UploadId},
};

use super::{
    Context,
    caller::Caller,
    errors::Problem,
    form,
    openapi::{BadRequest, NoRoom, RowQuery, SENDING, SentForm, SentOriginalForm, TimedOut, TooLarge, Unprocessable},
    options::Asked,
    status::UploadView,
};

/// Put on an answer so that the log knows the upload's id.
#[derive(Clone, Copy)]
pub(super) struct Answered(pub UploadId);

type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;

const NAME_BYTES: usize = 1024;
/// How much of a refused upload is still read, so that the sender sees the answer and not a broken connection.
pub(super) const DRAIN_BYTES: u64 = 64 << 20;
pub(super) const DRAIN_TIME: Duration = Duration::from_secs(30);

/// Takes a file as a form: the file in the field `file`, options in fields before it or in the query.
#[utoipa::path(post, path = "/uploads", operation_id = "send_form", tag = SENDING, params(RowQuery),
    request_body(content = SentForm, content_type = "multipart/form-data"),
    responses((status = 201, body = UploadView, headers(("location" = String))), BadRequest, TimedOut, TooLarge,
        Unprocessable, NoRoom))]
pub(super) async fn by_form(
    State(context): State<Context>,
    caller: Caller,
    query: Pairs,
    headers: HeaderMap,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, Problem> {
    let new = from_form(&context, caller, "file", query, &headers, form).await?;
    Ok(created(&new))
}

/// What the original system answered: its message as it goes to the topic, field by field.
#[derive(Serialize, ToSchema)]
struct OriginalAnswer {
    info: &'static str,
    uploadmessage: Announcement,
}

/// Takes a file as the original system's clients send it, the file in the field `csvdata`, and answers as they expect.
#[utoipa::path(post, path = "/upload", operation_id = "send_original", tag = SENDING, params(RowQuery),
    request_body(content = SentOriginalForm, content_type = "multipart/form-data"),
    responses((status = 200, body = OriginalAnswer), BadRequest, TimedOut, TooLarge, Unprocessable, NoRoom))]
pub(super) async fn original(
    State(context): State<Context>,
    caller: Caller,
    query: Pairs,
    headers: HeaderMap,
    form: Result<Multipart, MultipartRejection>,
) -> Response {
    match from_form(&context, caller, "csvdata", query, &headers, form).await {
        Ok(new) => {
            let answer = OriginalAnswer { info: "info", uploadmessage: Announcement::of(&new) };
            (Extension(Answered(new.id)), Json(answer)).into_response()
        }
        Err(problem) => {
            let mut body = problem.body();
            body["info"] = "error".into();
            body["message"] = problem.detail.clone().into();
            let mut response = problem.into_response();
            *response.body_mut() = Body::from(body.to_string());
            response.headers_mut().remove(header::CONTENT_LENGTH);
            response
        }
    }
}

/// Takes a file as the request's body (`curl -T`).
#[utoipa::path(put, path = "/uploads/{id}", operation_id = "send", tag = SENDING,
    params(("id" = String, Path, description = "The file's name."), RowQuery),
    request_body(content = [u8], content_type = "application/octet-stream"),
    responses((status = 201, body = UploadView, headers(("location" = String))), BadRequest, TimedOut, TooLarge,
        Unprocessable, NoRoom))]
pub(super) async fn raw(
    State(context): State<Context>,
    caller: Caller,
    name: Result<Path<String>, PathRejection>,
    query: Pairs,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let mut body = body.into_data_stream();
    let offer = async {
        let Path(filename) = name.map_err(|error| Problem::bad_request("bad_name", error.body_text()))?;
        caller.may_send()?;
        let slot = context.upload_slot()?;
        let options = asked(query)?.over(&context.config.rows)?;
        let media_type = media_type(headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()));
        let size = content_length(&headers);
        let offer = offer(&context, Offer { filename, media_type, sender: caller.name, size, options })?;
        Ok((offer, slot))
    };
    let (offer, _slot) = match offer.await {
        Ok(ready) => ready,
        Err(problem) => {
            // A client that waits for 100 Continue is told before it sends anything.
            if !headers.contains_key(header::EXPECT) {
                context.background.spawn(drain(body));
            }
            return Err(problem);
        }
    };
    match context.receiver.receive(offer, &mut body).await {
        Ok(new) => {
            context.submit(&new);
            Ok(created(&new))
        }
        Err(error) => {
            context.background.spawn(drain(body));
            Err(error.into())
        }
    }
}

fn created(new: &NewUpload) -> Response {
    let location = [(header::LOCATION, format!("/uploads/{}", new.id))];
    (StatusCode::CREATED, Extension(Answered(new.id)), location, Json(UploadView::spooled(new, None))).into_response()
}

fn asked(query: Pairs) -> Result<Asked, Problem> {
    let Query(pairs) = query?;
    Ok(Asked::of_query(pairs))
}

pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A type that says nothing, such as curl's default, is kept as empty.
pub(super) fn media_type(text: Option<&str>) -> String {
    text.filter(|text| text.len() <= 255).unwrap_or_default().to_owned()
}

/// What can be said before the first byte.
pub(super) fn offer(context: &Context, mut offer: Offer) -> Result<Offer, Problem> {
    if offer.filename.is_empty() {
        offer.filename = "upload.csv".into();
    }
    if offer.filename.len() > NAME_BYTES {
        return Err(Problem::bad_request("bad_name", format!("the file's name has more than {NAME_BYTES} bytes")));
    }
    if let Some(size) = offer.size {
        context.receiver.check_size(size)?;
    }
    Ok(offer)
}

async fn from_form(
    context: &Context,
    caller: Caller,
    file_field: &str,
    query: Pairs,
    headers: &HeaderMap,
    form: Result<Multipart, MultipartRejection>,
) -> Result<NewUpload, Problem> {
    caller.may_send()?;
    let _slot = context.upload_slot()?;
    let asked = asked(query)?;
    if let Some(size) = content_length(headers) {
        context.receiver.check_size(size.saturating_sub(form::MOST_BYTES))?;
        context.receiver.spool.check_room(size)?;
    }
    let mut form =
        form.map_err(|error| Problem::bad_request("no_form", error.body_text()).next(form::in_field(file_field)))?;
    let result = form::receive(context, file_field, &mut form, asked, caller.name).await;
    match result {
        Ok(new) => {
            context.submit(&new);
            Ok(new)
        }
        Err(problem) => {
            context.background.spawn(form::drain(form));
            Err(problem)
        }
    }
}

/// Reads on behind a refusal, within bounds: a browser that still sends sees only a broken connection otherwise.
pub(super) async fn drain<S: Stream<Item = Result<Bytes, E>> + Unpin, E>(mut body: S) {
    let mut left = DRAIN_BYTES;
    let reading = async {
        while let Some(Ok(bytes)) = body.next().await {
            left = left.saturating_sub(bytes.len() as u64);
            if left == 0 {
                return;
            }
        }
    };
    tokio::time::timeout(DRAIN_TIME, reading).await.unwrap_or_default();
}
