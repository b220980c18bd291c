//! Free disk space: an upload is refused before it would take what is to be kept free, or what others that arrive at
//! the same time were promised.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytesize::ByteSize;

use crate::{
    disk::{Room, Space},
    error::{Error, Result, Service},
};

use super::Spool;

impl Spool {
    /// Bytes that an ordinary user may still write on the spool's disk.
    pub fn free_bytes(&self) -> Result<u64> {
        Ok(self.space()?.free)
    }

    /// Sets room aside for an upload of `size` bytes, `written` of which are written. `Transient` (service `Disk`)
    /// where that would take what is to be kept free.
    pub(super) fn room(&self, size: u64, written: &Arc<AtomicU64>) -> Result<Room> {
        let written = Arc::clone(written);
        let claimed = self.disks.claim(&self.folder, size, self.free_bytes, move || written.load(Ordering::Relaxed));
        claimed.map_err(|error| self.unmeasured(error))?.map_err(|space| self.no_room(space, size))
    }

    /// Refuses `size` more bytes (0: nothing is known) where they would take what is to be kept free.
    pub fn check_room(&self, size: u64) -> Result<()> {
        let space = self.space()?;
        // What others were promised matters to whoever is new, not to one that is arriving already.
        let left = if size == 0 { space.free } else { space.left() };
        if left.checked_sub(size).is_some_and(|left| left >= self.free_bytes) {
            return Ok(());
        }
        Err(self.no_room(space, size))
    }

    fn space(&self) -> Result<Space> {
        self.disks.space(&self.folder).map_err(|error| self.unmeasured(error))
    }

    fn unmeasured(&self, error: io::Error) -> Error {
        self.broken("measuring the free space of", &self.folder, error)
    }

    fn no_room(&self, space: Space, size: u64) -> Error {
        let (folder, kept) = (self.folder.display(), ByteSize(self.free_bytes));
        let needs = if size == 0 { String::new() } else { format!(", and the file has {}", ByteSize(size)) };
        let text = format!("no room in the spool {folder}: {space}, {kept} are kept free{needs}");
        Error::unavailable(Service::Disk, text)
            .next("make room on that disk or lower spool.free_bytes, then send the file again")
    }
}
