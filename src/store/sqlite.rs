//! The embedded store: user table and ledger in one SQLite file. One writer at a time in a process, so that its tasks
//! wait for each other in order instead of polling; other processes are waited for by SQLite's own lock.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{
    ledger::{
        Ledger,
        schema::{SQLITE, VERSION},
    },
    session::{Database, Lane, Row, Session, Value},
};
use crate::error::Result;

mod connection;
mod failure;
mod session;
mod statement;
mod table;

use session::Open;

/// An SQL expression: the machine's time, since a file has no clock of its own.
const NOW_MS: &str = "cast(round(unixepoch('subsec') * 1000) as integer)";

/// Opens the store in a file, which is made with its folder and tables when it is missing. Waits for another process
/// that holds it, at most `connection::BUSY_MS`.
///
/// # Errors
/// `Transient` (service `Store`) when the file cannot be opened, written or locked; `Fatal` when it is no database or
/// is damaged.
pub fn open(path: &Path) -> Result<Ledger<Sqlite>> {
    let mut writer = connection::open(path)?;
    table::bring_up(&mut writer, path, false)?;
    let shelf = |connection| Arc::new(Mutex::new(connection));
    Ok(Ledger::new(Sqlite {
        path: path.to_owned(),
        turn: Arc::new(Mutex::new(())),
        writer: shelf(writer),
        reader: shelf(connection::open(path)?),
    }))
}

/// A database file. Load transactions must be short, at most some 100 ms: everybody else, in this process and others,
/// waits for them.
pub struct Sqlite {
    path: PathBuf,
    /// Work stands in this line before it waits for the writer, so that a heartbeat has at most one transaction
    /// before it.
    turn: Arc<Mutex<()>>,
    writer: Arc<Mutex<Connection>>,
    reader: Arc<Mutex<Connection>>,
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Sqlite {
    /// Runs `work` with a connection where blocking is allowed.
    async fn blocking<T: Send + 'static>(
        &self,
        connection: OwnedMutexGuard<Connection>,
        work: impl FnOnce(&mut Connection, &Path) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let path = self.path.clone();
        let mut connection = connection;
        session::joined(tokio::task::spawn_blocking(move || work(&mut connection, &path)).await)
    }
}

#[async_trait]
impl Database for Sqlite {
    fn name(&self) -> String {
        format!("SQLite in {}", self.path.display())
    }

    fn now_ms(&self) -> &'static str {
        NOW_MS
    }

    async fn begin(&self, lane: Lane) -> Result<Box<dyn Session>> {
        let turn = match lane {
            Lane::Work => Some(self.turn.clone().lock_owned().await),
            Lane::Heartbeat => None,
        };
        let connection = self.writer.clone().lock_owned().await;
        Ok(Box::new(Open::begin(connection, turn, self.path.clone()).await?))
    }

    async fn read(&self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>> {
        let (sql, parameters) = (sql.to_owned(), parameters.to_vec());
        let connection = self.reader.clone().lock_owned().await;
        self.blocking(connection, move |connection, path| statement::query(connection, path, &sql, &parameters)).await
    }

    async fn init(&self, _migrate: bool) -> Result<Vec<String>> {
        let connection = self.writer.clone().lock_owned().await;
        self.blocking(connection, |connection, path| table::bring_up(connection, path, true)).await
    }

    fn schema(&self) -> String {
        SQLITE.filled(&[("{now}", NOW_MS)]).join("\n")
    }

    async fn check_table(&self) -> Result<()> {
        let connection = self.reader.clone().lock_owned().await;
        self.blocking(connection, |connection, path| table::check_users(connection, path)).await
    }
}
