//! The archive as a folder of this machine, or of a mount: an independent copy of each original, on disk before it
//! has its name. Never a link or a shared extent of the spool's file: what spoils one must not spoil both.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use rustix::fs::{CWD, RenameFlags};
use tokio::io::AsyncSeekExt;

use super::{Archive, content::Rest, name};
use crate::{
    blocking,
    error::{Error, Result, Service},
    meter::Meter,
    source::{Bytes, Source},
};

/// Bytes copied at a time: few enough that a dropped copy stops soon.
const PIECE_BYTES: usize = 1 << 20;

pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// The folder is made with the first file.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn path(&self, file: &str) -> Result<PathBuf> {
        name::check(file)?;
        Ok(self.root.join(file))
    }

    fn error(&self, doing: &str, error: io::Error) -> Error {
        let doing = format!("{doing} in {}", self.name());
        if error.kind() == io::ErrorKind::InvalidFilename {
            return Error::rejected("archive_name_refused", doing).because(error);
        }
        let unavailable = Error::unavailable(Service::Archive, doing);
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => unavailable.next("make room on that disk"),
            io::ErrorKind::PermissionDenied => unavailable.next("let the user that this runs as write there"),
            io::ErrorKind::ReadOnlyFilesystem => unavailable.next("mount it writable"),
            _ => unavailable,
        }
        .because(error)
    }

    /// Blocking work, on a thread for it. It goes on when the future is dropped, so each piece is short.
    async fn on_disk<T: Send + 'static>(
        &self,
        doing: &str,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        blocking::run_io(work).await.map_err(|error| self.error(doing, error))
    }

    fn taken(&self, file: &str, there: u64, size: u64) -> Error {
        Error::rejected("archive_name_taken", format!("storing {file} in {}", self.name()))
            .because(format!("a file of that name with {there} bytes is there, this one has {size}"))
    }

    /// Writes the rest of `content` into `temp`, or all of it, and syncs it.
    async fn fill(&self, temp: &str, resume: bool, content: &dyn Source, total: u64, meter: &Meter) -> Result<()> {
        let doing = format!("writing {temp}");
        let path = self.path(temp)?;
        let (file, have) = self.on_disk(&doing, move || begin(&path, resume, total)).await?;
        meter.add(have);
        let mut rest = Rest::open(content, have, total).await?;
        let (mut offset, mut buffer) = (have, Vec::with_capacity(PIECE_BYTES));
        loop {
            rest.next(&mut buffer, PIECE_BYTES).await?;
            let piece = buffer.len() as u64;
            if piece == 0 {
                break;
            }
            let target = Arc::clone(&file);
            let write = move || target.write_all_at(&buffer, offset).map(|()| buffer);
            buffer = self.on_disk(&doing, write).await?;
            offset += piece;
            meter.add(piece);
        }
        let path = self.path(temp)?;
        self.on_disk(&doing, move || end(&file, &path, total)).await
    }
}

#[async_trait]
impl Archive for Directory {
    fn name(&self) -> String {
        format!("the archive folder {}", self.root.display())
    }

    async fn size(&self, file: &str) -> Result<Option<u64>> {
        let path = self.path(file)?;
        self.on_disk(&format!("looking for {file}"), move || size_of(&path)).await
    }

    async fn store(&self, temp: &str, file: &str, content: &dyn Source, meter: &Meter) -> Result<()> {
        let total = content.size().await?;
        match self.size(file).await? {
            Some(there) if there == total => {
                meter.add(total);
                return self.remove(temp).await.map(drop);
            }
            Some(there) => return Err(self.taken(file, there, total)),
            None => {}
        }
        self.fill(temp, true, content, total, meter).await?;
        let (from, to, root) = (self.path(temp)?, self.path(file)?, self.root.clone());
        let found = self.on_disk(&format!("storing {file}"), move || publish(&root, &from, &to)).await?;
        match found {
            Some(there) if there != total => Err(self.taken(file, there, total)),
            _ => Ok(()),
        }
    }

