//! Receiving: bytes from a sender into the spool, with everything that can be refused at once refused at once. The
//! web server and `import` put their files through this same door. It needs neither queue nor archive nor database.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use bytesize::ByteSize;
use chrono::Utc;
use futures_util::Stream;
use tokio_util::sync::CancellationToken;

mod checksum;
mod copying;
mod pace;
mod resumable;
mod sniff;

pub use checksum::{ALGORITHMS as CHECKSUM_ALGORITHMS, Checksum};
pub use pace::Pace;
pub use resumable::{Piece, Progress};
pub use sniff::{LEAD_BYTES, Sniffer, plain};

use crate::{
    config::Config,
    error::{Error, Result},
    rows::RowOptions,
    spool::{Arrival, Spool},
    upload::{EpochMs, NewUpload, Place, UploadId},
};

/// Takes files into the spool of one server.
#[derive(Clone)]
pub struct Receiver {
    pub spool: Arc<Spool>,
    pub config: Arc<Config>,
    /// How slow a sender may be; `None`: as it likes (a pipe on standard input).
    pub pace: Option<Pace>,
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
        Self { spool, config, pace: Some(Pace::default()), stop: CancellationToken::new() }
    }

    /// Receives one file. When it returns, bytes and info are on disk: the upload exists. On any error, and when the
    /// future is dropped, nothing of it stays. `Rejected` when it is the file's or the sender's fault (too large, no
    /// CSV, a column that cannot be found, broken off, stalled); `Transient` (service `Disk`) when there is no room.
    pub async fn receive<S, E>(&self, offer: Offer, body: S) -> Result<NewUpload>
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
        let arrival = Arrival { id, filename, sender, started_ms, size: offer.size, resume: None };
        let mut incoming = self.spool.begin(arrival).await?;
        if let Err(broken) = self.copy_whole(&offer, &mut incoming, body).await {
            incoming.discard().await;
            return Err(broken.error);
        }
        incoming.finish(self.new_upload(id, started_ms, offer)).await
    }

    /// What is known of an upload before its bytes are.
    fn new_upload(&self, id: UploadId, started_ms: EpochMs, offer: Offer) -> NewUpload {
        NewUpload {
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
            place: Place { server: self.config.server.worker_url.clone(), ..Place::default() },
            options: offer.options,
            again_of: None,
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
