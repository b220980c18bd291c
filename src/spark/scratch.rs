//! A file without a name on an executor's disk: what a task collects before its length is known. It is gone with the
//! process, however that ends.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use tokio::runtime::Handle;
use uuid::Uuid;

use super::name;
use crate::{
    archive::{Archive, StoredFile},
    error::{Error, Result},
    hash::{Hasher, WholeSha256},
    load::folder::disk,
    meter::Meter,
    source::{Bytes, FileSource, Source},
};

const BUFFER_BYTES: usize = 256 << 10;

/// What an error of writing to such a file means.
pub fn unwritten(error: io::Error) -> Error {
    disk(Path::new("the work folder of an executor"), error)
}

/// Hashes what is written to it.
pub struct Scratch {
    out: BufWriter<File>,
    hash: WholeSha256,
    bytes: u64,
    /// Where it lies, for messages.
    path: PathBuf,
}

impl Scratch {
    /// In `folder`, which is made if missing.
    pub fn new(folder: &Path) -> Result<Self> {
        let path = folder.join(format!("spark-{}", Uuid::new_v4().simple()));
        let create = || {
            std::fs::create_dir_all(folder)?;
            let file = File::options().read(true).write(true).create_new(true).open(&path)?;
            std::fs::remove_file(&path).map(|()| file)
        };
        let file = create().map_err(|error| disk(&path, error))?;
        Ok(Self { out: BufWriter::with_capacity(BUFFER_BYTES, file), hash: WholeSha256::default(), bytes: 0, path })
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What was written, as the bytes of a content from `start` on.
    pub fn source(&mut self, start: u64) -> Result<Copied> {
        self.out.flush().map_err(unwritten)?;
        Ok(Copied { file: self.content(), start })
    }

    /// Opened anew by this name, it is read from its beginning.
    fn content(&self) -> FileSource {
        FileSource(format!("/proc/self/fd/{}", self.out.get_ref().as_raw_fd()).into())
    }

    /// Stores what was written in the archive.
    pub fn store(mut self, archive: &dyn Archive, name: String, runtime: &Handle) -> Result<StoredFile> {
        self.out.flush().map_err(|error| disk(&self.path, error))?;
        let content = self.content();
        let meter = Meter::default();
        runtime.block_on(archive.store(&name::temp(&name), &name, &content, &meter))?;
        Ok(StoredFile { name, size: self.bytes, sha256: self.hash.finish() })
    }
}

impl Write for Scratch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Bytes of a content, of which only those from `start` on are here.
pub struct Copied {
    file: FileSource,
    start: u64,
}

#[async_trait]
impl Source for Copied {
    fn name(&self) -> String {
        "a chunk in the work folder of an executor".into()
    }

    async fn size(&self) -> Result<u64> {
        Ok(self.start + self.file.size().await?)
    }

    async fn open(&self, offset: u64) -> Result<Bytes> {
        self.file.open(offset.saturating_sub(self.start)).await
    }
}
