//! Receiving: bytes from a sender into the spool, with everything that can be refused at once refused at once. The
//! web server and `import` put their files through this same door. It needs neither queue nor archive nor database.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use bytesize::ByteSize;
use chrono::Utc;
use futures_util::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;

mod sniff;

pub use sniff::{LEAD_BYTES, Sniffer, plain};

use crate::{
    config::Config,
    error::{Error, Result},
    rows::RowOptions,
    spool::{Arrival, Incoming, Spool},
    upload::{NewUpload, Place, UploadId},
};

/// How long a sender may send nothing.
const IDLE: Duration = Duration::from_secs(60);

/// Takes files into the spool of one server.
#[derive(Clone)]
pub struct Receiver {
    pub spool: Arc<Spool>,
    pub config: Arc<Config>,
    /// How long a sender may send nothing; `None`: for ever (a pipe on standard input).
    pub idle: Option<Duration>,
    /// Cancelled when the process must end now: what is arriving then is refused, to be sent again.
    pub stop: CancellationToken,
}

/// What the sender says of a file before its first byte.
#[derive(Debug, Clone)]
pub struct Offer {
    pub filename: String,
    /// The part's content type, or empty.
    pub media_type: String,
    pub sender: String,
    /// Bytes, where the sender announces them.
    pub size: Option<u64>,
    pub options: RowOptions,
}

impl Receiver {
    pub fn new(spool: Arc<Spool>, config: Arc<Config>) -> Self {
        Self { spool, config, idle: Some(IDLE), stop: CancellationToken::new() }
    }

    /// Receives one file. When it returns, bytes and info are on disk: the upload exists. On any error, and when the
    /// future is dropped, nothing of it stays. `Rejected` when it is the file's or the sender's fault (too large, no
    /// CSV, a column that cannot be found, broken off, stalled); `Transient` (service `Disk`) when there is no room.
    pub async fn receive<S, E>(&self, offer: Offer, mut body: S) -> Result<NewUpload>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: fmt::Display,
    {
        if let Some(size) = offer.size {
            self.check_size(size)?;
        }
        let id = UploadId::new();
        let started_ms = Utc::now().timestamp_millis();
        let (filename, sender) = (offer.filename.clone(), offer.sender.clone());
        let mut incoming = self.spool.begin(Arrival { id, filename, sender, started_ms, size: offer.size }).await?;
        if let Err(error) = self.copy(&offer, &mut incoming, &mut body).await {
            incoming.discard().await;
            return Err(error);
        }
        let server = self.config.server.worker_url.clone();
        let new = NewUpload {
            format: NewUpload::FORMAT,
            id,
            filename: offer.filename,
            media_type: offer.media_type,
            size: 0,
            sha256: None,
            sample: None,
            sender: offer.sender,
            started_ms,
            received_ms: 0,
            place: Place { server, ..Place::default() },
            options: offer.options,
            again_of: None,
        };
        incoming.finish(new).await
    }

    async fn copy<S, E>(&self, offer: &Offer, incoming: &mut Incoming, body: &mut S) -> Result<()>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: fmt::Display,
    {
        let mut sniffer = Some(Sniffer::new(&offer.options));
        let mut received = 0;
        while let Some(bytes) = self.next(body, received).await? {
            received += bytes.len() as u64;
            self.check_size(received)?;
            if let Some(sniffing) = &mut sniffer
                && sniffing.add(&bytes)?
            {
                sniffer = None;
            }
            incoming.write(bytes).await?;
        }
        match sniffer {
            Some(sniffing) => sniffing.end(),
            None => Ok(()),
        }
    }

    /// The next bytes, or `None` at the end of the file.
    async fn next<S, E>(&self, body: &mut S, received: u64) -> Result<Option<Bytes>>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: fmt::Display,
    {
        let idle = async {
            match self.idle {
                Some(idle) => tokio::time::sleep(idle).await,
                None => std::future::pending().await,
            }
        };
        let so_far = ByteSize(received);
        tokio::select! {
            next = body.next() => next.transpose().map_err(|error| {
                Error::rejected("incomplete_upload", format!("the upload broke off after {so_far}: {error}"))
                    .next("send the file again; nothing of it was kept")
            }),
            () = self.stop.cancelled() => {
                Err(Error::stopped(format!("the server is stopping; the upload broke off after {so_far}"))
                    .next("send the file again in a minute; nothing of it was kept"))
            }
            () = idle => {
                let text = format!("no byte came for {}", humantime::format_duration(self.idle.unwrap_or_default()));
                Err(Error::rejected("upload_stalled", format!("{text}; the upload broke off after {so_far}"))
                    .next("send the file again; nothing of it was kept"))
            }
        }
    }

    /// Refuses what is larger than this server takes.
    pub fn check_size(&self, size: u64) -> Result<()> {
        let most = self.config.server.max_upload_bytes;
        if size <= most {
            return Ok(());
        }
        let text = format!("the file is larger than {}, the most this server takes", ByteSize(most));
        Err(Error::rejected("too_large", text).next("split it, or have server.max_upload_bytes raised"))
    }
}
