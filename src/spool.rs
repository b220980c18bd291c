//! The spool: the folder where received bytes wait until they are loaded, beside each file an info file with all that
//! is known of it, so that the folder describes itself. It knows files, never a ledger or a network.
//!
//! | file | what it is |
//! |---|---|
//! | `spool.json` | the spool's own id, made once |
//! | `{id}.part` | bytes that are arriving; whoever receives them holds the file's lock |
//! | `{id}.arrival.json` | who sends them and since when, unless they are through at once; of a resumable upload also what it goes on from |
//! | `{id}.arrival.tmp` | the same before it has its name |
//! | `{id}.info.tmp` | the info file before it has its name; its writer holds its lock |
//! | `{id}.data` | the bytes of a received upload |
//! | `{id}.info.json` | what is known of it; the upload exists from the moment this file has its name |

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tracing::warn;
use uuid::Uuid;

use crate::{
    config,
    disk::Disks,
    error::{Error, Result, Service},
    upload::{NewUpload, Place, UploadId},
};

mod arrival;
mod commit;
mod disk;
mod incoming;
mod orphans;
mod unfinished;
mod writer;

pub use arrival::{Arrival, Receiving, Resume};
pub use incoming::{Incoming, SHOW_AFTER};

/// A spool folder. Several processes may share one.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    id: Uuid,
    host: String,
    /// Free disk space that uploads never take.
    free_bytes: u64,
    /// How long a resumable upload waits for its next byte.
    expire: Duration,
    disks: Disks,
}

#[derive(Serialize, Deserialize)]
struct Identity {
    format: u32,
    id: Uuid,
}

const IDENTITY: &str = "spool.json";
const INFO: &str = "info.json";
const INFO_TEMP: &str = "info.tmp";
const DATA: &str = "data";
const PART: &str = "part";
const ARRIVAL: &str = "arrival.json";
const ARRIVAL_TEMP: &str = "arrival.tmp";

impl Spool {
    /// Opens the folder and makes it, with an id of its own, where it is not there yet.
    pub fn open(config: &config::Spool, disks: Disks) -> Result<Self> {
        let folder = fs::create_dir_all(&config.path).and_then(|()| config.path.canonicalize());
        let doing = || format!("opening the spool {}", config.path.display());
        let folder = folder.map_err(|error| cannot_open(doing(), error))?;
        let id = identity(&folder)?;
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Ok(Self { folder, id, host, free_bytes: config.free_bytes, expire: config.expire, disks })
    }

