//! Which uploads there are: what a person looks at, and what workers and sweeps look for. All of it is read without
//! locks.

use uuid::Uuid;

use super::{
    entry::{self, entries},
    value::{self, Columns},
};
use crate::{
    error::Result,
    store::{
        Filter, States,
        session::{Database, Value},
    },
    upload::{Upload, UploadId},
};

/// Whether an upload `u` may be claimed as far as its order goes: one in `replace` mode that is to be loaded waits
/// until no earlier one is open. The minimum makes it a derived table: MySQL refuses to read the table it updates.
pub(super) const IN_ORDER: &str = "(existing <> 'replace' or state <> 'archived' or seq = (select earliest.seq from \
    (select min(seq) as seq from userdata_upload where finished_ms is null and existing = 'replace') earliest))";

async fn uploads_where(db: &dyn Database, clause: &str, parameters: &[Value]) -> Result<Vec<Upload>> {
    Ok(entries(db, clause, parameters).await?.into_iter().map(|entry| entry.upload).collect())
}

pub(super) async fn upload(db: &dyn Database, id: UploadId) -> Result<Option<Upload>> {
    Ok(entry::entry(db, id).await?.map(|entry| entry.upload))
}

pub(super) async fn unannounced(db: &dyn Database, spool: Option<Uuid>, limit: u32) -> Result<Vec<Upload>> {
    let (which, mut parameters) = match spool {
        Some(spool) => ("u.spool = ?", vec![value::text(spool.to_string())]),
        None => ("u.finished_ms is null", vec![]),
    };
    parameters.push(Value::Int(limit.into()));
    let clause = format!("where u.announced_ms is null and {which} order by u.seq limit ?");
    uploads_where(db, &clause, &parameters).await
}

/// `~` comes behind every character of an id.
pub(super) async fn find(db: &dyn Database, prefix: &str, limit: u32) -> Result<Vec<UploadId>> {
    let sql = "select id from userdata_upload where id >= ? and id <= ? order by id limit ?";
    let parameters = [value::text(prefix), value::text(format!("{prefix}~")), Value::Int(limit.into())];
    db.read(sql, &parameters).await?.into_iter().map(|row| Columns::of(row).parsed()).collect()
}

pub(super) async fn uploads(db: &dyn Database, filter: &Filter) -> Result<Vec<Upload>> {
    let mut conditions = vec!["1 = 1"];
    let mut parameters = Vec::new();
    match filter.state {
        None => {}
        Some(States::Open) => conditions.push("u.finished_ms is null"),
        Some(States::Ended) => conditions.push("u.finished_ms is not null"),
        Some(States::One(state)) => {
            conditions.push("u.state = ?");
            parameters.push(value::text(state.name()));
        }
    }
    if let Some(sender) = &filter.sender {
        conditions.push("u.sender = ?");
        parameters.push(value::text(sender));
    }
    if let Some(content) = &filter.content {
        conditions.push("u.sample = ? and u.size = ?");
        parameters.push(value::text(&content.sample));
        parameters.push(Value::Int(i64::try_from(content.size).unwrap_or(i64::MAX)));
    }
    if let Some(search) = &filter.search {
        // SQLite's lower() knows only ASCII, so the text as it was typed is looked for too.
        conditions
            .push("(lower(u.filename) like ? escape '!' or u.filename like ? escape '!' or u.id like ? escape '!')");
        let lower = escaped(&search.to_lowercase());
        parameters.push(value::text(format!("%{lower}%")));
        parameters.push(value::text(format!("%{}%", escaped(search))));
        parameters.push(value::text(format!("{lower}%")));
    }
    if let Some(before) = filter.before {
        conditions.push("u.seq < ?");
        parameters.push(Value::Int(i64::try_from(before).unwrap_or(i64::MAX)));
    }
    parameters.push(Value::Int(filter.limit.into()));
    let clause = format!("where {} order by u.seq desc limit ?", conditions.join(" and "));
    uploads_where(db, &clause, &parameters).await
}

/// A text of which LIKE takes every character for itself.
fn escaped(text: &str) -> String {
    text.replace('!', "!!").replace('%', "!%").replace('_', "!_")
}

/// What was asked to be cancelled is always due: only the cancellation is left to do.
pub(super) async fn candidates(db: &dyn Database, after: u64, limit: u32) -> Result<Vec<Upload>> {
    let clause = format!(
        "where u.finished_ms is null and u.seq > ? and (u.owner is null or u.lease_until_ms < {{now}}) and \
         (u.cancel_asked = 1 or ((u.next_try_ms is null or u.next_try_ms <= {{now}}) and {IN_ORDER})) \
         order by u.seq limit ?"
    );
    uploads_where(db, &clause, &[value::count(after), Value::Int(limit.into())]).await
}

pub(super) async fn receipts_missing(db: &dyn Database, limit: u32) -> Result<Vec<Upload>> {
    let clause = "where u.receipt_copied = 0 and u.archived_ms is not null and u.finished_ms is not null \
                  order by u.seq limit ?";
    uploads_where(db, clause, &[Value::Int(limit.into())]).await
}

pub(super) async fn begun_in_archive(db: &dyn Database, limit: u32) -> Result<Vec<Upload>> {
    let clause = "where u.receipt_copied = 0 and u.archived_ms is null and u.finished_ms is not null \
                  and u.archive_name is not null order by u.seq limit ?";
    uploads_where(db, clause, &[Value::Int(limit.into())]).await
}
