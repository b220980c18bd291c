//! Loads the bytes of an earlier upload as a new one, with other options: nobody sends 3 GB twice because the zone was
//! wrong. The bytes are hard-linked in the spool where they are there, else read from the archive's copy.

use tracing::warn;

use crate::{
    error::{Error, Result},
    pipeline::{Pipeline, now_ms, reach},
    rows::{Existing, RowOptions},
    upload::{NewUpload, Place, Upload, UploadId},
};

/// What is to be loaded again, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Again {
    pub id: UploadId,
    pub options: RowOptions,
    /// Although a newer upload in `replace` mode has overtaken it.
    pub over_newer: bool,
    pub sender: String,
}

impl Pipeline {
    /// Makes, registers and announces the new upload. `Rejected` when there is no such upload (`no_such_upload`), a
    /// newer one has overtaken it (`overtaken`), or its bytes are gone (`bytes_gone`).
    pub async fn again(&self, again: Again) -> Result<NewUpload> {
        let first = self.store.upload(again.id).await?.ok_or_else(|| {
            Error::rejected("no_such_upload", format!("there is no upload {}", again.id)).next("see: userdata status")
        })?;
        let id = first.id();
        if again.options.existing == Existing::Replace && !again.over_newer && self.store.overtaken(id).await? {
            let text =
                format!("a newer upload in replace mode was loaded after {id}; loading it again would undo that");
            return Err(
                Error::rejected("overtaken", text).next(format!("if that is wanted: userdata again {id} --over-newer"))
            );
        }
        let new = self.with_same_bytes(&first, again)?;
        self.store.register(&new).await?;
        if let Err(error) = self.announce(&new).await {
            warn!(upload = %new.id, %error, "registered, but not announced; workers find it in the ledger");
        }
        Ok(new)
    }

    fn with_same_bytes(&self, first: &Upload, again: Again) -> Result<NewUpload> {
        let id = first.id();
        let now = now_ms();
        let archive = reach::archived_name(first).map(ToOwned::to_owned);
        let mut new = NewUpload {
            id: UploadId::new(),
            sha256: first.new.sha256.clone().or_else(|| first.cleaned.as_ref().map(|cleaned| cleaned.sha256.clone())),
            sender: again.sender,
            started_ms: now,
            received_ms: now,
            place: Place { server: self.config.server.worker_url.clone(), archive, ..Place::default() },
            options: again.options,
            again_of: Some(id),
            ..first.new.clone()
        };
        let spool = self.spool()?;
        if first.new.place.spool == Some(spool.id()) && spool.path(id).is_file() {
            let archive = new.place.archive.clone();
            new = spool.link(id, new)?;
            new.place.archive = archive;
        } else if new.place.archive.is_some() {
            new.place.server = None;
        } else if first.new.place.spool.is_none() && first.new.place.path.is_some() {
            new.place = first.new.place.clone();
        } else {
            let text = format!("the bytes of upload {id} are neither in this spool nor in the archive");
            return Err(
                Error::rejected("bytes_gone", text).next("run this on the server that took it, or send the file again")
            );
        }
        Ok(new)
    }
}
