//! A running server of its own for each test.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use userdata::{
    archive::directory::Directory,
    config::*,
    disk::Disks,
    error::Result,
    pipeline::{
        again::Again,
        receive::{Pace, Receiver},
    },
    queue::local::Local,
    rows::RowOptions,
    spool::Spool as SpoolFolder,
    store::{mysql, sqlite},
    upload::{NewUpload, UploadId},
    web::{self, Context, Intake},
};

pub const USERS: &str = "id,name,time_of_start\n1,Ada,2017-03-07T00:30:54Z\n2,Bob,2017-03-08T00:30:54Z\n";

pub struct Server {
    pub address: SocketAddr,
    pub client: reqwest::Client,
    pub spool: Arc<SpoolFolder>,
    pub store: Arc<dyn userdata::store::Store>,
    secure: bool,
    stop: CancellationToken,
    running: JoinHandle<Result<()>>,
    folder: TempDir,
}

/// Registers in the real ledger at once, as the pipeline does.
struct AtOnce {
    store: Arc<dyn userdata::store::Store>,
    spool: Arc<SpoolFolder>,
}

#[async_trait]
impl Intake for AtOnce {
    async fn register(&self, new: &NewUpload) -> Result<()> {
        self.store.register(new).await.map(drop)
    }

    async fn announce(&self, _: &NewUpload) -> Result<()> {
        Ok(())
    }

    async fn wake(&self, _: UploadId) {}

    async fn again(&self, again: Again) -> Result<NewUpload> {
        let first = self.store.upload(again.id).await?.unwrap().new;
        let id = UploadId::new();
        let new = NewUpload { id, again_of: Some(again.id), options: again.options, sender: again.sender, ..first };
        let new = self.spool.link(again.id, new)?;
        self.store.register(&new).await?;
        Ok(new)
    }
}

/// What a test may want different.
pub struct Setup {
    pub tokens: Vec<Token>,
    pub open_to: Vec<Network>,
    pub tls: Option<Tls>,
    pub max_connections: usize,
    pub max_uploads_at_once: usize,
    pub max_upload_bytes: u64,
    pub free_bytes: u64,
    pub idle: Duration,
    /// Over which a sender's speed is measured.
    pub window: Duration,
    pub database_is_down: bool,
    pub expire: Duration,
}

