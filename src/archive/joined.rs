//! Several files of the archive one behind the other, as bytes of one content. Each that is read from its beginning is
//! compared, at its end, with what was written: by the time the last byte is there, all are known to be the ones that
//! were meant.

use std::{io, sync::Arc};

use async_trait::async_trait;
use bytes::{Bytes as Piece, BytesMut};
use futures_util::stream;
use tokio::io::AsyncReadExt;
use tokio_util::io::StreamReader;

use super::{Archive, StoredFile};
use crate::{
    error::{Error, Result},
    hash::{Hasher, WholeSha256},
    source::{Bytes, Source},
};

const PIECE_BYTES: usize = 256 << 10;

/// The code of the error of a file that is not the one that was written.
pub const CHANGED: &str = "archived_file_changed";

/// See above.
#[derive(Clone)]
pub struct Joined {
    pub archive: Arc<dyn Archive>,
    /// For messages: what they are together.
    pub what: String,
    /// In front of the files.
    pub head: Vec<u8>,
    pub files: Vec<StoredFile>,
}

#[async_trait]
impl Source for Joined {
    fn name(&self) -> String {
        format!("{} on {}", self.what, self.archive.name())
    }

    async fn size(&self) -> Result<u64> {
        Ok(self.head.len() as u64 + self.files.iter().map(|file| file.size).sum::<u64>())
    }

    async fn open(&self, offset: u64) -> Result<Bytes> {
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX).min(self.head.len());
        let mut skip = offset - skipped as u64;
        let mut left = self.files.clone();
        // Whole files in front of the offset.
        while left.first().is_some_and(|file| skip >= file.size) {
            skip -= left.remove(0).size;
        }
        left.reverse();
        let head = self.head[skipped..].to_vec();
        let reading = Reading { archive: Arc::clone(&self.archive), head, left, skip, file: None };
        Ok(Box::new(StreamReader::new(Box::pin(stream::try_unfold(reading, Reading::next)))))
    }
}

struct Reading {
    archive: Arc<dyn Archive>,
    head: Vec<u8>,
    /// Files to come, the next one last.
    left: Vec<StoredFile>,
    /// Of the next one.
    skip: u64,
    file: Option<Open>,
}

struct Open {
    file: StoredFile,
    bytes: Bytes,
    read: u64,
    /// Of a file that is read from its beginning.
    hash: Option<WholeSha256>,
}

impl Reading {
    async fn next(mut self) -> io::Result<Option<(Piece, Self)>> {
        if !self.head.is_empty() {
            return Ok(Some((std::mem::take(&mut self.head).into(), self)));
        }
        loop {
            if self.file.is_none() {
                let Some(file) = self.left.pop() else { return Ok(None) };
                let skip = std::mem::take(&mut self.skip);
                let bytes = self.archive.open(&file.name, skip).await.map_err(io::Error::other)?;
                let hash = (skip == 0).then(WholeSha256::default);
                self.file = Some(Open { file, bytes, read: skip, hash });
            }
            let Some(open) = &mut self.file else { return Ok(None) };
            let mut piece = BytesMut::with_capacity(PIECE_BYTES);
            open.bytes.read_buf(&mut piece).await?;
            if !piece.is_empty() {
                open.read += piece.len() as u64;
                if let Some(hash) = &mut open.hash {
                    hash.update(&piece);
                }
                return Ok(Some((piece.freeze(), self)));
            }
            if let Some(open) = self.file.take() {
                open.compare(self.archive.as_ref()).map_err(io::Error::other)?;
            }
        }
    }
}

impl Open {
    fn compare(self, archive: &dyn Archive) -> Result<()> {
        let StoredFile { name, size, sha256 } = self.file;
        let changed = |how: String| {
            let doing = format!("{name} on {} is not the file that was written: {how}", archive.name());
            Err(Error::fatal(CHANGED, doing).next("see who else writes there, and the disk of that server"))
        };
        if self.read != size {
            return changed(format!("it has {} bytes, it had {size}", self.read));
        }
        match self.hash.map(Hasher::finish) {
            Some(found) if found != sha256 => changed(format!("its SHA-256 is {found}, it was {sha256}")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{archive::directory::Directory, meter::Meter, source::MemorySource};

    async fn joined(folder: &std::path::Path) -> Joined {
        let archive: Arc<dyn Archive> = Arc::new(Directory::new(folder));
        let mut files = Vec::new();
        for (name, text) in [("a", "first "), ("b", ""), ("c", "second "), ("d", "third")] {
            let content = MemorySource(text.into());
            archive.store(&format!("{name}.part"), name, &content, &Meter::default()).await.unwrap();
            let mut hash = WholeSha256::default();
            hash.update(text.as_bytes());
            let sha256 = hash.finish();
            files.push(StoredFile { name: name.into(), size: text.len() as u64, sha256 });
        }
        Joined { archive, what: "all".into(), head: b"head ".to_vec(), files }
    }

    async fn read(joined: &Joined, offset: u64) -> io::Result<String> {
        let mut text = String::new();
        joined.open(offset).await.unwrap().read_to_string(&mut text).await.map(|_| text)
    }

    #[tokio::test]
    async fn from_any_offset_the_rest_of_all_files_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let joined = joined(folder.path()).await;
        let whole = "head first second third";
        assert_eq!(joined.size().await.unwrap(), whole.len() as u64);
        for offset in 0..=whole.len() {
            assert_eq!(read(&joined, offset as u64).await.unwrap(), whole[offset..]);
        }
    }

    #[tokio::test]
    async fn a_file_that_was_changed_or_cut_is_told_by_its_name() {
        for changed in ["secone ", "second", "second  "] {
            let folder = tempfile::tempdir().unwrap();
            let joined = joined(folder.path()).await;
            std::fs::write(folder.path().join("c"), changed).unwrap();
            let error = read(&joined, 0).await.unwrap_err().downcast::<Error>().unwrap();
            assert_eq!(error.code, CHANGED);
            assert!(error.to_string().starts_with("c on the archive folder"), "{error}");
        }
    }
}
