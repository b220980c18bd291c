//! An upload while it arrives: bytes are collected and handed to the disk in batches, one at a time, and reach it while
//! more arrive. So neither the network nor other uploads wait for the disk, memory stays constant, and an upload that
//! waits for its sender holds no thread.

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::task::{JoinError, JoinHandle};

use crate::{
    blocking,
    error::{Error, Result},
    upload::{NewUpload, UploadId},
};

use super::{
    Arrival, Spool,
    writer::{Point, Writer},
};

/// Bytes that are handed to the disk at once. Each upload may hold as many twice, and README says what a thousand take.
const BATCH_BYTES: usize = 192 << 10;
/// Bytes after which what was written is synced, beside what follows, so that the last sync is short.
const SYNC_BYTES: u64 = 16 << 20;
/// Most bytes that are written and not synced: a disk that is slower than the sender holds it up.
const UNSYNCED_BYTES: u64 = 128 << 20;

/// An upload that is through before has no note of its arrival: a file less to make and to remove, and file systems
/// are slow to make files where many were removed.
pub const SHOW_AFTER: Duration = Duration::from_millis(200);
const SHOW_BYTES: u64 = 4 << 20;

/// The bytes of an arriving upload. Dropped before its end, nothing of it stays, unless it can be resumed.
pub struct Incoming {
    id: UploadId,
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    /// `None` while it writes, and after its task died.
    writer: Option<Writer>,
    writing: Option<JoinHandle<(Writer, Result<()>)>>,
    syncing: Option<JoinHandle<Result<()>>>,
    /// Size at which the last sync began.
    synced: u64,
    begun: Instant,
    /// Whether its note lies beside it.
    shown: bool,
    /// The end of what was there before bytes whose checksum is to be compared.
    verified: Option<Point>,
}

impl Spool {
    /// Begins an upload. `Transient` (service `Disk`) when there is no room for it.
    pub async fn begin(self: &Arc<Self>, arrival: Arrival) -> Result<Incoming> {
        let spool = self.clone();
        Ok(Incoming::new(in_background(move || Writer::begin(spool, arrival)).await?, false))
    }

    /// Goes on with a resumable upload where it was left; `None` where there is none of that id. `Transient` when
    /// another process receives it. Who adds bytes calls `claim_room` first.
    pub async fn resume(self: &Arc<Self>, id: UploadId) -> Result<Option<Incoming>> {
        let spool = self.clone();
        Ok(in_background(move || Writer::resume(spool, id)).await?.map(|writer| Incoming::new(writer, true)))
    }
}

impl Incoming {
    fn new(writer: Writer, shown: bool) -> Self {
        Self {
            id: writer.arrival.id,
            waiting: Vec::new(),
            waiting_bytes: 0,
            synced: writer.size,
            begun: Instant::now(),
            shown,
            writer: Some(writer),
            writing: None,
            syncing: None,
            verified: None,
        }
    }

    pub fn id(&self) -> UploadId {
        self.id
    }

    /// Bytes so far.
    pub async fn size(&mut self) -> Result<u64> {
        Ok(self.written().await?.size)
    }

    /// What is known of it.
    pub async fn arrival(&mut self) -> Result<&mut Arrival> {
        Ok(&mut self.settled().await?.arrival)
    }

    /// The first bytes of it, at most `most`.
    pub async fn head(&mut self, most: u64) -> Result<Vec<u8>> {
        self.written().await?.head(most)
    }

    /// Sets room aside for the rest of an upload that goes on. `Transient` (service `Disk`) when there is none.
    pub async fn claim_room(&mut self) -> Result<()> {
        self.settled().await?.claim_room()
    }

    /// From here on bytes count only when `accept` says so: a process that dies before leaves none of them. Blocks
    /// until that is on disk.
    pub async fn unverified(&mut self) -> Result<()> {
        let writer = self.settled().await?;
        if let Some(resume) = &mut writer.arrival.resume {
            resume.is_unverified = true;
        }
        let (note, spool) = (writer.note(writer.point()), writer.spool.clone());
        self.verified = Some(writer.point());
        self.shown = true;
        let doing = format!("receiving upload {}", self.id);
        in_background(move || note.write(&spool, true).map_err(|error| spool.disk_error(doing, error))).await
    }

    /// The bytes since `unverified` were compared, and are right.
    pub fn accept(&mut self) {
        self.verified = None;
    }

