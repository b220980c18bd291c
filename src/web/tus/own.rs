//! The upload that a request is about, as its sender may see it, and what every answer tells of it.

use axum::{
    Extension,
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
};

use crate::{
    pipeline::receive::Progress,
    upload::{NewUpload, UploadId},
    web::{
        Context, blocking,
        caller::Caller,
        errors::Problem,
        status::ask,
        uploads::{self, Answered},
    },
};

use super::headers;

/// What there is under an id.
pub(super) enum Known {
    Arriving,
    Finished(Box<NewUpload>),
}

/// Only who began an upload goes on with it.
pub(super) async fn check_own(context: &Context, caller: &Caller, id: UploadId) -> Result<Known, Problem> {
    let gone = || Problem::no_such_upload(id).of(id);
    let spool = context.spool();
    let (finished, arrival) = blocking(move || Ok((spool.read(id)?, spool.arrival(id)?))).await?;
    let (sender, known) = match (finished, arrival) {
        (Some(new), _) => (new.sender.clone(), Known::Finished(Box::new(new))),
        (None, Some(arrival)) if arrival.resume.is_some() => (arrival.sender, Known::Arriving),
        _ => {
            let upload = ask(context, context.store.upload(id)).await?.ok_or_else(gone)?;
            (upload.new.sender.clone(), Known::Finished(Box::new(upload.new)))
        }
    };
    caller.check_sees(id, &sender)?;
    caller.may_send()?;
    if sender != caller.name {
        let text = format!("upload {id} was begun by \"{sender}\", and you are \"{}\"", caller.name);
        let problem = Problem::new(StatusCode::FORBIDDEN, "not_the_sender", text).of(id);
        return Err(problem.next("go on with the token that it was begun with"));
    }
    Ok(known)
}

/// How far it is, and until when the rest may come.
pub(super) fn progressed(context: &Context, progress: &Progress) -> (HeaderMap, Extension<Answered>) {
    let mut headers = HeaderMap::new();
    let id = match progress {
        Progress::Unfinished(arrival) => {
            if let Some(resume) = &arrival.resume {
                headers.insert(headers::OFFSET, HeaderValue::from(resume.offset));
                let expires = headers::date(context.receiver.spool.expires_ms(resume));
                headers.extend(expires.map(|date| (headers::EXPIRES, date)));
            }
            arrival.id
        }
        Progress::Finished(new) => {
            headers.insert(headers::OFFSET, HeaderValue::from(new.size));
            new.id
        }
    };
    (headers, Extension(Answered(id)))
}

/// A refusal before any byte was read. A client that waits for 100 Continue is told before it sends anything; of any
/// other some bytes are read, so that it sees the answer and not a broken line.
pub(super) fn refuse(context: &Context, headers: &HeaderMap, body: Body, problem: Problem) -> Problem {
    if !headers.contains_key(header::EXPECT) {
        context.background.spawn(uploads::drain(body.into_data_stream()));
    }
    problem
}
