//! How an upload ends: `done`, `failed` or `cancelled`, always with its account and its event in one transaction.

use std::time::Duration;

use super::{
    entry::{Entry, entry},
    history,
    transaction::Transaction,
    value,
};
use crate::{
    error::{Error, Result},
    receipt::Receipt,
    store::{
        as_ms, lost,
        session::{Database, Lane, Value},
    },
    upload::{Claim, Failure, State, UploadId},
    wording::{counted, grouped},
};

/// An end, and what is kept of it.
pub(super) struct Ending<'a> {
    state: State,
    message: String,
    failure: Option<&'a Failure>,
    receipt: Option<&'a Receipt>,
}

impl<'a> Ending<'a> {
    pub(super) fn failed(failure: &'a Failure) -> Self {
        Self { state: State::Failed, message: failure.message.clone(), failure: Some(failure), receipt: None }
    }

    pub(super) fn cancelled() -> Self {
        Self { state: State::Cancelled, message: "cancelled".into(), failure: None, receipt: None }
    }

    fn with_receipt(receipt: &'a Receipt) -> Self {
        let counts = &receipt.counts;
        let message = format!(
            "{} read, {} inserted, {} replaced, {}, {} rejected",
            counted(counts.read, "row", "rows"),
            grouped(counts.inserted),
            grouped(counts.replaced),
            counted(counts.duplicates, "duplicate", "duplicates"),
            grouped(counts.rejected)
        );
        Self { state: receipt.state, message, failure: None, receipt: Some(receipt) }
    }
}

pub(super) async fn finish(db: &dyn Database, claim: &Claim, receipt: &Receipt) -> Result<()> {
    if !matches!(receipt.state, State::Done | State::Cancelled) {
        let doing = format!("finishing upload {}: its receipt says {}", claim.id, receipt.state);
        return Err(Error::fatal("receipt_state", doing));
    }
    let Some((mut transaction, entry)) = Transaction::holding_if_current(db, claim).await? else {
        return already_ended(db, claim, receipt.state).await;
    };
    if receipt.state == State::Done {
        whole(&entry)?;
    }
    end(&mut transaction, &entry, &Ending::with_receipt(receipt)).await?;
    transaction.commit().await
}

/// The last guard before `done`: every range is at its end, and what was stored stands for every good row.
fn whole(entry: &Entry) -> Result<()> {
    let id = entry.id();
    let refuse = |code, why: String| Err(Error::fatal(code, format!("finishing upload {id}: {why}")));
    match (&entry.upload.cleaned, entry.upload.state) {
        (_, State::Loading) if entry.unfinished > 0 => {
            refuse("ranges_unfinished", format!("{} of its ranges are not loaded to their end", entry.unfinished))
        }
        (Some(cleaned), State::Loading) if cleaned.good != entry.stored.good => {
            let (good, stored) = (cleaned.good, entry.stored.good);
            refuse("rows_lost", format!("cleaning found {good} good rows, but what was stored stands for {stored}"))
        }
        (Some(_), State::Loading) => Ok(()),
        (_, state) => refuse("wrong_state", format!("it is {state}, not loading")),
    }
}

pub(super) async fn fail(db: &dyn Database, claim: &Claim, failure: &Failure) -> Result<()> {
    let Some((mut transaction, entry)) = Transaction::holding_if_current(db, claim).await? else {
        return already_ended(db, claim, State::Failed).await;
    };
    end(&mut transaction, &entry, &Ending::failed(failure)).await?;
    transaction.commit().await
}

/// A repeated call whose first one did it is no loss: the fence is still the claim's.
async fn already_ended(db: &dyn Database, claim: &Claim, state: State) -> Result<()> {
    match entry(db, claim.id).await? {
        Some(entry) if entry.fence == claim.fence && entry.upload.state == state => Ok(()),
        _ => Err(lost(claim)),
    }
}

/// Only what has no live lease: the UPDATE locks it, and says so.
pub(super) async fn abandon(db: &dyn Database, id: UploadId, failure: &Failure) -> Result<bool> {
    let mut transaction = Transaction::begin(db, Lane::Work).await?;
    let sql = "update userdata_upload set beat = beat + 1 where id = ? and finished_ms is null \
               and (owner is null or lease_until_ms < {now})";
    if transaction.execute(sql, &[value::id(id)]).await? != 1 {
        return Ok(false);
    }
    let Some(entry) = transaction.entry(id).await? else { return Ok(false) };
    end_without_owner(&mut transaction, &entry, &Ending::failed(failure)).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Ends an upload whose last owner may still run: it is fenced off first.
pub(super) async fn end_without_owner(transaction: &mut Transaction, entry: &Entry, ending: &Ending<'_>) -> Result<()> {
    transaction.fence_off(entry).await?;
    end(transaction, entry, ending).await
}

/// Writes the end. The account is written out in columns for whoever asks in SQL; the ledger itself goes by what
/// cleaning found and the ranges stored.
pub(super) async fn end(transaction: &mut Transaction, entry: &Entry, ending: &Ending<'_>) -> Result<()> {
    let sql = "update userdata_upload set state = ?, finished_ms = {now}, failure = ?, receipt = ?, \
               receipt_copied = 0, owner = null, lease_until_ms = null, next_try_ms = null, waiting = null, \
               progress = null, cancel_asked = 0, rows_read = ?, inserted = ?, replaced = ?, duplicates = ?, \
               rejected = ?, repeated_in_file = ?, already_present = ?, conflicting = ? where id = ?";
    let counts = ending.receipt.map_or(entry.upload.counts, |receipt| receipt.counts);
    let mut parameters =
        vec![value::text(ending.state.name()), value::maybe_json(ending.failure), value::maybe_json(ending.receipt)];
    parameters.extend(
        [
            counts.read,
            counts.inserted,
            counts.replaced,
            counts.duplicates,
            counts.rejected,
            counts.repeated_in_file,
            counts.already_present,
            counts.conflicting,
        ]
        .map(value::count),
    );
    parameters.push(value::id(entry.id()));
    transaction.execute(sql, &parameters).await?;
    history::note(transaction, &entry.upload, ending.state, ending.message.clone()).await
}

/// What has ended has no claim: its lease is the receipt's.
pub(super) async fn take_receipt(db: &dyn Database, id: UploadId, lease: Duration) -> Result<bool> {
    let sql = "update userdata_upload set beat = beat + 1, lease_until_ms = {now} + ? where id = ? \
               and receipt_copied = 0 and finished_ms is not null \
               and (lease_until_ms is null or lease_until_ms < {now})";
    let mut transaction = Transaction::begin(db, Lane::Work).await?;
    let taken = transaction.execute(sql, &[Value::Int(as_ms(lease)), value::id(id)]).await? == 1;
    transaction.commit().await?;
    Ok(taken)
}

pub(super) async fn receipt_copied(db: &dyn Database, id: UploadId) -> Result<()> {
    let sql = "update userdata_upload set receipt_copied = 1 where id = ? and finished_ms is not null";
    let mut session = db.begin(Lane::Work).await?;
    session.execute(sql, &[value::id(id)]).await?;
    session.commit().await
}
