//! Room on disks. Uploads that arrive and loads that are under way have room set aside for what they will still write,
//! so that two of them never count on the same free bytes. Each process sees its own; what others write meanwhile
//! shows in what is free.

use std::{
    fmt, fs, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use bytesize::ByteSize;

/// All the room that this process has set aside; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Disks(Arc<Mutex<Vec<Weak<Claimed>>>>);

/// Room for something; given back when dropped.
#[derive(Debug)]
pub struct Room {
    _claimed: Arc<Claimed>,
}

struct Claimed {
    /// Of the file system.
    device: u64,
    bytes: u64,
    /// How much of it was written already.
    used: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl Claimed {
    fn outstanding(&self) -> u64 {
        self.bytes.saturating_sub((self.used)())
    }
}

impl fmt::Debug for Claimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claimed").field("device", &self.device).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// What a disk has to give; as text "4.2 MiB are free there, 1.0 MiB of them are promised to others".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that an ordinary user may still write.
    pub free: u64,
    /// Of these, what others are going to write.
    pub promised: u64,
}

impl Space {
    pub fn left(&self) -> u64 {
        self.free.saturating_sub(self.promised)
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} are free there", ByteSize(self.free))?;
        if self.promised > 0 {
            write!(f, ", {} of them are promised to others", ByteSize(self.promised))?;
        }
        Ok(())
    }
}

impl Disks {
    /// Sets `bytes` aside on the disk of `folder`, if so many are left beside `keep`; else what there is. `used` tells
    /// how much of them is written, whenever somebody else asks for room.
    pub fn claim(
        &self,
        folder: &Path,
        bytes: u64,
        keep: u64,
        used: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> io::Result<Result<Room, Space>> {
        let mut claimed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (device, space) = space(folder, &mut claimed)?;
        let claim = Claimed { device, bytes, used: Box::new(used) };
        if space.left() < claim.outstanding().saturating_add(keep) {
            return Ok(Err(space));
        }
        let claim = Arc::new(claim);
        claimed.push(Arc::downgrade(&claim));
        Ok(Ok(Room { _claimed: claim }))
    }

    pub fn space(&self, folder: &Path) -> io::Result<Space> {
        Ok(space(folder, &mut self.0.lock().unwrap_or_else(PoisonError::into_inner))?.1)
    }
}

fn space(folder: &Path, claimed: &mut Vec<Weak<Claimed>>) -> io::Result<(u64, Space)> {
    use std::os::unix::fs::MetadataExt;
    let device = fs::metadata(folder)?.dev();
    let disk = rustix::fs::statvfs(folder)?;
    claimed.retain(|claim| claim.strong_count() > 0);
    let here = claimed.iter().filter_map(Weak::upgrade).filter(|claim| claim.device == device);
    let promised = here.map(|claim| claim.outstanding()).sum();
    Ok((device, Space { free: disk.f_bavail.saturating_mul(disk.f_frsize), promised }))
}

/// Bytes of the files that lie directly in a folder; 0 where there is none.
pub fn bytes_in(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|file| file.len()).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn two_never_count_on_the_same_free_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let disks = Disks::default();
        let free = disks.space(folder.path()).unwrap().free;
        let most = free / 4 * 3;
        let room = disks.claim(folder.path(), most, 0, || 0).unwrap().unwrap();
        let refused = disks.clone().claim(folder.path(), most, 0, || 0).unwrap().unwrap_err();
        assert_eq!(refused.promised, most);
        drop(room);
        disks.claim(folder.path(), most, 0, || 0).unwrap().unwrap();
    }

    #[test]
    fn what_is_written_already_is_not_set_aside_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let disks = Disks::default();
        let written = Arc::new(AtomicU64::new(0));
        let counter = written.clone();
        let used = move || counter.load(Ordering::Relaxed);
        let room = disks.claim(folder.path(), 1000, 0, used).unwrap().unwrap();
        assert_eq!(disks.space(folder.path()).unwrap().promised, 1000);
        written.store(600, Ordering::Relaxed);
        assert_eq!(disks.space(folder.path()).unwrap().promised, 400);
        written.store(2000, Ordering::Relaxed);
        assert_eq!(disks.space(folder.path()).unwrap().promised, 0);
        drop(room);
    }

    #[test]
    fn what_is_promised_is_said() {
        let space = Space { free: 3 << 20, promised: 0 };
        assert_eq!(space.to_string(), "3.0 MiB are free there");
        let space = Space { promised: 1 << 20, ..space };
        assert_eq!(space.to_string(), "3.0 MiB are free there, 1.0 MiB of them are promised to others");
    }

    #[test]
    fn what_is_to_be_kept_free_stays_free() {
        let folder = tempfile::tempdir().unwrap();
        let disks = Disks::default();
        let free = disks.space(folder.path()).unwrap().free;
        assert!(disks.claim(folder.path(), 1 << 20, free, || 0).unwrap().is_err());
    }

    #[test]
    fn a_folders_files_are_measured() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(bytes_in(&folder.path().join("none")), 0);
        fs::write(folder.path().join("a"), [0; 10]).unwrap();
        fs::write(folder.path().join("b"), [0; 5]).unwrap();
        assert_eq!(bytes_in(folder.path()), 15);
    }
}
