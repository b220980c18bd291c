//! What comes out of the archive, written into a file whole or not at all, or as it comes to standard output or what is
//! no regular file.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use tokio::{
    fs::{self, File, OpenOptions},
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
};
use uuid::Uuid;

use super::output;
use crate::{
    error::{Error, Result, Service},
    hash::{Hasher, WholeSha256},
};

/// What `-o` calls it.
const STANDARD_OUTPUT: &str = "-";

/// What has been copied.
pub struct Copied {
    pub bytes: u64,
    /// Lower-case hex.
    pub sha256: String,
}

/// Where the content goes.
enum Target {
    StandardOutput,
    /// A device or a pipe: not to be replaced by a file.
    Other(File),
    /// A regular file, or one that is to be made; not a link to it.
    File(PathBuf),
}

/// How messages call it.
pub fn named(path: &Path) -> String {
    if path == Path::new(STANDARD_OUTPUT) { "standard output".into() } else { path.display().to_string() }
}

/// Writes content to `path`, `-` being standard output. A file is written under another name first; it gets its own when
/// everything is on disk and `accept` has nothing against it. `what` is copied, for messages.
pub async fn content(
    path: &Path,
    what: &str,
    content: &mut (dyn AsyncRead + Send + Unpin),
    accept: impl FnOnce(&Copied) -> Result<()>,
) -> Result<()> {
    let shown = named(path);
    let copied = match target(path, &shown).await? {
        Target::StandardOutput => copy(&shown, what, content, &mut tokio::io::stdout()).await?,
        Target::Other(mut out) => copy(&shown, what, content, &mut out).await?,
        Target::File(path) => return file(&path, &shown, what, content, accept).await,
    };
    accept(&copied)
}

async fn target(path: &Path, shown: &str) -> Result<Target> {
    if path == Path::new(STANDARD_OUTPUT) {
        return Ok(Target::StandardOutput);
    }
    match fs::metadata(path).await {
        Ok(there) if there.is_dir() => {
            Err(Error::fatal("usage", format!("{shown} is a folder")).next("name a file in it"))
        }
        Ok(there) if there.is_file() => {
            fs::canonicalize(path).await.map(Target::File).map_err(|error| output::unwritten(shown, error))
        }
        Ok(_) => {
            let opened = OpenOptions::new().write(true).open(path).await;
            opened.map(Target::Other).map_err(|error| output::unwritten(shown, error))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Target::File(path.into())),
        Err(error) => Err(output::unwritten(shown, error)),
    }
}

async fn file(
    path: &Path,
    shown: &str,
    what: &str,
    content: &mut (dyn AsyncRead + Send + Unpin),
    accept: impl FnOnce(&Copied) -> Result<()>,
) -> Result<()> {
    let unwritten = |error| output::unwritten(shown, error);
    let mut part = path.as_os_str().to_owned();
    // No file of somebody else has this name.
    part.push(format!(".{}.part", Uuid::new_v4().simple()));
    let mut file = OpenOptions::new().write(true).create_new(true).open(&part).await.map_err(unwritten)?;
    let written = async {
        let copied = copy(shown, what, content, &mut file).await?;
        accept(&copied)?;
        file.sync_all().await.map_err(unwritten)?;
        fs::rename(&part, path).await.map_err(unwritten)
    };
    let written = written.await;
    if written.is_err() {
        // What is left of it is of no use; the error that ended it is the one to tell.
        let _ = fs::remove_file(&part).await;
    }
    written
}

/// Copies to the end, telling a failing reader from a failing writer.
async fn copy(
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
