//! Statements with parameters and rows, in SQLite's types.

use std::path::Path;

use rusqlite::{
    Connection, ToSql, params_from_iter,
    types::{ToSqlOutput, ValueRef},
};

use super::failure::InFile;
use crate::{
    error::{Error, Result},
    store::session::{Row, Value},
};

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

pub(super) fn execute(connection: &Connection, path: &Path, sql: &str, parameters: &[Value]) -> Result<u64> {
    let changed = connection.prepare_cached(sql).and_then(|mut it| it.execute(params_from_iter(parameters)));
    changed.map(|rows| rows as u64).in_file(path, "writing")
}

pub(super) fn query(connection: &Connection, path: &Path, sql: &str, parameters: &[Value]) -> Result<Vec<Row>> {
    // Whoever reads in a transaction holds the only write lock already.
    let sql = sql.strip_suffix(" for update").unwrap_or(sql);
    let mut statement = connection.prepare_cached(sql).in_file(path, "reading")?;
    let columns = statement.column_count();
    let mut rows = statement.query(params_from_iter(parameters)).in_file(path, "reading")?;
    let mut answer = Vec::new();
    while let Some(row) = rows.next().in_file(path, "reading")? {
        let values = (0..columns).map(|column| value(row.get_ref(column).in_file(path, "reading")?, path));
        answer.push(values.collect::<Result<Row>>()?);
    }
    Ok(answer)
}

fn value(value: ValueRef<'_>, path: &Path) -> Result<Value> {
    let unexpected = |what: &str| {
        Error::fatal("ledger_unreadable", format!("the database {}, reading: {what} in a column", path.display()))
    };
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Real(_) => return Err(unexpected("a fraction")),
        ValueRef::Text(text) => {
            Value::Text(String::from_utf8(text.to_vec()).map_err(|_| unexpected("text that is not UTF-8"))?)
        }
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    })
}
