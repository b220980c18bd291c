//! Bytes of a source for code that blocks: every read ends when the job is told to stop, is counted for the progress,
//! and an error keeps what it was.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, ReadBuf},
    runtime::Handle,
};
use tokio_util::{
    io::SyncIoBridge,
    sync::{CancellationToken, WaitForCancellationFutureOwned},
};

use crate::{
    error::{Error, Result, Service},
    meter::Meter,
    source::{Bytes, Source},
};

/// A source and what its readers share. Only for threads that may block.
#[derive(Clone)]
pub struct Reading {
    pub source: Arc<dyn Source>,
    pub meter: Meter,
    pub stop: CancellationToken,
    pub runtime: Handle,
}

impl Reading {
    /// Reads from `offset`, at most `length` bytes; fewer where the source ends.
    pub fn open(&self, offset: u64, length: u64) -> Result<Input> {
        self.check_stop()?;
        let name = self.source.name();
        // This thread may wait for the disk itself: to be handed each piece by another takes longer than reading it.
        let from: Box<dyn Read + Send> = match self.source.path() {
            Some(path) => Box::new(open_at(path, offset).map_err(|error| unreadable(&name, error))?.take(length)),
            None => {
                let bytes = self.wait(self.source.open(offset))?;
                let stopped = Box::pin(self.stop.clone().cancelled_owned());
                let bytes = Stoppable { bytes, stopped, name: name.clone() }.take(length);
                Box::new(SyncIoBridge::new_with_handle(bytes, self.runtime.clone()))
            }
        };
        Ok(Input { from, name, meter: self.meter.clone(), stop: self.stop.clone() })
    }

    pub fn size(&self) -> Result<u64> {
        self.wait(self.source.size())
    }

    /// The first bytes, at most `limit`.
    pub fn head(&self, limit: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(0, limit as u64)?.read_to_end(&mut bytes).map_err(reading)?;
        Ok(bytes)
    }

    /// The same readers' terms for other bytes.
    pub fn of(&self, source: Arc<dyn Source>) -> Self {
        Self { source, ..self.clone() }
    }

    pub fn check_stop(&self) -> Result<()> {
        if self.stop.is_cancelled() { Err(stopped(&self.source.name())) } else { Ok(()) }
    }

    fn wait<T>(&self, answer: impl Future<Output = Result<T>>) -> Result<T> {
        let stopped = || Err(stopped(&self.source.name()));
        self.runtime.block_on(async { self.stop.run_until_cancelled(answer).await.unwrap_or_else(stopped) })
    }
}

fn open_at(path: &Path, offset: u64) -> io::Result<File> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    Ok(file)
}

/// Errors are `Error`s inside of `io::Error`; `as_error` takes them out.
pub struct Input {
    from: Box<dyn Read + Send>,
    name: String,
    meter: Meter,
    stop: CancellationToken,
}

impl Read for Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.stop.is_cancelled() {
            return Err(io::Error::other(stopped(&self.name)));
        }
        let read = self.from.read(into).map_err(|error| io::Error::other(unreadable(&self.name, error)))?;
        self.meter.add(read as u64);
        Ok(read)
    }
}

/// Ends every read when the job is told to stop.
struct Stoppable {
    bytes: Bytes,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    name: String,
}

impl AsyncRead for Stoppable {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.stopped.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::Error::other(stopped(&self.name))));
        }
        Pin::new(&mut self.bytes).poll_read(context, into)
    }
}

/// The job was told to stop.
pub fn stopped(name: &str) -> Error {
    Error::stopped(format!("reading {name}"))
}

fn unreadable(name: &str, error: io::Error) -> Error {
    error
        .downcast::<Error>()
        .unwrap_or_else(|error| Error::unavailable(Service::Source, format!("reading {name}")).because(error))
}

/// The error inside of one that a read of an `Input` gave; `Err` is one that came from elsewhere (a decoder).
pub fn as_error(error: io::Error) -> std::result::Result<Error, io::Error> {
    error.downcast::<Error>()
}

/// The error that a read of an `Input` gave.
pub fn reading(error: io::Error) -> Error {
    as_error(error).unwrap_or_else(|error| Error::fatal("read", "reading the upload's bytes").because(error))
}
