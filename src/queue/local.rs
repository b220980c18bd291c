//! The embedded queue: a wake-up over the ledger. A row that was never acknowledged *is* the announcement, so it
//! survives a crash as it would on Kafka; only parked messages are stored, in the ledger's database.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::{
    announcement::{Announcement, Unreadable},
    error::Result,
    queue::{Announced, Delivery, Parked, Queue, TopicState},
    store::Store,
    upload::UploadId,
};

/// How long a row that another process registered may stay unseen.
const LOOK_EVERY: Duration = Duration::from_secs(2);

pub struct Local(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    wake: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    announced: VecDeque<Announcement>,
    /// Delivered, not yet acknowledged.
    outstanding: HashSet<UploadId>,
}

impl Local {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(Arc::new(Shared { store, wake: Notify::new(), state: Mutex::default() }))
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Announcement> {
        let mut state = self.state();
        let announcement = state.announced.pop_front()?;
        state.outstanding.insert(announcement.uuid);
        Some(announcement)
    }

    /// Puts rows that nobody acknowledged behind what is waiting in memory.
    async fn look(&self) -> Result<()> {
        for upload in self.store.unannounced(None, 100).await? {
            let mut state = self.state();
            let known = state.outstanding.contains(&upload.id())
                || state.announced.iter().any(|announcement| announcement.uuid == upload.id());
            if !known {
                state.announced.push_back(Announcement::of(&upload.new));
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Queue for Local {
    fn name(&self) -> String {
        "the local queue".into()
    }

    async fn announce(&self, announcement: &Announcement) -> Result<Announced> {
        self.0.state().announced.push_back(announcement.clone());
        self.0.wake.notify_one();
        Ok(Announced::ByTheLedger)
    }

    async fn receive(&self) -> Result<Box<dyn Delivery>> {
        loop {
            if let Some(announcement) = self.0.take() {
                return Ok(Box::new(LocalDelivery { shared: self.0.clone(), announcement, settled: false }));
            }
            self.0.look().await?;
            if self.0.state().announced.is_empty() {
                // A timeout is as good as a wake-up: both look again.
                let _ = tokio::time::timeout(LOOK_EVERY, self.0.wake.notified()).await;
            }
        }
    }

    async fn create(&self, _partitions: i32, _replication: i32) -> Result<Vec<TopicState>> {
        Ok(Vec::new())
    }

    async fn check(&self) -> Result<()> {
        self.0.store.check().await
    }

    async fn parked(&self, limit: usize) -> Result<Vec<Parked>> {
        self.0.store.parked(u32::try_from(limit).unwrap_or(u32::MAX)).await
    }

    async fn close(&self) {}
}

struct LocalDelivery {
    shared: Arc<Shared>,
    announcement: Announcement,
    settled: bool,
}

#[async_trait]
impl Delivery for LocalDelivery {
    fn announcement(&self) -> Result<Announcement, Unreadable> {
        Ok(self.announcement.clone())
    }

    fn position(&self) -> String {
        format!("local/{}", self.announcement.uuid)
    }

    async fn acknowledge(mut self: Box<Self>) -> Result<()> {
        self.shared.store.announced(self.announcement.uuid).await?;
        self.settled = true;
        Ok(())
    }

    async fn park(mut self: Box<Self>, reason: &str) -> Result<()> {
        let value = self.announcement.value();
        let size = value.len();
        let parked = Parked { value: Some(value), reason: reason.into(), position: self.position(), size };
        self.shared.store.park(&parked).await?;
        self.shared.store.announced(self.announcement.uuid).await?;
        self.settled = true;
        Ok(())
    }
}

impl Drop for LocalDelivery {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.outstanding.remove(&self.announcement.uuid);
        if !self.settled {
            state.announced.push_front(self.announcement.clone());
            self.shared.wake.notify_one();
        }
    }
}