    /// The id kept in the folder: tells a shared spool from another machine's folder of the same name.
    pub fn id(&self) -> Uuid {
        self.id
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where an upload's bytes are or would be.
    pub fn path(&self, id: UploadId) -> PathBuf {
        self.file(id, DATA)
    }

    /// Where its bytes are, for an upload that lies here.
    fn place(&self, id: UploadId, server: Option<String>) -> Place {
        let (spool, path, host) = (Some(self.id), Some(self.path(id)), Some(self.host.clone()));
        Place { spool, path, server, archive: None, host }
    }

    fn file(&self, id: UploadId, kind: &str) -> PathBuf {
        self.folder.join(format!("{id}.{kind}"))
    }

    /// Ids of all received uploads, newest first (by id, which for our own is the order of their beginning). Blocking.
    pub fn ids(&self) -> Result<Vec<UploadId>> {
        let mut ids = self.ids_of(INFO)?;
        ids.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
        Ok(ids)
    }

    /// What is known of each received upload, oldest first. One whose info cannot be read is logged and left out, so
    /// that it does not hold up the others. Blocking.
    pub fn infos(&self) -> Result<impl Iterator<Item = NewUpload>> {
        let ids = self.ids()?;
        Ok(ids.into_iter().rev().filter_map(|id| match self.read(id) {
            Ok(info) => info,
            Err(error) => {
                warn!(upload = %id, %error, "an upload in the spool cannot be read");
                None
            }
        }))
    }

    /// What is known of a received upload; `None` where there is none. Blocking.
    pub fn read(&self, id: UploadId) -> Result<Option<NewUpload>> {
        let info = self.json::<NewUpload>(&self.file(id, INFO))?;
        if let Some(info) = &info
            && info.format > NewUpload::FORMAT
        {
            let (file, format) = (self.file(id, INFO), info.format);
            return Err(Error::fatal("info_format", format!("{} has format {format}", file.display()))
                .next("it was written by a newer version of userdata; run that one on this spool"));
        }
        Ok(info.filter(|_| self.path(id).exists()))
    }

    /// Removes a received upload. May be repeated. Blocking.
    pub fn remove(&self, id: UploadId) -> Result<()> {
        // The info first: bytes without info are no upload, and are cleaned away after a crash.
        for kind in [INFO, DATA] {
            remove_if_there(&self.file(id, kind))
                .map_err(|error| self.broken("removing", &self.file(id, kind), error))?;
        }
        Ok(())
    }

    /// Makes a new upload of the bytes of another without copying them. Durable when it returns. Blocking.
    pub fn link(&self, from: UploadId, mut new: NewUpload) -> Result<NewUpload> {
        new.place = self.place(new.id, new.place.server);
        let doing = || format!("loading upload {from} again as {}", new.id);
        fs::hard_link(self.path(from), self.path(new.id)).map_err(|error| self.disk_error(doing(), error))?;
        commit::Commit { spool: self, info: &new, part: None, is_resumable: false }
            .run()
            .map_err(|error| self.disk_error(doing(), error))?;
        Ok(new)
    }

    /// Ids of all files of one kind.
    fn ids_of(&self, kind: &str) -> Result<Vec<UploadId>> {
        let entries = fs::read_dir(&self.folder).map_err(|error| self.broken("reading", &self.folder, error))?;
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry.map_err(|error| self.broken("reading", &self.folder, error))?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(kind)?.strip_suffix('.'));
            ids.extend(id.and_then(|id| id.parse::<UploadId>().ok()));
        }
        Ok(ids)
    }

    /// Reads a JSON file; `None` where there is none.
    fn json<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.broken("reading", path, error)),
        };
        let value = serde_json::from_slice(&text).map_err(|error| self.broken("reading", path, error.into()));
        value.map(Some)
    }

    fn broken(&self, doing: &str, path: &Path, error: io::Error) -> Error {
        self.disk_error(format!("{doing} {}", path.display()), error)
    }
}

/// Creates a file and locks it, which tells clean-ups that its writer lives. One may see the file before it is locked,
/// and take it for left behind: then it is made again.
fn create_locked(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::MetadataExt;
    loop {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        file.lock()?;
        if file.metadata()?.nlink() > 0 {
            return Ok(file);
        }
    }
}

fn cannot_open(doing: String, error: io::Error) -> Error {
    Error::fatal("spool_unusable", doing)
        .because(error)
        .next("give this user the right to write there, or set spool.path to another folder")
}

/// The id of a folder that is a spool.
pub fn id_of(folder: &Path) -> Result<Uuid> {
    let path = folder.join(IDENTITY);
    let doing = || format!("reading {}", path.display());
    let text = fs::read(&path).map_err(|error| Error::unavailable(Service::Source, doing()).because(error))?;
    let identity = serde_json::from_slice::<Identity>(&text);
    let identity = identity.map_err(|error| Error::fatal("spool_unusable", doing()).because(error))?;
    Ok(identity.id)
}

/// Reads the folder's id, or gives it one. Of several processes that begin at once, one wins and all use its id.
fn identity(folder: &Path) -> Result<Uuid> {
    if !folder.join(IDENTITY).exists() {
        give_identity(folder).map_err(|error| cannot_open(format!("making {} a spool", folder.display()), error))?;
    }
    id_of(folder)
}

fn give_identity(folder: &Path) -> io::Result<()> {
    let id = Uuid::new_v4();
    let temp = folder.join(format!("spool.{id}.tmp"));
    let mut file = File::create_new(&temp)?;
    file.write_all(&serde_json::to_vec(&Identity { format: 1, id })?)?;
    file.sync_all()?;
    // A link, unlike a rename, does not replace the file of another process that was quicker.
    let linked = fs::hard_link(&temp, folder.join(IDENTITY));
    fs::remove_file(&temp)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_folder(folder),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// True when there was one.
fn remove_if_there(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

impl Spool {
    /// An error of this folder's disk: the upload waits, or is refused, until there is room or the disk is right.
    fn disk_error(&self, doing: String, error: io::Error) -> Error {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let next = if full { "make room there, then send the file again" } else { "look at that disk and its rights" };
        Error::unavailable(Service::Disk, doing).because(error).next(next)
    }
}

#[cfg(test)]
mod tests;
