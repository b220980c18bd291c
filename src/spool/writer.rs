//! The side of an arriving upload that touches the disk. All of it blocks.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use chrono::Utc;

use crate::{
    disk::Room,
    error::{Error, Kind, Result},
    hash::{self, HashState},
    upload::{NewUpload, UploadId},
};

use super::{Arrival, PART, Spool, arrival::boot, commit::Commit, create_locked};

/// Bytes after which free space is looked at again.
const ROOM_BYTES: u64 = 64 << 20;
/// How long somebody who only looks at an upload may hold its lock.
const LOOKING: Duration = Duration::from_secs(1);
const PIECE_BYTES: usize = 256 << 10;

/// Writes and hashes. Dropped before `finish`, nothing stays of an upload that cannot be resumed.
pub(super) struct Writer {
    pub spool: Arc<Spool>,
    pub arrival: Arrival,
    pub part: Arc<File>,
    hash: HashState,
    pub size: u64,
    /// `size`, for others who ask how much of the room is still needed.
    written: Arc<AtomicU64>,
    /// `None` until bytes are to be added.
    _room: Option<Room>,
    ended: bool,
}

/// A place in the file to which its end can be moved back.
#[derive(Clone)]
pub(super) struct Point {
    pub size: u64,
    pub hash: HashState,
}

impl Writer {
    pub fn begin(spool: Arc<Spool>, mut arrival: Arrival) -> Result<Self> {
        let written = Arc::new(AtomicU64::new(0));
        let room = spool.room(arrival.size.unwrap_or(0), &written)?;
        let id = arrival.id;
        let doing = || format!("beginning upload {id} in the spool {}", spool.folder.display());
        let part = create_locked(&spool.file(id, PART)).map_err(|error| spool.disk_error(doing(), error))?;
        if let Some(resume) = &mut arrival.resume {
            resume.boot = boot();
        }
        let (part, hash) = (Arc::new(part), HashState::default());
        Ok(Self { spool, arrival, part, hash, size: 0, written, _room: Some(room), ended: false })
    }

    /// Goes on with a resumable upload; `None` where there is none of that id (any more). `Transient` where another
    /// process receives it. It takes no room: on a full disk it is still looked at, finished and taken back.
    pub fn resume(spool: Arc<Spool>, id: UploadId) -> Result<Option<Self>> {
        let doing = || format!("going on with upload {id} in the spool {}", spool.folder.display());
        let part = spool.lock_part(id).map_err(|error| match error.kind() {
            io::ErrorKind::ResourceBusy => Error::new(Kind::Transient, "upload_locked", doing()).because(error),
            _ => spool.disk_error(doing(), error),
        });
        let Some(mut part) = part? else { return Ok(None) };
        // Read behind the lock: whoever held it before may have written it last.
        let Some(mut arrival) = spool.arrival(id)? else { return Ok(None) };
        let Some(resume) = &mut arrival.resume else { return Ok(None) };
        let reached = recover(&mut part, resume).map_err(|error| spool.disk_error(doing(), error))?;
        resume.boot = boot();
        let written = Arc::new(AtomicU64::new(reached.size));
        let Point { size, hash } = reached;
        Ok(Some(Self { spool, arrival, part: Arc::new(part), hash, size, written, _room: None, ended: false }))
    }

    /// Sets room aside for what is still to come.
    pub fn claim_room(&mut self) -> Result<()> {
        self._room = Some(self.spool.room(self.arrival.size.unwrap_or(0), &self.written)?);
        Ok(())
    }

    pub fn is_resumable(&self) -> bool {
        self.arrival.resume.is_some()
    }

    pub fn point(&self) -> Point {
        Point { size: self.size, hash: self.hash.clone() }
    }

    /// Adds bytes, all or none.
    pub fn write(&mut self, batch: &[Bytes]) -> Result<()> {
        let before = self.point();
        let mut file = &*self.part;
        for bytes in batch {
            if let Err(error) = file.write_all(bytes) {
                let error = self.failed(error);
                self.back_to(before)?;
                return Err(error);
            }
            self.hash.update(bytes);
            self.size += bytes.len() as u64;
        }
        self.written.store(self.size, Ordering::Relaxed);
        if before.size / ROOM_BYTES != self.size / ROOM_BYTES { self.spool.check_room(0) } else { Ok(()) }
    }

