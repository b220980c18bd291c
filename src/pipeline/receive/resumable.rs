//! Resumable uploads: begun, continued piece by piece over any number of connections and restarts, finished with the
//! last byte.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use futures_util::Stream;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    blocking,
    error::{Error, Result},
    pipeline::now_ms,
    spool::{Arrival, Incoming, Receiving, Resume},
    upload::{NewUpload, UploadId},
};

use super::{
    Checksum, Offer, Receiver, Sniffer,
    copying::{Broken, Copying, too_long},
};

/// A piece of a resumable upload.
pub struct Piece {
    /// Where it begins; bytes. It must be where the upload ends.
    pub offset: u64,
    /// Its own length, where the sender says it beforehand.
    pub length: Option<u64>,
    /// The whole upload's size, where that was not known when it began.
    pub size: Option<u64>,
    pub checksum: Option<Checksum>,
    /// Cancelled when another piece is to take this one's place: what has come of it stays.
    pub overtaken: CancellationToken,
}

/// How far an upload is.
#[derive(Debug)]
pub enum Progress {
    /// On disk; more is to come.
    Unfinished(Box<Arrival>),
    Finished(Box<NewUpload>),
}

impl Receiver {
    /// Begins a resumable upload without a byte. It is on disk when this returns. Errors as `receive`.
    pub async fn begin(&self, offer: Offer, metadata: String) -> Result<Arrival> {
        if let Some(size) = offer.size {
            self.check_size(size)?;
        }
        if offer.size == Some(0) {
            Sniffer::new(&offer.options).end()?;
        }
        let resume = Resume {
            media_type: offer.media_type,
            options: offer.options,
            metadata,
            offset: 0,
            hash: Default::default(),
            is_readable: false,
            is_unverified: false,
            boot: String::new(),
            last_byte_ms: now_ms(),
        };
        let (filename, sender, size) = (offer.filename, offer.sender, offer.size);
        let arrival =
            Arrival { id: UploadId::new(), filename, sender, started_ms: now_ms(), size, resume: Some(resume) };
        self.spool.begin(arrival).await?.pause().await
    }

    /// How far a resumable upload is, by what is on disk; `None` where there is none of that id, or it has become an
    /// upload. Nobody may be receiving it in this process. `Transient` where another process does.
    pub async fn offset(&self, id: UploadId) -> Result<Option<Arrival>> {
        match self.spool.resume(id).await? {
            Some(incoming) => incoming.pause().await.map(Some),
            None => Ok(None),
        }
    }

    /// Adds a piece; `None` where there is no such upload. What has come of the piece when it breaks off stays, unless
    /// it has a checksum. `Rejected` with `offset_conflict`, `size_conflict`, `checksum_mismatch`, or as `receive`; when
    /// it is the file's fault nothing of the upload stays.
    pub async fn append<S, E>(&self, id: UploadId, piece: Piece, body: S) -> Result<Option<Progress>>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: fmt::Display,
    {
        let Some(mut incoming) = self.spool.resume(id).await? else { return Ok(None) };
        let added = match self.check_piece(&mut incoming, &piece).await {
            Ok(size) => self.add(&mut incoming, piece, size, body).await,
            Err(error) => Err(error.into()),
        };
        self.end(incoming, added).await.map(Some)
    }

    /// Makes an upload of one whose last byte came before a process died. `None` where it is not so.
    pub async fn complete_whole(&self, id: UploadId) -> Result<Option<NewUpload>> {
        let Some(mut incoming) = self.spool.resume(id).await? else { return Ok(None) };
        let size = incoming.size().await?;
        let is_whole = incoming.arrival().await?.size == Some(size);
        let readable = self.read_beginning(&mut incoming, is_whole).await;
        Ok(match self.end(incoming, readable).await? {
            Progress::Finished(new) => Some(*new),
            Progress::Unfinished(_) => None,
        })
    }

