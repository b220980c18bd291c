//! An upload while it arrives: its bytes go through a channel to a thread of its own that writes, hashes and syncs
//! them, so neither the network nor other uploads wait for the disk, and memory stays constant.

use std::{
    fs::File,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use chrono::Utc;
use sha2::{Digest, Sha256};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tracing::debug;

use crate::{
    disk::Room,
    error::{Error, Result},
    hash,
    upload::{NewUpload, UploadId},
};

use super::{ARRIVAL, Arrival, PART, Spool, commit::Commit, create_locked};

/// Chunks that may wait for the disk.
const CHUNKS_WAITING: usize = 16;
/// Bytes after which what was written is synced, so that the last sync is short.
const SYNC_BYTES: u64 = 32 << 20;
/// Bytes after which free space is looked at again.
const ROOM_BYTES: u64 = 64 << 20;

/// The bytes of an arriving upload. Dropped before `finish`, nothing of it stays.
pub struct Incoming {
    arrival: Arrival,
    orders: mpsc::Sender<Order>,
    /// `None` once its end was awaited.
    writer: Option<JoinHandle<Result<()>>>,
}

enum Order {
    Write(Bytes),
    Finish(Box<NewUpload>, oneshot::Sender<Result<NewUpload>>),
}

impl Spool {
    /// Begins an upload. `Transient` (service `Disk`) when there is no room for it.
    pub async fn begin(self: &Arc<Self>, arrival: Arrival) -> Result<Incoming> {
        let (orders, receiver) = mpsc::channel(CHUNKS_WAITING);
        let (begun, has_begun) = oneshot::channel();
        let (spool, id, note) = (self.clone(), arrival.id, arrival.clone());
        let writer = tokio::task::spawn_blocking(move || {
            let writer = match Writer::begin(spool, &note) {
                Ok(writer) => writer,
                Err(error) => {
                    begun.send(Err(error)).ok();
                    return Ok(());
                }
            };
            // Whether or not somebody still waits: a request that is gone has dropped its end of `orders`, too.
            begun.send(Ok(())).ok();
            writer.run(receiver)
        });
        match has_begun.await {
            Ok(answer) => answer.map(|()| Incoming { arrival, orders, writer: Some(writer) }),
            Err(_) => Err(Error::fatal("writer_died", format!("receiving upload {id}: its writer ended"))),
        }
    }
}

impl Incoming {
    pub fn id(&self) -> UploadId {
        self.arrival.id
    }

    /// Adds bytes. They are on disk when `finish` returns.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        match self.orders.send(Order::Write(bytes)).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.failure().await),
        }
    }

    /// Makes an upload of what was written: size, hash, time of receipt and place are filled in. Durable when it
    /// returns; on an error nothing of it is left.
    pub async fn finish(mut self, new: NewUpload) -> Result<NewUpload> {
        let (answer, answered) = oneshot::channel();
        if self.orders.send(Order::Finish(Box::new(new), answer)).await.is_err() {
            return Err(self.failure().await);
        }
        match answered.await {
            Ok(result) => result,
            Err(_) => Err(self.failure().await),
        }
    }

    /// Drops the upload and waits until nothing of it is left.
    pub async fn discard(self) {
        let Self { orders, writer, arrival } = self;
        drop(orders);
        let Some(writer) = writer else { return };
        if let Ok(Err(error)) = writer.await {
            debug!(upload = %arrival.id, %error, "discarded after an error");
        }
    }

    async fn failure(&mut self) -> Error {
        let doing = format!("receiving upload {}", self.arrival.id);
        let Some(writer) = self.writer.take() else {
            return Error::fatal("writer_died", format!("{doing}: its writer has failed before"));
        };
        match writer.await {
            Ok(Err(error)) => error,
            Ok(Ok(())) => Error::fatal("writer_died", format!("{doing}: its writer ended early")),
            Err(error) => Error::fatal("writer_died", doing).because(error),
        }
    }
}

/// The thread's side.
struct Writer {
    spool: Arc<Spool>,
    id: UploadId,
    part: File,
    hash: Sha256,
    size: u64,
    /// `size`, for others who ask how much of the room is still needed.
    written: Arc<AtomicU64>,
    _room: Room,
}

impl Writer {
    fn begin(spool: Arc<Spool>, arrival: &Arrival) -> Result<Self> {
        let written = Arc::new(AtomicU64::new(0));
        let room = spool.room(arrival.size.unwrap_or(0), &written)?;
        let id = arrival.id;
        let doing = || format!("beginning upload {id} in the spool {}", spool.folder.display());
        let part = create_locked(&spool.file(id, PART)).map_err(|error| spool.disk_error(doing(), error))?;
        let note = serde_json::to_vec(arrival).map_err(io::Error::from);
        if let Err(error) = note.and_then(|note| std::fs::write(spool.file(id, ARRIVAL), note)) {
            spool.erase(id);
            return Err(spool.disk_error(doing(), error));
        }
        Ok(Self { spool, id, part, hash: Sha256::new(), size: 0, written, _room: room })
    }

    fn run(mut self, mut orders: mpsc::Receiver<Order>) -> Result<()> {
        while let Some(order) = orders.blocking_recv() {
            match order {
                Order::Write(bytes) => {
                    if let Err(error) = self.write(&bytes) {
                        self.spool.erase(self.id);
                        return Err(error);
                    }
                }
                Order::Finish(new, answer) => {
                    // When nobody waits for the answer any more the upload stands all the same: it is whole.
                    answer.send(self.finish(*new)).ok();
                    return Ok(());
                }
            }
        }
        self.spool.erase(self.id);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let before = self.size;
        self.size += bytes.len() as u64;
        self.hash.update(bytes);
        let mut written = self.part.write_all(bytes);
        if written.is_ok() && before / SYNC_BYTES != self.size / SYNC_BYTES {
            written = self.part.sync_data();
        }
        written.map_err(|error| self.failed(error))?;
        self.written.store(self.size, Ordering::Relaxed);
        if before / ROOM_BYTES != self.size / ROOM_BYTES { self.spool.check_room(0) } else { Ok(()) }
    }

    fn finish(self, mut new: NewUpload) -> Result<NewUpload> {
        new.size = self.size;
        new.sha256 = Some(self.hash.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        new.sample = Some(hash::sample(&self.part, self.size).map_err(|error| self.failed(error))?);
        new.received_ms = Utc::now().timestamp_millis();
        new.place = self.spool.place(self.id, new.place.server.take());
        let commit = Commit { spool: &self.spool, info: &new, part: Some(&self.part) };
        commit.run().map_err(|error| self.failed(error))?;
        Ok(new)
    }

    fn failed(&self, error: io::Error) -> Error {
        let doing = format!("writing upload {} to the spool {}", self.id, self.spool.folder.display());
        self.spool.disk_error(doing, error)
    }
}
