//! The archive keeps each original, and beside it what was found out about it. This file is the contract; every
//! backend keeps all of it, and one suite says so.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result, Service},
    meter::Meter,
    source::{Bytes, MemorySource, Source},
};

mod content;
pub mod directory;
pub mod ftp;
pub mod joined;
pub mod name;
pub mod original;

/// A file of the archive as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Lower-case hex.
    pub sha256: String,
}

/// A place for files under relative names with `/` between folders (made as needed). It knows no fence, so writers
/// use temp names that carry one.
#[async_trait]
pub trait Archive: Send + Sync {
    /// For messages: "the FTP server at 10.0.0.7:21".
    fn name(&self) -> String;

    /// Size of a file, `None` where there is none.
    async fn size(&self, name: &str) -> Result<Option<u64>>;

    /// Writes `content` to `temp`, behind what an earlier call left there, checks the size and renames it to `name`.
    /// When it returns, `name` holds exactly `content` and `temp` is gone. A file of that name and size that is there
    /// already is taken as the result of an earlier call whose answer was lost; one of another size is never touched
    /// (`Rejected`, code `archive_name_taken`), nor is anything written where the server refuses the name
    /// (553, `Rejected`, code `archive_name_refused`). Bytes written are added to `meter`, those found are too.
    /// Dropping the future leaves `temp` behind for the next call. `Transient` (service `Archive`) for everything an
    /// operator or time can put right; errors of reading `content` keep their own service.
    async fn store(&self, temp: &str, name: &str, content: &dyn Source, meter: &Meter) -> Result<()>;

    /// Renames a temp file that an earlier claim handed over, so that `store` goes on behind it; false where there is
    /// none.
    async fn adopt(&self, left: &str, temp: &str) -> Result<bool>;

    /// As `store`, for what belongs to a file (info, rejects, receipt): starts anew, and replaces what is there.
    async fn store_beside(&self, temp: &str, name: &str, content: &dyn Source) -> Result<()>;

    /// Reads a file from `offset` to its end.
    async fn open(&self, name: &str, offset: u64) -> Result<Bytes>;

    /// Names of the files in a folder, without it, in no order; none where there is no such folder.
    async fn list(&self, folder: &str) -> Result<Vec<String>>;

    /// Removes a file; true when there was one.
    async fn remove(&self, name: &str) -> Result<bool>;

    /// Whether the archive answers, lets us in, and takes a small file (written, measured, removed again).
    async fn check(&self) -> Result<()>;
}

/// `check` of any archive: a file of a name of its own is written, measured and removed again. Its bytes are
/// those that a transfer in text mode changes.
async fn try_out(archive: &dyn Archive) -> Result<()> {
    let bytes = b"userdata\r\nwas\nhere\r\0\xff\n".to_vec();
    let name = format!("userdata-check-{}", uuid::Uuid::new_v4());
    let size = bytes.len() as u64;
    archive.store_beside(&format!("{name}.part"), &name, &MemorySource(bytes)).await?;
    let found = archive.size(&name).await?;
    archive.remove(&name).await?;
    if found == Some(size) {
        return Ok(());
    }
    let why = format!("{found:?} bytes of a test file are there instead of {size}");
    Err(Error::unavailable(Service::Archive, format!("trying out {}", archive.name())).because(why))
}

/// A file in the archive as a source of bytes.
pub struct ArchivedSource {
    pub archive: std::sync::Arc<dyn Archive>,
    pub file: String,
}

#[async_trait]
impl Source for ArchivedSource {
    fn name(&self) -> String {
        format!("{} on {}", self.file, self.archive.name())
    }

    async fn size(&self) -> Result<u64> {
        self.archive
            .size(&self.file)
            .await?
            .ok_or_else(|| Error::unavailable(Service::Source, format!("{} is not there", self.name())))
    }

    async fn open(&self, offset: u64) -> Result<Bytes> {
        self.archive.open(&self.file, offset).await
    }
}
