//! Files at hand go through the same door: one below an allowed folder is registered where it is, anything else goes
//! into the spool first. The work is done by this process, claimed from the beginning.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use futures_util::Stream;
use tokio_util::{io::ReaderStream, sync::CancellationToken};

use crate::{
    error::{Error, Kind, Result},
    meter::Meter,
    pipeline::{
        Pipeline, host_name, now_ms,
        process::{Ended, Worker},
        receive::{Offer, Receiver, Sniffer},
    },
    source::{self, FileSource},
    store::ClaimOutcome,
    upload::{NewUpload, Place, Upload, UploadId},
};

/// How often an upload that someone else has is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl Pipeline {
    /// Takes a file: where it is, if workers may read there, else into the spool. `Rejected` when it is no CSV or a
    /// column cannot be found, `Fatal` with code `usage` when it is no file at all. Changes nothing on an error.
    pub async fn take_file(
        &self,
        worker: &Worker,
        path: &Path,
        offer: Offer,
        stop: &CancellationToken,
    ) -> Result<NewUpload> {
        let (real, size) = regular_file(path).await?;
        if !worker.reach().allows(&real) {
            let file = tokio::fs::File::open(path).await.map_err(|error| unreadable(path, error))?;
            let offer = Offer { size: Some(size), ..offer };
            return self.take_stream(ReaderStream::with_capacity(file, 1 << 20), offer, stop).await;
        }
        let file = FileSource(real.clone());
        let mut sniffer = Sniffer::new(&offer.options);
        let head = source::head(&file, usize::try_from(sniffer.most()).unwrap_or(usize::MAX)).await?;
        let complete = head.len() as u64 == size;
        if !sniffer.add(&head)? && complete {
            sniffer.end()?;
        }
        let now = now_ms();
        Ok(NewUpload {
            format: NewUpload::FORMAT,
            id: UploadId::new(),
            filename: offer.filename,
            media_type: offer.media_type,
            size,
            sha256: None,
            sample: None,
            sender: offer.sender,
            started_ms: now,
            received_ms: now,
            place: Place { path: Some(real), host: Some(host_name()), ..Place::default() },
            options: offer.options,
            again_of: None,
        })
    }

    /// Takes what comes as a stream (standard input) into the spool; `Stopped` when `stop` is cancelled before its end.
    pub async fn take_stream<S>(&self, stream: S, offer: Offer, stop: &CancellationToken) -> Result<NewUpload>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Unpin,
    {
        let receiver = Receiver { pace: None, stop: stop.clone(), ..Receiver::new(self.spool()?, self.config.clone()) };
        receiver.receive(offer, stream).await
    }

    /// Takes back what could not be registered: who typed the command is told to try again. Where an answer was lost, the
    /// ledger may know it all the same: then its bytes stay, and the work goes on.
    async fn unregistered(&self, new: &NewUpload, error: Error) -> Result<()> {
        if error.kind == Kind::Transient && matches!(self.store.upload(new.id).await, Ok(Some(_))) {
            return Ok(());
        }
        if new.place.spool.is_some() {
            self.spool()?.remove(new.id)?;
        }
        Err(error)
    }

    /// Registers an upload already claimed, and works on it until it has ended or this process should stop.
    pub async fn import(
        &self,
        worker: &Worker,
        new: &NewUpload,
        meter: &Meter,
        stop: &CancellationToken,
    ) -> Result<Upload> {
        let lease = self.config.worker.lease;
        match self.store.register_claimed(new, worker.name(), lease).await {
            Ok(Some(claim)) => _ = worker.work(claim, None, meter, stop).await,
            Ok(None) => {}
            Err(error) => self.unregistered(new, error).await?,
        }
        loop {
            let row = self.store.upload(new.id).await?;
            let upload = row.ok_or_else(|| Error::fatal("upload_vanished", format!("upload {} is gone", new.id)))?;
            if !upload.state.is_open() {
                return Ok(upload);
            }
            if stop.is_cancelled() {
                return Err(Error::stopped(format!("upload {} was handed back; what was done is kept", new.id))
                    .next(self.how_to_follow(new.id)));
            }
            let inherits = upload.owner.is_none().then_some(upload.fence).filter(|fence| *fence > 0);
            if !worker.may_work_on(&upload) {
                let _ = stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await;
                continue;
            }
            match self.store.claim(new.id, worker.name(), lease).await? {
                ClaimOutcome::Claimed(claim) => {
                    if let Ended::Waiting(_) | Ended::HandedBack = worker.work(claim, inherits, meter, stop).await {
                        let _ = stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await;
                    }
                }
                ClaimOutcome::Taken => {
                    let _ = stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await;
                }
                ClaimOutcome::Failed => {}
            }
        }
    }
}

/// A regular file's place and size, bytes. `Fatal`, code `usage`, when it is none.
pub async fn regular_file(path: &Path) -> Result<(PathBuf, u64)> {
    let metadata = tokio::fs::metadata(path).await.map_err(|error| unreadable(path, error))?;
    let shown = path.display();
    if metadata.is_dir() {
        return Err(Error::fatal("usage", format!("{shown} is a folder")).next("name the files in it"));
    }
    if !metadata.is_file() {
        let text = format!("{shown} is not a regular file");
        return Err(Error::fatal("usage", text).next(format!("read it as: userdata import - < {shown}")));
    }
    let real = path.canonicalize().map_err(|error| unreadable(path, error))?;
    Ok((real, metadata.len()))
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::fatal("usage", format!("reading {}", path.display()))
        .because(error)
        .next("name a file that is there and that this user may read")
}
