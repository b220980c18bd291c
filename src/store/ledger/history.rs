//! An upload's history: one event a change, written in the transaction that makes it.

use super::{
    transaction::Transaction,
    value::{self, Columns},
};
use crate::{
    error::Result,
    store::session::{Database, Row, Value},
    upload::{Event, State, Upload, UploadId},
};

/// Writes an event. `upload` is the row before the change: its owner is the worker, and a worker's attempt counts
/// from 1.
pub(super) async fn note(
    transaction: &mut Transaction,
    upload: &Upload,
    state: State,
    message: impl Into<String>,
) -> Result<()> {
    let worker = upload.owner.as_deref();
    write(transaction, upload.id(), worker, upload.attempts + u32::from(worker.is_some()), state, message).await
}

pub(super) async fn write(
    transaction: &mut Transaction,
    id: UploadId,
    worker: Option<&str>,
    attempt: u32,
    state: State,
    message: impl Into<String>,
) -> Result<()> {
    let sql = "insert into userdata_upload_event (upload, at_ms, worker, version, attempt, state, message) \
               values (?, {now}, ?, ?, ?, ?, ?)";
    let parameters = [
        value::id(id),
        value::maybe_text(worker),
        value::text(env!("CARGO_PKG_VERSION")),
        Value::Int(attempt.into()),
        value::text(state.name()),
        value::text(message),
    ];
    transaction.execute(sql, &parameters).await.map(drop)
}

pub(super) async fn events(db: &dyn Database, id: UploadId) -> Result<Vec<Event>> {
    let sql = "select at_ms, worker, version, attempt, state, message from userdata_upload_event \
               where upload = ? order by seq";
    db.read(sql, &[value::id(id)]).await?.into_iter().map(read).collect()
}

fn read(row: Row) -> Result<Event> {
    let c = &mut Columns::of(row);
    Ok(Event {
        at: c.int()?,
        worker: c.maybe_text()?,
        version: c.text()?,
        attempt: c.count()?,
        state: c.parsed()?,
        message: c.text()?,
    })
}
