//! Where bytes are read from, by offset: nothing behind this assumes a local file.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt};

use crate::error::{Error, Result, Service};

pub mod http;
pub mod pin;

/// A stream of bytes.
pub type Bytes = Box<dyn AsyncRead + Send + Unpin>;

/// Bytes that can be read from any offset, as often as need be, by several readers at once.
#[async_trait]
pub trait Source: Send + Sync {
    /// For messages: the path or address.
    fn name(&self) -> String;

    /// How many bytes there are.
    async fn size(&self) -> Result<u64>;

    /// Reads from `offset` to the end. `Transient` (service `Source`, or the service behind it) when it cannot be
    /// reached.
    async fn open(&self, offset: u64) -> Result<Bytes>;

    /// The file, where the bytes are a file of this machine.
    fn path(&self) -> Option<&Path> {
        None
    }
}

/// A file of this machine, or of a mount that it shares.
#[derive(Debug)]
pub struct FileSource(pub PathBuf);

impl FileSource {
    fn unreadable(&self, error: std::io::Error) -> Error {
        Error::unavailable(Service::Source, format!("reading {}", self.0.display())).because(error)
    }
}

#[async_trait]
impl Source for FileSource {
    fn name(&self) -> String {
        self.0.display().to_string()
    }

    async fn size(&self) -> Result<u64> {
        let metadata = tokio::fs::metadata(&self.0).await.map_err(|error| self.unreadable(error))?;
        Ok(metadata.len())
    }

    async fn open(&self, offset: u64) -> Result<Bytes> {
        let mut file = tokio::fs::File::open(&self.0).await.map_err(|error| self.unreadable(error))?;
        file.set_max_buf_size(1 << 20);
        file.seek(std::io::SeekFrom::Start(offset)).await.map_err(|error| self.unreadable(error))?;
        Ok(Box::new(file))
    }

    fn path(&self) -> Option<&Path> {
        Some(&self.0)
    }
}

/// Bytes held in memory: receipts, info files.
pub struct MemorySource(pub Vec<u8>);

#[async_trait]
impl Source for MemorySource {
    fn name(&self) -> String {
        "memory".into()
    }

    async fn size(&self) -> Result<u64> {
        Ok(self.0.len() as u64)
    }

    async fn open(&self, offset: u64) -> Result<Bytes> {
        let rest = self.0.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        Ok(Box::new(std::io::Cursor::new(rest.to_vec())))
    }
}

/// The first bytes of a source, at most `limit`; fewer only where the source ends.
pub async fn head(source: &dyn Source, limit: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut input = source.open(0).await?.take(limit as u64);
    let reading = |error| Error::unavailable(Service::Source, format!("reading {}", source.name())).because(error);
    input.read_to_end(&mut bytes).await.map_err(reading)?;
    Ok(bytes)
}
