//! What has changed since somebody looked last: a mark of each upload that may, cheap enough to be read twice a second.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use super::{
    entry::entries,
    transaction::timed,
    value::{self, Columns},
};
use crate::{
    error::Result,
    store::{
        Mark, as_ms,
        session::{Database, Row, Value},
    },
    upload::{Upload, UploadId},
};

/// Uploads that one statement reads.
const AT_ONCE: usize = 100;

/// The columns of which every change of an upload changes one. A load's ranges move beside its heartbeats.
const MARKS: &str = "select u.id, u.finished_ms is null, u.state, u.beat, u.fence, u.attempts, u.cancel_asked, \
    u.announced_ms, u.archived_ms, u.finished_ms, u.next_try_ms, u.receipt_copied, u.waiting, \
    u.owner is not null and u.lease_until_ms > {now} \
    from userdata_upload u where u.finished_ms is null or u.finished_ms >= {now} - ?";

pub(super) async fn marks(db: &dyn Database, ended_within: Duration) -> Result<Vec<Mark>> {
    let rows = db.read(&timed(MARKS, db.now_ms()), &[Value::Int(as_ms(ended_within))]).await?;
    rows.into_iter().map(read).collect()
}

fn read(row: Row) -> Result<Mark> {
    let mut hasher = DefaultHasher::new();
    for value in &row {
        match value {
            Value::Null => 0.hash(&mut hasher),
            Value::Int(number) => (1, number).hash(&mut hasher),
            Value::Text(text) => (2, text).hash(&mut hasher),
            Value::Bytes(bytes) => (3, bytes).hash(&mut hasher),
        }
    }
    let c = &mut Columns::of(row);
    Ok(Mark { id: c.parsed()?, open: c.flag()?, version: hasher.finish() })
}

pub(super) async fn uploads_of(db: &dyn Database, ids: &[UploadId]) -> Result<Vec<Upload>> {
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(AT_ONCE) {
        let clause = format!("where u.id in (?{})", ", ?".repeat(ids.len() - 1));
        let parameters: Vec<_> = ids.iter().copied().map(value::id).collect();
        found.extend(entries(db, &clause, &parameters).await?.into_iter().map(|entry| entry.upload));
    }
    Ok(found)
}
