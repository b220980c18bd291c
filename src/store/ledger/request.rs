//! What a person asks for: cancel an upload, or open one again.

use super::{
    account::{self, Ending},
    entry::Entry,
    history,
    transaction::Transaction,
    value::{self, Columns},
};
use crate::{
    error::Result,
    rows::Existing,
    store::{
        CancelOutcome, Retry, RetryOutcome,
        session::{Database, Value},
    },
    upload::{State, UploadId},
};

/// Somebody who has it, or died over it, finishes the cancellation between two transactions; nobody's is cancelled
/// at once.
pub(super) async fn cancel(db: &dyn Database, id: UploadId) -> Result<CancelOutcome> {
    let Some((mut transaction, entry)) = Transaction::locking(db, id).await? else {
        return Ok(CancelOutcome::NoSuchUpload);
    };
    let state = entry.upload.state;
    if !state.is_open() {
        return Ok(CancelOutcome::Ended(state));
    }
    if entry.upload.owner.is_none() {
        account::end_without_owner(&mut transaction, &entry, &Ending::cancelled()).await?;
        transaction.commit().await?;
        return Ok(CancelOutcome::Cancelled);
    }
    if !entry.upload.cancel_asked {
        transaction.execute("update userdata_upload set cancel_asked = 1 where id = ?", &[value::id(id)]).await?;
        history::write(&mut transaction, id, None, entry.upload.attempts, state, "asked to cancel").await?;
        transaction.commit().await?;
    }
    Ok(CancelOutcome::Asked)
}

pub(super) async fn retry(db: &dyn Database, id: UploadId, retry: &Retry) -> Result<RetryOutcome> {
    let Some((mut transaction, entry)) = Transaction::locking(db, id).await? else {
        return Ok(RetryOutcome::NoSuchUpload);
    };
    let before = entry.upload.state;
    if !matches!(before, State::Failed | State::Cancelled) {
        return Ok(RetryOutcome::NotEnded(before));
    }
    let rows_stored = entry.stored.good > 0;
    if rows_stored && retry.options.is_some() {
        return Ok(RetryOutcome::RowsStored);
    }
    let options = retry.options.as_ref().unwrap_or(&entry.upload.new.options);
    if options.existing == Existing::Replace && !retry.over_newer {
        let newer = transaction.query(NEWER_AT_THE_TABLE, &[value::count(entry.upload.seq)]).await?;
        if count(newer)? > 0 {
            return Ok(RetryOutcome::Overtaken);
        }
    }
    let state = match (entry.upload.archived_ms, rows_stored && !retry.restart) {
        (None, _) => State::Received,
        (Some(_), false) => State::Archived,
        (Some(_), true) => State::Loading,
    };
    transaction.fence_off(&entry).await?;
    if state != State::Loading {
        let sql = "update userdata_upload set cleaned = null, rules = null, stored_before = stored_before + ? \
                   where id = ?";
        let stored = entry.stored.inserted + entry.stored.replaced;
        transaction.execute(sql, &[value::count(stored), value::id(id)]).await?;
        transaction.execute("delete from userdata_upload_part where upload = ?", &[value::id(id)]).await?;
    }
    let sql = "update userdata_upload set state = ?, options = ?, existing = ?, finished_ms = null, attempts = 0, \
               mark = null, owner = null, lease_until_ms = null, next_try_ms = null, cancel_asked = 0, \
               progress = null, waiting = null, failure = null, receipt = null, receipt_copied = 0, \
               rows_read = null, inserted = null, replaced = null, duplicates = null, rejected = null, \
               repeated_in_file = null, already_present = null, conflicting = null where id = ?";
    let parameters =
        [value::text(state.name()), value::json(options), value::text(options.existing.to_string()), value::id(id)];
    transaction.execute(sql, &parameters).await?;
    history::write(&mut transaction, id, None, 0, state, opened(&entry, retry)).await?;
    transaction.commit().await?;
    Ok(RetryOutcome::Opened(state))
}

fn opened(entry: &Entry, retry: &Retry) -> String {
    let options = if retry.options.is_some() { " with other row options" } else { "" };
    let stored = entry.stored.inserted + entry.stored.replaced;
    match (retry.restart, stored) {
        (true, 1..) => format!("opened again, to be loaded from the start; {stored} rows stored before stay"),
        _ => format!("opened again{options}"),
    }
}

/// Newer uploads in `replace` mode that have stored rows, or are about to: a claimed one that is archived is being
/// cleaned. One that waits will wait for this one too.
const NEWER_AT_THE_TABLE: &str = "select count(*) from userdata_upload u where u.existing = 'replace' and u.seq > ? \
    and (u.state in ('loading', 'done') or (u.state = 'archived' and u.owner is not null) \
    or exists (select 1 from userdata_upload_part p where p.upload = u.id and p.good > 0))";

pub(super) async fn overtaken(db: &dyn Database, id: UploadId) -> Result<bool> {
    let seq = db.read("select seq from userdata_upload where id = ?", &[value::id(id)]).await?;
    let Some(seq) = seq.into_iter().next() else { return Ok(false) };
    let seq = Columns::of(seq).int()?;
    Ok(count(db.read(NEWER_AT_THE_TABLE, &[Value::Int(seq)]).await?)? > 0)
}

fn count(rows: Vec<Vec<Value>>) -> Result<i64> {
    rows.into_iter().next().map_or(Ok(0), |row| Columns::of(row).int())
}