    async fn adopt(&self, left: &str, temp: &str) -> Result<bool> {
        let (from, to, root) = (self.path(left)?, self.path(temp)?, self.root.clone());
        let adopt = move || {
            if size_of(&from)?.is_none() {
                return Ok(false);
            }
            make_folders(&to)?;
            fs::rename(&from, &to)?;
            sync_folders(&root, &to).map(|()| true)
        };
        self.on_disk(&format!("going on with {left}"), adopt).await
    }

    async fn store_beside(&self, temp: &str, file: &str, content: &dyn Source) -> Result<()> {
        let total = content.size().await?;
        self.fill(temp, false, content, total, &Meter::default()).await?;
        let (from, to, root) = (self.path(temp)?, self.path(file)?, self.root.clone());
        let replace = move || {
            make_folders(&to)?;
            fs::rename(&from, &to)?;
            sync_folders(&root, &to)
        };
        self.on_disk(&format!("storing {file}"), replace).await
    }

    async fn open(&self, file: &str, offset: u64) -> Result<Bytes> {
        let path = self.path(file)?;
        let unreadable = |error| self.error(&format!("reading {file}"), error);
        let mut input = tokio::fs::File::open(path).await.map_err(unreadable)?;
        input.set_max_buf_size(PIECE_BYTES);
        input.seek(io::SeekFrom::Start(offset)).await.map_err(unreadable)?;
        Ok(Box::new(input))
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>> {
        let path = self.path(folder)?;
        self.on_disk(&format!("listing {folder}"), move || files_in(&path)).await
    }

    async fn remove(&self, file: &str) -> Result<bool> {
        let (path, root) = (self.path(file)?, self.root.clone());
        let remove = move || match fs::remove_file(&path) {
            Ok(()) => sync_folders(&root, &path).map(|()| true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(error),
        };
        self.on_disk(&format!("removing {file}"), remove).await
    }

    async fn check(&self) -> Result<()> {
        super::try_out(self).await
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn files_in(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            names.extend(entry.file_name().into_string());
        }
    }
    Ok(names)
}

fn size_of(path: &Path) -> io::Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens the temp file and says how much of it is to be kept. Bytes that lie within its size were written by an
/// earlier call from the same content: file systems grow a file's size on disk only after its data.
fn begin(temp: &Path, resume: bool, total: u64) -> io::Result<(Arc<File>, u64)> {
    make_folders(temp)?;
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(temp)?;
    let have = file.metadata()?.len();
    let keep = resume && have <= total;
    if !keep {
        file.set_len(0)?;
    }
    Ok((Arc::new(file), if keep { have } else { 0 }))
}

/// Syncs and measures. What failed to sync may be lost though a second sync succeeds, so it is not continued.
fn end(file: &File, temp: &Path, total: u64) -> io::Result<()> {
    let synced = file.sync_all();
    if let Err(error) = synced {
        let _ = fs::remove_file(temp);
        return Err(error);
    }
    let size = file.metadata()?.len();
    if size != total {
        let _ = fs::remove_file(temp);
        return Err(io::Error::other(format!("{size} bytes are there instead of {total}")));
    }
    Ok(())
}

/// Gives a whole temp file its name unless that is taken: then the size of what has it.
fn publish(root: &Path, temp: &Path, target: &Path) -> io::Result<Option<u64>> {
    make_folders(target)?;
    match rename_without_replacing(temp, target) {
        Ok(()) => sync_folders(root, target).map(|()| None),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let there = size_of(target)?.ok_or(error)?;
            fs::remove_file(temp)?;
            Ok(Some(there))
        }
        Err(error) => Err(error),
    }
}

/// In one step where the file system can (NFS can't), else by a second name.
fn rename_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        done => Ok(done?),
    }
}

/// Makes the folders of a file, and each new one's entry durable.
fn make_folders(file: &Path) -> io::Result<()> {
    let Some(folder) = file.parent() else { return Ok(()) };
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    make_folders(folder)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_folder(folder.parent().unwrap_or(Path::new("")))
}

/// Makes the entries on the way from the archive's root to a file durable, also those of folders that another call
/// made a moment ago and has not synced yet.
fn sync_folders(root: &Path, file: &Path) -> io::Result<()> {
    let inside = |folder: &&Path| folder.starts_with(root);
    file.ancestors().skip(1).take_while(inside).try_for_each(sync_folder)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}
