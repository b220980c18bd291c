//! `fetch`: an original back from the archive, byte for byte as it was received.

use super::{Exit, output, resolve, save};
use crate::{
    archive::original,
    cli::Fetch,
    error::{Error, Result},
    pipeline::{Pipeline, reach},
    upload::Upload,
};

pub async fn run(pipeline: &Pipeline, args: &Fetch) -> Result<Exit> {
    let upload = resolve::upload(pipeline.store.as_ref(), &args.upload).await?;
    let file = place(&upload)?;
    let source = original::open(&pipeline.archive, &file).await?;
    let mut content = source.open(0).await?;
    let expected = known_hash(&upload);
    let accept = |copied: &save::Copied| compare(&source.name(), &upload, expected, copied);
    save::content(&args.output, &source.name(), &mut content, accept).await?;
    let (shown, size) = (save::named(&args.output), output::bytes(upload.new.size));
    match expected {
        Some(hash) => output::message(format_args!("{shown}: {size}, as received (SHA-256 {hash})")),
        None => output::message(format_args!(
            "{shown}: {size}; it was not read to its end yet, so only its size was compared"
        )),
    }
    Ok(Exit::Done)
}

/// The original's name in the archive.
fn place(upload: &Upload) -> Result<String> {
    if let Some(name) = reach::archived_name(upload) {
        return Ok(name.to_owned());
    }
    let (id, state) = (upload.id(), upload.state);
    if state.is_open() {
        return Err(Error::stopped(format!("upload {id} is not in the archive yet: it is {state}"))
            .next(format!("follow it: userdata status {id} --watch")));
    }
    Err(Error::rejected(
        "not_archived",
        format!("upload {id} is not in the archive: it is {state}, and was not archived"),
    )
    .next(format!("the server that took it has it until spool.keep_failed has passed: GET /uploads/{id}/content")))
}

/// SHA-256 of the bytes as they were received; unknown where nobody has read all of them yet.
fn known_hash(upload: &Upload) -> Option<&str> {
    let cleaned = || upload.cleaned.as_ref().map(|cleaned| cleaned.sha256.as_str());
    upload.new.sha256.as_deref().or_else(cleaned).filter(|hash| !hash.is_empty())
}

/// `Fatal`, code `archive_changed`, when the archive does not hold what was received.
fn compare(place: &str, upload: &Upload, expected: Option<&str>, copied: &save::Copied) -> Result<()> {
    let (found, size) = (copied.sha256.as_str(), upload.new.size);
    let why = if copied.bytes != size {
        format!("it has {} bytes, {size} were received", copied.bytes)
    } else if expected.is_some_and(|expected| expected != found) {
        format!("its SHA-256 is {found}, it was {}", expected.unwrap_or_default())
    } else {
        return Ok(());
    };
    Err(Error::fatal("archive_changed", format!("{place} is not what was received: {why}"))
        .next("no file was written; look for who changed the archive, and restore the file from a copy of it"))
}
