//! MySQL and MariaDB as the store: connections, sessions and schema for the ledger's protocol. Nothing connects
//! before it must, so that no role waits for the database to start.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use mysql_async::{Opts, OptsBuilder, SslOpts};
use secrecy::ExposeSecret;

use crate::{
    config::{Mysql, MysqlTls},
    error::{Error, Result},
    store::{
        ledger::Ledger,
        session::{Database, Lane, Row, Session, Value},
    },
};

mod connections;
mod failure;
mod join;
mod order;
mod schema;
mod session;
mod table;
mod text;
mod users;

pub use session::MySqlSession;

use connections::{Connections, Held, Statement};
use join::Looks;
use users::Way;

/// For one statement that stores or looks up a block of users.
const STORE_LIMIT: Duration = Duration::from_secs(600);

/// What a lock may take longer than the lease: after that the server has ended whoever stopped while holding it.
const LOCK_MARGIN: Duration = Duration::from_secs(10);

/// The tables of the ledger; the user table cannot have their names.
const LEDGER_PREFIX: &str = "userdata_";

/// The store of this configuration. The server need not answer yet; only settings that contradict themselves fail.
/// `lease` is that of workers: a session that is silent for so long is ended by the server.
pub async fn open(config: &Mysql, lease: Duration) -> Result<Ledger<MySql>> {
    Ok(Ledger::new(MySql::new(config, lease)?))
}

pub struct MySql {
    server: Arc<Server>,
    work: Arc<Connections>,
    heartbeat: Arc<Connections>,
    lock_limit: Duration,
    beat_limit: Duration,
}

/// What is known of the server.
pub struct Server {
    /// "MySQL at 10.0.0.6:3306"
    pub place: String,
    pub database: String,
    pub table_name: String,
    /// The user table, quoted.
    pub table: String,
    /// Without a database: `db init` may have to make it.
    administration: Opts,
    /// How rows go in; unknown until the first did.
    pub way: OnceLock<Way>,
    /// Whether reading the table beside a load pays, in each mode.
    pub keeping: Looks,
    pub replacing: Looks,
}

impl Server {
    /// Notes how rows go in, once.
    fn goes(&self, way: Way, refusal: Option<&mysql_async::Error>) {
        if self.way.set(way).is_err() {
            return;
        }
        match (way, refusal) {
            (Way::Insert, Some(refusal)) => tracing::info!(
                "{} does not allow LOAD DATA LOCAL ({refusal}): rows go in by INSERT, which is slower; allow it with \
                 local_infile = ON",
                self.place
            ),
            _ => tracing::info!("rows go in by LOAD DATA LOCAL on {}", self.place),
        }
    }
}

impl MySql {
    pub fn new(config: &Mysql, lease: Duration) -> Result<Self> {
        check(config)?;
        let place = format!("MySQL at {}:{}", config.host, config.port);
        let options = options(config)?;
        let lock_limit = lease + LOCK_MARGIN;
        // A heartbeat that took longer would be too late for the next.
        let beat_limit = (lease / 3).clamp(Duration::from_secs(1), Duration::from_secs(10));
        let rest = lease / 2;
        let lane = |lock_limit| {
            let mut settings = settings(lock_limit, lease);
            settings.push(NO_CASCADES.into());
            Opts::from(options.clone().db_name(Some(&config.database)).init(settings))
        };
        Ok(Self {
            work: Connections::new(lane(lock_limit), place.clone(), config.connections + 2, rest),
            heartbeat: Connections::new(lane(beat_limit), place.clone(), 1, rest),
            server: Arc::new(Server {
                place,
                database: config.database.clone(),
                table_name: config.table.clone(),
                table: text::quoted(&config.table),
                administration: options.init(settings(lock_limit, schema::SILENCE_LIMIT)).into(),
                way: OnceLock::new(),
                keeping: Looks::default(),
                replacing: Looks::default(),
            }),
            lock_limit,
            beat_limit,
        })
    }

    /// For one statement of the ledger: it may wait for a lock, and is short otherwise.
    fn limit(&self, lane: Lane) -> Duration {
        match lane {
            Lane::Work | Lane::Note => self.lock_limit + Duration::from_secs(20),
            Lane::Heartbeat => self.beat_limit,
        }
    }

    /// Does something that may be repeated on a connection, and repeats it while it was an old one that is gone.
    async fn begun(&self, lane: Lane) -> Result<Held> {
        let connections = if lane == Lane::Heartbeat { &self.heartbeat } else { &self.work };
        loop {
            let mut held = connections.take().await?;
            match held.begin(self.limit(lane)).await {
                Ok(()) => return Ok(held),
                Err(error) if !held.fresh && failure::is_gone(&error) => {}
                Err(error) => return Err(failure::explain(error, "beginning a transaction", &self.server.place)),
            }
        }
    }

