//! What is still to be copied of a source into an archive: from an offset to the size that was announced, no byte
//! more or less.

use tokio::io::AsyncReadExt;

use crate::{
    error::{Error, Result, Service},
    source::{Bytes, Source},
};

pub(super) struct Rest<'a> {
    content: &'a dyn Source,
    input: Bytes,
    left: u64,
    total: u64,
}

impl<'a> Rest<'a> {
    pub async fn open(content: &'a dyn Source, offset: u64, total: u64) -> Result<Self> {
        // What is not read need not be reached: a source may be gone when its last byte has been copied.
        let input = if offset == total { Box::new(tokio::io::empty()) } else { content.open(offset).await? };
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
        let mut filled = 0;
        while filled < wanted {
            filled += match self.input.read(&mut buffer[filled..]).await {
                Ok(0) => return Err(self.ended_early(filled)),
                Ok(read) => read,
                Err(error) => return Err(self.unreadable(error)),
            };
        }
        self.left -= wanted as u64;
        Ok(())
    }

    fn ended_early(&self, filled: usize) -> Error {
        let read = self.total - self.left + filled as u64;
        let why = format!("it ended after {read} of {} bytes", self.total);
        Error::unavailable(Service::Source, format!("reading {}", self.content.name())).because(why)
    }

    /// A source that knows better what failed hands over an error of its own.
    fn unreadable(&self, error: std::io::Error) -> Error {
        error.downcast::<Error>().unwrap_or_else(|error| {
            Error::unavailable(Service::Source, format!("reading {}", self.content.name())).because(error)
        })
    }
}
