//! The pipeline of one configuration: spool, queue, archive and store, chosen by name here and nowhere else. The parts
//! below see only the traits.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::sync::Semaphore;
use tracing::info;

use crate::{
    announcement::Announcement,
    archive::{Archive, directory::Directory, ftp::Ftp},
    config::{ArchiveKind, Config, QueueKind, StoreKind},
    disk::Disks,
    error::{Error, Result},
    queue::{Announced, Queue, kafka::Kafka, local::Local},
    spool::Spool,
    store::{Store, mysql, sqlite},
    upload::{EpochMs, NewUpload, UploadId},
};

pub mod again;
pub mod import;
pub mod intake;
pub mod process;
pub mod reach;
pub mod receive;
pub mod sweep;
pub mod work;

/// How large a load's transactions are.
#[derive(Debug, Clone, Copy)]
pub struct Transactions {
    /// Rows and bytes of one block, the unit between merge and store.
    pub block_rows: usize,
    pub block_bytes: usize,
    /// A transaction commits after this much, whichever comes first.
    pub rows: u64,
    pub bytes: usize,
    pub time: Duration,
    /// Pause between two transactions, so that other processes get at the database.
    pub pause: Duration,
    /// Load transactions at once, of all slots.
    pub connections: usize,
    /// Id ranges of a large load: more than connections, so that one that takes longer does not hold up the end.
    pub ranges: usize,
}

pub struct Pipeline {
    pub config: Arc<Config>,
    pub queue: Arc<dyn Queue>,
    pub archive: Arc<dyn Archive>,
    pub store: Arc<dyn Store>,
    pub transactions: Transactions,
    /// Room that uploads and loads of this process will still take.
    pub disks: Disks,
    /// Places for load transactions, of all slots.
    pub loading: Semaphore,
    spool: OnceLock<Arc<Spool>>,
    /// Set once the ledger has said its version.
    ledger: tokio::sync::OnceCell<()>,
}

impl Pipeline {
    /// Puts the backends of a configuration together. No service needs to be up for it.
    pub async fn open(config: Arc<Config>) -> Result<Arc<Self>> {
        let (store, transactions): (Arc<dyn Store>, _) = match config.store.kind {
            StoreKind::Sqlite => (Arc::new(sqlite::open(&config.database())?), EMBEDDED),
            StoreKind::Mysql => {
                let mysql = &config.store.mysql;
                let sizes = Transactions { connections: mysql.connections, ranges: mysql.connections * 2, ..SERVER };
                (Arc::new(mysql::open(mysql, config.worker.lease).await?), sizes)
            }
        };
        let archive = archive(&config)?;
        let queue: Arc<dyn Queue> = match config.queue.kind {
            QueueKind::Local => Arc::new(Local::new(store.clone())),
            QueueKind::Kafka => Arc::new(Kafka::new(&config.queue.kafka)?),
        };
        #[cfg(feature = "faults")]
        let transactions = if crate::faults::small_transactions() {
            Transactions { block_rows: 100, rows: 100, ranges: transactions.ranges.min(2), ..transactions }
        } else {
            transactions
        };
        Ok(Arc::new(Self {
            config,
            queue,
            archive,
            store,
            transactions,
            disks: Disks::default(),
            loading: Semaphore::new(transactions.connections),
            spool: OnceLock::new(),
            ledger: Default::default(),
        }))
    }

    /// The spool's folder; made when a role first needs it.
    pub fn spool(&self) -> Result<Arc<Spool>> {
        if let Some(spool) = self.spool.get() {
            return Ok(spool.clone());
        }
        let opened = Arc::new(Spool::open(&self.config.spool, self.disks.clone())?);
        Ok(self.spool.get_or_init(|| opened).clone())
    }

    /// Whether the ledger has a version that this program works with: asked before its first
    /// use, once it can be reached. `Fatal`, code `ledger_version`, when not: whoever runs stops with it.
    pub async fn check_ledger(&self) -> Result<()> {
        self.ledger.get_or_try_init(|| self.store.check()).await.copied()
    }

    /// Enters a received upload in the ledger. What fails here is done again by the sweep.
    pub async fn register(&self, new: &NewUpload) -> Result<()> {
        #[cfg(feature = "faults")]
        crate::faults::hold("on-disk").await;
        self.check_ledger().await?;
        if self.store.register(new).await? {
            info!(upload = %new.id, size = new.size, sender = new.sender, "registered");
        }
        Ok(())
    }

    /// Registers and announces it.
    pub async fn submit(&self, new: &NewUpload) -> Result<()> {
        self.register(new).await?;
        self.announce(new).await
    }

    /// What to do about an upload that is left to workers.
    pub fn how_to_follow(&self, id: UploadId) -> String {
        let works = match self.config.queue.kind {
            QueueKind::Local => "; the work is done by `userdata serve`, which must run",
            QueueKind::Kafka => "",
        };
        format!("follow it: userdata status {id} --watch{works}")
    }

    /// Announces an upload that the ledger holds.
    pub async fn announce(&self, new: &NewUpload) -> Result<()> {
        if self.queue.announce(&Announcement::of(new)).await? == Announced::ByTheBroker {
            self.store.announced(new.id).await?;
        }
        info!(upload = %new.id, queue = self.queue.name(), "announced");
        Ok(())
    }
}

/// The archive of a configuration.
pub fn archive(config: &Config) -> Result<Arc<dyn Archive>> {
    Ok(match config.archive.kind {
        ArchiveKind::Directory => Arc::new(Directory::new(config.archive_folder())),
        ArchiveKind::Ftp => Arc::new(Ftp::new(config.archive.ftp.clone())?),
    })
}

/// InnoDB: large transactions, several ranges.
const SERVER: Transactions = Transactions {
    block_rows: 25_000,
    block_bytes: 4 << 20,
    rows: 200_000,
    bytes: 32 << 20,
    time: Duration::from_secs(60),
    pause: Duration::ZERO,
    connections: 3,
    ranges: 6,
};

/// SQLite has one writer: a load lets the heartbeats of other processes through.
const EMBEDDED: Transactions = Transactions {
    block_rows: 2_000,
    block_bytes: 1 << 20,
    rows: 100_000,
    bytes: 32 << 20,
    time: Duration::from_millis(250),
    pause: Duration::from_millis(10),
    connections: 1,
    ranges: 1,
};

/// This machine's clock, for what no database sees: the spool's times.
pub fn now_ms() -> EpochMs {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    EpochMs::try_from(now.as_millis()).unwrap_or(EpochMs::MAX)
}

/// The name of this process in the ledger: `host:pid`.
pub fn worker_name() -> String {
    format!("{}:{}", host_name(), std::process::id())
}

pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// An error of the pipeline as the reason for which an upload failed.
pub fn failure(error: &Error) -> crate::upload::Failure {
    crate::upload::Failure { code: error.code.into(), message: error.to_string(), next: error.next.clone() }
}
