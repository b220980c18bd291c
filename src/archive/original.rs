//! An original as it is kept: one file, or chunks with a list of them beside. Who reads it need not know which.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;

use super::{Archive, ArchivedSource, StoredFile, joined::Joined, name};
use crate::{
    error::{Error, Result, Service},
    source::Source,
};

/// Larger lists are no lists: a chunk takes some hundred bytes in it.
const LIST_MAX_BYTES: u64 = 64 << 20;

/// The list of an original's chunks, in their order: together they are the original.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartsList {
    pub format: u32,
    /// Of the whole: bytes, and lower-case hex where it is known.
    pub size: u64,
    pub sha256: Option<String>,
    pub chunks: Vec<Chunk>,
}

/// One chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    #[serde(flatten)]
    pub file: StoredFile,
    /// Physical line of the original that begins with it.
    pub first_line: u64,
}

impl PartsList {
    pub const FORMAT: u32 = 1;
}

/// The original with this name as a source of bytes. Where it is not there in either way, the source says so when it is
/// asked.
pub async fn open(archive: &Arc<dyn Archive>, file: &str) -> Result<Arc<dyn Source>> {
    if archive.size(file).await?.is_none()
        && let Some(list) = list(archive.as_ref(), file).await?
    {
        let files = list.chunks.into_iter().map(|chunk| chunk.file).collect();
        return Ok(Arc::new(Joined { archive: archive.clone(), what: file.to_owned(), head: Vec::new(), files }));
    }
    Ok(Arc::new(ArchivedSource { archive: archive.clone(), file: file.to_owned() }))
}

/// The list of its chunks; `None` of an original that is no such one.
pub async fn list(archive: &dyn Archive, file: &str) -> Result<Option<PartsList>> {
    let beside = name::beside(file, name::PARTS);
    if archive.size(&beside).await?.is_none() {
        return Ok(None);
    }
    let doing = || format!("reading {beside} on {}", archive.name());
    let mut json = Vec::new();
    let mut content = archive.open(&beside, 0).await?.take(LIST_MAX_BYTES);
    content
        .read_to_end(&mut json)
        .await
        .map_err(|error| Error::unavailable(Service::Archive, doing()).because(error))?;
    let list: PartsList =
        serde_json::from_slice(&json).map_err(|error| Error::fatal("parts_list", doing()).because(error))?;
    if list.format > PartsList::FORMAT {
        let why = format!("it has format {}, this program knows {}", list.format, PartsList::FORMAT);
        return Err(Error::fatal("parts_list", doing()).because(why).next("use a newer userdata"));
    }
    Ok(Some(list))
}
