//! A worker's folder for run files: locked, so that no two processes share one, and cleaned of what a dead one left.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use tracing::debug;

use crate::{
    error::{Error, Kind, Result},
    load::CleanFile,
    store::Store,
    upload::UploadId,
};

const LOCK: &str = "lock";
/// Folders that `import` makes for itself inside of the worker's.
const OWN: &str = "import-";

pub struct WorkFolder {
    path: PathBuf,
    /// Held while the folder is ours.
    _lock: File,
    /// Whether it goes with this process.
    temporary: bool,
}

impl WorkFolder {
    /// The configured folder, for a worker.
    pub fn open(path: &Path) -> Result<Self> {
        match Self::lock(path, false)? {
            Some(folder) => Ok(folder),
            None => Err(Error::fatal(
                "work_folder_in_use",
                format!("another worker keeps its run files in {}", path.display()),
            )
            .next("give each worker a folder of its own (worker.work), or stop the other one")),
        }
    }

    /// A folder of this process alone inside of the configured one, for `import`, which may run beside a worker.
    pub fn temporary(path: &Path) -> Result<Self> {
        let own = path.join(format!("{OWN}{}", std::process::id()));
        let folder = Self::lock(&own, true)?;
        folder.ok_or_else(|| Error::fatal("work_folder_in_use", format!("another process uses {}", own.display())))
    }

    fn lock(path: &Path, temporary: bool) -> Result<Option<Self>> {
        let unusable = |error| {
            Error::fatal("work_folder", format!("making the work folder {}", path.display()))
                .because(error)
                .next("let this user write there, or set worker.work to another folder")
        };
        fs::create_dir_all(path).map_err(unusable)?;
        let lock = File::create(path.join(LOCK)).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { path: path.to_owned(), _lock: lock, temporary })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// The folder of one upload.
    pub fn of(&self, id: UploadId) -> PathBuf {
        self.path.join(id.to_string())
    }

    /// Removes run files of uploads that have ended, and folders of imports that have died. What somebody still uses is
    /// locked and stays.
    pub async fn remove_left_behind(&self, store: &dyn Store) -> Result<()> {
        let unreadable = |error| Error::fatal("work_folder", format!("reading {}", self.path.display())).because(error);
        for entry in fs::read_dir(&self.path).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let (name, path) = (entry.file_name(), entry.path());
            let name = name.to_string_lossy();
            if name.starts_with(OWN) {
                drop(Self::lock(&path, true)?);
            } else if let Ok(id) = name.parse::<UploadId>() {
                match store.upload(id).await {
                    Ok(Some(upload)) if upload.state.is_open() => {}
                    Ok(_) => {
                        // The lock of `load::folder`, which has the same name.
                        if let Some(_unused) = Self::lock(&path, false)? {
                            debug!(upload = %id, "removing run files that were left behind");
                            CleanFile::remove(&path);
                        }
                    }
                    // They are looked at again the next time.
                    Err(error) if error.kind == Kind::Transient => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        if self.temporary {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{load::folder::Folder, store::sqlite};

    #[tokio::test]
    async fn run_files_of_what_has_ended_are_removed_unless_somebody_uses_them() {
        let place = tempfile::tempdir().unwrap();
        let store = sqlite::open(&place.path().join("userdata.db")).unwrap();
        let work = WorkFolder::open(&place.path().join("work")).unwrap();
        let (used, left) = (work.of(UploadId::new()), work.of(UploadId::new()));
        let folder = Folder::open(&used, &CancellationToken::new()).unwrap();
        drop(Folder::open(&left, &CancellationToken::new()).unwrap());
        work.remove_left_behind(&store).await.unwrap();
        assert!(used.exists() && !left.exists());
        drop(folder);
        work.remove_left_behind(&store).await.unwrap();
        assert!(!used.exists());
    }
}