impl Default for Setup {
    fn default() -> Self {
        let idle = Duration::from_secs(60);
        Self {
            tokens: Vec::new(),
            open_to: Vec::new(),
            tls: None,
            max_connections: 1000,
            max_uploads_at_once: 100,
            max_upload_bytes: 50 << 30,
            free_bytes: 0,
            idle,
            window: Pace::default().window,
            database_is_down: false,
            expire: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

impl Server {
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        Self::try_with(setup).await.unwrap()
    }

    /// The error of a server that is refused at its start.
    pub async fn try_with(setup: Setup) -> Result<Self> {
        let folder = tempfile::tempdir().unwrap();
        let config = Arc::new(config(folder.path(), &setup));
        let spool = Arc::new(SpoolFolder::open(&config.spool, Disks::default()).unwrap());
        let store: Arc<dyn userdata::store::Store> = if setup.database_is_down {
            Arc::new(mysql::open(&config.store.mysql, config.worker.lease).await.unwrap())
        } else {
            Arc::new(sqlite::open(&folder.path().join("userdata.db")).unwrap())
        };
        if !setup.database_is_down {
            store.init(false).await.unwrap();
        }
        let mut receiver = Receiver::new(spool.clone(), config.clone());
        receiver.pace = Some(Pace { idle: setup.idle, window: setup.window });
        let intake = Arc::new(AtOnce { store: store.clone(), spool: spool.clone() });
        let archive = Arc::new(Directory::new(folder.path().join("archive")));
        let context = Context::new(receiver, store.clone(), archive, Arc::new(Local::new(store.clone())), intake)?;
        let listener = web::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(web::serve(listener, context, stop.clone()));
        // Only the first test of this process installs it.
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let secure = setup.tls.is_some();
        Ok(Self { address, client, spool, store, secure, stop, running, folder })
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", if self.secure { "https" } else { "http" }, self.address)
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        self.folder.path()
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.client.get(self.url(path)).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub async fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let response = self.client.post(self.url(path)).body(body.to_owned()).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub async fn put(&self, path: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let response = self.client.put(self.url(path)).body(body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub async fn form(&self, path: &str, form: reqwest::multipart::Form) -> (u16, Value) {
        let response = self.client.post(self.url(path)).multipart(form).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Puts a file in and waits until the ledger has it.
    pub async fn upload(&self, name: &str, text: &'static str) -> UploadId {
        let (status, view) = self.put(&format!("/uploads/{name}"), text).await;
        assert_eq!(status, 201, "{view}");
        let id: UploadId = view["id"].as_str().unwrap().parse().unwrap();
        eventually("the ledger has it", async || self.store.upload(id).await.unwrap().is_some()).await;
        id
    }

    /// Names in the spool beside its own id.
    pub fn spooled(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.spool.folder()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name != "spool.json").collect()
    }

    pub async fn spool_is_empty(&self) {
        eventually("nothing of it is left in the spool", async || self.spooled().is_empty()).await;
    }

    /// Tells the server to stop; its end tells whether all went well. The folder lives as long as what is returned.
    pub fn stop(self) -> (JoinHandle<Result<()>>, TempDir) {
        self.stop.cancel();
        (self.running, self.folder)
    }
}

/// Waits for something that happens soon.
pub async fn eventually(what: &str, mut happened: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !happened().await {
        assert!(tokio::time::Instant::now() < deadline, "did not happen within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn config(folder: &Path, setup: &Setup) -> Config {
    let secret = || SecretString::from("secret");
    Config {
        data: folder.into(),
        server: userdata::config::Server {
            listen: ([127, 0, 0, 1], 0).into(),
            public_url: Some("https://users.example.org/".into()),
            worker_url: None,
            max_upload_bytes: setup.max_upload_bytes,
            max_connections: setup.max_connections,
            max_uploads_at_once: setup.max_uploads_at_once,
            open_to: setup.open_to.clone(),
            admin_token: None,
            tokens: setup.tokens.clone(),
            tokens_file: folder.join("tokens.toml"),
            tls: setup.tls.clone(),
        },
        queue: Queue {
            kind: QueueKind::Local,
            kafka: Kafka {
                brokers: "127.0.0.1:1".into(),
                topic: "uploadmessage".into(),
                partitions: 1,
                replication: -1,
                group: "datarunner".into(),
                properties: BTreeMap::new(),
            },
        },
        archive: Archive {
            kind: ArchiveKind::Directory,
            name: "{id}/{filename}".into(),
            ftp: Ftp {
                host: "127.0.0.1".into(),
                port: 1,
                user: "userdata".into(),
                password: secret(),
                path: String::new(),
                tls: FtpTls::Off,
                tls_ca_file: None,
                tls_pin_sha256: None,
                layout: userdata::config::FtpLayout::Single,
            },
        },
        store: Store {
            kind: StoreKind::Sqlite,
            mysql: Mysql {
                host: "127.0.0.1".into(),
                port: 1,
                user: "userdata".into(),
                password: secret(),
                database: "userdb".into(),
                table: "userinfo".into(),
                connections: 1,
                tls: MysqlTls::Off,
                tls_ca_file: None,
            },
        },
        rows: RowOptions::default(),
        worker: Worker {
            slots: 1,
            token: None,
            work: folder.join("work"),
            lease: Duration::from_secs(30),
            memory_bytes: 1 << 20,
            paths: Vec::new(),
            servers: Vec::new(),
            tls_ca_file: None,
        },
        spool: Spool {
            path: folder.join("spool"),
            keep: Duration::from_secs(1),
            keep_failed: Duration::from_secs(1),
            expire: setup.expire,
            free_bytes: setup.free_bytes,
        },
        spark: userdata::config::Layers::default().load().unwrap().config.spark,
    }
}
