//! A form with a file: options in fields before it, streamed to the receiver chunk by chunk. Reading the form runs
//! beside the receiver, so that the upload is complete only when the form was read to its end.

use std::{pin::pin, time::Duration};

use axum::extract::{
    Multipart,
    multipart::{Field, MultipartError},
};
use bytes::Bytes;
use futures_util::stream;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{pipeline::receive::Offer, rows::RowOptions, upload::NewUpload};

use super::{Context, errors::Problem, options::Asked, uploads};

/// What a form may hold beside the file.
const FIELDS_MAX: usize = 32;
const FIELD_BYTES: usize = 64 << 10;
/// What a form adds to the size of its file, at most.
pub(super) const MOST_BYTES: u64 = (FIELDS_MAX * FIELD_BYTES) as u64;
/// For one field beside the file.
const FIELD_TIME: Duration = Duration::from_secs(60);

pub(super) fn in_field(file_field: &str) -> String {
    format!("send multipart/form-data with the file in the field \"{file_field}\"")
}

fn broken(error: &MultipartError) -> Problem {
    Problem::bad_request("incomplete_upload", format!("the form broke off or is damaged: {}", error.body_text()))
        .next("send the file again; nothing of it was kept")
}

/// Receives the file in the field `file_field`.
pub(super) async fn receive(
    context: &Context,
    file_field: &str,
    form: &mut Multipart,
    asked: Asked,
    sender: String,
) -> Result<NewUpload, Problem> {
    let (offered, offer) = oneshot::channel();
    let (chunks, mut taken) = mpsc::channel(1);
    let store = async {
        // Without an offer the form ended early, and reading it says why.
        let offer = offer.await.ok()?;
        let body = stream::poll_fn(|cx| taken.poll_recv(cx));
        Some(context.receiver.receive(offer, body).await)
    };
    let reader = Reader { context, file_field, asked, sender, offered, chunks };
    let (mut read, mut store) = (pin!(reader.read(form)), pin!(store));
    let mut outcome = None;
    let stored = loop {
        tokio::select! {
            biased;
            done = &mut read, if outcome.is_none() => outcome = Some(done),
            stored = &mut store => break stored,
        }
    };
    match (outcome, stored) {
        (Some(Err(problem)), _) => Err(problem),
        (_, Some(stored)) => Ok(stored?),
        (_, None) => Err(Problem::bad_request("no_file", "the form has no file").next(in_field(file_field))),
    }
}

struct Reader<'a> {
    context: &'a Context,
    file_field: &'a str,
    asked: Asked,
    sender: String,
    offered: oneshot::Sender<Offer>,
    chunks: mpsc::Sender<Result<Bytes, String>>,
}

impl Reader<'_> {
    async fn read(mut self, form: &mut Multipart) -> Result<(), Problem> {
        let mut fields = 0;
        let mut file = loop {
            let Some(mut field) = next(form).await? else { return Err(self.no_file()) };
            let name = field.name().unwrap_or_default().to_owned();
            if name == self.file_field {
                break field;
            }
            fields += 1;
            if fields > FIELDS_MAX {
                return Err(Problem::bad_request("bad_form", format!("the form has more than {FIELDS_MAX} fields")));
            }
            let text = timeout(FIELD_TIME, short_text(&mut field)).await.map_err(|_| stalled())??;
            self.asked.add(&name, text);
        };
        let options = self.asked.over(&self.context.config.rows)?;
        let filename = file.file_name().unwrap_or_default().to_owned();
        let media_type = uploads::media_type(file.content_type());
        let offer = Offer { filename, media_type, sender: self.sender, size: None, options };
        // Where the receiver is gone by now it has refused, and says so itself.
        self.offered.send(uploads::offer(self.context, offer)?).ok();
        let passed_on = match pass_on(&mut file, &self.chunks).await {
            Ok(true) => {
                drop(file);
                the_end(form, self.file_field).await
            }
            other => other.map(|_| ()),
        };
        if let Err(problem) = &passed_on {
            self.chunks.send(Err(problem.detail.clone())).await.ok();
        }
        passed_on
    }

    fn no_file(&self) -> Problem {
        let text = format!("the form has no field \"{}\" with a file", self.file_field);
        Problem::bad_request("no_file", text).next(in_field(self.file_field))
    }
}

async fn next(form: &mut Multipart) -> Result<Option<Field<'_>>, Problem> {
    timeout(FIELD_TIME, form.next_field()).await.map_err(|_| stalled())?.map_err(|error| broken(&error))
}

fn stalled() -> Problem {
    Problem::new(axum::http::StatusCode::REQUEST_TIMEOUT, "upload_stalled", "the form stopped arriving")
        .next("send the file again; nothing of it was kept")
}

/// Hands the file's chunks on; false when the receiver wants no more.
async fn pass_on(file: &mut Field<'_>, chunks: &mpsc::Sender<Result<Bytes, String>>) -> Result<bool, Problem> {
    while let Some(bytes) = file.chunk().await.map_err(|error| broken(&error))? {
        if chunks.send(Ok(bytes)).await.is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads what follows the file: an option there would come too late, a second file would be lost.
async fn the_end(form: &mut Multipart, file_field: &str) -> Result<(), Problem> {
    while let Some(mut field) = next(form).await? {
        let name = field.name().unwrap_or_default().to_owned();
        let text = timeout(FIELD_TIME, short_text(&mut field)).await.map_err(|_| stalled())?;
        if name == file_field {
            return Err(
                Problem::bad_request("bad_form", "the form holds several files").next("send one file a request")
            );
        }
        if RowOptions::NAMES.contains(&name.as_str()) && text.as_ref().map_or(true, |text| !text.is_empty()) {
            return Err(Problem::bad_request("bad_form", format!("the form field \"{name}\" comes after the file"))
                .next("put options before the file, or into the address"));
        }
        text?;
    }
    Ok(())
}

/// A field's text, which must be short.
async fn short_text(field: &mut Field<'_>) -> Result<String, Problem> {
    let mut text = Vec::new();
    while let Some(bytes) = field.chunk().await.map_err(|error| broken(&error))? {
        text.extend_from_slice(&bytes);
        if text.len() > FIELD_BYTES {
            let name = field.name().unwrap_or_default().escape_debug().to_string();
            return Err(Problem::bad_request("bad_form", format!("the form field \"{name}\" is too long")));
        }
    }
    String::from_utf8(text).map_err(|_| Problem::bad_request("bad_form", "a form field is not UTF-8"))
}

/// Reads on behind a refusal, within bounds: a browser that still sends sees only a broken connection otherwise.
pub(super) async fn drain(mut form: Multipart) {
    let mut left = uploads::DRAIN_BYTES;
    let reading = async {
        while let Ok(Some(mut field)) = form.next_field().await {
            while let Ok(Some(bytes)) = field.chunk().await {
                left = left.saturating_sub(bytes.len() as u64);
                if left == 0 {
                    return;
                }
            }
        }
    };
    timeout(uploads::DRAIN_TIME, reading).await.unwrap_or_default();
}
