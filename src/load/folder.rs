//! The work folder of one upload: run files, accounts, rejects. Whatever has its final name there is whole, unless the
//! machine has crashed since; one process at a time uses it. Nothing in it is needed for correctness, so nothing waits
//! for the disk: what a crash took is noticed by lengths and checksums, and made again.

use std::{
    fs::{File, TryLockError},
    io::{self, BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result, Service};

const LOCK: &str = "lock";
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// An open, locked work folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Held as long as the folder is in use.
    _lock: File,
}

impl Folder {
    /// Opens the folder, made if missing; waits for a process that still has it.
    pub fn open(path: &Path, stop: &CancellationToken) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(|error| disk(path, error))?;
        let name = path.join(LOCK);
        loop {
            if stop.is_cancelled() {
                return Err(Error::stopped(format!("waiting for the work folder {}", path.display())));
            }
            let lock = File::options().create(true).append(true).open(&name).map_err(|error| disk(&name, error))?;
            match lock.try_lock() {
                Ok(()) => return Ok(Self { path: path.into(), _lock: lock }),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_RETRY),
                Err(TryLockError::Error(error)) => return Err(disk(&name, error)),
            }
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Removes everything but the files named.
    pub fn clear(&self, keep: &[&str]) -> Result<()> {
        let listing = |error| disk(&self.path, error);
        for entry in std::fs::read_dir(&self.path).map_err(listing)? {
            let entry = entry.map_err(listing)?;
            let name = entry.file_name();
            if name != LOCK && !keep.iter().any(|keep| name == *keep) {
                std::fs::remove_file(entry.path()).map_err(|error| disk(&entry.path(), error))?;
            }
        }
        Ok(())
    }

    /// Removes a file; there may be none.
    pub fn remove(&self, name: &str) -> Result<()> {
        match std::fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(disk(&self.path(name), error)),
            _ => Ok(()),
        }
    }

    /// Length of a file; `None` where there is none.
    pub fn length(&self, name: &str) -> Option<u64> {
        std::fs::metadata(self.path(name)).ok().map(|metadata| metadata.len())
    }

    /// Begins a file that gets its name once it is whole. What an earlier attempt left is overwritten.
    pub fn stage(&self, name: &str) -> Result<Staged> {
        let temp = self.path(&format!("{name}.tmp"));
        let file = File::create(&temp).map_err(|error| disk(&temp, error))?;
        Ok(Staged { out: BufWriter::with_capacity(256 << 10, file), temp: Temp(temp), path: self.path(name) })
    }

    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let mut staged = self.stage(name)?;
        let written = serde_json::to_writer(&mut staged, value).map_err(io::Error::from);
        written.map_err(|error| staged.failed(error))?;
        staged.publish()
    }

    /// `None` when there is no such file, or it is not of this form: then what it tells is found out again.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let bytes = std::fs::read(self.path(name)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}

/// A file that is being written under a temporary name; dropped before it is whole, it is gone.
#[derive(Debug)]
pub struct Staged {
    out: BufWriter<File>,
    temp: Temp,
    path: PathBuf,
}

impl Staged {
    /// Gives the whole file its name.
    pub fn publish(self) -> Result<()> {
        self.publish_open().map(drop)
    }

    /// As `publish`; also gives the file.
    pub fn publish_open(self) -> Result<File> {
        let Self { out, temp, path } = self;
        let publish = || {
            let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
            std::fs::rename(&temp.0, &path)?;
            Ok(file)
        };
        publish().map_err(|error| disk(&path, error))
    }

    /// What an error of writing to it means.
    pub fn failed(&self, error: io::Error) -> Error {
        disk(&self.path, error)
    }
}

/// Removes what has this name when it is dropped; after the file was renamed there is nothing left.
#[derive(Debug)]
struct Temp(PathBuf);

impl Drop for Temp {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(file = %self.0.display(), %error, "a temporary file could not be removed");
        }
    }
}

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// An error of the work folder: one that an operator can put right waits for it, any other ends the attempt.
pub fn disk(path: &Path, error: io::Error) -> Error {
    let error = match error.downcast::<Error>() {
        Ok(known) => return known,
        Err(error) => error,
    };
    let doing = format!("writing {}", path.display());
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::unavailable(Service::Disk, doing)
            .because(error)
            .next("free space on the disk of the work folder, or set worker.work to a larger one"),
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => Error::unavailable(Service::Disk, doing)
            .because(error)
            .next("let the worker write to its work folder, or set worker.work to another one"),
        _ => Error::fatal("work_folder", doing).because(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_waited_for() {
        // /dev/full answers every write with ENOSPC.
        let full = File::options().write(true).open("/dev/full").unwrap();
        let place = tempfile::tempdir().unwrap();
        let temp = Temp(place.path().join("none"));
        let mut staged = Staged { out: BufWriter::new(full), temp, path: "/dev/full".into() };
        staged.write_all(b"x").unwrap();
        let error = staged.publish().unwrap_err();
        assert_eq!((error.kind, error.service), (crate::error::Kind::Transient, Some(Service::Disk)));
        assert!(error.to_string().starts_with("writing /dev/full: No space left on device"), "{error}");
    }

    #[test]
    fn a_second_process_waits_until_the_folder_is_free_or_it_is_told_to_stop() {
        let place = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        let first = Folder::open(place.path(), &stop).unwrap();
        let other = stop.clone();
        let path = place.path().to_owned();
        let second = std::thread::spawn(move || Folder::open(&path, &other).map(|_| ()));
        stop.cancel();
        assert_eq!(second.join().unwrap().unwrap_err().code, "stopped");
        drop(first);
        Folder::open(place.path(), &CancellationToken::new()).unwrap();
    }

    #[test]
    fn a_file_without_its_end_never_has_its_name() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path(), &CancellationToken::new()).unwrap();
        let mut staged = folder.stage("a").unwrap();
        staged.write_all(b"half").unwrap();
        drop(staged);
        assert_eq!((folder.length("a"), folder.length("a.tmp")), (None, None));
        folder.write_json("a", &[1, 2]).unwrap();
        assert_eq!(folder.read_json::<Vec<u32>>("a").unwrap(), [1, 2]);
    }
}
