//! From what was typed to an upload: its id, or as much of the beginning as tells it from all others.

use crate::{
    error::{Error, Result},
    store::Store,
    upload::{Upload, UploadId},
};

/// How many uploads an ambiguous beginning names at most.
const SHOWN: u32 = 5;

/// The id that `text` begins. `Rejected`, code `no_such_upload`, when there is none; `usage` when there are several.
pub async fn id(store: &dyn Store, text: &str) -> Result<UploadId> {
    let prefix = text.trim().to_lowercase();
    let none = || {
        let place = store.name();
        Error::rejected("no_such_upload", format!("there is no upload {text} ({place})")).next("see: userdata status")
    };
    if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        return Err(none());
    }
    let ids = store.find(&prefix, SHOWN).await?;
    match &ids[..] {
        [] => Err(none()),
        [id] => Ok(*id),
        several => {
            let names = several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let text = format!("several uploads begin with {text}: {names}");
            Err(Error::fatal("usage", text).next("type more of the id"))
        }
    }
}

/// As `id`, with everything known of it.
pub async fn upload(store: &dyn Store, text: &str) -> Result<Upload> {
    let id = id(store, text).await?;
    by_id(store, id).await
}

pub async fn by_id(store: &dyn Store, id: UploadId) -> Result<Upload> {
    let gone = || Error::rejected("no_such_upload", format!("upload {id} is not in the ledger any more"));
    store.upload(id).await?.ok_or_else(gone)
}
