//! Free disk space: an upload is refused before it would take what is to be kept free.

use bytesize::ByteSize;

use crate::error::{Error, Result, Service};

use super::Spool;

impl Spool {
    /// Bytes that an ordinary user may still write on the spool's disk.
    pub fn free_bytes(&self) -> Result<u64> {
        let disk = rustix::fs::statvfs(&self.folder)
            .map_err(|error| self.broken("measuring the free space of", &self.folder, error.into()))?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Refuses `size` more bytes (0: nothing is known) where they would take what is to be kept free.
    pub fn check_room(&self, size: u64) -> Result<()> {
        let free = self.free_bytes()?;
        if free.checked_sub(size).is_some_and(|left| left >= self.free_bytes) {
            return Ok(());
        }
        let [free, kept, more] = [free, self.free_bytes, size].map(|bytes| ByteSize(bytes).to_string());
        let folder = self.folder.display();
        let needs = if size == 0 { String::new() } else { format!(", and the file has {more}") };
        let text = format!("no room in the spool {folder}: {free} are free there, {kept} are kept free{needs}");
        Err(Error::unavailable(Service::Disk, text)
            .next("make room on that disk or lower spool.free_bytes, then send the file again"))
    }
}
