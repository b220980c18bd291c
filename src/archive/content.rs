//! What is still to be copied of a source into an archive: from an offset to the size that was announced, no byte
//! more or less.

use std::{fs::File, io, os::unix::fs::FileExt, path::PathBuf, sync::Arc};

use tokio::io::AsyncReadExt;

use crate::{
    blocking,
    error::{Error, Result, Service},
    source::{Bytes, Source},
};

pub(super) struct Rest<'a> {
    content: &'a dyn Source,
    input: Input,
    left: u64,
    total: u64,
}

enum Input {
    /// What is not read need not be reached: a source may be gone when its last byte has been copied.
    Nothing,
    /// Read into the buffer itself, without another one between.
    File(Arc<File>),
    Stream(Bytes),
}

impl<'a> Rest<'a> {
    pub async fn open(content: &'a dyn Source, offset: u64, total: u64) -> Result<Self> {
        let input = match content.path().map(PathBuf::from) {
            _ if offset == total => Input::Nothing,
            Some(path) => {
                let file = blocking::run_io(move || File::open(path)).await;
                Input::File(file.map_err(|error| unreadable(content, error))?.into())
            }
            None => Input::Stream(content.open(offset).await?),
        };
        Ok(Self { content, input, left: total - offset, total })
    }

    /// Fills `buffer` with the next bytes, at most `piece` of them; empty at the end. A source that ends before its
    /// size, or fails, is its own service's error.
    pub async fn next(&mut self, buffer: &mut Vec<u8>, piece: usize) -> Result<()> {
        #[cfg(feature = "faults")]
        if 0 < self.left && self.left < self.total {
            crate::faults::hold("transfer").await;
        }
        let wanted = usize::try_from(self.left).map_or(piece, |left| left.min(piece));
        buffer.resize(wanted, 0);
        let filled = match &mut self.input {
            Input::Nothing => 0,
            Input::File(file) => {
                let (file, offset, mut piece) = (Arc::clone(file), self.total - self.left, std::mem::take(buffer));
                let read =
                    blocking::run_io(move || fill(&file, offset, &mut piece).map(|filled| (filled, piece))).await;
                let (filled, piece) = read.map_err(|error| unreadable(self.content, error))?;
                *buffer = piece;
                filled
            }
            Input::Stream(input) => {
                let mut filled = 0;
                while filled < wanted {
                    match input.read(&mut buffer[filled..]).await {
                        Ok(0) => break,
                        Ok(read) => filled += read,
                        Err(error) => return Err(unreadable(self.content, error)),
                    }
                }
                filled
            }
        };
        if filled < wanted {
            return Err(self.ended_early(filled));
        }
        self.left -= wanted as u64;
        Ok(())
    }

    fn ended_early(&self, filled: usize) -> Error {
        let read = self.total - self.left + filled as u64;
        let why = format!("it ended after {read} of {} bytes", self.total);
        Error::unavailable(Service::Source, format!("reading {}", self.content.name())).because(why)
    }
}

/// A source that knows better what failed hands over an error of its own.
fn unreadable(content: &dyn Source, error: io::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|error| {
        Error::unavailable(Service::Source, format!("reading {}", content.name())).because(error)
    })
}

/// Fills `piece` with what is at `offset`; less of it where the file ends before.
fn fill(file: &File, offset: u64, piece: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < piece.len() {
        match file.read_at(&mut piece[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileSource;

    const PIECE: usize = 1000;

    async fn read(source: &FileSource, offset: u64, total: u64) -> Result<Vec<u8>> {
        let (mut rest, mut buffer, mut all) = (Rest::open(source, offset, total).await?, Vec::new(), Vec::new());
        loop {
            rest.next(&mut buffer, PIECE).await?;
            if buffer.is_empty() {
                return Ok(all);
            }
            all.extend_from_slice(&buffer);
        }
    }

    #[tokio::test]
    async fn a_file_is_read_from_the_offset_to_the_size_that_was_announced() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..2500_u32).map(|number| number as u8).collect();
        let source = FileSource(folder.path().join("users.csv"));
        std::fs::write(&source.0, &bytes).unwrap();
        assert_eq!(read(&source, 0, 2500).await.unwrap(), bytes);
        assert_eq!(read(&source, 1700, 2400).await.unwrap(), bytes[1700..2400]);
        let error = read(&source, 0, 2600).await.unwrap_err();
        assert_eq!(error.service, Some(Service::Source));
        assert!(error.to_string().contains("it ended after 2500 of 2600 bytes"), "{error}");
    }

    #[tokio::test]
    async fn a_file_that_is_gone_is_missed_unless_nothing_of_it_is_to_be_read() {
        let source = FileSource("/nowhere/users.csv".into());
        assert_eq!(read(&source, 0, 1).await.unwrap_err().service, Some(Service::Source));
        assert_eq!(read(&source, 1, 1).await.unwrap(), b"");
    }
}