    /// Reads outside of a transaction; as `begun`.
    async fn rows(&self, sql: &str, parameters: &[Value]) -> Result<Vec<mysql_async::Row>> {
        loop {
            let mut held = self.work.take().await?;
            let statement = Statement::Prepared(sql, session::sent(parameters));
            match held.run(statement, self.limit(Lane::Work)).await {
                Ok(reply) => return Ok(reply.rows),
                Err(error) if !held.fresh && failure::is_gone(&error) => {}
                Err(error) => return Err(failure::explain(error, "reading the ledger", &self.server.place)),
            }
        }
    }
}

#[async_trait]
impl Database for MySql {
    fn name(&self) -> String {
        format!("{}, database {}", self.server.place, self.server.database)
    }

    fn now_ms(&self) -> &'static str {
        NOW_MS
    }

    async fn begin(&self, lane: Lane) -> Result<Box<dyn Session>> {
        let held = self.begun(lane).await?;
        Ok(Box::new(MySqlSession::new(held, self.server.clone(), self.limit(lane))))
    }

    async fn read(&self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>> {
        session::received(self.rows(sql, parameters).await?)
    }

    async fn init(&self, migrate: bool) -> Result<Vec<String>> {
        schema::init(&self.server, migrate).await
    }

    fn schema(&self) -> String {
        schema::print(&self.server)
    }

    async fn check_table(&self) -> Result<()> {
        table::check(self).await
    }
}

/// Whole milliseconds, whatever the session's zone, and beyond 2038 (UNIX_TIMESTAMP ends there on MariaDB).
const NOW_MS: &str = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000";

/// A row that is replaced is deleted for a moment: what other tables hold about it is not to go with it. No table of the
/// program has foreign keys. Not for `db init`: a change that a foreign key forbids is to be refused.
const NO_CASCADES: &str = "SET SESSION foreign_key_checks = 0";

/// The session's settings, all of which any account may set. A silent session is ended by the server, and with it
/// what a stopped worker left open.
fn settings(lock_limit: Duration, silence: Duration) -> Vec<String> {
    let (lock_s, silence_s) = (lock_limit.as_secs().max(1), silence.as_millis().div_ceil(1000).max(1));
    vec![
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".into(),
        format!(
            "SET NAMES utf8mb4, SESSION time_zone = '+00:00', \
             SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', SESSION autocommit = 1, \
             SESSION lock_wait_timeout = {lock_s}, SESSION innodb_lock_wait_timeout = {lock_s}, \
             SESSION wait_timeout = {silence_s}, SESSION net_read_timeout = {silence_s}"
        ),
    ]
}

fn options(config: &Mysql) -> Result<OptsBuilder> {
    let options = OptsBuilder::default()
        .ip_or_hostname(&config.host)
        .tcp_port(config.port)
        .user(Some(&config.user))
        .pass(Some(config.password.expose_secret()))
        // The server at the address that was configured, not a socket that it may have on this machine.
        .prefer_socket(false)
        .tcp_keepalive(Some(Duration::from_secs(15)))
        .stmt_cache_size(128);
    Ok(match config.tls {
        MysqlTls::Off => options,
        MysqlTls::Required => options.ssl_opts(tls(config)?),
    })
}

fn tls(config: &Mysql) -> Result<SslOpts> {
    // The driver asks rustls for the process's provider. The one who comes first chooses, all choose this one.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let Some(file) = &config.tls_ca_file else { return Ok(SslOpts::default()) };
    let doing = || format!("reading the certificates in {} ([store.mysql] tls_ca_file)", file.display());
    let pem = std::fs::read(file).map_err(|error| Error::fatal("configuration", doing()).because(error))?;
    if memchr::memmem::find(&pem, b"-----BEGIN CERTIFICATE-----").is_none() {
        return Err(Error::fatal("configuration", format!("{}: there is none; PEM is expected", doing())));
    }
    Ok(SslOpts::default().with_root_certs(vec![pem.into()]).with_disable_built_in_roots(true))
}

/// Refuses what could never work.
fn check(config: &Mysql) -> Result<()> {
    let refuse = |text: String| Err(Error::fatal("configuration", format!("[store.mysql] {text}")));
    if config.host.is_empty() {
        return refuse("host is empty".into());
    }
    for (key, name) in [("database", &config.database), ("table", &config.table)] {
        // "Schema Object Names" in the MySQL manual.
        if name.is_empty() || name.chars().count() > 64 || name.ends_with(' ') || name.contains('\0') {
            return refuse(format!("{key} \"{}\" cannot be a name: 1 to 64 characters", name.escape_debug()));
        }
    }
    if config.table.to_lowercase().starts_with(LEDGER_PREFIX) {
        return refuse(format!("table \"{}\": names in {LEDGER_PREFIX}… belong to the ledger", config.table));
    }
    if config.connections == 0 {
        return refuse("connections is 0; at least 1 is needed".into());
    }
    if config.tls == MysqlTls::Off && config.tls_ca_file.is_some() {
        return refuse("tls_ca_file is set, but tls is \"off\"; set tls = \"required\"".into());
    }
    Ok(())
}
