//! Opening the file: page size, write-ahead log, durability, and how long another process is waited for.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode};

use super::failure::failure;
use crate::error::{Error, Result, Service};

/// How long another process that holds the file is waited for.
pub(super) const BUSY_MS: u64 = 60_000;
/// How often it is tried meanwhile. SQLite's own handler backs off to 100 ms, and loses against a writer that pauses
/// for 10.
const TRY_EVERY_MS: u64 = 5;

pub(super) fn open(path: &Path) -> Result<Connection> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| {
            let doing = format!("making the folder {} for the database", folder.display());
            Error::unavailable(Service::Store, doing)
                .because(error)
                .next("let this user write there, or set data to another folder")
        })?;
    }
    let mut connection = Connection::open(path).map_err(|error| failure(error, path, "opening it"))?;
    set_up(&mut connection).map_err(|error| failure(error, path, "opening it"))?;
    Ok(connection)
}

fn set_up(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_handler(Some(again))?;
    // The page size is decided before the first write, so before the log. 16 KiB: a third faster than 4 KiB.
    connection.pragma_update(None, "page_size", 16_384)?;
    write_ahead_log(connection)?;
    // FULL costs nothing measurable beside rows by the thousand, and survives a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// The change to the log needs the file for itself, and SQLite does not always ask the busy handler there.
fn write_ahead_log(connection: &Connection) -> rusqlite::Result<()> {
    let deadline = Instant::now() + Duration::from_millis(BUSY_MS);
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(TRY_EVERY_MS));
            }
            outcome => return outcome,
        }
    }
}

fn again(tries: i32) -> bool {
    if u64::try_from(tries).unwrap_or(0) * TRY_EVERY_MS >= BUSY_MS {
        return false;
    }
    thread::sleep(Duration::from_millis(TRY_EVERY_MS));
    true
}
