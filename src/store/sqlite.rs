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
use crate::{blocking, error::Result};

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

/// A database file. Load transactions must be short, at most some 250 ms: everybody else, in this process and others,
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
        session::joined(blocking::run(move || work(&mut connection, &path)).await)
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
            Lane::Work | Lane::Note => Some(self.turn.clone().lock_owned().await),
            Lane::Heartbeat => None,
        };
        let connection = self.writer.clone().lock_owned().await;
        Ok(Box::new(Open::begin(connection, turn, self.path.clone(), lane == Lane::Work).await?))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Kind, Service};

    #[test]
    fn a_file_that_is_no_database_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.csv");
        std::fs::write(&path, "id,name,time_of_start\n".repeat(1000)).unwrap();
        let error = open(&path).expect_err("refused");
        assert_eq!((error.kind, error.code), (Kind::Fatal, "store_not_a_database"));
        assert!(error.doing.contains("users.csv"), "{error}");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        for path in ["file/userdata.db", ""] {
            let error = open(&folder.path().join(path)).expect_err("refused");
            assert_eq!((error.kind, error.service), (Kind::Transient, Some(Service::Store)), "{error}");
        }
    }

    #[test]
    fn the_file_survives_a_power_cut_and_has_large_pages() {
        let folder = tempfile::tempdir().unwrap();
        let connection = connection::open(&folder.path().join("x.db")).unwrap();
        let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        let log: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!((log.as_str(), number("synchronous"), number("page_size")), ("wal", 2, 16_384));
    }
}
