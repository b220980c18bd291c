//! Bytes of a source for code that blocks: every read ends when the job is told to stop, is counted for the progress,
//! and an error keeps what it was.

use std::{
    io::{self, Read},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, ReadBuf, Take},
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
        let bytes = self.wait(self.source.open(offset))?;
        let reader = Stoppable {
            bytes,
            stopped: Box::pin(self.stop.clone().cancelled_owned()),
            name: self.source.name(),
            meter: self.meter.clone(),
        };
        Ok(SyncIoBridge::new_with_handle(reader.take(length), self.runtime.clone()))
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

/// Errors are `Error`s inside of `io::Error`; `as_error` takes them out.
pub type Input = SyncIoBridge<Take<Stoppable>>;

/// Ends every read when the job is told to stop.
pub struct Stoppable {
    bytes: Bytes,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    name: String,
    meter: Meter,
}

impl AsyncRead for Stoppable {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.stopped.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::Error::other(stopped(&self.name))));
        }
        let before = into.filled().len();
        let read = std::task::ready!(Pin::new(&mut self.bytes).poll_read(context, into));
        self.meter.add((into.filled().len() - before) as u64);
        Poll::Ready(read.map_err(|error| io::Error::other(unreadable(&self.name, error))))
    }
}

fn stopped(name: &str) -> Error {
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
