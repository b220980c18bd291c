//! What SQLite's errors mean here: which pass, which do not, and what to do about them.

use std::path::Path;

use rusqlite::{ErrorCode, ffi};

use crate::{
    error::{Error, Result, Service},
    store::session::DUPLICATE_KEY,
};

/// The error of a statement on the database in `path`; `doing` follows the file's name.
pub(super) fn failure(error: rusqlite::Error, path: &Path, doing: &str) -> Error {
    let file = path.display();
    let passing = |what: &str, next: String| {
        Error::unavailable(Service::Store, format!("the database {file}, {doing}: {what}")).next(next)
    };
    let extended = error.sqlite_error().map_or(0, |error| error.extended_code);
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            passing("another process holds it", "see which program has the file open, and whether it is stopped".into())
        }
        Some(ErrorCode::DiskFull) => passing("disk full", format!("make room where {file} is")),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            passing("it may not be written", format!("let this user write {file} and its folder"))
        }
        Some(ErrorCode::CannotOpen) => {
            passing("it cannot be opened", format!("see that {file} is a file this user may read and write"))
        }
        Some(ErrorCode::SystemIoFailure) => {
            passing("the disk reports an error", "see the system's log for the disk".into())
        }
        Some(ErrorCode::DatabaseCorrupt) => Error::fatal("store_damaged", format!("the database {file} is damaged"))
            .next(format!("stop userdata, then restore {file} from a backup, or let sqlite3 recover it")),
        Some(ErrorCode::NotADatabase) => Error::fatal("store_not_a_database", format!("{file} is no SQLite database"))
            .next("name another file, or move this one away: data in Config.toml"),
        Some(ErrorCode::ConstraintViolation)
            if matches!(extended, ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) =>
        {
            Error::fatal(DUPLICATE_KEY, format!("the database {file}, {doing}: the key exists already"))
        }
        _ if error.to_string().contains("no such table") => {
            passing("its tables are not there", "run: userdata db init".into())
        }
        _ => Error::fatal("store_refused", format!("the database {file}, {doing}")),
    }
    .because(error)
}

/// Names the file in an error of SQLite.
pub(super) trait InFile<T> {
    fn in_file(self, path: &Path, doing: &str) -> Result<T>;
}

impl<T> InFile<T> for rusqlite::Result<T> {
    fn in_file(self, path: &Path, doing: &str) -> Result<T> {
        self.map_err(|error| failure(error, path, doing))
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::error::Kind;

    fn fails(connection: &Connection, sql: &str) -> Error {
        failure(connection.execute_batch(sql).expect_err("refused"), Path::new("x.db"), "writing")
    }

    #[test]
    fn a_file_that_another_process_holds_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let (one, other) = (Connection::open(&path).unwrap(), Connection::open(&path).unwrap());
        other.busy_timeout(std::time::Duration::ZERO).unwrap();
        one.execute_batch("begin immediate").unwrap();
        let error = fails(&other, "begin immediate");
        assert_eq!((error.kind, error.service), (Kind::Transient, Some(Service::Store)));
        assert!(error.doing.contains("another process holds it"), "{error}");
    }

    #[test]
    fn a_full_disk_is_waited_for() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("create table t (x blob); pragma max_page_count = 3").unwrap();
        let error = fails(&connection, "insert into t values (zeroblob(1000000))");
        assert_eq!(error.kind, Kind::Transient);
        assert!(error.doing.contains("disk full"), "{error}");
    }

    #[test]
    fn a_missing_table_names_the_command_that_makes_it() {
        let connection = Connection::open_in_memory().unwrap();
        let error = fails(&connection, "delete from userdata_upload");
        assert_eq!((error.kind, error.next.as_deref()), (Kind::Transient, Some("run: userdata db init")));
    }

    #[test]
    fn a_key_that_exists_is_told_by_its_code() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("create table t (x primary key, y unique); insert into t values (1, 1)").unwrap();
        assert_eq!(fails(&connection, "insert into t values (1, 2)").code, DUPLICATE_KEY);
        assert_eq!(fails(&connection, "insert into t values (2, 1)").code, DUPLICATE_KEY);
    }
}
