//! Who receives which resumable upload in this process. A newer request takes an upload over from an older one, which
//! may hang on a line that broke without a word.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

use crate::upload::UploadId;

#[derive(Default)]
pub(in crate::web) struct Holders(Mutex<HashMap<UploadId, Holder>>);

#[derive(Default)]
struct Holder {
    lock: Arc<tokio::sync::Mutex<()>>,
    /// Of the newest request.
    overtaken: CancellationToken,
    requests: usize,
}

/// The right to touch an upload, until it is dropped.
pub(in crate::web) struct Held {
    holders: Arc<Holders>,
    id: UploadId,
    /// Cancelled when a newer request wants the upload.
    pub overtaken: CancellationToken,
    lock: Option<OwnedMutexGuard<()>>,
}

impl Holders {
    /// Stops whoever has the upload and waits until it is left.
    pub async fn hold(self: &Arc<Self>, id: UploadId) -> Held {
        let (lock, overtaken) = {
            let mut holders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let holder = holders.entry(id).or_default();
            holder.overtaken.cancel();
            holder.overtaken = CancellationToken::new();
            holder.requests += 1;
            (holder.lock.clone(), holder.overtaken.clone())
        };
        let mut held = Held { holders: self.clone(), id, overtaken, lock: None };
        held.lock = Some(lock.lock_owned().await);
        held
    }
}

impl Held {
    pub fn id(&self) -> UploadId {
        self.id
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.lock = None;
        let mut holders = self.holders.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(holder) = holders.get_mut(&self.id) {
            holder.requests -= 1;
            if holder.requests == 0 {
                holders.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_request_has_the_upload_and_nothing_is_left_in_the_end() {
        let (holders, id) = (Arc::new(Holders::default()), UploadId::new());
        let first = holders.hold(id).await;
        let second = tokio::spawn({
            let holders = holders.clone();
            async move { holders.hold(id).await }
        });
        first.overtaken.cancelled().await;
        assert!(!second.is_finished());
        drop(first);
        let second = second.await.unwrap();
        assert!(!second.overtaken.is_cancelled());
        drop(second);
        assert!(holders.0.lock().unwrap().is_empty());
    }
}
