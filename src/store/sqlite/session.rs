//! An open write transaction. It holds the process's writer, so it should be short; dropped, it is rolled back.

use std::{
    ops::Range,
    panic,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use rusqlite::{Connection, params};
use tokio::{sync::OwnedMutexGuard, task::JoinError};

use super::{failure::InFile, statement};
use crate::{
    blocking,
    error::{Error, Result, Service},
    rows::{Existing, User, UserBlock},
    store::session::{Applied, Row, Session, Value},
};

/// The writer with its transaction. Dropping it rolls back before the next one gets the connection.
struct Writer {
    connection: OwnedMutexGuard<Connection>,
    path: PathBuf,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("rollback")
        {
            tracing::error!(path = %self.path.display(), %error, "a transaction could not be rolled back");
        }
    }
}

pub(super) struct Open {
    /// Away while a statement runs; if its caller is dropped meanwhile, the statement ends and is rolled back.
    writer: Option<Writer>,
    stored_users: bool,
}

/// How long the file is left to others after users were stored: loads follow each other without end, and whoever
/// polls for the lock, as other processes do, would never find it free.
const PAUSE: Duration = Duration::from_millis(10);

impl Open {
    /// `durable`: what it commits is on disk then, and all before it. Else a power cut may undo it, as if it had never
    /// been; what is read is whole either way.
    pub(super) async fn begin(
        connection: OwnedMutexGuard<Connection>,
        turn: Option<OwnedMutexGuard<()>>,
        path: PathBuf,
        durable: bool,
    ) -> Result<Self> {
        let mut open = Self { writer: Some(Writer { connection, path, turn }), stored_users: false };
        let begin = match durable {
            true => "pragma synchronous = full; begin immediate",
            false => "pragma synchronous = normal; begin immediate",
        };
        open.run(|connection, path| connection.execute_batch(begin).in_file(path, "beginning to write")).await?;
        Ok(open)
    }

    /// Runs `work` on the connection where blocking is allowed.
    async fn run<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Connection, &Path) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let Some(mut writer) = self.writer.take() else {
            // A call before this one was dropped in its middle, and its transaction with it.
            return Err(Error::unavailable(Service::Store, "writing to the database: the transaction was given up"));
        };
        let task = blocking::run(move || {
            let outcome = work(&mut writer.connection, &writer.path);
            (writer, outcome)
        });
        let (writer, outcome) = joined(task.await);
        self.writer = Some(writer);
        outcome
    }
}

/// A panic goes on where it was waited for.
pub(super) fn joined<T>(outcome: Result<T, JoinError>) -> T {
    outcome.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(payload) => panic::resume_unwind(payload),
        Err(error) => panic!("blocking calls are not cancelled: {error}"),
    })
}

#[async_trait]
impl Session for Open {
    async fn execute(&mut self, sql: &str, parameters: &[Value]) -> Result<u64> {
        let (sql, parameters) = (sql.to_owned(), parameters.to_vec());
        self.run(move |connection, path| statement::execute(connection, path, &sql, &parameters)).await
    }

    async fn query(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>> {
        let (sql, parameters) = (sql.to_owned(), parameters.to_vec());
        self.run(move |connection, path| statement::query(connection, path, &sql, &parameters)).await
    }

    async fn store_users(&mut self, users: UserBlock, existing: Existing) -> Result<Applied> {
        self.stored_users = true;
        self.run(move |connection, path| {
            let applied = match existing {
                Existing::Keep => keep(connection, &users),
                Existing::Replace => replace(connection, &users),
            };
            applied.in_file(path, "storing users")
        })
        .await
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        self.run(|connection, path| connection.execute_batch("commit").in_file(path, "committing")).await?;
        let turn = self.writer.take().and_then(|mut writer| writer.turn.take());
        if self.stored_users {
            tokio::spawn(async move {
                tokio::time::sleep(PAUSE).await;
                drop(turn);
            });
        }
        Ok(())
    }
}

/// Users of one statement: quicker than one each, and more are not quicker still.
const ROWS: usize = 50;

const INSERT: &str = "insert into userinfo (id, name, time_of_start) values (?, ?, ?)";
const UNLESS_THERE: &str = "on conflict (id) do nothing";

/// Adds users as long as there are `ROWS` of them, and the rest one by one; calls `some` with those of each statement
/// and how many of them were not there.
fn insert(
    connection: &Connection,
    users: &UserBlock,
    mut some: impl FnMut(Range<usize>, u64) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut one = connection.prepare_cached(&format!("{INSERT} {UNLESS_THERE}"))?;
    let mut many = connection.prepare_cached(&format!("{INSERT}{} {UNLESS_THERE}", ", (?, ?, ?)".repeat(ROWS - 1)))?;
    let mut at = 0;
    while at < users.len() {
        let (statement, rows) = if users.len() - at >= ROWS { (&mut many, ROWS) } else { (&mut one, 1) };
        for row in 0..rows {
            let User { id, name, time_of_start } = users.user(at + row);
            for (column, text) in [id, name, time_of_start].into_iter().enumerate() {
                statement.raw_bind_parameter(3 * row + column + 1, text)?;
            }
        }
        let inserted = statement.raw_execute()? as u64;
        some(at..at + rows, inserted)?;
        at += rows;
    }
    Ok(())
}

fn keep(connection: &Connection, users: &UserBlock) -> rusqlite::Result<Applied> {
    let mut applied = Applied::default();
    insert(connection, users, |_, inserted| {
        applied.inserted += inserted;
        Ok(())
    })?;
    Ok(applied)
}

/// Rows that are there and differ are updated; equal ones, among them those just inserted, stay as they are. Nobody else
/// writes meanwhile.
fn replace(connection: &Connection, users: &UserBlock) -> rusqlite::Result<Applied> {
    let mut update = connection.prepare_cached(
        "update userinfo set name = ?2, time_of_start = ?3 \
         where id = ?1 and (name is not ?2 or time_of_start is not ?3)",
    )?;
    let mut applied = Applied::default();
    insert(connection, users, |some, inserted| {
        applied.inserted += inserted;
        if inserted < some.len() as u64 {
            for User { id, name, time_of_start } in some.map(|at| users.user(at)) {
                applied.replaced += update.execute(params![id, name, time_of_start])? as u64;
            }
        }
        Ok(())
    })?;
    Ok(applied)
}
