//! The web server: the page, uploads, their status and content. It sees the spool through the receiver, and queue,
//! archive and database through their traits alone.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::{
    archive::Archive,
    config::Config,
    error::Result,
    pipeline::{again::Again, receive::Receiver},
    queue::Queue,
    spool::Spool,
    store::Store,
    upload::{NewUpload, UploadId},
};

mod actions;
mod attempts;
mod caller;
mod content;
pub mod errors;
mod events;
mod form;
mod guard;
mod health;
mod known;
mod limits;
mod listing;
mod openapi;
mod options;
mod page;
mod path;
mod preview;
mod range;
mod rejects;
mod routes;
mod server;
mod session;
pub mod status;
mod tagged;
mod tls;
mod tokens;
mod tus;
mod uploads;

pub use caller::new_token;
pub use server::{bind, serve};

/// What the server hands on when an upload has been received or is to be loaded again.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Enters an upload that lies in the spool in the ledger. May be repeated.
    async fn register(&self, new: &NewUpload) -> Result<()>;

    /// Announces an upload that the ledger holds.
    async fn announce(&self, new: &NewUpload) -> Result<()>;

    /// Tells whoever works that an upload is open again. What fails here, the ledger's own order makes good.
    async fn wake(&self, id: UploadId);

    /// Makes a new upload of the bytes of another, with other options, registered and announced.
    async fn again(&self, again: Again) -> Result<NewUpload>;
}

/// Everything that requests need; cloned for each.
#[derive(Clone)]
pub struct Context {
    pub config: Arc<Config>,
    pub receiver: Receiver,
    pub store: Arc<dyn Store>,
    pub archive: Arc<dyn Archive>,
    pub queue: Arc<dyn Queue>,
    pub intake: Arc<dyn Intake>,
    /// Work that goes on after an answer; `serve` awaits it.
    background: TaskTracker,
    health: Arc<health::Cache>,
    access: Arc<caller::Access>,
    upload_slots: Arc<Semaphore>,
    /// What those who follow uploads are told.
    board: Arc<events::Board>,
    tls: Option<Arc<tls::Tls>>,
    holders: Arc<tus::Holders>,
    /// Resolves when the upload before has been registered.
    last_registration: Arc<Mutex<Option<oneshot::Receiver<()>>>>,
}

impl Context {
    /// `Fatal` (`configuration`) where the token file, or certificate and key, cannot be used.
    pub fn new(
        receiver: Receiver,
        store: Arc<dyn Store>,
        archive: Arc<dyn Archive>,
        queue: Arc<dyn Queue>,
        intake: Arc<dyn Intake>,
    ) -> Result<Self> {
        let config = receiver.config.clone();
        let (background, health) = (TaskTracker::new(), Arc::default());
        let access = Arc::new(caller::Access::open(&config.server)?);
        let upload_slots = Arc::new(Semaphore::new(config.server.max_uploads_at_once));
        let board = Arc::new(events::Board::new(status::now_ms()));
        let tls = config.server.tls.as_ref().map(tls::Tls::open).transpose()?;
        let (holders, last_registration) = (Arc::default(), Arc::default());
        Ok(Self {
            config,
            receiver,
            store,
            archive,
            queue,
            intake,
            background,
            health,
            access,
            upload_slots,
            board,
            tls,
            holders,
            last_registration,
        })
    }

    fn spool(&self) -> Arc<Spool> {
        self.receiver.spool.clone()
    }

    /// Hands a received upload on, after its answer. Uploads enter the ledger in the order of these calls: of two files
    /// that replace rows, the one that was answered first is loaded first. What fails here is done by the sweep.
    fn submit(&self, new: &NewUpload) {
        self.board.arrived(new.id, &new.sender);
        let (intake, new) = (self.intake.clone(), new.clone());
        let (registered, is_registered) = oneshot::channel();
        let before = self.last_registration.lock().unwrap_or_else(PoisonError::into_inner).replace(is_registered);
        self.background.spawn(async move {
            if let Some(before) = before {
                // An error: its task has ended all the same.
                before.await.ok();
            }
            let mut outcome = intake.register(&new).await;
            registered.send(()).ok();
            if outcome.is_ok() {
                outcome = intake.announce(&new).await;
            }
            if let Err(error) = outcome {
                let error = error.with_next();
                warn!(upload = %new.id, error, "kept in the spool until it can be registered and announced");
            }
        });
    }
}

/// Runs blocking work on the spool.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match crate::blocking::run(work).await {
        Ok(result) => result,
        Err(error) => Err(crate::error::Error::fatal("task_died", "reading the spool").because(error)),
    }
}
