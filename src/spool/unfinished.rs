//! Resumable uploads that wait for their sender, or that arrive now.

use std::fs::File;

use crate::{
    error::Result,
    upload::{EpochMs, UploadId},
};

use super::{PART, Receiving, Spool};

impl Spool {
    /// Uploads that are arriving now, in this process and in others, and those that wait for their sender to go on,
    /// newest first. Blocking.
    pub fn receiving(&self) -> Result<Vec<Receiving>> {
        let mut found = Vec::new();
        for id in self.ids_of(PART)? {
            found.extend(self.receiving_of(id)?);
        }
        found.sort_unstable_by_key(|receiving| std::cmp::Reverse(receiving.arrival.id));
        Ok(found)
    }

    /// One of them; `None` where it is none. Blocking.
    pub fn receiving_of(&self, id: UploadId) -> Result<Option<Receiving>> {
        let Ok(part) = File::open(self.file(id, PART)) else { return Ok(None) };
        let (Ok(metadata), Ok(Some(arrival))) = (part.metadata(), self.arrival(id)) else { return Ok(None) };
        let expires_ms = arrival.resume.as_ref().map(|resume| self.expires_ms(resume));
        // What cannot be resumed and has no writer is about to be cleaned away.
        let is_there = expires_ms.is_some() || part.try_lock_shared().is_err();
        Ok(is_there.then(|| Receiving { arrival, received: metadata.len(), expires_ms }))
    }

    /// Resumable uploads whose last byte is there, and which nobody makes an upload of: who received them died
    /// before. Blocking.
    pub fn whole(&self) -> Result<Vec<UploadId>> {
        let mut ids = self.ids_of(PART)?;
        ids.sort_unstable();
        let mut whole = Vec::new();
        for id in ids {
            let Ok(part) = File::open(self.file(id, PART)) else { continue };
            if part.try_lock_shared().is_err() {
                continue;
            }
            let Ok(Some(arrival)) = self.arrival(id) else { continue };
            let (Some(resume), Ok(metadata)) = (arrival.resume, part.metadata()) else { continue };
            if arrival.size == Some(metadata.len()) && !resume.is_unverified {
                whole.push(id);
            }
        }
        Ok(whole)
    }

    /// Whether a resumable upload got no byte for so long that it is given up.
    pub(super) fn is_expired(&self, id: UploadId, now: EpochMs) -> Result<Option<bool>> {
        let resume = self.arrival(id)?.and_then(|arrival| arrival.resume);
        Ok(resume.map(|resume| self.expires_ms(&resume) <= now))
    }
}
