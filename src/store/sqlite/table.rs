//! The file's tables: made when it is opened, and what the user table must look like.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::{NOW_MS, SQLITE, VERSION, failure::InFile};
use crate::error::{Error, Result, Service};

/// Brings the tables to this program's version, or says what it found. Unless it was asked for, a file that is
/// complete is only read: opening it waits for nobody. A newer ledger is left as it is.
pub(super) fn bring_up(connection: &mut Connection, path: &Path, asked: bool) -> Result<Vec<String>> {
    let doing = "making its tables";
    let before = version(connection).in_file(path, doing)?;
    let complete = before.is_some_and(|version| version >= VERSION) && users_exist(connection).in_file(path, doing)?;
    if !complete {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).in_file(path, doing)?;
        for sql in SQLITE.filled(&[("{now}", NOW_MS)]) {
            transaction.execute_batch(&sql).in_file(path, doing)?;
        }
        transaction.commit().in_file(path, doing)?;
    }
    if !complete || asked {
        return Ok(vec![said(path, before, complete)]);
    }
    Ok(vec![])
}

fn said(path: &Path, before: Option<i64>, complete: bool) -> String {
    let file = path.display();
    match (before, complete) {
        (None, _) => format!("made the user table and the ledger, version {VERSION}, in {file}"),
        (Some(version), true) => format!("found the user table and the ledger, version {version}, in {file}"),
        (Some(version), false) => format!("brought the ledger in {file} from version {version} to {VERSION}"),
    }
}

fn exists(connection: &Connection, table: &str) -> rusqlite::Result<bool> {
    let sql = "select 1 from sqlite_schema where type = 'table' and name = ?1";
    Ok(connection.query_row(sql, [table], |_| Ok(())).optional()?.is_some())
}

fn users_exist(connection: &Connection) -> rusqlite::Result<bool> {
    exists(connection, "userinfo")
}

fn version(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    if !exists(connection, "userdata_schema")? {
        return Ok(None);
    }
    connection.query_row("select max(version) from userdata_schema", [], |row| row.get(0))
}

/// Ids must be the primary key, as text, compared by bytes: what any table does that userdata or the original made.
pub(super) fn check_users(connection: &Connection, path: &Path) -> Result<()> {
    let sql = "select c.pk, upper(c.type), (select max(k.coll) from pragma_index_list('userinfo') l, \
               pragma_index_xinfo(l.name) k where l.origin = 'pk' and k.name = 'id') \
               from pragma_table_info('userinfo') c where c.name = ?1";
    let column = |name: &str| {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        connection.query_row(sql, [name], read).optional().in_file(path, "looking at its user table")
    };
    let wrong = |what: &str| {
        let doing = format!("the table userinfo in {}: {what}", path.display());
        Err(Error::unavailable(Service::Store, doing).next("move that table away, then run: userdata db init"))
    };
    let id: Option<(i64, String, Option<String>)> = column("id")?;
    match id {
        None => return wrong("it is missing, or has no column id"),
        Some((1, kind, Some(collation))) if is_text(&kind) && collation == "BINARY" => {}
        Some(_) => return wrong("id is not its primary key, as text that compares by bytes"),
    }
    for name in ["name", "time_of_start"] {
        match column(name)? {
            Some((0, kind, _)) if is_text(&kind) => {}
            _ => return wrong(&format!("{name} is not a text column")),
        }
    }
    Ok(())
}

/// SQLite's rule for text affinity.
fn is_text(kind: &str) -> bool {
    !kind.contains("INT") && ["CHAR", "CLOB", "TEXT"].iter().any(|part| kind.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_table_that_would_merge_ids_is_named() {
        let path = Path::new("x.db");
        for (table, good) in [
            ("userinfo (id text primary key not null, name text, time_of_start text) without rowid", true),
            ("userinfo (id varchar(255) primary key, name varchar(255), time_of_start varchar(255))", true),
            ("userinfo (id text primary key collate nocase, name text, time_of_start text)", false),
            ("userinfo (id text, name text, time_of_start text)", false),
            ("userinfo (id integer primary key, name text, time_of_start text)", false),
            ("userinfo (id text primary key, name text)", false),
            ("something (x)", false),
        ] {
            let connection = Connection::open_in_memory().unwrap();
            connection.execute_batch(&format!("create table {table}")).unwrap();
            let checked = check_users(&connection, path);
            assert_eq!(checked.is_ok(), good, "{table}: {checked:?}");
        }
    }

    #[test]
    fn tables_are_made_once_and_found_after_that() {
        let mut connection = Connection::open_in_memory().unwrap();
        let path = Path::new("x.db");
        assert!(bring_up(&mut connection, path, false).unwrap()[0].starts_with("made"));
        assert!(bring_up(&mut connection, path, false).unwrap().is_empty());
        assert!(bring_up(&mut connection, path, true).unwrap()[0].starts_with("found"));
        check_users(&connection, path).unwrap();
    }
}
