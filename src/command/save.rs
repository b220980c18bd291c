//! What comes out of the archive, written into a file whole or not at all, or to standard output.

use std::path::Path;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::output;
use crate::{
    error::{Error, Result, Service},
    hash::{Hasher, WholeSha256},
};

/// What has been copied.
pub struct Copied {
    pub bytes: u64,
    /// Lower-case hex.
    pub sha256: String,
}

/// Writes a file under another name first; it gets its own when everything is on disk and `accept` has nothing against
/// it. `what` is copied, for messages.
pub async fn file(
    path: &Path,
    what: &str,
    content: &mut (dyn AsyncRead + Send + Unpin),
    accept: impl FnOnce(&Copied) -> Result<()>,
) -> Result<()> {
    let shown = path.display().to_string();
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let unwritten = |error| output::unwritten(&shown, error);
    let mut file = tokio::fs::File::create(&part).await.map_err(unwritten)?;
    let copied = copy(&shown, what, content, &mut file).await.and_then(|copied| accept(&copied));
    if copied.is_err() {
        // What is left of it is of no use; the error that ended it is the one to tell.
        let _ = tokio::fs::remove_file(&part).await;
        return copied;
    }
    file.sync_all().await.map_err(unwritten)?;
    tokio::fs::rename(&part, path).await.map_err(unwritten)
}

/// Copies to the end, telling a failing reader from a failing writer.
pub async fn copy(
    to: &str,
    what: &str,
    content: &mut (dyn AsyncRead + Send + Unpin),
    out: &mut (impl AsyncWriteExt + Unpin),
) -> Result<Copied> {
    let mut buffer = vec![0; 1 << 16];
    let (mut bytes, mut hash) = (0, WholeSha256::default());
    loop {
        let unread = |error: std::io::Error| {
            error
                .downcast::<Error>()
                .unwrap_or_else(|error| Error::unavailable(Service::Archive, format!("reading {what}")).because(error))
        };
        let read = content.read(&mut buffer).await.map_err(unread)?;
        let Some(block) = buffer.get(..read).filter(|block| !block.is_empty()) else { break };
        out.write_all(block).await.map_err(|error| output::unwritten(to, error))?;
        hash.update(block);
        bytes += block.len() as u64;
    }
    out.flush().await.map_err(|error| output::unwritten(to, error))?;
    Ok(Copied { bytes, sha256: hash.finish() })
}