    /// Takes the upload back; false where there is none of that id.
    pub async fn terminate(&self, id: UploadId) -> Result<bool> {
        match self.spool.resume(id).await? {
            Some(incoming) => {
                incoming.discard().await;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// The upload as others see it.
    pub async fn receiving(&self, id: UploadId) -> Result<Option<Receiving>> {
        let spool = Arc::clone(&self.spool);
        match blocking::run(move || spool.receiving_of(id)).await {
            Ok(found) => found,
            Err(error) => Err(Error::fatal("task_died", "reading the spool").because(error)),
        }
    }

    /// The upload's size, if it is known by now; notes it where this piece tells it.
    async fn check_piece(&self, incoming: &mut Incoming, piece: &Piece) -> Result<Option<u64>> {
        let offset = incoming.size().await?;
        if piece.offset != offset {
            let text = format!("the piece begins at byte {}, and the upload has {offset} bytes", piece.offset);
            return Err(Error::rejected("offset_conflict", text).next("ask for the offset (HEAD), and go on there"));
        }
        let arrival = incoming.arrival().await?;
        let size = match (arrival.size, piece.size) {
            (Some(known), Some(said)) if known != said => {
                let text = format!("the upload was begun with {known} bytes, and now has {said}");
                return Err(Error::rejected("size_conflict", text).next("begin another upload"));
            }
            (Some(known), _) => Some(known),
            (None, said) => said,
        };
        if let Some(size) = size {
            self.check_size(size)?;
            if size < offset {
                let text = format!("the upload has {offset} bytes already, more than the {size} it is said to have");
                return Err(Error::rejected("size_conflict", text).next("begin another upload"));
            }
        }
        let end = offset.saturating_add(piece.length.unwrap_or(0));
        if size.is_some_and(|size| end > size) {
            return Err(too_long(size.unwrap_or(0)));
        }
        self.check_size(end)?;
        arrival.size = size;
        Ok(size)
    }

    async fn add<S, E>(&self, incoming: &mut Incoming, piece: Piece, size: Option<u64>, body: S) -> Result<(), Broken>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: fmt::Display,
    {
        incoming.claim_room().await?;
        let is_verified = piece.checksum.is_some();
        if is_verified {
            incoming.unverified().await?;
        }
        let resume = incoming.arrival().await?.resume.clone();
        let options = resume.as_ref().map(|resume| resume.options.clone()).unwrap_or_default();
        let is_readable = resume.is_none_or(|resume| resume.is_readable);
        // What may have been damaged on its way says nothing of the file.
        let mut sniffer = (!is_readable && !is_verified).then(|| Sniffer::new(&options));
        if let Some(beginning) = &mut sniffer {
            let head = incoming.head(beginning.most()).await?;
            if beginning.add(&head).map_err(Broken::by_file)? {
                sniffer = None;
            }
        }
        let (checksum, begun_at) = (piece.checksum, piece.offset);
        let mut copying = Copying { incoming, sniffer, checksum, size, begun_at, is_resumable: true };
        let copied = self.copy(&mut copying, body, &piece.overtaken).await;
        let (is_known, checksum) = (copying.sniffer.is_none() && !is_verified, copying.checksum.take());
        if let Some(resume) = &mut incoming.arrival().await?.resume {
            resume.is_readable |= is_known;
        }
        copied?;
        if checksum.is_some_and(|checksum| !checksum.is_right()) {
            let text = "the bytes that came have another checksum than the one given with them";
            let next = "send the piece again from the same offset; nothing of it was kept";
            return Err(Error::rejected("checksum_mismatch", text).next(next).into());
        }
        incoming.accept();
        let is_whole = Some(incoming.size().await?) == size;
        if is_verified || is_whole { self.read_beginning(incoming, is_whole).await } else { Ok(()) }
    }

    /// Whether the file can be loaded, by what there is of it, where that is not known yet.
    async fn read_beginning(&self, incoming: &mut Incoming, is_whole: bool) -> Result<(), Broken> {
        let Some(resume) = incoming.arrival().await?.resume.clone().filter(|resume| !resume.is_readable) else {
            return Ok(());
        };
        let mut sniffer = Sniffer::new(&resume.options);
        let head = incoming.head(sniffer.most()).await?;
        if sniffer.add(&head).map_err(Broken::by_file)? {
            if let Some(resume) = &mut incoming.arrival().await?.resume {
                resume.is_readable = true;
            }
            return Ok(());
        }
        if is_whole { sniffer.end().map_err(Broken::by_file) } else { Ok(()) }
    }

    /// Leaves the upload as what was `done` with it says: finished, waiting for more, or gone.
    async fn end(&self, incoming: Incoming, done: Result<(), Broken>) -> Result<Progress> {
        let id = incoming.id();
        match done {
            Ok(()) => self.settle(incoming).await,
            Err(Broken { error, is_files_fault: true }) => {
                incoming.discard().await;
                Err(error)
            }
            Err(Broken { error, is_files_fault: false }) => {
                if let Err(error) = incoming.pause().await {
                    warn!(upload = %id, %error, "what came of it may have to be sent again");
                }
                Err(error)
            }
        }
    }

    /// Makes an upload of it if the last byte is there.
    async fn settle(&self, mut incoming: Incoming) -> Result<Progress> {
        let size = incoming.size().await?;
        let arrival = incoming.arrival().await?.clone();
        match arrival.resume {
            Some(resume) if arrival.size == Some(size) => {
                let offer = Offer {
                    filename: arrival.filename,
                    media_type: resume.media_type,
                    sender: arrival.sender,
                    size: arrival.size,
                    options: resume.options,
                };
                let new = self.new_upload(arrival.id, arrival.started_ms, offer);
                incoming.finish(new).await.map(|new| Progress::Finished(Box::new(new)))
            }
            _ => incoming.pause().await.map(|arrival| Progress::Unfinished(Box::new(arrival))),
        }
    }
}
