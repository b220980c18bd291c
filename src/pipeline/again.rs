//! Loads the bytes of an earlier upload as a new one, with other options: nobody sends 3 GB twice because the zone was
//! wrong. The bytes are hard-linked in the spool where they are there, else read from the archive's copy.

use tracing::warn;

use crate::{
    error::{Error, Result},
    pipeline::{Pipeline, now_ms, reach},
    rows::RowOptions,
    upload::{NewUpload, Place, UploadId},
};

impl Pipeline {
    /// Makes, registers and announces the new upload. The first's options are the ones to start from; `change` alters
    /// them. `Rejected` when there is no such upload (`no_such_upload`) or its bytes are gone (`bytes_gone`).
    pub async fn again(
        &self,
        first: UploadId,
        sender: &str,
        change: impl FnOnce(&mut RowOptions) -> Result<()> + Send,
    ) -> Result<NewUpload> {
        let upload = self.store.upload(first).await?.ok_or_else(|| {
            Error::rejected("no_such_upload", format!("there is no upload {first}")).next("see: userdata status")
        })?;
        let mut options = upload.new.options.clone();
        change(&mut options)?;
        let id = UploadId::new();
        let now = now_ms();
        let archived = reach::archived_name(&upload).map(ToOwned::to_owned);
        let mut new = NewUpload {
            format: NewUpload::FORMAT,
            id,
            sha256: upload.new.sha256.clone().or_else(|| upload.cleaned.as_ref().map(|cleaned| cleaned.sha256.clone())),
            sender: sender.into(),
            started_ms: now,
            received_ms: now,
            place: Place { archive: archived, ..Place::default() },
            options,
            again_of: Some(first),
            ..upload.new.clone()
        };
        let spool = self.spool()?;
        if upload.new.place.spool == Some(spool.id()) && spool.path(first).is_file() {
            new = spool.link(first, new)?;
        } else if new.place.archive.is_none() {
            let stranger = upload.new.place.spool.is_none() && upload.new.place.path.is_some();
            if !stranger {
                let text = format!("the bytes of upload {first} are neither in this spool nor in the archive");
                return Err(Error::rejected("bytes_gone", text).next("run this on the server that took it, or send the file again"));
            }
            new.place = upload.new.place.clone();
        }
        self.store.register(&new).await?;
        if let Err(error) = self.announce(&new).await {
            warn!(upload = %new.id, %error, "registered, but not announced; workers find it in the ledger");
        }
        Ok(new)
    }
}
