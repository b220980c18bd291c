//! How an upload enters the ledger, and that its announcement was taken.

use std::time::Duration;

use super::{
    entry::{NEW_COLUMNS, new_values},
    history,
    transaction::{Transaction, timed},
    value,
};
use crate::{
    error::Result,
    store::{
        as_ms,
        session::{DUPLICATE_KEY, Database, Lane, Value},
    },
    upload::{Claim, Fence, NewUpload, State, UploadId},
};

pub(super) async fn register(db: &dyn Database, new: &NewUpload) -> Result<bool> {
    insert(db, new, None).await
}

pub(super) async fn register_claimed(
    db: &dyn Database,
    new: &NewUpload,
    owner: &str,
    lease: Duration,
) -> Result<Option<Claim>> {
    let fence = Fence { number: 1, nonce: rand::random() };
    let claim = Claim { id: new.id, owner: owner.to_owned(), fence, lease };
    Ok(insert(db, new, Some(&claim)).await?.then_some(claim))
}

/// Inserts the row unless it is there. It looks first: a refused INSERT takes a lock and a number of `seq`, and
/// sweeps repeat this.
async fn insert(db: &dyn Database, new: &NewUpload, claim: Option<&Claim>) -> Result<bool> {
    let known = db.read("select seq from userdata_upload where id = ?", &[value::id(new.id)]).await?;
    if !known.is_empty() {
        return Ok(false);
    }
    let mut values = new_values(new)?;
    let marks = ", ?".repeat(values.len());
    let (names, claimed) = match claim {
        None => ("", ""),
        Some(claim) => {
            values.extend([
                value::text(&claim.owner),
                value::count(claim.fence.number),
                Value::Int(claim.fence.nonce),
                value::text(format!("{} 0", State::Received)),
                Value::Int(as_ms(claim.lease)),
            ]);
            (", owner, fence, nonce, mark, lease_until_ms", ", ?, ?, ?, ?, {now} + ?")
        }
    };
    let sql = format!("insert into userdata_upload (state, {NEW_COLUMNS}{names}) values ('received'{marks}{claimed})");
    // A file of another producer has no hash yet and lies in no spool, and its announcement is acknowledged after this.
    let lane = if claim.is_none() && new.sha256.is_some() { Lane::Note } else { Lane::Work };
    let mut transaction = Transaction::begin(db, lane).await?;
    match transaction.execute(&sql, &values).await {
        Err(error) if error.code == DUPLICATE_KEY => return Ok(false),
        outcome => outcome?,
    };
    let worker = claim.map(|claim| claim.owner.as_str());
    let message = format!("\"{}\" from {}, {} bytes", new.filename, new.sender, new.size);
    history::write(&mut transaction, new.id, worker, worker.is_some().into(), State::Received, message).await?;
    transaction.commit().await?;
    Ok(true)
}

pub(super) async fn announced(db: &dyn Database, id: UploadId) -> Result<()> {
    let sql = "update userdata_upload set announced_ms = {now} where id = ? and announced_ms is null";
    let mut session = db.begin(Lane::Note).await?;
    session.execute(&timed(sql, db.now_ms()), &[value::id(id)]).await?;
    session.commit().await
}