    /// Forgets what was written behind `point`.
    pub fn back_to(&mut self, point: Point) -> Result<()> {
        let mut file = &*self.part;
        let moved = file.set_len(point.size).and_then(|()| file.seek(SeekFrom::Start(point.size)));
        moved.map_err(|error| self.failed(error))?;
        Point { size: self.size, hash: self.hash } = point;
        self.written.store(self.size, Ordering::Relaxed);
        Ok(())
    }

    /// The first bytes, at most `most`.
    pub fn head(&self, most: u64) -> Result<Vec<u8>> {
        use std::os::unix::fs::FileExt;
        let mut head = vec![0; usize::try_from(self.size.min(most)).unwrap_or(usize::MAX)];
        self.part.read_exact_at(&mut head, 0).map_err(|error| self.failed(error))?;
        Ok(head)
    }

    /// The note as it is when the file is on disk up to `point`.
    pub fn note(&self, point: Point) -> Arrival {
        let mut note = self.arrival.clone();
        if let Some(resume) = &mut note.resume {
            (resume.offset, resume.hash) = (point.size, point.hash);
            resume.last_byte_ms = Utc::now().timestamp_millis();
        }
        note
    }

    /// Leaves a resumable upload as it is: on disk, and free for whoever goes on with it.
    pub fn pause(mut self) -> Result<Arrival> {
        if let Some(resume) = &mut self.arrival.resume {
            resume.is_unverified = false;
        }
        let note = self.note(self.point());
        let kept = self.part.sync_data().and_then(|()| note.write(&self.spool, true));
        kept.map_err(|error| self.failed(error))?;
        Ok(note)
    }

    /// Makes an upload of what was written.
    pub fn finish(mut self, mut new: NewUpload) -> Result<NewUpload> {
        new.size = self.size;
        new.sha256 = Some(self.hash.sha256());
        new.sample = Some(hash::sample(&self.part, self.size).map_err(|error| self.failed(error))?);
        new.received_ms = Utc::now().timestamp_millis();
        new.place = self.spool.place(new.id, new.place.server.take());
        self.ended = true;
        let is_resumable = self.is_resumable();
        let commit = Commit { spool: &self.spool, info: &new, part: Some(&self.part), is_resumable };
        commit.run().map_err(|error| self.failed(error))?;
        Ok(new)
    }

    /// Removes all there is of it.
    pub fn discard(mut self) {
        self.ended = true;
        self.spool.erase(self.arrival.id);
    }

    pub fn failed(&self, error: io::Error) -> Error {
        let doing = format!("writing upload {} to the spool {}", self.arrival.id, self.spool.folder.display());
        self.spool.disk_error(doing, error)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.ended && !self.is_resumable() {
            self.spool.erase(self.arrival.id);
        }
    }
}

/// Finds how far the bytes go that can be relied upon, and puts them on disk.
fn recover(part: &mut File, resume: &super::Resume) -> io::Result<Point> {
    let length = part.metadata()?.len();
    let mut point = Point { size: resume.offset, hash: resume.hash.clone() };
    if resume.is_unverified || resume.boot.is_empty() || resume.boot != boot() || length <= point.size {
        part.set_len(point.size)?;
        part.seek(SeekFrom::Start(point.size))?;
        return Ok(point);
    }
    // Only the process ended: what it had written is there. The hash goes on over what was not noted down.
    part.seek(SeekFrom::Start(point.size))?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match part.read(&mut piece)? {
            0 => break,
            read => {
                point.hash.update(&piece[..read]);
                point.size += read as u64;
            }
        }
    }
    part.sync_data()?;
    Ok(point)
}

impl Spool {
    /// Locks the bytes of an upload that is arriving; `None` where there are none.
    fn lock_part(&self, id: UploadId) -> io::Result<Option<File>> {
        use std::os::unix::fs::MetadataExt;
        let began = Instant::now();
        self.take_back(id)?;
        loop {
            let file = match File::options().read(true).write(true).open(self.file(id, PART)) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            match file.try_lock() {
                // It may have been removed, or have become an upload, before it was locked.
                Ok(()) if file.metadata()?.nlink() == 0 || !self.file(id, PART).exists() => return Ok(None),
                Ok(()) => return Ok(Some(file)),
                Err(fs::TryLockError::WouldBlock) if began.elapsed() < LOOKING => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(fs::TryLockError::WouldBlock) => {
                    return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another server receives it"));
                }
                Err(fs::TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}
