//! The configuration of all roles: what each key means and its default. `config/` puts it together from its layers
//! and refuses contradictions.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, time::Duration};

use clap::ValueEnum;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::rows::RowOptions;

mod check;
mod file;
mod kafka;
mod layers;
mod network;
mod secrets;
mod server;
pub mod show;
mod spark;
#[cfg(test)]
mod tests;
mod text;
mod token_file;

pub use layers::{Layers, Loaded, Origin};
pub use network::Network;
pub(crate) use token_file::ADMIN;
pub use token_file::{TokenFile, sha256};

/// Everything that can be set, as effective for this process.
#[derive(Debug, Clone)]
pub struct Config {
    /// Embedded database, spool, archive and run files.
    pub data: PathBuf,
    pub server: Server,
    pub queue: Queue,
    pub archive: Archive,
    pub store: Store,
    pub rows: RowOptions,
    pub worker: Worker,
    pub spool: Spool,
    pub spark: Spark,
}

impl Config {
    /// The embedded database.
    pub fn database(&self) -> PathBuf {
        self.data.join("userdata.db")
    }

    /// The archive of kind `directory`.
    pub fn archive_folder(&self) -> PathBuf {
        self.data.join("archive")
    }
}

#[derive(Debug, Clone)]
pub struct Server {
    pub listen: SocketAddr,
    /// Address that users see; for links.
    pub public_url: Option<String>,
    /// Address where workers fetch what lies in this server's spool; announced in the ledger.
    pub worker_url: Option<String>,
    pub max_upload_bytes: u64,
    /// A connection above this number is closed at once.
    pub max_connections: usize,
    /// An upload above this number of those that arrive at the same time is refused.
    pub max_uploads_at_once: usize,
    /// Networks that may use `POST /upload`, and nothing else, without a token.
    pub open_to: Vec<Network>,
    /// Lets its bearer do everything, under the name `admin`.
    pub admin_token: Option<SecretString>,
    pub tokens: Vec<Token>,
    /// Further tokens, which `userdata token` writes and a running server reads again.
    pub tokens_file: PathBuf,
    pub tls: Option<Tls>,
}

/// A certificate with those it was issued by, and its key; PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// A token that the server accepts; only its hash is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub name: String,
    /// SHA-256 of the token, lower-case hex.
    pub sha256: String,
    pub role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sends uploads, and sees and changes its own.
    Upload,
    /// Sees every upload, but no rows.
    Read,
    /// Reads content, nothing else.
    Worker,
    /// Does everything.
    Admin,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Upload => "upload",
            Self::Read => "read",
            Self::Worker => "worker",
            Self::Admin => "admin",
        })
    }
}

#[derive(Debug, Clone)]
pub struct Queue {
    pub kind: QueueKind,
    pub kafka: Kafka,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueKind {
    Local,
    Kafka,
}

#[derive(Debug, Clone)]
pub struct Kafka {
    /// `host:port`, several separated by commas.
    pub brokers: String,
    pub topic: String,
    pub partitions: i32,
    /// -1: the broker's default.
    pub replication: i32,
    pub group: String,
    /// Any librdkafka property, also secret ones (`sasl.password`).
    pub properties: BTreeMap<String, SecretString>,
}

#[derive(Debug, Clone)]
pub struct Archive {
    pub kind: ArchiveKind,
    /// Template of an original's name: `{yyyy}`, `{mm}` (time of receipt, UTC), `{id}`, `{filename}`.
    pub name: String,
    pub ftp: Ftp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArchiveKind {
    Directory,
    Ftp,
}

#[derive(Debug, Clone)]
pub struct Ftp {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: SecretString,
    /// Folder below the login's own; empty: the login folder.
    pub path: String,
    pub tls: FtpTls,
    /// Certificates to trust instead of the built-in ones, PEM.
    pub tls_ca_file: Option<PathBuf>,
    /// SHA-256 of the server's certificate (DER), lower-case hex: trusted whatever its names and issuer.
    pub tls_pin_sha256: Option<String>,
    pub layout: FtpLayout,
}

/// How an original that a cluster reads is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FtpLayout {
    /// As one file.
    Single,
    /// In chunks that the executors store beside each other, with a list of them.
    Parts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FtpTls {
    Off,
    Explicit,
}

#[derive(Debug, Clone)]
pub struct Store {
    pub kind: StoreKind,
    pub mysql: Mysql,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    Sqlite,
    /// MySQL or MariaDB.
    Mysql,
}

#[derive(Debug, Clone)]
pub struct Mysql {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: SecretString,
    pub database: String,
    /// The user table.
    pub table: String,
    /// Connections that store rows, of one worker, all slots together.
    pub connections: usize,
    pub tls: MysqlTls,
    pub tls_ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MysqlTls {
    Off,
    /// Encrypted, the server's certificate checked against the built-in roots or `tls_ca_file`.
    Required,
}

#[derive(Debug, Clone)]
pub struct Worker {
    /// Uploads worked on at once.
    pub slots: usize,
    /// Shown to servers when fetching content.
    pub token: Option<SecretString>,
    /// Folder for run files, of this worker alone.
    pub work: PathBuf,
    pub lease: Duration,
    /// One budget for all slots.
    pub memory_bytes: u64,
    /// Folders from which announced paths may be read.
    pub paths: Vec<PathBuf>,
    /// Servers from which content may be fetched (`http://host:port`).
    pub servers: Vec<String>,
    /// Authorities to trust beside the system's when fetching over TLS, PEM.
    pub tls_ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone)]
pub struct Spool {
    pub path: PathBuf,
    /// How long bytes are kept after `done`.
    pub keep: Duration,
    /// How long those of a `failed` or `cancelled` upload are kept that was never archived.
    pub keep_failed: Duration,
    /// How long a resumable upload waits for its next byte.
    pub expire: Duration,
    /// Free disk space that uploads never take.
    pub free_bytes: u64,
}

/// Apache Spark, for uploads that are too large for one worker.
#[derive(Debug, Clone)]
pub struct Spark {
    /// The Connect server, `sc://host:port`; none: every upload is done by one worker.
    pub remote: Option<String>,
    /// Shown to the Connect server.
    pub token: Option<SecretString>,
    /// Smaller uploads are done by one worker.
    pub min_bytes: u64,
    /// What one task cleans.
    pub chunk_bytes: u64,
    /// Id ranges, each of which becomes a part.
    pub parts: usize,
    /// The executable on the executors.
    pub command: String,
    pub source: SparkSource,
    pub fallback: SparkFallback,
    /// How long a job may show no progress.
    pub timeout: Duration,
}

/// Where the executors read an upload's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SparkSource {
    /// In the archive.
    Archive,
    /// At the server that took the file, while it has it.
    Server,
}

/// What happens while Spark cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SparkFallback {
    /// The upload waits.
    Wait,
    /// This worker does it alone.
    Worker,
}
