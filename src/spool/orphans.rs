//! What processes that died left in the spool, and uploads that their senders gave up: found by locks that nobody
//! holds, and removed.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    time::Duration,
};

use chrono::Utc;
use tracing::info;

use crate::{error::Result, upload::UploadId};

use super::{ARRIVAL, ARRIVAL_TEMP, DATA, INFO, INFO_TEMP, PART, Spool, remove_if_there};

/// How long bytes without an info file are left alone: their info may be about to get its name.
const DATA_GRACE: Duration = Duration::from_secs(60);

impl Spool {
    /// Removes what dead processes left behind: unfinished uploads, unfinished info files, bytes without info.
    /// Returns how many uploads were affected. May run at any time, in any process. Blocking.
    pub fn clean_orphans(&self) -> Result<usize> {
        self.clean_orphans_older_than(DATA_GRACE)
    }

    pub(super) fn clean_orphans_older_than(&self, grace: Duration) -> Result<usize> {
        let mut cleaned = 0;
        for kind in [PART, INFO_TEMP, DATA, ARRIVAL, ARRIVAL_TEMP] {
            for id in self.ids_of(kind)? {
                let removed = match kind {
                    PART => self.clean_part(id),
                    INFO_TEMP => self.clean_temp(id),
                    DATA => self.clean_data(id, grace),
                    _ => self.clean_arrival(id, kind),
                };
                if removed.map_err(|error| self.broken("cleaning up", &self.file(id, kind), error))? {
                    info!(upload = %id, kind, "removed what an interrupted upload left in the spool");
                    cleaned += usize::from(![ARRIVAL, ARRIVAL_TEMP].contains(&kind));
                }
            }
        }
        Ok(cleaned)
    }

    /// The file with its lock, when nobody else holds it.
    fn lock_abandoned(&self, id: UploadId, kind: &str) -> io::Result<Option<File>> {
        let file = match File::open(self.file(id, kind)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn clean_part(&self, id: UploadId) -> io::Result<bool> {
        let Some(_lock) = self.lock_abandoned(id, PART)? else { return Ok(false) };
        if self.file(id, INFO).exists() {
            // After a power cut the info file may have its name and the bytes not yet: both were on disk before
            // either was renamed, so the upload is whole.
            fs::rename(self.file(id, PART), self.file(id, DATA))?;
            super::sync_folder(&self.folder)?;
            return Ok(false);
        }
        // A note that cannot be read tells of nothing that could be gone on with.
        if self.is_expired(id, Utc::now().timestamp_millis()).is_ok_and(|expired| expired == Some(false)) {
            return Ok(false);
        }
        remove_if_there(&self.file(id, PART))
    }

    fn clean_temp(&self, id: UploadId) -> io::Result<bool> {
        let Some(_lock) = self.lock_abandoned(id, INFO_TEMP)? else { return Ok(false) };
        remove_if_there(&self.file(id, INFO_TEMP))
    }

    fn clean_data(&self, id: UploadId, grace: Duration) -> io::Result<bool> {
        let path = self.file(id, DATA);
        // The time of the last change of its names, not of its bytes: a link's bytes may be old.
        let changed = match fs::metadata(&path) {
            Ok(metadata) => metadata.ctime(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let age = u64::try_from(Utc::now().timestamp() - changed).unwrap_or(0);
        if age < grace.as_secs() || self.file(id, INFO).exists() || self.file(id, INFO_TEMP).exists() {
            return Ok(false);
        }
        if self.take_back(id)? { Ok(false) } else { remove_if_there(&path) }
    }

    /// Gives the bytes of a resumable upload their unfinished name back, where who made an upload of them died
    /// before it was one.
    pub(super) fn take_back(&self, id: UploadId) -> io::Result<bool> {
        let is_resumable =
            self.arrival(id).is_ok_and(|arrival| arrival.is_some_and(|arrival| arrival.resume.is_some()));
        if !is_resumable || self.file(id, PART).exists() {
            return Ok(false);
        }
        // Whoever is about to finish it holds the lock of its bytes, under either name.
        let Some(_lock) = self.lock_abandoned(id, DATA)? else { return Ok(false) };
        if self.file(id, INFO).exists() {
            return Ok(false);
        }
        fs::rename(self.file(id, DATA), self.file(id, PART))?;
        Ok(true)
    }

    fn clean_arrival(&self, id: UploadId, kind: &str) -> io::Result<bool> {
        let exists = |kind| self.file(id, kind).exists();
        // Bytes without an info file are about to become an upload, or to be taken back.
        if exists(PART) || (exists(DATA) && !exists(INFO)) {
            return Ok(false);
        }
        remove_if_there(&self.file(id, kind))
    }
}
