//! Copying from a sender into the spool: one loop for every way in. What can be refused is refused as soon as it is
//! known, and a sender that is silent, too slow or gone is left.

use std::fmt;

use bytes::Bytes;
use bytesize::ByteSize;
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    error::{Error, Result},
    spool::{Incoming, SHOW_AFTER},
};

use super::{Checksum, Offer, Receiver, Sniffer, pace::Paced};

/// What bytes pass on their way.
pub(super) struct Copying<'a> {
    pub incoming: &'a mut Incoming,
    /// Until the file is known to be readable.
    pub sniffer: Option<Sniffer<'a>>,
    pub checksum: Option<Checksum>,
    /// Of the whole file, where it must not have more.
    pub size: Option<u64>,
    /// How much of it was there before.
    pub begun_at: u64,
    pub is_resumable: bool,
}

/// Why bytes were not taken.
pub(super) struct Broken {
    pub error: Error,
    /// Its content is no file of users: none of it has a future.
    pub is_files_fault: bool,
}

impl Broken {
    pub fn by_file(error: Error) -> Self {
        Self { error, is_files_fault: true }
    }
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self { error, is_files_fault: false }
    }
}

impl Receiver {
    /// Copies a file that comes in one piece.
    pub(super) async fn copy_whole<S, E>(&self, offer: &Offer, incoming: &mut Incoming, body: S) -> Result<(), Broken>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: fmt::Display,
    {
        let sniffer = Some(Sniffer::new(&offer.options));
        let mut copying = Copying { incoming, sniffer, checksum: None, size: None, begun_at: 0, is_resumable: false };
        self.copy(&mut copying, body, &CancellationToken::new()).await?;
        match copying.sniffer {
            Some(sniffer) => sniffer.end().map_err(Broken::by_file),
            None => Ok(()),
        }
    }

    /// Copies until the end of `body`.
    pub(super) async fn copy<S, E>(
        &self,
        to: &mut Copying<'_>,
        mut body: S,
        overtaken: &CancellationToken,
    ) -> Result<(), Broken>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: fmt::Display,
    {
        let mut paced = Paced::new(self.pace);
        let mut received = to.begun_at;
        loop {
            let is_over = overtaken.is_cancelled() || self.stop.is_cancelled();
            let next = match (!is_over).then(|| body.next().now_or_never()).flatten() {
                Some(next) => next.transpose().map_err(|error| broke_off(&error)),
                None => {
                    to.incoming.flush().await?;
                    if let Ok(next) = timeout(SHOW_AFTER, self.next(&mut body, &mut paced, overtaken)).await {
                        next
                    } else {
                        to.incoming.show().await?;
                        self.next(&mut body, &mut paced, overtaken).await
                    }
                }
            };
            let bytes = match next {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return Ok(()),
                Err(error) => return Err(self.kept(to, received, error).into()),
            };
            received += bytes.len() as u64;
            self.check_size(received)?;
            if to.size.is_some_and(|size| received > size) {
                return Err(too_long(to.size.unwrap_or(0)).into());
            }
            if let Some(sniffer) = &mut to.sniffer
                && sniffer.add(&bytes).map_err(Broken::by_file)?
            {
                to.sniffer = None;
            }
            if let Some(checksum) = &mut to.checksum {
                checksum.update(&bytes);
            }
            paced.came(bytes.len());
            to.incoming.write(bytes).await?;
            if let Err(error) = paced.check() {
                return Err(self.kept(to, received, error).into());
            }
        }
    }

    /// Waits for the next bytes, or `None` at the end.
    async fn next<S, E>(&self, body: &mut S, paced: &mut Paced, overtaken: &CancellationToken) -> Result<Option<Bytes>>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: fmt::Display,
    {
        tokio::select! {
            biased;
            () = overtaken.cancelled() => {
                Err(Error::rejected("overtaken_by_request", "another request goes on with this upload"))
            }
            () = self.stop.cancelled() => Err(Error::stopped("the server is stopping")),
            next = body.next() => next.transpose().map_err(|error| broke_off(&error)),
            error = paced.exceeded() => Err(error),
        }
    }

    /// The error with how far the sender got, and what became of it.
    fn kept(&self, to: &Copying<'_>, received: u64, mut error: Error) -> Error {
        let so_far = ByteSize(received);
        error.doing = format!("{}; the upload broke off after {so_far}", error.doing);
        let next = match (to.is_resumable, to.checksum.is_some()) {
            (true, false) => "ask for the offset (HEAD), and go on there",
            (true, true) => "send this piece again",
            (false, _) => "send the file again; nothing of it was kept",
        };
        error.next(next)
    }
}

fn broke_off(error: &impl fmt::Display) -> Error {
    Error::rejected("incomplete_upload", format!("the line broke: {error}"))
}

pub(super) fn too_long(size: u64) -> Error {
    Error::rejected("size_conflict", format!("more bytes came than the {size} that the upload was said to have"))
        .next("begin another upload")
}
