//! What is known of an upload while it arrives. It lies beside the bytes: others show it, and after a broken line or a
//! restart a resumable upload goes on from it.

use std::{
    fs::{self, File},
    io::{self, Write},
};

use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    hash::HashState,
    rows::RowOptions,
    upload::{EpochMs, UploadId},
};

use super::{ARRIVAL, ARRIVAL_TEMP, Spool, sync_folder};

/// What is known of an upload before its last byte.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arrival {
    pub id: UploadId,
    pub filename: String,
    pub sender: String,
    pub started_ms: EpochMs,
    /// As the sender announced it, bytes.
    pub size: Option<u64>,
    /// Of a resumable upload; any other is gone with its connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Resume>,
}

/// What a resumable upload goes on from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resume {
    pub media_type: String,
    pub options: RowOptions,
    /// As the sender gave it when it began, to be given back: the header `Upload-Metadata`.
    pub metadata: String,
    /// So many bytes are on disk, whatever happens.
    pub offset: u64,
    /// Of those bytes.
    pub hash: HashState,
    /// Whether the file's beginning has been read and can be loaded.
    pub is_readable: bool,
    /// Whether what lies behind `offset` counts only once its checksum was compared.
    pub is_unverified: bool,
    /// The machine's boot in which this was written: after another, what lies behind `offset` may never have reached
    /// the disk.
    pub boot: String,
    pub last_byte_ms: EpochMs,
}

/// An upload that is arriving, in this process or another, or is waiting for its sender to go on.
#[derive(Debug, Clone, PartialEq)]
pub struct Receiving {
    pub arrival: Arrival,
    /// Bytes received so far.
    pub received: u64,
    /// When it is given up if no byte comes; `None` where it cannot be resumed.
    pub expires_ms: Option<EpochMs>,
}

impl Arrival {
    /// Writes the note in place of the one before. `durable`: on disk when this returns.
    pub(super) fn write(&self, spool: &Spool, durable: bool) -> io::Result<()> {
        let (temp, path) = (spool.file(self.id, ARRIVAL_TEMP), spool.file(self.id, ARRIVAL));
        let mut file = File::create(&temp)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        if durable {
            file.sync_all()?;
        }
        fs::rename(&temp, &path)?;
        if durable { sync_folder(&spool.folder) } else { Ok(()) }
    }
}

/// Names this boot of the machine; empty, which equals no boot, where the system does not tell.
pub(super) fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned()).unwrap_or_default()
}

impl Spool {
    /// What is known of an upload that is arriving; `None` where none of that id is. Blocking.
    pub fn arrival(&self, id: UploadId) -> Result<Option<Arrival>> {
        self.json(&self.file(id, ARRIVAL))
    }

    /// When an upload is given up, if no byte comes.
    pub fn expires_ms(&self, resume: &Resume) -> EpochMs {
        resume.last_byte_ms.saturating_add(EpochMs::try_from(self.expire.as_millis()).unwrap_or(EpochMs::MAX))
    }
}
