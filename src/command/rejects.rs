//! `rejects`: an upload's rejected rows as CSV, from the archive. Mended, they may be sent back as they are.

use std::path::Path;

use tokio::io::{AsyncRead, AsyncWriteExt};

use super::{Exit, output, resolve};
use crate::{
    archive::{Archive, name},
    cli::Rejects,
    error::{Error, Result},
    pipeline::process::base_name,
    store::Store,
    upload::Upload,
};

pub async fn run(store: &dyn Store, archive: &dyn Archive, args: &Rejects) -> Result<Exit> {
    let upload = resolve::upload(store, &args.upload).await?;
    let Some(file) = place(&upload)? else {
        output::message(format_args!("upload {} has no rejected rows", upload.id()));
        return Ok(Exit::Done);
    };
    let mut content = archive.open(&file, 0).await?;
    match &args.output {
        Some(path) => save(path, &mut content).await?,
        None => copy("standard output", &mut content, &mut tokio::io::stdout()).await?,
    }
    Ok(Exit::Done)
}

/// The rejects' name in the archive; `None` when the file has none.
fn place(upload: &Upload) -> Result<Option<String>> {
    let id = upload.id();
    match &upload.cleaned {
        Some(cleaned) => Ok((cleaned.rejected > 0).then(|| name::beside(&base_name(upload), name::REJECTS))),
        None if upload.state.is_open() => {
            Err(Error::stopped(format!("upload {id} was not read to its end yet: it is {}", upload.state))
                .next(format!("follow it: userdata status {id} --watch")))
        }
        None => Err(Error::rejected(
            "not_cleaned",
            format!("upload {id} has no rejects: it is {}, and was not read to its end", upload.state),
        )
        .next(format!("why: userdata status {id}"))),
    }
}

/// Writes a file whole or not at all: under another name first.
async fn save(path: &Path, content: &mut (dyn AsyncRead + Send + Unpin)) -> Result<()> {
    let shown = path.display().to_string();
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let unwritten = |error| output::unwritten(&shown, error);
    let mut file = tokio::fs::File::create(&part).await.map_err(unwritten)?;
    let copied = copy(&shown, content, &mut file).await;
    if copied.is_err() {
        // What is left of it is of no use; the error that ended it is the one to tell.
        let _ = tokio::fs::remove_file(&part).await;
        return copied;
    }
    file.sync_all().await.map_err(unwritten)?;
    tokio::fs::rename(&part, path).await.map_err(unwritten)
}

/// Copies to the end, telling a failing reader from a failing writer.
async fn copy(
    to: &str,
    content: &mut (dyn AsyncRead + Send + Unpin),
    out: &mut (impl AsyncWriteExt + Unpin),
) -> Result<()> {
    use tokio::io::AsyncReadExt;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = content.read(&mut buffer).await.map_err(|error| {
            Error::unavailable(crate::error::Service::Archive, "reading the rejects").because(error)
        })?;
        let Some(block) = buffer.get(..read).filter(|block| !block.is_empty()) else { break };
        out.write_all(block).await.map_err(|error| output::unwritten(to, error))?;
    }
    out.flush().await.map_err(|error| output::unwritten(to, error))
}