    /// Adds bytes. They are on disk when `pause` or `finish` returns.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.waiting_bytes += bytes.len();
        self.waiting.push(bytes);
        if self.waiting_bytes < BATCH_BYTES {
            return Ok(());
        }
        let size = self.settled().await?.size;
        if size >= SHOW_BYTES || self.begun.elapsed() >= SHOW_AFTER {
            self.show().await?;
        }
        self.keep_syncing().await?;
        self.begin_writing();
        Ok(())
    }

    /// Lets others see that it is arriving.
    pub async fn show(&mut self) -> Result<()> {
        if mem::replace(&mut self.shown, true) {
            return Ok(());
        }
        let writer = self.settled().await?;
        let (note, spool) = (writer.arrival.clone(), writer.spool.clone());
        let doing = format!("receiving upload {}", self.id);
        in_background(move || note.write(&spool, false).map_err(|error| spool.disk_error(doing, error))).await
    }

    /// Hands what waits to the disk if that has nothing to do: for a sender that pauses.
    pub async fn flush(&mut self) -> Result<()> {
        if self.writing.as_ref().is_none_or(JoinHandle::is_finished) && self.waiting_bytes > 0 {
            self.settled().await?;
            self.begin_writing();
        }
        Ok(())
    }

    fn begin_writing(&mut self) {
        let Some(mut writer) = self.writer.take() else { return };
        self.waiting_bytes = 0;
        let batch = mem::take(&mut self.waiting);
        self.writing = Some(tokio::task::spawn_blocking(move || {
            let written = writer.write(&batch);
            (writer, written)
        }));
    }

    /// Waits for the batch that is being written.
    async fn settled(&mut self) -> Result<&mut Writer> {
        let doing = || format!("receiving upload {}", self.id);
        if let Some(writing) = self.writing.take() {
            let (writer, written) =
                writing.await.map_err(|error| Error::fatal("writer_died", doing()).because(error))?;
            self.writer = Some(writer);
            if written.is_err() {
                // It would follow on what is not there.
                self.waiting.clear();
                self.waiting_bytes = 0;
            }
            written?;
        }
        self.writer.as_mut().ok_or_else(|| Error::fatal("writer_died", doing()))
    }

    /// Waits until all that came is written.
    async fn written(&mut self) -> Result<&mut Writer> {
        self.settled().await?;
        if self.waiting_bytes > 0 {
            self.begin_writing();
        }
        self.settled().await
    }

    async fn keep_syncing(&mut self) -> Result<()> {
        let Some(writer) = &self.writer else { return Ok(()) };
        let (size, unsynced) = (writer.size, writer.size - self.synced.min(writer.size));
        if unsynced < SYNC_BYTES {
            return Ok(());
        }
        if let Some(syncing) = self.syncing.take_if(|syncing| syncing.is_finished() || unsynced >= UNSYNCED_BYTES) {
            joined(syncing.await)?;
        }
        if self.syncing.is_some() {
            return Ok(());
        }
        let note = (writer.is_resumable() && self.verified.is_none()).then(|| writer.note(writer.point()));
        let (part, spool, id) = (writer.part.clone(), writer.spool.clone(), self.id);
        self.synced = size;
        self.syncing = Some(tokio::task::spawn_blocking(move || {
            let synced = part.sync_data().and_then(|()| note.map_or(Ok(()), |note| note.write(&spool, false)));
            synced.map_err(|error| spool.disk_error(format!("writing upload {id} to the disk"), error))
        }));
        Ok(())
    }

    /// Everything is written when this returns, and nothing is under way.
    async fn drained(&mut self) -> Result<()> {
        let mut outcome = self.written().await.map(drop);
        if let Some(syncing) = self.syncing.take() {
            outcome = outcome.and(joined(syncing.await));
        }
        outcome
    }

    /// Makes an upload of what was written: size, hashes, time of receipt and place are filled in. Durable when it
    /// returns; on an error nothing of it is left.
    pub async fn finish(mut self, new: NewUpload) -> Result<NewUpload> {
        if let Err(error) = self.drained().await {
            self.discard().await;
            return Err(error);
        }
        let Some(writer) = self.writer.take() else { return Err(self.died()) };
        in_background(move || writer.finish(new)).await
    }

    /// Leaves a resumable upload to whoever goes on with it, without the bytes that were not accepted. What it returns
    /// is on disk. Also after an error of `write`: what was written before stays.
    pub async fn pause(mut self) -> Result<Arrival> {
        let drained = self.drained().await;
        let Some(mut writer) = self.writer.take() else { return Err(drained.err().unwrap_or_else(|| self.died())) };
        let verified = self.verified.take();
        let paused = in_background(move || {
            if let Some(point) = verified {
                writer.back_to(point)?;
            }
            writer.pause()
        });
        let paused = paused.await;
        drained.and(paused)
    }

    /// Drops the upload and waits until nothing of it is left.
    pub async fn discard(mut self) {
        // What went wrong before does not matter any more.
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.drained().await.ok();
        if let Some(writer) = self.writer.take() {
            let discarded = in_background(move || {
                writer.discard();
                Ok(())
            });
            discarded.await.ok();
        }
    }

    fn died(&self) -> Error {
        Error::fatal("writer_died", format!("receiving upload {}", self.id))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Removing a large file takes a while; one that is being written is dropped by the thread that writes it.
        if let (Some(writer), Ok(runtime)) = (self.writer.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn_blocking(move || drop(writer));
        }
    }
}

async fn in_background<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    joined(blocking::run(work).await)
}

fn joined<T>(outcome: std::result::Result<Result<T>, JoinError>) -> Result<T> {
    outcome.unwrap_or_else(|panic| Err(Error::fatal("writer_died", "writing to the spool").because(panic)))
}
