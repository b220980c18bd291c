//! The moment a received file becomes an upload: a fixed order of steps, so that a process that dies after any of
//! them leaves either no upload or a whole one.

use std::{
    fs::{self, File},
    io::{self, Write},
};

use tracing::warn;

use crate::upload::{NewUpload, UploadId};

use super::{ARRIVAL, ARRIVAL_TEMP, DATA, INFO, INFO_TEMP, PART, Spool, create_locked, remove_if_there, sync_folder};

/// What is about to become an upload.
pub(super) struct Commit<'a> {
    pub spool: &'a Spool,
    pub info: &'a NewUpload,
    /// The open `.part` file; `None` when the bytes have their final name already (a link).
    pub part: Option<&'a File>,
    /// Whether it can be tried again after an error.
    pub is_resumable: bool,
}

/// The locked info file on its way to its name: the lock tells others that its writer lives.
#[derive(Default)]
pub(super) struct Locked(Option<File>);

#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    SyncBytes,
    /// On disk, under its temp name.
    WriteInfo,
    NameBytes,
    /// From here on the upload exists.
    NameInfo,
    SyncNames,
}

pub(super) const STEPS: [Step; 5] =
    [Step::SyncBytes, Step::WriteInfo, Step::NameBytes, Step::NameInfo, Step::SyncNames];

impl Commit<'_> {
    /// Runs all steps. When one fails, nothing of the upload is left, or, if it `is_resumable`, what there was before.
    pub fn run(&self) -> io::Result<()> {
        let mut locked = Locked::default();
        for step in STEPS {
            if let Err(error) = self.take(step, &mut locked) {
                self.undo();
                return Err(error);
            }
        }
        if let Err(error) = remove_if_there(&self.spool.file(self.info.id, ARRIVAL)) {
            warn!(upload = %self.info.id, %error, "the note of an arrival stays in the spool until the next start");
        }
        Ok(())
    }

    pub fn take(&self, step: Step, locked: &mut Locked) -> io::Result<()> {
        let file = |kind| self.spool.file(self.info.id, kind);
        match (step, self.part) {
            (Step::SyncBytes, Some(part)) => part.sync_all(),
            (Step::NameBytes, Some(_)) => fs::rename(file(PART), file(DATA)),
            (Step::SyncBytes | Step::NameBytes, None) => Ok(()),
            (Step::WriteInfo, _) => self.write_info(locked),
            (Step::NameInfo, _) => fs::rename(file(INFO_TEMP), file(INFO)),
            (Step::SyncNames, _) => sync_folder(&self.spool.folder),
        }
    }

    fn undo(&self) {
        let file = |kind| self.spool.file(self.info.id, kind);
        if !self.is_resumable {
            return self.spool.erase(self.info.id);
        }
        let undone = remove_if_there(&file(INFO))
            .and_then(|_| remove_if_there(&file(INFO_TEMP)))
            .and_then(|_| if file(DATA).exists() { fs::rename(file(DATA), file(PART)) } else { Ok(()) });
        if let Err(error) = undone {
            warn!(upload = %self.info.id, %error, "its bytes stay in the spool until the next clean-up");
        }
    }

    fn write_info(&self, locked: &mut Locked) -> io::Result<()> {
        let mut file = create_locked(&self.spool.file(self.info.id, INFO_TEMP))?;
        file.write_all(&serde_json::to_vec_pretty(self.info)?)?;
        file.sync_all()?;
        locked.0 = Some(file);
        Ok(())
    }
}

impl Spool {
    /// Removes all files of an upload that did not come to be, the info first.
    pub(super) fn erase(&self, id: UploadId) {
        for kind in [INFO, INFO_TEMP, DATA, PART, ARRIVAL, ARRIVAL_TEMP] {
            let path = self.file(id, kind);
            if let Err(error) = remove_if_there(&path) {
                warn!(upload = %id, file = %path.display(), %error, "an unfinished file stays until the next clean-up");
            }
        }
    }
}
